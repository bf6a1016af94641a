"""The engines that a render can choose from, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from vidstyle.config.engines import BALANCED_SETTINGS, LESSON_SETTINGS, OPTIMISER_SETTINGS
from vidstyle.config.weighted_names import parse_weights
from vidstyle.errors import ConfigError
from vidstyle.machine.device import choose_device
from vidstyle.rendering.style_files import is_style_file
from vidstyle.stylize.balanced import BalancedEngine
from vidstyle.stylize.feedforward.engine import FeedforwardEngine
from vidstyle.stylize.feedforward.settings import FeedforwardSettings
from vidstyle.stylize.optimise.engine import OptimisingEngine
from vidstyle.stylize.optimise.settings import (
    LossSettings,
    MinimiserSettings,
    OptimiserSettings,
    PyramidSettings,
)
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.term import check_style_settings

if TYPE_CHECKING:
    from pathlib import Path

    from vidstyle.config.settings import RenderConfig
    from vidstyle.machine.device import ComputeDevice
    from vidstyle.stylize.engine import Engine

EngineFactory = Callable[["RenderConfig", "ComputeDevice"], "Engine"]
"""Makes an engine from the settings of a render, without loading any weights. It raises ConfigError
where the settings do not suit the engine."""

ENGINES: dict[str, EngineFactory] = {}
"""By the value of the setting `engine`."""


FULL_DETAIL_WEIGHT = 0.24
"""Weight of the content loss under the detail map at `detail` = 1. From there on figures are hardly
painted any more."""


def register_engine(name: str, factory: EngineFactory) -> None:
    """Make an engine known under `name`. Raises ValueError where the name is in use."""
    if name in ENGINES:
        raise ValueError(f"there is an engine {name} already")
    ENGINES[name] = factory


def unregister_engine(name: str) -> None:
    """Take an engine out of the registry. Raises KeyError where it is not known."""
    del ENGINES[name]


def create_engine(config: RenderConfig, device: ComputeDevice) -> Engine:
    """Make the engine that the settings name. Raises ConfigError when there is none of that name,
    or the settings do not suit it.
    """
    if config.engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise ConfigError(f"no engine called {config.engine!r}", f"there are {known}", "choose one")
    engine = ENGINES[config.engine](config, device)
    if config.passes > 1 and not engine.multi_pass:
        raise ConfigError(
            "the settings do not fit",
            f"passes = {config.passes} go over finished frames, and engine = {config.engine} "
            "cannot do that",
            "leave passes out, or choose another engine",
        )
    return engine


def check_engine_settings(config: RenderConfig) -> None:
    """Raise ConfigError where `create_engine` would, on whatever device."""
    create_engine(config, choose_device("cpu", "fp32"))


def create_optimiser(config: RenderConfig, device: ComputeDevice) -> OptimisingEngine:
    """Make the engine that optimises every frame. Raises ConfigError where the style terms do not
    suit the layers or the tiles.
    """
    settings = optimiser_settings(config)
    check_style_settings(settings.style, config.tile or 0)
    return OptimisingEngine(settings, device.precision, device.device.type)


def style_settings(config: RenderConfig) -> StyleSettings:
    """Collect the settings of the style loss."""
    return StyleSettings(
        weight=config.style_weight,
        terms=parse_weights(config.style_terms),
        layers=parse_weights(config.style_layers),
        scale=config.style_scale,
        mrf_bidirectional=config.mrf_bidirectional,
        mrf_coherence=config.mrf_coherence,
    )


def loss_settings(config: RenderConfig) -> LossSettings:
    """Collect the losses beyond that of style."""
    return LossSettings(
        content_weight=config.content_weight,
        content_layers=parse_weights(config.content_layers),
        total_variation_weight=config.tv_weight,
        temporal_weight=config.temporal_weight,
        temporal_norm=config.temporal_norm,
        photorealism_weight=config.photorealism,
        detail_weight=config.detail * FULL_DETAIL_WEIGHT if config.content_weight else 0.0,
    )


def optimiser_settings(config: RenderConfig) -> OptimiserSettings:
    """Collect the settings of the optimiser."""
    return OptimiserSettings(
        pyramid=PyramidSettings(
            first_iterations=config.first_iterations,
            iterations=config.iterations,
            first_scales=config.first_scales,
            scales=config.scales,
            adaptive=config.budget == "adaptive",
        ),
        minimiser=MinimiserSettings(
            method=config.optimizer,
            learning_rate=config.learning_rate,
            stop_tolerance=config.stop_tolerance,
        ),
        losses=loss_settings(config),
        style=style_settings(config),
        features=config.features,
        pooling=config.pooling,
        refinement_iterations=config.polish,
        start=config.init,
        seed=config.seed,
        reach=0 if config.per_frame else config.distances[-1],
        blend=config.blend,
        luminance_only=config.keep_colors == "luminance",
        texture=config.texture,
        tileable_texture=config.tileable,
        style_image_count=len(config.style_files),
    )


def create_fast(config: RenderConfig, device: ComputeDevice) -> FeedforwardEngine:
    """Make the engine that paints by a network. Raises ConfigError where settings of the optimiser
    are asked for, or the style terms do not suit the layers.
    """
    refuse_settings(config, OPTIMISER_SETTINGS, "about how a frame is optimised, and none is")
    check_learning(config)
    settings = feedforward_settings(config)
    check_style_settings(settings.style, 0)
    if not learned_paintings(config):
        refuse_settings(config, LESSON_SETTINGS, "about what is learned, and nothing is")
    return FeedforwardEngine(settings, device.precision)


def create_balanced(config: RenderConfig, device: ComputeDevice) -> BalancedEngine:
    """Make the engine that paints by a network, and then optimises a little. Raises ConfigError
    where settings ask for what that leaves out.
    """
    refuse_settings(config, BALANCED_SETTINGS, "no part of what is done with a painted frame")
    check_learning(config)
    painter = FeedforwardEngine(feedforward_settings(config), device.precision)
    return BalancedEngine(painter, create_optimiser(config, device))


def learned_paintings(config: RenderConfig) -> tuple[Path, ...]:
    """The paintings that the network learns before a render."""
    if not config.learn:
        return ()
    return tuple(path for path in config.style_files if not is_style_file(path))


def check_learning(config: RenderConfig) -> None:
    """Raise ConfigError where there is nothing to learn, or it was learned with other colours."""
    if not config.style or not config.style_weight:
        why = f"engine = {config.engine} paints in the style of a painting"
        raise ConfigError("there is no style to learn", why, "name one, or leave the engine out")
    learned = [path for path in config.style_files if is_style_file(path)]
    if learned and config.keep_colors == "match":
        why = f"{learned[0].name} was learned in the painting's own colours"
        raise ConfigError("keep_colors = match comes too late", why, "name the painting itself")
    if learned and len(learned) == len(config.style_files):
        why = "fixed with a style that was learned: learn it again with it"
        refuse_settings(config, ["style_scale"], why)
    default = type(config).model_fields["learn"].default
    if len(learned) == len(config.style_files) and config.learn not in (0, default):
        why = f"learn = {config.learn:g}, and every style is learned already"
        raise ConfigError("there is nothing left to learn", why, "leave learn out")


def refuse_settings(config: RenderConfig, names: Iterable[str], why: str) -> None:
    """Raise ConfigError where one of these settings has another value than its default."""
    for name in names:
        value = getattr(config, name)
        if value != type(config).model_fields[name].default:
            raise ConfigError(
                "the settings do not fit",
                f"{name} = {value} is {why} (engine = {config.engine})",
                f"leave {name} out, or the engine",
            )


def feedforward_settings(config: RenderConfig) -> FeedforwardSettings:
    """Collect the settings of the feed-forward engine."""
    return FeedforwardSettings(
        losses=loss_settings(config),
        style=style_settings(config),
        learn_seconds=config.learn,
        is_linked=not config.per_frame,
        luminance_only=config.keep_colors == "luminance",
    )


register_engine("optimise", create_optimiser)
register_engine("fast", create_fast)
register_engine("balanced", create_balanced)
