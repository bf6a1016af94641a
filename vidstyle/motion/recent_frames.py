"""The last frames of a film as small pictures: what streaming detection can look back at, in
bounded memory.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SmallPicture = NDArray[np.float32]
"""(h, w, 3) RGB in units of 1/255; a stack of them is (n, h, w, 3)."""


class RecentFrames:
    """A ring of the last `CAPACITY` frames, shrunk to `long_side` pixels by area averages: a
    mixture of two pictures stays the same mixture, and grain averages out.

    Frames are counted from the first one that is added; `len` counts all that ever were.
    """

    CAPACITY = 224
    """Frames: the longest fade, and the frames around it that show that it is one."""

    def __init__(self, long_side: int) -> None:
        self.long_side = long_side
        self.count = 0
        self.ring: SmallPicture | None = None

    def __len__(self) -> int:
        return self.count

    @property
    def oldest(self) -> int:
        """The first frame that is still there."""
        return max(0, self.count - self.CAPACITY)

    def add(self, picture: NDArray[np.uint8] | SmallPicture) -> SmallPicture:
        """Shrink the next frame, (h, w, 3), keep it, and return it."""
        height = picture.shape[0]
        width = picture.shape[1]
        scale = min(1.0, self.long_side / max(height, width))
        # Two pixels at least, or there is no gradient.
        size = (max(2, round(width * scale)), max(2, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        if self.ring is None:
            self.ring = np.zeros((self.CAPACITY, *small.shape), np.float32)
        self.ring[self.count % self.CAPACITY] = small
        self.count += 1
        return small

    def get(self, t: int) -> SmallPicture:
        """Return frame `t`, which must be one of the last `CAPACITY`."""
        picture: SmallPicture = self.span(t, t + 1)[0]
        return picture

    def span(self, first: int, stop: int) -> SmallPicture:
        """Return the frames `first` .. `stop` - 1, a copy."""
        return self.select(np.arange(first, stop))

    def select(self, frames: NDArray[np.int_]) -> SmallPicture:
        """Return the frames of these numbers, a copy."""
        if self.ring is None or frames.min() < self.oldest or frames.max() >= self.count:
            raise IndexError("a frame that is not kept")
        return np.stack([self.ring[t] for t in frames % self.CAPACITY])


def find_gradients(picture: SmallPicture) -> NDArray[np.float32]:
    """Return the differences of neighbours across and down, (2, h - 1, w - 1, 3)."""
    across = np.diff(picture, axis=1)[:-1]
    down = np.diff(picture, axis=0)[:, :-1]
    return np.stack([across, down])


def correlate(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the cosine between two arrays of one shape, 0 where one of them is 0."""
    length = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    return float(np.vdot(a, b)) / length if length > 0 else 0.0


def relight(one: SmallPicture, other: SmallPicture) -> float:
    """Return |other - (gain one + offset)|^2 with each channel's best gain and offset: what is left
    of a picture when another is given its light.
    """
    a = one - one.mean((0, 1))
    b = other - other.mean((0, 1))
    gain = (a * b).sum((0, 1)) / np.maximum((a * a).sum((0, 1)), 1e-9)
    left = b - gain * a
    return float(np.vdot(left, left))
