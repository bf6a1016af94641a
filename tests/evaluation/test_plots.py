"""The curves of a score card as a picture."""

from __future__ import annotations

import cv2
import numpy as np

from tests.helpers.films import MEASURES, card, scores
from vidstyle.evaluation import plots
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
    single = Scores(**dict.fromkeys(MEASURES, (None,)) | {"sharpness": (0.5,)})
    assert plots.draw_score_card(card(result=single, source=single, baseline=None, shots=(0,)))
