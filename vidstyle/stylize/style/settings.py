"""The settings of the style loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True)
class StyleSettings:
    """The statistics of the style images that are matched, in which layers, and how strongly.

    Args:
        weight: of the style loss as a whole.
        terms: {name of a style term: its weight}.
        layers: {layer: its weight}; weights count in relation to one another.
        scale: size of a style image, and of its strokes, in relation to the frame.
        mrf_bidirectional: the MRF loss also asks that every patch of the style image is found in
            the frame.
        mrf_coherence: bonus, in units of the similarity (at most 1), for patches that are
            neighbours in the style image.
    """

    weight: float = 1.0
    terms: Mapping[str, float] = field(default_factory=lambda: {"gram": 1.0})
    layers: Mapping[str, float] = field(
        default_factory=lambda: dict.fromkeys(DEFAULT_STYLE_LAYERS, 1.0)
    )
    scale: float = 1.0
    mrf_bidirectional: bool = False
    mrf_coherence: float = 0.0
