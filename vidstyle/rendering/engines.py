"""The engine of a render, from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidstyle.config.weighted_names import parsed
from vidstyle.stylize.optimise.engine import OptimisingEngine
from vidstyle.stylize.optimise.settings import (
    LossSettings,
    MinimiserSettings,
    OptimiserSettings,
    PyramidSettings,
)
from vidstyle.stylize.style.settings import StyleSettings

if TYPE_CHECKING:
    import torch

    from vidstyle.config.settings import RenderConfig
    from vidstyle.features.extractor import Extractor
    from vidstyle.machine.device import Precision
    from vidstyle.rendering.models import Models


def style_settings(config: RenderConfig) -> StyleSettings:
    """Collect the settings of the style loss."""
    return StyleSettings(
        weight=config.style_weight,
        terms=parsed(config.style_terms),
        layers=parsed(config.style_layers),
        scale=config.style_scale,
        mrf_bidirectional=config.mrf_bidirectional,
        mrf_coherence=config.mrf_coherence,
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
        losses=LossSettings(
            content_weight=config.content_weight,
            content_layers=parsed(config.content_layers),
            total_variation_weight=config.tv_weight,
            temporal_weight=config.temporal_weight,
            temporal_norm=config.temporal_norm,
            photorealism_weight=config.photorealism,
        ),
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
        style_image_count=len(config.paintings),
    )


def build_engine(config: RenderConfig, precision: Precision, device_type: str) -> OptimisingEngine:
    """Choose the engine of a render."""
    return OptimisingEngine(optimiser_settings(config), precision, device_type)


class LoadedNetworks:
    """The feature networks of a render, from those that the process has loaded."""

    def __init__(self, models: Models, config: RenderConfig, device: torch.device) -> None:
        self.models = models
        self.config = config
        self.device = device

    def network(self, name: str, pooling: str = "average") -> Extractor:
        """Load the network called `name`, once. Its pooling is that of the settings."""
        return self.models.network(name, self.config, self.device)
