"""What the score card measures: one definition, one function. Images are (3, H, W) in [0, 1].

S is the source, O the result, w the flow of the *source* from frame t to frame s in the coordinates
of frame t: nothing that the result does can move what it is measured by. `docs/metrics.md` has the
formulas, and what they do not see.
"""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.motion.occlusion import motion_boundary, find_occlusions
from vidstyle.motion.warp import points_outside, warp
from vidstyle.stylize.losses import TINY, full

VERSION = 1
"""Raised by hand whenever a definition changes: figures of different versions cannot be
compared.
"""

STILL, STILL_PIXEL = 4 / 255, 16 / 255
"""How far the source may move from where the shot began and be still: the mean around a pixel,
which noise hardly moves, and the pixel itself, which an edge moves."""
AROUND = 5
"""Side in pixels of the window of that mean."""
NEAR = 12.0
"""Pixels from a motion boundary within which ghosts show."""


def reliable(flow_t_to_s: Tensor, flow_s_to_t: Tensor) -> Tensor:
    """True (H, W) where frame t's pixel is seen in frame s too: the way there and back returns
    (Ruder eq. 5), it is no motion boundary (eq. 7), and points inside the frame. A render's mask
    before it is smoothed.
    """
    return ~(
        find_occlusions(flow_t_to_s, flow_s_to_t)
        | motion_boundary(flow_t_to_s)
        | points_outside(flow_t_to_s)
    )


def warping_error(
    image_t: Tensor, image_s: Tensor, flow_t_to_s: Tensor, where: Tensor
) -> float | None:
    """E = sum over the pixels True in `where` (H, W) and the channels of (O_t - warp(O_s, w))^2,
    divided by three times the number of these pixels; None: there are none.

    Lai et al. 2018 (Learning blind video temporal consistency, eq. 10) do not divide by the three
    channels.
    """
    count = int(where.sum())
    if not count:
        return None
    squares = (image_t - warp(image_s, flow_t_to_s)).square().sum(0)  # (3, H, W) -> (H, W)
    return float(squares[where].sum(dtype=torch.float64)) / (3 * count)


def still(source: Tensor, first: Tensor) -> Tensor:
    """True (H, W) where the source looks as it did when the shot began: in every channel the mean
    of the 5x5 pixels around is no further than `STILL` from what it was, and the pixel itself no
    further than `STILL_PIXEL`.
    """
    change = source - first
    padded = F.pad(change[None], (AROUND // 2,) * 4, mode="replicate")
    around = F.avg_pool2d(padded, AROUND, stride=1)[0]  # (3, H, W)
    return (around.abs().amax(0) <= STILL) & (change.abs().amax(0) <= STILL_PIXEL)


def drift(image: Tensor, first: Tensor, where: Tensor) -> tuple[float, float, float] | None:
    """How far the result's colours are from where the shot began, over the pixels True in `where`
    (H, W): the mean of |O_t - O_first|, its maximum, and of the mean colour's change the channel
    that changed most. None: no such pixel.
    """
    if not where.any():
        return None
    change = (image - first)[:, where]  # (3, n)
    return float(change.abs().mean()), float(change.abs().max()), float(change.mean(1).abs().max())


def gradient_energy(image: Tensor) -> float:
    """Mean squared difference of neighbours, in x plus in y: less of it is blur."""
    dx, dy = image[:, :, 1:] - image[:, :, :-1], image[:, 1:] - image[:, :-1]
    return float(dx.square().mean() + dy.square().mean())


def near_boundary(flow_t_to_s: Tensor) -> Tensor:
    """True (H, W) within `NEAR` pixels of a motion boundary."""
    boundary = motion_boundary(flow_t_to_s)
    if not boundary.any():
        return boundary
    away = cv2.distanceTransform(
        (~boundary).byte().cpu().numpy(), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return torch.from_numpy(away <= NEAR).to(boundary.device)


def uncovered(flow_t_to_s: Tensor, flow_s_to_t: Tensor) -> Tensor:
    """True (H, W) where frame t shows what frame s does not: the way there and back does not return
    (Ruder eq. 5), or leads outside the frame.
    """
    return find_occlusions(flow_t_to_s, flow_s_to_t) | points_outside(flow_t_to_s)


def saturation(image: Tensor, where: Tensor) -> float | None:
    """Mean over the pixels True in `where` (H, W) of HSV's saturation, (max - min) / max over the
    channels; 0 for black. None: there are no such pixels.
    """
    if not where.any():
        return None
    highest, lowest = image.amax(0)[where], image.amin(0)[where]  # (3, H, W) -> (n,)
    return float(((highest - lowest) / highest.clamp_min(TINY)).mean())


def content_within(features: Tensor, target: Tensor, where: Tensor) -> float | None:
    """|M (F - P)|^2 / |M P|^2 for maps (1, c, h, w); M keeps the positions that hold a pixel of
    `where` (H, W). None: none does.
    """
    cells = F.adaptive_max_pool2d(where[None, None].float(), features.shape[2:])[0, 0] > 0  # (h, w)
    if not cells.any():
        return None
    said, wanted = (full(x)[0][:, cells] for x in (features, target))  # (c, n)
    return float((said - wanted).square().sum() / wanted.square().sum().clamp_min(TINY))
