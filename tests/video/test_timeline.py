from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from vidstyle.frames import TIME_BASE
from vidstyle.video.timeline import build_timeline

MILLISECONDS = Fraction(1, 1000)


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "30", "60000/1001", "120"])
@pytest.mark.parametrize("unit", [TIME_BASE, MILLISECONDS])
@pytest.mark.parametrize("declared", [None, Fraction(25)])
def test_a_constant_rate_is_recognised_whatever_is_declared(
    rate: str, unit: Fraction, declared: Fraction | None
) -> None:
    exact = Fraction(rate)
    times = [round(round(n / exact / unit) * unit / TIME_BASE) for n in range(300)]
    found = build_timeline(times, 0, 0, declared or exact, unit)
    assert found.rate == exact
    assert found.pts == tuple(times)
    assert found.last_duration == round(1 / (exact * TIME_BASE))


def test_times_count_from_the_start() -> None:
    found = build_timeline([99_000, 102_600], 3600, 90_000, Fraction(25), TIME_BASE)
    assert found.pts == (9000, 12_600)


@pytest.mark.parametrize("times", [(0, 0, 3600), (0, 3600, 3599), (-1, 3600, 7200), (5, 3, 1)])
def test_times_become_strictly_increasing_and_none_is_negative(times: tuple[int, ...]) -> None:
    pts = build_timeline(times, 3600, 0, Fraction(25), TIME_BASE).pts
    assert pts[0] >= 0
    assert all(later > earlier for earlier, later in itertools.pairwise(pts))


@pytest.mark.parametrize(
    ("last", "expected"), [(0, 3600), (2, 3600), (3601, 3600), (90_000, 90_000), (1800, 1800)]
)
def test_the_last_frame_lasts_as_told_where_that_is_plausible(last: int, expected: int) -> None:
    found = build_timeline(range(0, 36_000, 3600), last, 0, Fraction(25), TIME_BASE)
    assert found.last_duration == expected


def test_a_rate_with_frames_left_out_keeps_the_declared_one() -> None:
    times = [3000 * n for n in range(40) if n not in (7, 20)]
    found = build_timeline(times, 3000, 0, Fraction(30), TIME_BASE)
    assert found.rate is None
    assert found.nominal_rate == 30


def test_a_slide_every_fifty_minutes_has_a_rate() -> None:
    found = build_timeline([0, 90_000 * 3000], 0, 0, Fraction(25), TIME_BASE)
    assert found.nominal_rate > 0
    assert found.pts == (0, 90_000 * 3000)
