"""Titles: letters, logos and counters that are laid over the picture and stay where they are while
it moves behind them.

A letter is told by its edges. Where the picture moves its edges pass: at any one pixel the slope of
the brightness soon vanishes or turns round. The edges of a title stay, those of one that shines
through as well. With the slopes g_s = dI/dx or dI/dy of the frames s of a span, the lasting slope
is

    p = max(0, min_s g_s) + min(0, max_s g_s),

the least one where all have one sign, and 0 where they have not. But an edge along which the
picture moves lasts too, as a horizon does in a pan, for an edge shows only motion across itself. So
the lasting slopes must go in two directions nearby: the smaller eigenvalue of their structure
tensor (Shi and Tomasi, Good features to track, CVPR 1994) must be that of a title.

Where most corners of the picture last, the camera stands still, and nothing tells a title from a
sign on a wall. Nothing is a title then. What is missed: a faint logo on a bright ground, and what
is shown for less than half a second. What is wrongly found: parts of a still background behind
somebody who fills most of the picture, and the vanishing point of a road.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SPAN = 13
"""Frames, half a second at 25 of them: what stays no longer than that is no title."""

HALF_SPAN = SPAN // 2 + 1
"""Both halves have the frame in the middle."""

TITLE_REACH = SPAN - 1
"""Frames before and after frame t that its mask depends on. Whoever begins as many earlier gets the
masks that he gets from the first frame on."""

MIN_SLOPE = 6
"""In units of 1/255 per pixel: less is the noise of a codec, or a shade."""

MAX_LASTING_SHARE = 0.5
"""The part of the picture's corners that may last where it moves, titles included. It must move in
both halves of a span, and not stand still until a cut."""

LETTER_SIZE = 1 / 40
"""The part of the long side within which the slopes of a letter go in two directions."""

MIN_CORNER = 8.0
"""The root of the smaller eigenvalue of the structure tensor of a title, in units of 1/255 per
pixel. At 4 a faint logo is found as well, but three times as many pixels of still backgrounds."""

MIN_PICTURE_CORNER = 2.0
"""The same of the corners that are asked whether the picture moves: noise of 2/255 has 0.9."""

MIN_LASTING_PART = 0.5
"""A corner lasts where it has at least this part of its strength in the lasting slopes: noise takes
away some."""

STROKE_SIZE = 1 / 100
"""The width of the widest stroke that is closed, as a part of the long side."""

GROWTH = 2
"""Pixels around the edges: the outline of a letter, and what a codec smears around it."""

Slopes = NDArray[np.int16]
"""(2, H, W), the change of the brightness from one pixel to the next, across and down, in units of
1/255."""


def find_titles(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield for each frame (3, H, W), in order, a mask (1, H, W) in [0, 1]: 1 where it shows a
    title and should be left as in the source.

    The mask of frame t is read off once frame t + `TITLE_REACH` has come; it depends on the frames
    t - `TITLE_REACH` .. t + `TITLE_REACH` alone, as far as there are such. Masks are on the device
    of the frames.
    """
    letters: deque[NDArray[np.uint8] | None] = deque([None] * SPAN, maxlen=SPAN)
    waiting: deque[Tensor] = deque()
    finder = _SpanFinder()
    for frame in frames:
        waiting.append(torch.zeros_like(frame[:1]))
        if finder.add(frame):
            letters.append(finder.find_letters())
            yield _draw_mask(letters, waiting.popleft())
    while waiting:
        # The last frames lie in fewer and fewer spans.
        letters.append(None)
        yield _draw_mask(letters, waiting.popleft())


