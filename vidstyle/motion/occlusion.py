"""The mask of the pixels that can be trusted after a warp: Ruder, Dosovitskiy, Brox 2016, section
4.1 (eq. 5-7), after Sundaram et al. 2010; and the same with a look at the colours.

Everything lives in the coordinates of frame t. The mask is the paper's `c`: 1 = trusted, 0 = newly
visible, outside or at a motion boundary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.motion.warp import points_outside, warp

OCCLUSION_SCORE = -255.0
"""Below zero, so that the smoothing of the mask eats into the reliable side; clipped to 0
afterwards.
"""

MAX_EXPLAINED_ERROR = 0.01
"""Colours that differ by less, in the mean over 5x5 pixels, agree."""


def squared_length(flow: Tensor) -> Tensor:
    """Return |w|^2 (H, W) of a flow w (2, H, W)."""
    return flow.square().sum(0)


def find_occlusions(flow_t_to_prev: Tensor, flow_prev_to_t: Tensor) -> Tensor:
    """Return True (H, W) where going to frame t-1 and back does not return: |w_f + w_b|^2 >= 0.01
    (|w_f|^2 + |w_b|^2) + 0.5 (eq. 5).

    w_b is `flow_t_to_prev`, w_f is `flow_prev_to_t` sampled where w_b points.
    """
    forward = warp(flow_prev_to_t, flow_t_to_prev)
    missed = squared_length(forward + flow_t_to_prev)
    return missed >= 0.01 * (squared_length(forward) + squared_length(flow_t_to_prev)) + 0.5


def motion_boundary(flow_t_to_prev: Tensor) -> Tensor:
    """Return True (H, W) where |grad u|^2 + |grad v|^2 > 0.01 |w|^2 + 0.002 (eq. 7), by central
    differences.
    """
    padded = F.pad(flow_t_to_prev[None], (1, 1, 1, 1), mode="replicate")[0]
    dx = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    dy = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return squared_length(dx) + squared_length(dy) > 0.01 * squared_length(flow_t_to_prev) + 0.002


def smooth_mask(mask: Tensor, radius: int = 2, sigma: float = 0.8) -> Tensor:
    """Filter a mask (H, W) by a normalised Gaussian of (2 radius + 1)^2 taps, edges repeated."""
    taps = torch.arange(-radius, radius + 1, device=mask.device, dtype=mask.dtype)
    kernel = torch.exp(-taps.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    x = F.pad(mask[None, None], (radius,) * 4, mode="replicate")  # (1, 1, H + 4, W + 4)
    x = F.conv2d(x, kernel.view(1, 1, 1, -1))
    return F.conv2d(x, kernel.view(1, 1, -1, 1))[0, 0]


def reliability(flow_t_to_prev: Tensor, flow_prev_to_t: Tensor) -> Tensor:
    """Return the mask of frame t for `warp(prev, flow_t_to_prev)`: (1, H, W) in [0, 1], 1 =
    trusted.

    Args:
        flow_t_to_prev: (2, H, W) pixels, in the coordinates of frame t.
        flow_prev_to_t: (2, H, W) pixels, in the coordinates of frame t-1.

    Each pixel scores 255; a motion boundary 0; an occlusion -255, which wins over a boundary; a
    target outside the frame 0, which wins over both. Then a 5x5 Gaussian, sigma 0.8, clipped to [0,
    255], / 255: the scores of the authors' consistencyChecker.
    """
    return grade_reliability(
        motion_boundary(flow_t_to_prev),
        find_occlusions(flow_t_to_prev, flow_prev_to_t),
        points_outside(flow_t_to_prev),
    )


def photometric_reliability(
    flow_t_to_prev: Tensor, flow_prev_to_t: Tensor, frame: Tensor, previous: Tensor
) -> Tensor:
    """Return the mask of `reliability`, in which an occlusion or a boundary needs the colours to
    say so too.

    Two flows that disagree are more often a flow gone wrong than something covered: on Sintel two
    pixels in three that `reliability` declares occluded are not. Where the source frames agree
    along the flow, the picture stylised from them fits as well, wherever the pixel really went, and
    to warp it is steadier than to start again. A target outside the frame stays outside.

    Args:
        frame, previous: the source frames t and t-1, (3, H, W) in [0, 1].
    """
    explained = photometric_error(flow_t_to_prev, frame, previous) <= MAX_EXPLAINED_ERROR
    return grade_reliability(
        motion_boundary(flow_t_to_prev) & ~explained,
        find_occlusions(flow_t_to_prev, flow_prev_to_t) & ~explained,
        points_outside(flow_t_to_prev),
    )


def photometric_error(flow_t_to_prev: Tensor, frame: Tensor, previous: Tensor) -> Tensor:
    """Return the mean over the channels and 5x5 pixels of |S_t - warp(S_{t-1})|, (H, W)."""
    change = (frame - warp(previous, flow_t_to_prev)).abs().mean(0)  # (3, H, W) -> (H, W)
    return F.avg_pool2d(F.pad(change[None, None], (2,) * 4, mode="replicate"), 5, stride=1)[0, 0]


def grade_reliability(boundary: Tensor, occlusion: Tensor, beyond: Tensor) -> Tensor:
    """Return the mask (1, H, W) from its three reasons, each True (H, W) where it applies."""
    score = torch.full(boundary.shape, 255.0, device=boundary.device)
    score = score.masked_fill(boundary, 0).masked_fill(occlusion, OCCLUSION_SCORE)
    score = score.masked_fill(beyond, 0)
    return (smooth_mask(score).clamp(0, 255) / 255)[None]  # (H, W) -> (1, H, W)
