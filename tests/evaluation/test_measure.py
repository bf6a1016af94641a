"""Measuring frame after frame: what each clip is measured by, and with what it is compared."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from tests.helpers.films import Shift, noise, shifted, texture
from vidstyle.evaluation.edit_list import Transition
from vidstyle.evaluation.measure import LONG_GAP_FRAMES, SOURCE, Meter
from vidstyle.evaluation.scorecard import Curve, Scores
from vidstyle.rendering.models import load_network

STEP = (2, 1)


def meter(
    clips: list[str],
    shots: tuple[int, ...] = (0,),
    transitions: tuple[Transition, ...] = (),
    *,
    style: bool = False,
) -> Meter:
    flow = Shift([STEP, (STEP[0] * LONG_GAP_FRAMES, STEP[1] * LONG_GAP_FRAMES)])
    style_image = texture(7) if style else None
    return Meter(clips, flow, load_network("lite"), style_image, shots, transitions)


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


def defined(curve: Curve) -> list[int]:
    """List the frames where a measure is defined."""
    return [t for t, value in enumerate(curve) if value is not None]


def measure_still_film(count: int, shots: tuple[int, ...], transition: Transition) -> Scores:
    """Measure a film that does not move, whatever its frames are said to be."""
    measured = meter([SOURCE, "result"], shots, (transition,), style=True)
    for _ in range(count):
        measured.add({SOURCE: texture(0), "result": texture(1)})
    for curve in measured.pixel_shares().values():
        assert len(curve) == count
        assert not {*defined(curve)} & {*range(transition.first, transition.stop)}
    return measured.scores("result")


@pytest.mark.parametrize("kind", ["dissolve", "fade"])
def test_nothing_is_measured_in_a_transition_and_no_pair_goes_over_it(
    kind: Literal["dissolve", "fade"],
) -> None:
    # The incoming shot begins within the transition.
    scores = measure_still_film(30, (0, 13), Transition(kind, 12, 15))
    assert defined(scores.warping_error_short) == [*range(1, 12), *range(16, 30)]
    assert defined(scores.warping_error_long) == [10, 11, *range(25, 30)]
    assert defined(scores.drift) == defined(scores.warping_error_short)
    for curve in (scores.style, scores.content, scores.sharpness):
        assert defined(curve) == [*range(12), *range(15, 30)]


def test_a_flash_leaves_out_its_own_frames_and_the_pairs_that_they_are_in() -> None:
    scores = measure_still_film(30, (0,), Transition("flash", 12, 14))
    others = [*range(12), *range(14, 30)]
    assert defined(scores.style) == defined(scores.content) == defined(scores.sharpness) == others
    assert defined(scores.warping_error_short) == [t for t in others if t not in (0, 14)]
    # Those ten frames after a frame of the flash have no partner; all others go over it.
    assert defined(scores.warping_error_long) == [
        t for t in others if t >= LONG_GAP_FRAMES and t not in (22, 23)
    ]
    # It is still the same shot.
    assert defined(scores.drift) == others[1:]


def test_drift_starts_at_the_first_frame_that_shows_the_shot_as_it_is() -> None:
    measured = meter([SOURCE, "result"], (0, 4), (Transition("fade", 4, 7),))
    shades = [0.0] * 4 + [0.3, 0.2, 0.1, 0.0, 0.0, 0.1]
    for shade in shades:
        measured.add({SOURCE: texture(0), "result": 0.5 * texture(1) + shade})
    drift = measured.scores("result").drift
    assert drift[:4] == (None, 0, 0, 0)
    assert drift[4:8] == (None,) * 4
    assert drift[8:] == pytest.approx((0, 0.1), abs=1e-6)


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
