"""Measuring frame after frame: what each clip is measured by, and with what it is compared."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.films import Shift, noise, shifted, texture
from vidstyle.evaluation.measure import LONG_GAP_FRAMES, SOURCE, Meter
from vidstyle.rendering.models import load_network

STEP = (2, 1)


def meter(clips: list[str], shots: tuple[int, ...] = (0,), *, style: bool = False) -> Meter:
    flow = Shift([STEP, (STEP[0] * LONG_GAP_FRAMES, STEP[1] * LONG_GAP_FRAMES)])
    style_image = texture(7) if style else None
    return Meter(clips, flow, load_network("lite"), style_image, shots)


def test_clips_are_measured_alike_and_independently_of_one_another() -> None:
    source = shifted(texture(0, (80, 120)), 12, STEP)
    restless = list(torch.stack(source) + noise(12, 0.05))
    both = meter([SOURCE, "a", "b"])
    alone = meter([SOURCE, "a"])
    for frame, noisy in zip(source, restless, strict=True):
        both.add({SOURCE: frame, "a": noisy, "b": frame})
        alone.add({SOURCE: frame, "a": noisy})
    assert both.scores("a") == alone.scores("a")
    assert both.pixel_shares() == alone.pixel_shares()
    assert both.scores("b").means()["warping_error_short"] == 0
    assert both.scores("b").warping_error_short == both.scores(SOURCE).warping_error_short
    assert both.scores("a").warping_error_long.count(None) == LONG_GAP_FRAMES
    assert both.scores("a").means()["warping_error_short"] == pytest.approx(2 * 0.05**2, rel=0.1)


def test_a_shot_begins_without_a_past() -> None:
    measured = meter([SOURCE], shots=(0, 3))
    for t in range(5):
        measured.add({SOURCE: texture(t // 3)})
    scores = measured.scores(SOURCE)
    assert [t for t, x in enumerate(scores.warping_error_short) if x is None] == [0, 3]
    assert [t for t, x in enumerate(scores.drift) if x is None] == [0, 3]
    assert measured.pixel_shares()["drift"][4] == 1


def test_the_style_distance_is_that_to_the_style_image_and_the_source_has_no_content() -> None:
    plain = meter([SOURCE])
    styled = meter([SOURCE, "itself"], style=True)
    assert styled.style_image is not None
    plain.add({SOURCE: texture(0)})
    styled.add({SOURCE: texture(0), "itself": styled.style_image})
    assert plain.scores(SOURCE).style == plain.scores(SOURCE).content == (None,)
    [near] = styled.scores("itself").style
    [far] = styled.scores(SOURCE).style
    assert near == pytest.approx(0, abs=1e-6)
    assert far is not None
    assert far > 0.01
