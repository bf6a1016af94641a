"""Static regions: where the picture stays as it is, because the source still looks as it did when
it was last in register with the picture.

Flow is never quite zero. Noise, or the next key frame, makes static ground move by a part of a
pixel, and a picture that follows it from frame to frame wanders and softens. And a flow from frame
to frame forgets: what it misses adds up. So flow is estimated to a *reference*, the source as it
was when each pixel was last moved, and a pixel that still looks like its reference does not move at
all. Slow motion is missed for a few frames and then caught up with, whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW_TOLERANCES = {5: 4 / 255, 3: 8 / 255}
"""{side of a window in pixels: how far the mean over it may be from the reference's}. Noise hardly
moves a mean; an edge that shifts does."""

MOVING_MARGIN = 1 / 64
"""Nothing is static that is nearer than this part of the long side to what moves."""

STATIC_RADIUS = 1 / 20
"""Half the side, as a part of the long side, of the smallest square that is static: a smaller one
is the bare middle of something that moves."""

MIN_STATIC_SHARE = 0.5
"""A share of the textured pixels: where fewer are static, the camera moves, and nothing is static:
a bare wall looks static in any pan, and must follow its edges."""

MIN_TEXTURE = 6 / 255
"""Mean difference of neighbours, over 5x5 pixels and the channels, from which on a pixel has
texture. Noise of 2/255 has 2.3/255."""


def find_static(frame: Tensor, reference: Tensor) -> Tensor:
    """Return True (1, H, W) where the source frame looks as the reference does, both (3, H, W), and
    nothing moves nearby.
    """
    change = frame - reference
    unchanged = torch.ones(1, *frame.shape[1:], dtype=torch.bool, device=frame.device)
    for side, tolerance in WINDOW_TOLERANCES.items():
        unchanged &= local_mean(change, side).abs().amax(0, keepdim=True) <= tolerance
    textured = find_texture(reference)
    if not textured.any():
        textured = torch.ones_like(unchanged)
    if unchanged[textured].float().mean() < MIN_STATIC_SHARE:
        return torch.zeros_like(unchanged)
    if unchanged.all():
        return unchanged
    long_side = max(frame.shape[1:])
    static = ~grow_mask(~unchanged, round(MOVING_MARGIN * long_side))
    radius = round(STATIC_RADIUS * long_side)
    # An opening: without all that is narrower than the square.
    return static & grow_mask(~grow_mask(~static, radius), radius)


def grow_mask(mask: Tensor, radius: int) -> Tensor:
    """Return `mask` (1, H, W) of bool with all pixels of the squares that reach `radius` pixels
    around its own.
    """
    side = 2 * radius + 1
    # Two lines for a square, and OpenCV's time does not grow with their length: at 1080p a fiftieth
    # of max_pool2d's.
    grown = cv2.dilate(mask[0].byte().cpu().numpy(), np.ones((1, side), np.uint8), borderValue=0)
    grown = cv2.dilate(grown, np.ones((side, 1), np.uint8), borderValue=0)
    return torch.from_numpy(grown > 0)[None].to(mask.device)


def find_texture(image: Tensor) -> Tensor:
    """Return True (1, H, W) where the image (3, H, W) shows whether it moves."""
    padded = F.pad(image[None], (0, 1, 0, 1), mode="replicate")[0]
    across = (padded[:, :-1, 1:] - image).abs()
    down = (padded[:, 1:, :-1] - image).abs()
    steep = torch.maximum(across, down).mean(0, keepdim=True)  # (3, H, W) -> (1, H, W)
    return local_mean(steep, 5) > MIN_TEXTURE


def local_mean(x: Tensor, side: int) -> Tensor:
    """Average x (c, H, W) over the side x side pixels around each; at the edges over those that are
    there, for a pixel that is repeated brings its noise along.
    """
    return F.avg_pool2d(x[None], side, 1, side // 2, count_include_pad=False)[0]


@dataclass(frozen=True)
class StaticRegions:
    """The picture that a frame is linked to, and the parts of the frame that are static.

    Args:
        reference: (3, H, W), the source as it was when each pixel last moved.
        static: (1, H, W) of bool, where the frame looks as the reference does.
        long_static: (1, H, W) of bool, where it has done so for long; a part of `static`.
    """

    reference: Tensor
    static: Tensor
    long_static: Tensor


class StaticTracker:
    """The reference of a shot, carried from frame to frame; it depends on the shot's source frames
    alone.

    Args:
        frames_until_static: how many frames after it moved a static pixel is so for long. A pixel
            of the shot's first frame that has not moved since is so from the first.
    """

    def __init__(self, frames_until_static: int = 0) -> None:
        self.frames_until_static = frames_until_static
        self.reference: Tensor | None = None
        self.static_frames: Tensor | None = None
        """(1, H, W), the number of frames that each pixel has been static."""

    def state(self) -> dict[str, Tensor]:
        """Return all that `restore` needs to go on from here."""
        if self.reference is None or self.static_frames is None:
            return {}
        return {"reference": self.reference, "static_frames": self.static_frames}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where another tracker had come to."""
        self.reference = state["reference"]
        self.static_frames = state["static_frames"]

    def track(self, frame: Tensor) -> StaticRegions:
        """Compare the next source frame (3, H, W) of the shot with the reference, and carry that
        on.
        """
        if self.reference is None or self.static_frames is None:
            self.reference = frame
            self.static_frames = torch.full_like(
                frame[:1], self.frames_until_static, dtype=torch.int32
            )
        reference = self.reference
        static = find_static(frame, reference)
        self.reference = torch.where(static, reference, frame)
        self.static_frames = torch.where(static, self.static_frames + 1, 0)
        return StaticRegions(reference, static, self.static_frames > self.frames_until_static)
