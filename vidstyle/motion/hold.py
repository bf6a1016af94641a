"""The hold that remembers what it holds: with every pixel of the picture goes the source that it
was painted from.

Ruder's mask (2016, section 4.1) looks at one step. Along a slow change, a dissolve above all, flow
is nearly zero and agrees with itself there and back, so every step is trusted, and the picture
keeps paint whose subject has gone. Each step is small; the sum is never looked at. Our addition
looks at it. With c the mask of frame t, w the flow from t to t-1, S the source in Lab, blurred, and
R the record, the source that each pixel was painted from:

    R'_t = warp(R_{t-1}, w) in the light of frame t      (`exposure`: a change of the whole frame)
    h_t  = 1 - smoothstep(NEAR, FAR, |S_t - R'_t|)      (without lines, `close_thin_gaps`)
    R_t  = c k R'_t + (1 - c k) S_t,  k = 1 - (1 - h)^3

and the frame is held by c h where Ruder has c. A pixel that loses trust is painted again from the
source, more from frame to frame as h falls, and in the end its record is the present source. While
h is near 1 the optimiser keeps nearly all of the old paint, whatever its start is mixed from; so
the record has to stay behind h. It depends on source frames alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import Motion, quantise
from vidstyle.motion.exposure import estimate_exposure
from vidstyle.motion.warp import warp

RECORD_SIDE = 320
"""Long side of the record in pixels, at most: it is about colours of areas, not of edges."""

BLUR_SIGMA = 2.0
"""Of the Gaussian in pixels of the record: edges that are half a pixel off are no departure."""

NEAR_DISTANCE = 8.0
"""Distance in Lab (L in 0 .. 100) up to which a pixel is held in full."""

FAR_DISTANCE = 16.0
"""Distance in Lab from which on nothing of it is held."""

THINNEST_DEPARTURE = 5
"""In pixels of the record: what departs must be as wide, for lines are the errors of flow."""

RECORD_LAG = 3
"""The power by which the record stays behind the hold."""

LAB_SCALE = (100.0, 256.0, 256.0)
LAB_OFFSET = (0.0, 0.5, 0.5)
"""A record is Lab / scale + offset, in [0, 1], as its 16-bit file holds it."""


def record_size(height: int, width: int) -> tuple[int, int]:
    """Return (h, w) of the record of frames of a size."""
    scale = min(1.0, RECORD_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def record_source(image: Tensor) -> Tensor:
    """Make the record (3, h, w) of a source frame (3, H, W) that is painted as it is."""
    size = record_size(*image.shape[1:])
    small = F.interpolate(image[None], size, mode="area")[0] if size != image.shape[1:] else image
    rgb = small.permute(1, 2, 0).contiguous().cpu().numpy()
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)  # (h, w, 3) float32
    lab = cv2.GaussianBlur(lab, (0, 0), BLUR_SIGMA, borderType=cv2.BORDER_REPLICATE)
    record = torch.from_numpy(lab).permute(2, 0, 1)  # (h, w, 3) -> (3, h, w)
    scale, offset = (record.new_tensor(x).view(3, 1, 1) for x in (LAB_SCALE, LAB_OFFSET))
    return quantise(record / scale + offset).to(image.device)


def shrink_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a flow (2, H, W) in pixels to the size (h, w) of a record, and to its pixels."""
    h, w = flow.shape[1:]
    if (h, w) == size:
        return flow
    ratio = flow.new_tensor([size[1] / w, size[0] / h]).view(2, 1, 1)
    return F.interpolate(flow[None], size, mode="area")[0] * ratio


def shrink_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a mask (1, H, W) to the size (h, w) of a record."""
    if tuple(mask.shape[1:]) == size:
        return mask
    return F.interpolate(mask[None], size, mode="area")[0]


def lab_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the distance (1, h, w) in Lab of two records."""
    scale = a.new_tensor(LAB_SCALE).view(3, 1, 1)
    return ((a - b) * scale).square().sum(0, keepdim=True).sqrt()


