"""Motion at a smaller size than the frames', for an engine that paints faster than flow is
estimated.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import Motion

SMALL_CHANGE = 0.15
"""Of a pixel, beyond what noise does."""

AROUND = 4
"""Pixels around such a change that are painted with it."""


def shrink_frame(image: Tensor, longest: int | None) -> Tensor:
    """Shrink an image (3, H, W) by the whole number that brings its longer side to `longest` pixels
    at most; None: it stays as it is.
    """
    height, width = image.shape[1:]
    factor = math.ceil(max(height, width) / longest) if longest else 1
    if factor == 1:
        return image
    size = (math.ceil(height / factor), math.ceil(width / factor))
    return F.interpolate(image[None], size, mode="area")[0]


def enlarge_motion(motion: Motion, size: tuple[int, int]) -> Motion:
    """Bring the motion between small frames to frames of `size` (H, W)."""
    height, width = motion.mask.shape[1:]
    if (height, width) == size:
        return motion
    steps = motion.mask.new_tensor([size[1] / width, size[0] / height]).view(2, 1, 1)
    flow = enlarge(motion.flow_t_to_prev, size) * steps
    mask = enlarge(motion.mask, size)
    static = motion.static
    if static is not None:
        static = F.interpolate(static.float()[None], size, mode="nearest")[0] > 0
        flow = flow * ~static
        mask = torch.where(static, 1.0, mask)
    hold = None if motion.hold is None else enlarge(motion.hold, size)
    farther = {j: enlarge_motion(link, size) for j, link in motion.farther.items()}
    return Motion(flow, mask, farther, static, hold)


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge (c, h, w) bilinearly."""
    return F.interpolate(x[None], size, mode="bilinear", align_corners=False)[0]


def notice_small_changes(motion: Motion, frame: Tensor, before: Tensor) -> Motion:
    """Take from what rests what changes in a frame (3, H, W) of full size since the one before, and
    is too small to be seen in small ones: snow, a star, a letter.
    """
    if motion.static is None:
        return motion
    changed = ((frame - before).abs().amax(0, keepdim=True) > SMALL_CHANGE).float()
    around = F.max_pool2d(changed[None], 2 * AROUND + 1, stride=1, padding=AROUND)[0] > 0
    changed_here = motion.static & around
    return replace(
        motion, static=motion.static & ~around, mask=motion.mask.masked_fill(changed_here, 0.0)
    )
