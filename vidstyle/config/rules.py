"""Settings that do not go together: each check raises ValueError, in words for the user, where one
setting leaves another nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidstyle.config import weighted_names
from vidstyle.config.weighted_names import POLISHER

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig


DEFAULT_CONTENT = 0.06
"""The usual content_weight."""


def something_to_match(config: RenderConfig) -> None:
    if not (config.content_weight or config.style_weight or config.tv_weight):
        raise ValueError(
            "content_weight, style_weight and tv_weight are all 0: there is nothing to optimise"
        )


def something_to_polish(config: RenderConfig) -> None:
    if config.polish and config.features == POLISHER:
        raise ValueError(
            f"polish = {config.polish} changes nothing where features = {POLISHER} does every iteration on VGG-19: "
            "set polish = 0, or features = lite"
        )
    if config.polish and not (config.content_weight or config.style_weight):
        raise ValueError(
            f"polish = {config.polish} changes nothing where content_weight and style_weight are 0, for then no "
            "features are matched: set polish = 0, or one of the weights"
        )


def something_to_look_at(config: RenderConfig) -> None:
    networks = [config.features, *([POLISHER] if config.polish else [])]
    for text in (config.style_layers, config.content_layers):
        for network in networks:
            weighted_names.known(text, weighted_names.LAYERS[network], f"features = {network}")
    terms = weighted_names.parsed(config.style_terms)
    for name in ("mrf_bidirectional", "mrf_coherence"):
        if getattr(config, name) and "mrf" not in terms:
            raise ValueError(
                f"{name} changes nothing where style_terms = {config.style_terms} have no mrf: add it"
            )


def something_to_pool(config: RenderConfig) -> None:
    if config.pooling != "average" and config.features != POLISHER and not config.polish:
        raise ValueError(
            f"pooling = {config.pooling} changes nothing where no iteration is on VGG-19: set pooling = average, or "
            f"features = {POLISHER}"
        )


def something_to_link(config: RenderConfig) -> None:
    linking = [
        text for text, on in (("long_term", config.long_term), ("passes", config.passes > 1)) if on
    ]
    if config.per_frame and linking:
        raise ValueError(
            f"per_frame cuts the links between frames that {linking[0]} = {getattr(config, linking[0])} is there "
            "for: set only one of them"
        )
    if config.passes > 1 and config.rest == "follow":
        raise ValueError(
            f"rest = follow changes nothing where passes = {config.passes} let everything follow its flow: set only "
            "one of them"
        )
    if config.passes > 1 and config.budget == "fixed":
        raise ValueError(
            f"budget = fixed changes nothing where passes = {config.passes} give every frame as many iterations: set "
            "only one of them"
        )
    if config.passes > 1 and config.long_term:
        raise ValueError(
            f"passes = {config.passes} links every frame to its neighbour alone, which leaves long_term = "
            f"{config.long_term} nothing to do: set only one of them"
        )


def something_to_go_over(config: RenderConfig) -> None:
    for name in ("blend", "temporal_from_pass"):
        if config.passes == 1 and getattr(config, name) != type(config).model_fields[name].default:
            raise ValueError(
                f"{name} = {getattr(config, name)} changes nothing where there is one pass: set passes = 2 or more"
            )
    if config.temporal_from_pass > config.passes:
        raise ValueError(
            f"temporal_from_pass = {config.temporal_from_pass} never comes where there are {config.passes} passes: set "
            f"it to {config.passes} or less"
        )


def something_to_hold(config: RenderConfig) -> None:
    for name in ("temporal_norm", "temporal_from_pass"):
        value = getattr(config, name)
        if not config.temporal_weight and value != type(config).model_fields[name].default:
            raise ValueError(
                f"{name} = {value} changes nothing where temporal_weight = 0 leaves the temporal loss out: set "
                "only one of them"
            )


def something_to_paint(config: RenderConfig) -> None:
    if config.texture:
        for name in ("style", "per_frame", "photorealism"):
            if getattr(config, name):
                raise ValueError(
                    f"texture takes the input itself for its style, and no picture: leave {name} out"
                )
        for name, usual in (("keep_colors", "none"), ("content_weight", DEFAULT_CONTENT)):
            if getattr(config, name) != usual:
                raise ValueError(f"texture is made of the style alone: leave {name} out")
        if not config.style_weight:
            raise ValueError(
                "texture is made of the style alone, and style_weight = 0 leaves it none: raise it"
            )
    elif not config.style and (config.style_weight or config.init == "style"):
        raise ValueError("style is missing: name a painting, or set style_weight = 0")
    if config.tileable and not config.texture:
        raise ValueError("tileable is for a texture: set texture = true")
    if config.tileable and config.tile:
        raise ValueError("tileable textures are computed whole: set tile = 0")


def something_to_steer(config: RenderConfig) -> None:
    styleless = "" if config.style_weight else "style_weight = 0"
    contentless = (
        "texture" if config.texture else "" if config.content_weight else "content_weight = 0"
    )
    idle = dict.fromkeys(("style_terms", "style_layers", "style_scale", "regions"), styleless)
    idle["content_layers"] = contentless
    for name, cause in idle.items():
        if cause and getattr(config, name) != type(config).model_fields[name].default:
            raise ValueError(f"{name} changes nothing beside {cause}: leave one of them out")
    if config.keep_colors == "match" and styleless:
        raise ValueError(
            f"keep_colors = match changes nothing beside {styleless}: leave one of them out"
        )


def something_in_regions(config: RenderConfig) -> None:
    if config.regions is None:
        return
    if len(config.paintings) > 1:
        raise ValueError(
            f"regions are of one painting, and there are {len(config.paintings)}: leave the others out"
        )
    for name in ("texture", "tile"):
        if getattr(config, name):
            raise ValueError(f"regions do not go with {name}: leave one of them out")


CHECKS = (
    something_in_regions,
    something_to_steer,
    something_to_paint,
    something_to_match,
    something_to_polish,
    something_to_look_at,
    something_to_pool,
    something_to_link,
    something_to_go_over,
    something_to_hold,
)
