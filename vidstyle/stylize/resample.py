"""Sizes and edges of images: resampling, and the margin that frames are optimised with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

MARGIN = 8
"""Pixels by which the canvas reaches beyond the frame on every side, mirrored at first, optimised
with it and cut off at the end. Replicate padding alone lets the outermost pixels speak for all that
lies beyond: the optimiser saturates them and a rim shows."""


def resize(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """(c, H, W) -> (c, *size), bilinear, antialiased when it shrinks; the image itself when nothing
    changes.
    """
    if tuple(image.shape[1:]) == tuple(size):
        return image
    # Not every torch has the antialiased filter for Apple's GPUs.
    source = image.cpu() if image.device.type == "mps" else image
    small = F.interpolate(
        source[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )[0]
    return small.to(image.device)


def extend(image: Tensor, margin: int = MARGIN) -> Tensor:
    """(c, H, W) -> (c, H + 2 margin, W + 2 margin), mirrored at the edges."""
    return F.pad(image[None], (margin,) * 4, mode="reflect")[0]


def cropped(image: Tensor, margin: int) -> Tensor:
    """(c, h, w) -> (c, h - 2 margin, w - 2 margin), a view."""
    return image[:, margin : image.shape[1] - margin, margin : image.shape[2] - margin]
