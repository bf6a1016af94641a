"""The cuts of a video: content difference in HSV against an adaptive threshold, after
PySceneDetect's AdaptiveDetector.

PySceneDetect itself is not used: its detector finds the same cuts in 82 clips, but by default none
less than 15 frames after the one before, and it would be one more dependency for thirty lines.
"""

from __future__ import annotations

from array import array
from collections.abc import Container, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray


class ContentDifference:
    """Mean absolute change of hue, saturation and value from one thumbnail to the next, in units of
    1/255.
    """

    def __init__(self) -> None:
        self.previous: NDArray[np.int16] | None = None
        self.scores = array("d")

    def add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Take the next frame, (h, w, 3) uint8 RGB of any one size; the first frame scores 0."""
        hsv = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2HSV).astype(np.int16)  # hue in [0, 180)
        if self.previous is None:
            self.scores.append(0.0)
        else:
            change = np.abs(hsv - self.previous)
            # Hue is a circle: 179 is next to 0.
            change[..., 0] = np.minimum(change[..., 0], 180 - change[..., 0])
            self.scores.append(float(change.mean()))
        self.previous = hsv


def find_cuts(
    scores: Sequence[float],
    *,
    ratio: float = 3.0,
    least: float = 15.0,
    window: int = 2,
    shortest: int = 5,
    explained: Container[int] = (),
) -> tuple[int, ...]:
    """Find the first frames of shots, 0 included, from the scores of `ContentDifference`.

    A frame starts a shot when its score is at least `least` and at least `ratio` times the mean
    score of the `window` frames before and after it, and the shot before it has `shortest` frames
    or more. The neighbourhood is what makes it adaptive: fast motion raises many scores in a row, a
    cut raises one.

    Args:
        explained: frames that start no shot, however high they score.
    """
    cuts = [0]
    for t in range(1, len(scores)):
        neighbours = [*scores[max(1, t - window) : t], *scores[t + 1 : t + 1 + window]]
        calm = sum(neighbours) / len(neighbours) if neighbours else 0.0
        sudden = scores[t] >= least and scores[t] >= ratio * calm
        if sudden and t not in explained and t - cuts[-1] >= shortest:
            cuts.append(t)
    return tuple(cuts) if scores else ()


def middle_of_longest_shot(cuts: Sequence[int], pts: Sequence[int]) -> int:
    """Return the frame in the middle of the shot that is shown longest: most likely it shows the
    subject of the video.

    Args:
        cuts: first frames of shots, by `find_cuts`.
        pts: presentation times of the frames.
    """
    ends = (*cuts[1:], len(pts))
    first, stop = max(
        zip(cuts, ends, strict=True), key=lambda shot: pts[shot[1] - 1] - pts[shot[0]]
    )
    return (first + stop) // 2
