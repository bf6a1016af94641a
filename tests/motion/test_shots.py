from __future__ import annotations

import numpy as np
import pytest

from vidstyle.motion.shots import ContentDifference, find_cuts


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], ()),
        ([0.0], (0,)),
        ([0, 2, 2, 2, 2, 2, 60, 2, 2, 2], (0, 6)),
        ([0, 20, 22, 21, 25, 24, 23, 26, 22, 20], (0,)),  # fast motion: high, but evenly so
        ([0, 1, 1, 1, 1, 1, 8, 1, 1, 1], (0,)),  # a flicker: sudden, but small
        ([0, 2, 60, 2, 2, 2, 2, 2, 60, 2], (0, 8)),  # a shot of two frames is none
        ([0, 2, 2, 2, 2, 2, 2, 2, 2, 60], (0, 9)),  # a cut before the last frame
    ],
)
def test_a_cut_is_a_lone_high_score(scores: list[float], expected: tuple[int, ...]) -> None:
    assert find_cuts(scores) == expected


def test_hue_is_a_circle() -> None:
    difference = ContentDifference()
    red, almost_red = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    red[:] = (255, 0, 4)
    almost_red[:] = (255, 4, 0)
    difference.add(red)
    difference.add(almost_red)
    assert difference.scores[1] < 2


def test_the_six_shots_of_a_real_clip_are_found(shared) -> None:  # type: ignore[no-untyped-def]
    from vidstyle.video.probe import probe
    from vidstyle.video.scan import scan

    difference = ContentDifference()
    scan(probe(shared / "clips" / "bikes_640x272_six_shots.mp4"), difference.add)
    assert find_cuts(difference.scores) == (0, 30, 76, 137, 187, 242)
