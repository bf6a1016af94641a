"""What has not moved: where the picture stays as it is, and what the source looked like when it was
last in register with the picture.

Flow is never quite zero. Noise, or the next key frame, makes still ground move by a part of a
pixel, and a picture that follows it from frame to frame wanders and softens. And a flow from frame
to frame forgets: what it misses adds up. So flow is taken to a *reference*, the source as it was
when each pixel was last moved, and a pixel that still looks like its reference does not move at
all. Slow motion is missed for a few frames and then caught up with, whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCES = {5: 4 / 255, 3: 8 / 255}
"""{side of a window in pixels: how far the mean over it may be from the reference's}. Noise hardly
moves a mean; an edge that shifts does."""

SURROUNDINGS = 1 / 64
"""Nothing rests that is nearer than this part of the long side to what moves."""

ISLAND = 1 / 20
"""Half the side, as a part of the long side, of the smallest square that rests: a smaller one is
the bare middle of something that moves."""

LEAST = 0.5
"""Where less of what has texture rests than this, the camera moves, and nothing rests: a bare wall
looks at rest in any pan, and must follow its edges."""

TEXTURE = 6 / 255
"""Mean difference of neighbours, over 5x5 pixels and the channels, from which on a pixel has
texture. Noise of 2/255 has 2.3/255."""


def at_rest(frame: Tensor, reference: Tensor) -> Tensor:
    """True (1, H, W) where the source frame looks as the reference does, both (3, H, W), and
    nothing moves nearby.
    """
    change = frame - reference
    still = torch.ones(1, *frame.shape[1:], dtype=torch.bool, device=frame.device)
    for side, tolerance in TOLERANCES.items():
        still &= around(change, side).abs().amax(0, keepdim=True) <= tolerance
    telling = textured(reference)
    if not telling.any():
        telling = torch.ones_like(still)
    if still[telling].float().mean() < LEAST:
        return torch.zeros_like(still)
    if still.all():
        return still
    long_side = max(frame.shape[1:])
    rest = ~grown(~still, round(SURROUNDINGS * long_side))
    island = round(ISLAND * long_side)
    return rest & grown(
        ~grown(~rest, island), island
    )  # what is left of it when all that is narrow is gone


def grown(where: Tensor, by: int) -> Tensor:
    """`where` (1, H, W) of bool, and all pixels of the squares that reach `by` pixels around."""
    side = 2 * by + 1
    # Two lines for a square, and OpenCV's time does not grow with their length: at 1080p a fiftieth
    # of max_pool2d's.
    grown = cv2.dilate(where[0].byte().cpu().numpy(), np.ones((1, side), np.uint8), borderValue=0)
    grown = cv2.dilate(grown, np.ones((side, 1), np.uint8), borderValue=0)
    return torch.from_numpy(grown > 0)[None].to(where.device)


def textured(image: Tensor) -> Tensor:
    """True (1, H, W) where the image (3, H, W) shows whether it moves."""
    padded = F.pad(image[None], (0, 1, 0, 1), mode="replicate")[0]
    across, down = padded[:, :-1, 1:] - image, padded[:, 1:, :-1] - image
    steep = torch.maximum(across.abs(), down.abs()).mean(0, keepdim=True)  # (3, H, W) -> (1, H, W)
    return around(steep, 5) > TEXTURE


def around(x: Tensor, side: int) -> Tensor:
    """The mean over side x side pixels around each, (c, H, W); at the edges over those that are
    there, for a pixel that counts several times brings its noise along.
    """
    return F.avg_pool2d(x[None], side, 1, side // 2, count_include_pad=False)[0]


@dataclass(frozen=True)
class StaticRegions:
    """What a frame is linked to, and where it is at rest.

    Args:
        reference: (3, H, W), the source as it was when each pixel last moved.
        rest: (1, H, W) of bool, where the frame looks as the reference does.
        settled: (1, H, W) of bool, where it has done so for long; a part of `rest`.
    """

    reference: Tensor
    static: Tensor
    long_static: Tensor


class StaticTracker:
    """The reference of a shot, carried from frame to frame; it depends on the shot's source frames
    alone.

    Args:
        settling: how many frames after it moved a pixel that rests is settled. What was in the
            shot's first frame and has not moved since is settled from the first.
    """

    def __init__(self, settling: int = 0) -> None:
        self.settling = settling
        self.reference: Tensor | None = None
        self.since: Tensor | None = None  # (1, H, W), frames that each pixel has been at rest

    def start_shot(self) -> None:
        """A new shot: its first frame is the reference."""
        self.reference = self.since = None

    def track(self, frame: Tensor) -> StaticRegions:
        """The next source frame (3, H, W) of the shot."""
        if self.reference is None or self.since is None:
            self.reference = frame
            self.since = torch.full_like(frame[:1], self.settling, dtype=torch.int32)
        reference = self.reference
        rest = at_rest(frame, reference)
        self.reference = torch.where(rest, reference, frame)
        self.since = torch.where(rest, self.since + 1, 0)
        return StaticRegions(reference, rest, self.since > self.settling)