def _draw_mask(letters: Iterable[NDArray[np.uint8] | None], empty: Tensor) -> Tensor:
    """Unite the letters of all spans that a frame lies in, and soften their edge; `empty`
    (1, H, W), of zeros, where there are none.
    """
    height, width = empty.shape[-2:]
    union = np.zeros((height, width), np.uint8)
    for mask in letters:
        if mask is not None:
            np.maximum(union, mask, out=union)
    if not union.any():
        return empty
    side = 2 * GROWTH + 1
    grown = cv2.dilate(union, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    soft = cv2.blur(cv2.dilate(grown, np.ones((3, 3), np.uint8)), (3, 3))
    return torch.from_numpy(soft.astype(np.float32) / 255)[None].to(empty.device)


@dataclass(frozen=True)
class _Half:
    """Half a span of frames.

    Args:
        highest, lowest: of the slopes of its frames.
        lasting_share: the part of the picture's corners that stay all the time.
    """

    highest: Slopes
    lowest: Slopes
    lasting_share: float


class _SpanFinder:
    """The letters of the last `SPAN` frames that were added."""

    def __init__(self) -> None:
        self.slopes: deque[Slopes] = deque(maxlen=HALF_SPAN)
        self.halves: deque[_Half] = deque(maxlen=HALF_SPAN)

    def add(self, frame: Tensor) -> bool:
        """Take the next frame (3, H, W); True when there are enough for a span."""
        self.slopes.append(_measure_slopes(frame))
        if len(self.slopes) < HALF_SPAN:
            return False
        highest = np.maximum.reduce(self.slopes)
        lowest = np.minimum.reduce(self.slopes)
        # The middle frame stands for the picture: its corners pass, or they do not.
        share = _lasting_share(_lasting_slopes(highest, lowest), self.slopes[HALF_SPAN // 2])
        self.halves.append(_Half(highest, lowest, share))
        return len(self.halves) == HALF_SPAN

    def find_letters(self) -> NDArray[np.uint8] | None:
        """Return 255 (H, W) in the letters that stay for the whole span; None where the picture
        does not move.
        """
        first, second = self.halves[0], self.halves[-1]
        if max(first.lasting_share, second.lasting_share) > MAX_LASTING_SHARE:
            return None
        highest = np.maximum(first.highest, second.highest)
        lowest = np.minimum(first.lowest, second.lowest)
        lasting = _lasting_slopes(highest, lowest)
        edges = np.abs(lasting).max(0) >= MIN_SLOPE
        side = LETTER_SIZE * max(edges.shape)
        corners = edges & (_measure_corners(lasting * edges, side) >= MIN_CORNER)
        if not corners.any():
            return None
        # The straight strokes of large letters lie next to their corners.
        reach = (2 * round(side) + 1,) * 2
        nearby = cv2.dilate(corners.astype(np.uint8), np.ones(reach, np.uint8)) > 0
        return _fill(edges & nearby)


def _lasting_share(lasting: Slopes, slopes: Slopes) -> float:
    """Return the part of the corners in `slopes` that are in `lasting` as well; 1 where there are
    none to show motion.
    """
    few = slopes[:, ::2, ::2]
    side = LETTER_SIZE * max(few.shape)
    corners = _measure_corners(few, side)
    strong = corners >= MIN_PICTURE_CORNER
    count = np.count_nonzero(strong)
    if count == 0:
        return 1.0
    stay = _measure_corners(lasting[:, ::2, ::2], side) >= MIN_LASTING_PART * corners
    return np.count_nonzero(stay & strong) / count


def _measure_slopes(frame: Tensor) -> Slopes:
    """Return the slopes of the brightness of a frame (3, H, W)."""
    rgb = (frame.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
    brightness = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    # Sobel's weights make 8 of a slope of 1.
    across = cv2.Sobel(brightness, cv2.CV_16S, 1, 0)
    down = cv2.Sobel(brightness, cv2.CV_16S, 0, 1)
    slopes: Slopes = (np.stack([across, down]) // 8).astype(np.int16)
    return slopes


def _lasting_slopes(highest: Slopes, lowest: Slopes) -> Slopes:
    """Return the least slope of one sign; 0 where the sign turns."""
    lasting: Slopes = np.maximum(lowest, 0) + np.minimum(highest, 0)
    return lasting


def _measure_corners(slopes: Slopes, side: float) -> NDArray[np.float32]:
    """Return the root of the smaller eigenvalue of the structure tensor of the slopes, (H, W)."""
    across, down = slopes.astype(np.float32)
    box = (max(3, round(side)),) * 2
    xx = cv2.blur(across * across, box)
    yy = cv2.blur(down * down, box)
    xy = cv2.blur(across * down, box)
    least = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy * xy)
    corners: NDArray[np.float32] = np.sqrt(np.maximum(least, 0)).astype(np.float32)
    return corners


def _fill(letters: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return 255 (H, W) in the letters, their strokes between the edges, and their small holes."""
    long_side = max(letters.shape)
    side = 2 * max(1, round(STROKE_SIZE * long_side / 2)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(letters.astype(np.uint8) * 255, cv2.MORPH_CLOSE, kernel)
    filled: NDArray[np.uint8] = closed.astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(255 - filled, connectivity=4)
    small = statistics[:, cv2.CC_STAT_AREA] <= (LETTER_SIZE * long_side) ** 2
    small[0] = False
    filled[small[labels]] = 255
    return filled
