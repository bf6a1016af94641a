"""The losses of a trace as a picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidstyle.rendering.loss_plot import Evaluation, keep_better, losses_png


def evaluation(iteration: int, style: float, *, taken: bool = True, width: int = 64) -> Evaluation:
    losses = {"style": style, "content": 0.0}
    return Evaluation(iteration, (width, 48), "lite", losses, taken=taken)


def test_losses_are_a_picture_and_the_same_each_time() -> None:
    falling = [evaluation(i, 1 / i, taken=i != 3, width=32 if i < 4 else 64) for i in range(1, 9)]
    data = losses_png(falling)
    assert data == losses_png(falling)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == (550, 1100)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("losses", [[1.0], [0.0, 0.0], [float("nan"), 1.0], [float("inf")]])
def test_losses_that_have_no_logarithm_are_left_out(losses: list[float]) -> None:
    assert losses_png([evaluation(i, loss) for i, loss in enumerate(losses, 1)])


def test_an_evaluation_that_is_not_taken_does_not_count() -> None:
    best = evaluation(1, 2.0)
    assert keep_better(best, evaluation(2, 3.0, taken=False)) is best
    better = evaluation(3, 1.0)
    assert keep_better(best, better) is better


def test_parts_differ_by_size_and_network() -> None:
    one = evaluation(1, 1.0)
    assert one.total == 1.0
    assert one.part == evaluation(2, 5.0).part
    assert one.part != evaluation(1, 1.0, width=32).part
