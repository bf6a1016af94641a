"""Sizes and edges of images: resampling, and the margin that frames are optimised with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

CANVAS_MARGIN = 8
"""Pixels by which the canvas reaches beyond the frame on every side, mirrored at first, optimised
with it and cut off at the end. Replicate padding alone lets the outermost pixels speak for all that
lies beyond: the optimiser saturates them and a rim shows."""

MAX_STYLE_ENLARGEMENT = 2.0
"""A style image is brought to the frame's size, so that strokes keep their size relative to the
frame at every resolution; enlarged beyond this factor it would only be blurred."""

MIN_STYLE_SIDE = 16
"""Pixels of the shorter side of a resized style image, at least."""


def resize(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize (c, H, W) -> (c, *size), bilinear, antialiased when it shrinks; return the image
    itself when nothing changes.
    """
    if tuple(image.shape[1:]) == tuple(size):
        return image
    # Not every torch has the antialiased filter for Apple's GPUs.
    source = image.cpu() if image.device.type == "mps" else image
    small = F.interpolate(
        source[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )[0]
    return small.to(image.device)


def add_margin(image: Tensor, margin: int = CANVAS_MARGIN) -> Tensor:
    """Extend (c, H, W) -> (c, H + 2 margin, W + 2 margin), mirrored at the edges."""
    return F.pad(image[None], (margin,) * 4, mode="reflect")[0]


def remove_margin(image: Tensor, margin: int) -> Tensor:
    """Cut (c, h, w) -> (c, h - 2 margin, w - 2 margin), a view."""
    return image[:, margin : image.shape[1] - margin, margin : image.shape[2] - margin]


def fit_style_image(
    image: Tensor,
    size: tuple[int, int],
    factor: float = 1.0,
    style_scale: float = 1.0,
    min_side: int = MIN_STYLE_SIDE,
) -> Tensor:
    """Resize a style image (3, H, W) to the area of frames of `size` (h, w); its aspect is kept.

    Args:
        factor: of the sides of that area.
        style_scale: size of the style image and of its strokes in relation to the frame (Gatys et
            al. 2017, section 6).
        min_side: pixels of the shorter side, at least.
    """
    h, w = size
    area = image.shape[1] * image.shape[2]
    share = min(MAX_STYLE_ENLARGEMENT, (h * w / area) ** 0.5 * style_scale) * factor
    least = min_side / min(image.shape[1:])
    return resize(image, tuple(round(n * max(share, least)) for n in image.shape[1:]))
