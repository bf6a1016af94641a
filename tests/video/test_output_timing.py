"""Times of the output in whole ticks."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from vidstyle.frames import TIME_BASE, Timeline
from vidstyle.video.output_timing import build_clock, concat_script, restore_filters

NTSC = Fraction(24_000, 1001)


def steady(rate: Fraction, count: int, late: int = 0) -> Timeline:
    pts = tuple(round(i / rate / TIME_BASE) + late for i in range(count))
    return Timeline(pts, round(1 / rate / TIME_BASE), rate, rate)


@pytest.mark.parametrize(
    ("late", "tick"),
    [(0, 1 / NTSC), (1890, Fraction(7, 24_000)), (15015, 1 / NTSC)],
    ids=["at once", "late by no whole frame", "late by four frames"],
)
def test_a_constant_rate_ticks_in_frames_unless_it_begins_between_them(
    late: int, tick: Fraction
) -> None:
    times = build_clock(steady(NTSC, 100, late), Fraction(0))
    assert times.tick == tick
    assert times.steady
    assert times.rate == NTSC
    for i, time in enumerate(times.times):
        assert time * tick == late * TIME_BASE + i / NTSC


def test_a_variable_rate_keeps_every_time_to_the_tick() -> None:
    pts = (900, 2400, 9000, 9001, 90_000)
    times = build_clock(Timeline(pts, 4500, None, Fraction(30)), Fraction(0))
    assert times.times == (*pts, 94_500)
    assert times.tick == TIME_BASE
    assert not times.steady
    assert restore_filters(times) == "settb=1/90000,setpts=round(PTS*(1/3000))+900"


def test_a_part_counts_from_its_begin() -> None:
    part = steady(Fraction(25), 50).select(10, 20)
    assert build_clock(part, Fraction(2, 5)).times == tuple(range(11))


def test_a_longer_last_frame_is_kept_and_not_called_steady() -> None:
    times = build_clock(Timeline((0, 3600, 7200), 36_000, Fraction(25), Fraction(25)), Fraction(0))
    assert times.times[-1] * times.tick == Fraction(12, 25)
    assert not times.steady


def test_a_rate_that_does_not_fit_the_times_is_not_believed() -> None:
    pts = tuple(3601 * i for i in range(1000))  # a tick too slow for 25 fps: 11 ms at the end
    times = build_clock(Timeline(pts, 3601, Fraction(25), Fraction(25)), Fraction(0))
    assert times.times == (*pts, 3_601_000)


def test_forced_ticks_round_without_drift_and_never_stand_still() -> None:
    times = build_clock(steady(Fraction(30), 300), Fraction(0), Fraction(1, 100)).times
    assert times[-1] == 1000
    assert {b - a for a, b in pairwise(times)} == {3, 4}
    fast = build_clock(steady(Fraction(240), 20), Fraction(0), Fraction(1, 100)).times
    assert all(b > a for a, b in pairwise(fast))


@pytest.mark.parametrize("rate", [Fraction(25), NTSC, Fraction(1000, 7)])
def test_the_durations_of_the_script_never_drift(rate: Fraction) -> None:
    times = build_clock(steady(rate, 20_000), Fraction(0))
    total, wrong = Fraction(0), 0
    lines = [
        line
        for entry in concat_script([Path("x.png")] * 20_000, times)
        for line in entry.splitlines()
    ]
    for i, line in enumerate(line for line in lines if line.startswith("duration")):
        wrong += abs(total - i * times.tick) > Fraction(1, 1_000_000)
        total += Fraction(line.split()[1])
    assert wrong == 0
    assert restore_filters(times) == "null"


def test_quotes_in_a_path_are_escaped_for_the_script() -> None:
    times = build_clock(steady(Fraction(25), 1), Fraction(0))
    assert "file 'file:/a'\\''b/50%03d.png'\n" in "".join(
        concat_script([Path("/a'b/50%03d.png")], times)
    )
