"""The curves of a score card as a picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from tests.helpers.films import MEASURES, card, scores
from vidstyle.evaluation import plots
from vidstyle.evaluation.edit_list import Transition
from vidstyle.evaluation.scorecard import Scores


def test_the_curves_are_a_picture_and_the_same_each_time() -> None:
    data = plots.draw_score_card(card())
    assert data == plots.draw_score_card(card())
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == 1100
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


def test_a_measure_that_is_defined_nowhere_has_no_panel_and_one_frame_is_enough() -> None:
    plain = card(**dict.fromkeys(("result", "source", "baseline"), scores(style=(None,) * 14)))
    heights = [
        cv2.imdecode(np.frombuffer(plots.draw_score_card(one), np.uint8), cv2.IMREAD_COLOR).shape[0]
        for one in (plain, card())
    ]
    assert heights[0] < heights[1]
    blank = Scores(**dict.fromkeys(MEASURES, (None,) * 14))
    assert plots.draw_score_card(card(result=blank, source=blank, baseline=None))
    single = Scores(**dict.fromkeys(MEASURES, (None,)) | {"sharpness": (0.5,)})
    assert plots.draw_score_card(
        card(result=single, source=single, baseline=None, shots=(0,), transitions=())
    )


def shaded_columns(**changes: Any) -> int:
    """Count the columns of the picture in which there is a transition's colour."""
    picture = cv2.imdecode(
        np.frombuffer(plots.draw_score_card(card(**changes)), np.uint8), cv2.IMREAD_COLOR
    )
    grey = int(plots.TRANSITION_COLOUR[1:3], 16)
    return int(((picture == grey).all(2).sum(0) > 20).sum())


def test_transitions_are_shaded_by_their_length() -> None:
    assert shaded_columns(transitions=()) == 0
    short, long = (
        shaded_columns(transitions=(Transition("dissolve", 5, stop),)) for stop in (6, 9)
    )
    assert short > 10
    assert 3 * short < long < 5 * short
