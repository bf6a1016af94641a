"""The measures of a score card, one function for each definition.

Images are (3, H, W) in [0, 1]. S is the source, O the result, w the flow of the *source* from frame
t to frame s in the coordinates of frame t: nothing that the result does can move what it is
measured by. `docs/metrics.md` has the formulas, and what they do not see.
"""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.motion.occlusion import find_occlusions, motion_boundary
from vidstyle.motion.warp import points_outside, warp
from vidstyle.stylize.losses import TINY, to_full_precision

METRICS_VERSION = 2
"""The version of the definitions, raised by hand whenever one changes: figures of different
versions cannot be compared.
"""

MAX_STATIC_MEAN_CHANGE = 4 / 255
"""A static pixel's surroundings have changed by at most this much since the shot began, in every
channel. Noise hardly moves such a mean.
"""
MAX_STATIC_PIXEL_CHANGE = 16 / 255
"""A static pixel itself has changed by at most this much. An edge that passes moves it further."""
STATIC_WINDOW_PIXELS = 5
"""The side of the window over which `MAX_STATIC_MEAN_CHANGE` is a mean."""
NEAR_BOUNDARY_PIXELS = 12.0
"""Ghosts show within this distance of a motion boundary."""


def reliable_pixels(flow_t_to_s: Tensor, flow_s_to_t: Tensor) -> Tensor:
    """Mark the pixels of frame t that frame s shows too: True (H, W) where the way there and back
    returns (Ruder eq. 5), there is no motion boundary (eq. 7), and the flow (2, H, W) points inside
    the frame. This is a render's mask before it is smoothed.
    """
    return ~(
        find_occlusions(flow_t_to_s, flow_s_to_t)
        | motion_boundary(flow_t_to_s)
        | points_outside(flow_t_to_s)
    )


def warping_error(
    image_t: Tensor, image_s: Tensor, flow_t_to_s: Tensor, mask: Tensor
) -> float | None:
    """Compute E = sum over the pixels True in `mask` (H, W) and the channels of
    (O_t - warp(O_s, w))^2, divided by three times the number of these pixels; None without any.

    Lai et al. 2018 (Learning blind video temporal consistency, eq. 10) do not divide by the three
    channels.
    """
    count = int(mask.sum())
    if not count:
        return None
    squares = (image_t - warp(image_s, flow_t_to_s)).square().sum(0)  # (3, H, W) -> (H, W)
    return float(squares[mask].sum(dtype=torch.float64)) / (3 * count)


def static_pixels(source: Tensor, first: Tensor) -> Tensor:
    """Mark the pixels where the source looks as it did in the shot's first frame: True (H, W) where
    in every channel the mean of the 5x5 pixels around has changed by at most
    `MAX_STATIC_MEAN_CHANGE`, and the pixel itself by at most `MAX_STATIC_PIXEL_CHANGE`.
    """
    change = source - first
    padded = F.pad(change[None], (STATIC_WINDOW_PIXELS // 2,) * 4, mode="replicate")
    mean_change = F.avg_pool2d(padded, STATIC_WINDOW_PIXELS, stride=1)[0]  # (3, H, W)
    return (mean_change.abs().amax(0) <= MAX_STATIC_MEAN_CHANGE) & (
        change.abs().amax(0) <= MAX_STATIC_PIXEL_CHANGE
    )


def drift(image: Tensor, first: Tensor, mask: Tensor) -> tuple[float, float, float] | None:
    """Compute the change of colour since the shot's first frame over the pixels True in `mask`
    (H, W): the mean of |O_t - O_first|, its maximum, and the change of the mean colour in the
    channel where it is largest. None without such pixels.
    """
    if not mask.any():
        return None
    change = (image - first)[:, mask]  # (3, n)
    return float(change.abs().mean()), float(change.abs().max()), float(change.mean(1).abs().max())


def gradient_energy(image: Tensor) -> float:
    """Compute the mean squared difference of neighbours, in x plus in y; blur lowers it."""
    dx = image[:, :, 1:] - image[:, :, :-1]
    dy = image[:, 1:] - image[:, :-1]
    return float(dx.square().mean() + dy.square().mean())


def near_boundary(flow_t_to_s: Tensor) -> Tensor:
    """Mark the pixels within `NEAR_BOUNDARY_PIXELS` of a motion boundary: True (H, W)."""
    boundary = motion_boundary(flow_t_to_s)
    if not boundary.any():
        return boundary
    distance = cv2.distanceTransform(
        (~boundary).byte().cpu().numpy(), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return torch.from_numpy(distance <= NEAR_BOUNDARY_PIXELS).to(boundary.device)


def uncovered_pixels(flow_t_to_s: Tensor, flow_s_to_t: Tensor) -> Tensor:
    """Mark the pixels of frame t that frame s does not show: True (H, W) where the way there and
    back does not return (Ruder eq. 5), or leads outside the frame.
    """
    return find_occlusions(flow_t_to_s, flow_s_to_t) | points_outside(flow_t_to_s)


def mean_saturation(image: Tensor, mask: Tensor) -> float | None:
    """Average HSV's saturation, (max - min) / max over the channels and 0 for black, over the
    pixels True in `mask` (H, W). None without such pixels.
    """
    if not mask.any():
        return None
    highest = image.amax(0)[mask]  # (3, H, W) -> (n,)
    lowest = image.amin(0)[mask]  # (n,)
    return float(((highest - lowest) / highest.clamp_min(TINY)).mean())


def content_within(features: Tensor, target: Tensor, mask: Tensor) -> float | None:
    """Compute |M (F - P)|^2 / |M P|^2 for maps (1, c, h, w), where M keeps the positions that hold
    a pixel True in `mask` (H, W). None where it keeps none.
    """
    positions = F.adaptive_max_pool2d(mask[None, None].float(), features.shape[2:])[0, 0] > 0
    if not positions.any():
        return None
    f = to_full_precision(features)[0][:, positions]  # (c, h, w) -> (c, n)
    p = to_full_precision(target)[0][:, positions]
    return float((f - p).square().sum() / p.square().sum().clamp_min(TINY))
