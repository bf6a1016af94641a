"""The settings of the stylisation by optimisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vidstyle.stylize.style.settings import StyleSettings

COARSEST_SIDE = 64
"""No scale has a shorter side below this number of pixels: relu5_1 sees 1/16 of it."""

DETAIL_LAYERS = {"relu4_2": 1.0, "relu3_1": 0.5}
"""Layers of the content loss under a detail map, with weights: relu4_2 sees parts of a figure, and
relu3_1 its eyes and fingers."""

REFINEMENT_FEATURES = "vgg19"
"""The network of the refinement iterations."""


@dataclass(frozen=True)
class PyramidSettings:
    """The scales of a frame from coarse to fine, and its iterations over all of them.

    Args:
        first_iterations: iterations of the first frame of a shot.
        iterations: iterations of every other frame.
        first_scales: scales of the first frame of a shot, at most.
        scales: scales of every other frame, at most.
        adaptive: a frame gets more iterations the more of it is disoccluded.
        coarsest_side: shorter side of the coarsest scale in pixels, at least.
    """

    first_iterations: int
    iterations: int
    first_scales: int
    scales: int
    adaptive: bool = True
    coarsest_side: int = COARSEST_SIDE


@dataclass(frozen=True)
class MinimiserSettings:
    """The optimiser.

    Args:
        method: L-BFGS or Adam.
        learning_rate: step size of Adam, and of the first step of L-BFGS, in units of the image's
            range.
        stop_tolerance: a frame ends early when its loss changes by less than this share over
            `schedule.CHECK_INTERVAL` iterations; 0: never.
    """

    method: Literal["lbfgs", "adam"]
    learning_rate: float
    stop_tolerance: float = 0.0


@dataclass(frozen=True)
class LossSettings:
    """The losses beyond that of style, and their weights; a loss of weight 0 is left out.

    Args:
        content_weight: of the content loss.
        content_layers: {layer: its weight}; weights count in relation to one another.
        total_variation_weight: of the total variation loss.
        temporal_weight: of the temporal loss.
        temporal_norm: one of `losses.TEMPORAL_LOSSES`.
        photorealism_weight: of the matting Laplacian; above 0 the result is a locally affine
            recolouring of the frame.
        detail_weight: of the content loss over `DETAIL_LAYERS` where the frame's detail map says
            that it matters.
    """

    content_weight: float
    content_layers: Mapping[str, float]
    total_variation_weight: float
    temporal_weight: float
    temporal_norm: str = "squared"
    photorealism_weight: float = 0.0
    detail_weight: float = 0.0


@dataclass(frozen=True)
class OptimiserSettings:
    """Everything that the stylisation by optimisation depends on, beyond its images and networks.

    Args:
        features: name of the network whose features are matched.
        pooling: average or max, of networks that know both.
        refinement_iterations: last iterations of every frame, at most those at full size, that are
            done on the features of `REFINEMENT_FEATURES`.
        start: the image that the first frame of a shot starts from.
        seed: of the noise, with the index of the frame.
        reach: how many frames back the farthest frame is that a frame is linked to, a power of 2;
            0: every frame is stylised by itself.
        blend: share of its neighbour in the image that a frame of a later pass starts from.
        luminance_only: the lightness alone is stylised, and the frame keeps its colours.
        texture: the content of the frame does not matter: more of the style image is made.
        tileable_texture: a texture that continues on the opposite side where it leaves the image.
        style_image_count: the number of style images.
    """

    pyramid: PyramidSettings
    minimiser: MinimiserSettings
    losses: LossSettings
    style: StyleSettings
    features: str = "lite"
    pooling: str = "average"
    refinement_iterations: int = 0
    start: Literal["content", "noise", "style"] = "content"
    seed: int = 0
    reach: int = 1
    blend: float = 0.5
    luminance_only: bool = False
    texture: bool = False
    tileable_texture: bool = False
    style_image_count: int = 1
