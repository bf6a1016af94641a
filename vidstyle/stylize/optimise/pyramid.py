"""The scales of a frame from coarse to fine: the sizes at which it is optimised, and the iterations
at each.
"""

from __future__ import annotations

from typing import NamedTuple

from vidstyle.stylize.optimise.settings import COARSEST_SIDE, PyramidSettings

MIN_SCALE_RATIO = 1.4
"""The ratio of the sizes of a scale and the next coarser one, at least: a smaller step brings
nothing new.
"""

DISOCCLUDED_ITERATION_SHARE = 0.4
"""The share of a first frame's additional iterations that a frame gets which is wholly disoccluded:
it still has the colours of its predecessor to start from. Where less is disoccluded, in proportion.
"""


class PlannedScale(NamedTuple):
    """One scale of a frame: its size as a share of the full size, and its iterations."""

    factor: float
    iterations: int


def scale_factors(
    size: tuple[int, int], count: int, coarsest_side: int = COARSEST_SIDE
) -> list[float]:
    """Choose at most `count` scales for a frame of `size` (h, w), coarse to fine, as shares of the
    full size: ..., 1/4, 1/2, 1.

    The coarsest may be nearer to the next one, for the sake of `coarsest_side`, but no nearer than
    `MIN_SCALE_RATIO`.
    """
    least = coarsest_side / min(size)
    factors = [1.0]
    while len(factors) < count:
        coarser = max(factors[0] / 2, least)
        if coarser * MIN_SCALE_RATIO > factors[0]:
            break
        factors.insert(0, coarser)
    return factors


def scale_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Multiply a size (h, w) by a factor, rounded to whole pixels."""
    return round(size[0] * factor), round(size[1] * factor)


def plan_scales(
    settings: PyramidSettings, size: tuple[int, int], *, first: bool, disoccluded: float = 0.0
) -> list[PlannedScale]:
    """Divide the iterations of a frame of `size` (h, w) among its scales, coarse to fine.

    Args:
        first: the frame is the first of a shot.
        disoccluded: the share of it, in [0, 1], that its predecessors do not show.
    """
    if first:
        total = settings.first_iterations
        count = settings.first_scales
    else:
        total = settings.iterations
        count = settings.scales
        if settings.adaptive:
            more = max(0, settings.first_iterations - settings.iterations)
            total += round(DISOCCLUDED_ITERATION_SHARE * disoccluded * more)
    factors = scale_factors(size, count, settings.coarsest_side)
    ends = [total * i // len(factors) for i in range(len(factors) + 1)]
    return [
        PlannedScale(factor, end - begin)
        for factor, begin, end in zip(factors, ends, ends[1:], strict=False)
    ]


def count_refined_iterations(wanted: int, planned: list[PlannedScale]) -> int:
    """Count the iterations of a frame that are done on the refinement network: the last `wanted`,
    at most those at full size.
    """
    return min(wanted, planned[-1].iterations)
