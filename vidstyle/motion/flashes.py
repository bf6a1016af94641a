"""Light that changes at once: flashes, and lamps that are switched. Neither is a cut."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from numpy.typing import NDArray

from vidstyle.motion.edit import Flash
from vidstyle.motion.recent_frames import (
    RecentFrames,
    SmallPicture,
    correlate,
    find_gradients,
    relight,
)

LONGEST_FLASH = 3
"""Frames."""

MIN_FLASH = 12.0
"""Mean difference, in 1/255, of each frame of a flash from both the frame before and the frame
after it."""

MIN_FLASH_RATIO = 3.5
"""Of that difference to that of the frame before from the frame after, and to those of successive
frames around: fast motion makes all frames unlike."""

MIN_RELIT_LIKENESS = 0.45
"""Correlation of the gradients of two successive frames from which on the second one is the first
in another light: 95 of 100 have more than 0.6, 99 of 100 pairs of shots less than 0.3."""

MAX_UNLIT_SHARE = 0.6
"""Of the squared change that no gain and offset explain. From one take to another of the same scene
edges stay as well, but light explains less than a quarter of what changes."""

CLIPPED = (4, 251)
"""Values between which a gain shows; light that is clipped has no structure left."""


class FlashFinder:
    """Finds flashes while the frames come in.

    Args:
        coarse: the film's frames.
    """

    def __init__(self, coarse: RecentFrames) -> None:
        self.coarse = coarse
        self.changes = array("d")
        self.flashes: list[Flash] = []

    def advance(self) -> None:
        """Look whether a flash ended before the last frame but one."""
        t = len(self.coarse) - 1
        self.changes.append(self._compare(t - 1, t) if t else 0.0)
        self._find_flash(t - 1)

    def finish(self) -> None:
        """Look whether a flash ended before the last frame."""
        self._find_flash(len(self.coarse) - 1)

    def _find_flash(self, after: int) -> None:
        """Add the flash of which `after` is the first frame that is lit as before, if any."""
        if after < 2 or self.changes[after] < MIN_FLASH:
            return
        for first in range(after - 1, max(0, after - 1 - LONGEST_FLASH), -1):
            if self.changes[first] < MIN_FLASH:
                continue
            calm = max(
                self._compare(first - 1, after),
                self.changes[first - 1],
                *self.changes[after + 1 : after + 2],
            )
            unlike = min(
                self._compare(t, other) for t in range(first, after) for other in (first - 1, after)
            )
            if unlike >= max(MIN_FLASH, MIN_FLASH_RATIO * calm):
                if not self.flashes or self.flashes[-1].stop < first:
                    self.flashes.append(Flash(first, after))
                return

    def _compare(self, s: int, t: int) -> float:
        """Return the mean difference of two frames, in 1/255."""
        return float(np.abs(self.coarse.get(t) - self.coarse.get(s)).mean())


def is_relit(before: SmallPicture, after: SmallPicture) -> bool:
    """Return whether a frame is the one before in another light: other gains, another offset or
    another colour, and the same edges, where neither is clipped.
    """
    low = np.minimum(before, after).min(2)
    high = np.maximum(before, after).max(2)
    clipped = ((low < CLIPPED[0]) | (high > CLIPPED[1])).astype(np.uint8)
    # A gradient needs its neighbour as well.
    clear: NDArray[np.bool_] = cv2.dilate(clipped, np.ones((2, 2), np.uint8), anchor=(0, 0)) == 0
    seen = clear[:-1, :-1]
    if seen.mean() < 0.1:
        seen = np.ones_like(seen)
    a = find_gradients(before)[:, seen]
    b = find_gradients(after)[:, seen]
    change = after - before
    unlit = relight(before, after) / max(float(np.vdot(change, change)), 1e-9)
    return correlate(a, b) >= MIN_RELIT_LIKENESS and unlit <= MAX_UNLIT_SHARE
