"""The time of a frame is put together from parts of it that were measured."""

from __future__ import annotations

import pytest

from vidstyle.stylize.optimise.cost import (
    PartCosts,
    estimate_seconds,
    measure_median,
    measure_parts,
)
from vidstyle.stylize.optimise.pyramid import PlannedScale


class Clock:
    """Seconds that pass only where a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("refines", [False, True])
def test_parts_are_found_from_whole_frames(refines: bool) -> None:
    clock = Clock()

    def optimise(iterations: int, refined: int) -> None:
        clock.now += 3 + 2 * (iterations - refined)
        if refined:
            clock.now += 5 + 7 * refined

    parts = measure_parts(optimise, clock, refines=refines)
    expected = PartCosts(2, 3, 7, 5) if refines else PartCosts(2, 3)
    assert parts == expected


def test_an_iteration_takes_some_time_whatever_the_noise_of_the_clock_is() -> None:
    clock = Clock()

    def optimise(iterations: int, refined: int) -> None:
        clock.now += 1 / iterations

    parts = measure_parts(optimise, clock, refines=True)
    assert parts.iteration > 0
    assert parts.refined_iteration > 0
    assert min(parts.scale, parts.refinement) >= 0


def test_the_middle_of_a_few_tries_counts() -> None:
    clock = Clock()
    seconds = iter([9.0, 1.0, 2.0])

    def work() -> None:
        clock.now += next(seconds)

    assert measure_median(work, clock) == 2


@pytest.mark.parametrize(
    ("planned", "refined", "expected"),
    [
        ([PlannedScale(1.0, 10)], 0, 3 + 20),
        ([PlannedScale(0.5, 4), PlannedScale(1.0, 10)], 0, 11 / 4 + 23),
        ([PlannedScale(0.5, 0), PlannedScale(1.0, 10)], 0, 23),
        ([PlannedScale(1.0, 10)], 4, 3 + 12 + 5 + 28),
        ([PlannedScale(1.0, 10)], 99, 5 + 70),
    ],
)
def test_work_is_proportional_to_the_area(
    planned: list[PlannedScale], refined: int, expected: float
) -> None:
    assert estimate_seconds(planned, refined, PartCosts(2, 3, 7, 5)) == pytest.approx(expected)
