"""Settings and stylizers of the optimiser for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vidstyle.features.extractor import Extractor
from vidstyle.stylize.optimise.scales import NamedNetwork
from vidstyle.stylize.optimise.settings import (
    LossSettings,
    MinimiserSettings,
    OptimiserSettings,
    PyramidSettings,
)
from vidstyle.stylize.optimise.stylizer import Execution, OptimisingStylizer
from vidstyle.stylize.style.settings import StyleSettings

QUICK = OptimiserSettings(
    PyramidSettings(first_iterations=12, iterations=8, first_scales=6, scales=1),
    MinimiserSettings("lbfgs", learning_rate=0.03),
    LossSettings(
        content_weight=0.06,
        content_layers={"relu4_2": 1.0},
        total_variation_weight=0.3,
        temporal_weight=100.0,
    ),
    StyleSettings(),
)
"""The default settings, with few iterations."""


def optimiser(**values: object) -> OptimiserSettings:
    """Change `QUICK`: each value goes where a field has its name, `style_*` to those of style."""
    settings = QUICK
    for name, value in values.items():
        for group in ("pyramid", "minimiser", "losses", "style"):
            own = getattr(settings, group)
            field = name.removeprefix("style_") if group == "style" else name
            if field in own.__dataclass_fields__ and (group != "style" or field != name):
                settings = replace(settings, **{group: replace(own, **{field: value})})
                break
        else:
            settings = replace(settings, **{name: value})  # type: ignore[arg-type]
    return settings


def build_stylizer(
    settings: OptimiserSettings,
    network: Extractor,
    style_images: Sequence[Tensor],
    size: tuple[int, int],
    *,
    refinement: Extractor | None = None,
    tile: int = 0,
    style_masks: Tensor | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> OptimisingStylizer:
    """Build the stylizer of frames of `size` (h, w) on the CPU."""
    networks = [NamedNetwork("main", network)]
    if refinement is not None:
        networks.append(NamedNetwork("refinement", refinement))
    execution = Execution(torch.device("cpu"), tile, clock)
    return OptimisingStylizer(settings, networks, style_images, size, execution, style_masks)
