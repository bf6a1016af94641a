"""The time that the optimisation of a frame takes, from parts of it that are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidstyle.stylize.optimise.pyramid import PlannedScale, count_refined_iterations

Clock = Callable[[], float]
"""Returns the seconds since some moment."""

MANY_ITERATIONS = 9
"""Iterations of the longer measurement: so many that L-BFGS stores all the pairs it can."""

MIN_ITERATION_SECONDS = 1e-4
"""An iteration takes this long at least: two measurements may differ by less than their noise."""


@dataclass(frozen=True)
class PartCosts:
    """Seconds of the parts of a frame at full size.

    Args:
        iteration: one iteration.
        scale: what is done once for a scale.
        refined_iteration: one iteration of the refinement; 0 where there is none.
        refinement: what is done once for the refinement.
    """

    iteration: float
    scale: float
    refined_iteration: float = 0.0
    refinement: float = 0.0


def measure_parts(
    optimise: Callable[[int, int], object], clock: Clock, *, refines: bool
) -> PartCosts:
    """Measure the parts of a frame.

    Args:
        optimise: optimises a frame at full size with (iterations, how many of them are refined).
        refines: there is a refinement.
    """

    def seconds(iterations: int, refined: int = 0) -> float:
        return measure_median(lambda: optimise(iterations, refined), clock)

    once = seconds(1)
    more = seconds(MANY_ITERATIONS)
    iteration = max(MIN_ITERATION_SECONDS, (more - once) / (MANY_ITERATIONS - 1))
    scale = max(0.0, once - iteration)
    if not refines:
        return PartCosts(iteration, scale)
    last = seconds(2, 1)
    last_four = seconds(5, 4)
    refined_iteration = max(MIN_ITERATION_SECONDS, (last_four - last) / 3)
    # The features of the frame and the buffers of the optimiser, once more.
    refinement = max(0.0, last - once - refined_iteration)
    return PartCosts(iteration, scale, refined_iteration, refinement)


def estimate_seconds(
    planned: Sequence[PlannedScale], refinement_iterations: int, parts: PartCosts
) -> float:
    """Estimate the seconds of a frame. Work is proportional to the area: at half the size it is a
    quarter.

    Args:
        refinement_iterations: how many iterations are refined, at most.
    """
    *coarse, finest = planned
    refined = count_refined_iterations(refinement_iterations, [finest])
    unrefined = [*coarse, PlannedScale(finest.factor, finest.iterations - refined)]
    seconds = sum(
        factor**2 * (parts.scale + iterations * parts.iteration)
        for factor, iterations in unrefined
        if iterations
    )
    if refined:
        seconds += parts.refinement + refined * parts.refined_iteration
    return seconds


def measure_median(work: Callable[[], object], clock: Clock, tries: int = 3) -> float:
    """Measure the seconds of the middle one of a few calls: the first one pays for buffers and
    compiled kernels.
    """
    times = []
    for _ in range(tries):
        begun = clock()
        work()
        times.append(clock() - begun)
    return sorted(times)[tries // 2]