def fade_out(distance: Tensor) -> Tensor:
    """Return the trust h, 1 up to `NEAR_DISTANCE` and 0 from `FAR_DISTANCE` on, smooth between."""
    x = ((distance - NEAR_DISTANCE) / (FAR_DISTANCE - NEAR_DISTANCE)).clamp(0, 1)
    return 1 - x.square() * (3 - 2 * x)


def close_thin_gaps(trust: Tensor) -> Tensor:
    """Return the trust (1, h, w) without what is narrower than `THINNEST_DEPARTURE`, by a closing:
    the rim of a patch whose flow is wrong is no subject that has gone.
    """
    square = np.ones((THINNEST_DEPARTURE, THINNEST_DEPARTURE), np.uint8)
    closed = cv2.morphologyEx(trust[0].cpu().numpy(), cv2.MORPH_CLOSE, square)
    return torch.from_numpy(closed)[None].to(trust.device)


class HoldTracker:
    """The records of the last frames of a shot, carried from frame to frame in the order in which
    they are painted.

    Args:
        reach: how many frames back links go.
        strength: the share of the linked picture in what a frame starts from.
    """

    def __init__(self, reach: int = 1, strength: float = 1.0) -> None:
        self.reach = reach
        self.strength = strength
        self.records: list[Tensor] = []  # of the last frames, the latest first
        self.present: Tensor | None = None
        self.expected: dict[int, Tensor] = {}
        self.record_shares: dict[int, Tensor] = {}

    def start(self, record: Tensor) -> None:
        """Take the record of a frame that comes next; of the first one, or from a file."""
        self.records = [record, *self.records][: self.reach]

    def look(self, frame: Tensor) -> None:
        """Begin with the next source frame (3, H, W)."""
        self.present = record_source(frame)
        self.expected = {}
        self.record_shares = {}

    def trust(self, j: int, motion: Motion) -> Tensor:
        """Return h (1, H, W) for the link to the frame j before: how far what it holds is still
        what the source shows.
        """
        assert self.present is not None, "look comes first"
        size = tuple(self.present.shape[1:])
        mask = shrink_mask(motion.mask, (size[0], size[1]))
        expected = warp(self.records[j - 1], shrink_flow(motion.flow_t_to_prev, (size[0], size[1])))
        exposure = estimate_exposure(expected, self.present, mask)
        if exposure is not None:
            expected = exposure.apply(expected)
        self.expected[j] = expected
        h = close_thin_gaps(fade_out(lab_distance(self.present, expected)))
        # k / h, for `advance` has c h.
        self.record_shares[j] = (1 - (1 - h) ** RECORD_LAG) / h.clamp_min(1e-3)
        full = motion.mask.shape[1:]
        if tuple(full) == size:
            return h
        return F.interpolate(h[None], tuple(full), mode="bilinear", align_corners=False)[0]

    def forget(self, j: int, pixels: Tensor) -> None:
        """Take the present source for what these pixels (1, H, W) of bool are painted from, and
        nothing from the frame j before.
        """
        if bool(pixels.any()):
            size = tuple(self.record_shares[j].shape[1:])
            share = shrink_mask(pixels.to(self.record_shares[j]), (size[0], size[1]))
            self.record_shares[j] = self.record_shares[j] * (1 - share)

    def advance(self, weights: Mapping[int, Tensor]) -> Tensor:
        """Carry the record on, and return it, (3, h, w).

        Args:
            weights: {j: c h of the link to the frame j before, (1, H, W)}, together at most 1.
        """
        assert self.present is not None, "look comes first"
        record = self.present
        size = (int(record.shape[1]), int(record.shape[2]))
        for j, weight in weights.items():
            share = (self.strength * self.record_shares[j] * shrink_mask(weight, size)).clamp(0, 1)
            record = record + share * (self.expected[j] - self.present)
        record = quantise(record)
        self.start(record)
        return record
