"""The way of a frame from coarse to fine: at which sizes it is optimised, and how long at each."""

from __future__ import annotations

from vidstyle.config.settings import RenderConfig

COARSEST = 64
"""No scale has a shorter side below this: relu5_1 sees 1/16 of it."""
SMALLEST_STEP = 1.4
"""From a scale to the next: a smaller one brings nothing new."""

NEW_ITERATIONS = 0.4
"""How much of a fresh frame's additional iterations a frame gets in which everything is new: it
still has its predecessor's colours to start from. Where less is new, in proportion."""


def factors(size: tuple[int, int], count: int) -> list[float]:
    """Of the full size (h, w), the share of each of at most `count` scales from coarse to fine:
    ..., 1/4, 1/2, 1. The coarsest may be nearer to the next, for `COARSEST`'s sake, but no nearer
    than `SMALLEST_STEP`.
    """
    least = COARSEST / min(size)
    chosen = [1.0]
    while (
        len(chosen) < count and (coarser := max(chosen[0] / 2, least)) * SMALLEST_STEP <= chosen[0]
    ):
        chosen.insert(0, coarser)
    return chosen


def scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return round(size[0] * factor), round(size[1] * factor)


def descent(
    config: RenderConfig, size: tuple[int, int], *, fresh: bool, new: float = 0.0
) -> list[tuple[float, int]]:
    """A frame's way from coarse to fine: the factor of each scale, and the iterations there.

    Args:
        fresh: the frame has no predecessor.
        new: the share of it that the predecessor does not show.
    """
    total, count = (
        (config.first_iterations, config.first_scales)
        if fresh
        else (config.iterations, config.scales)
    )
    if not fresh and config.budget == "adaptive":
        total += round(NEW_ITERATIONS * new * max(0, config.first_iterations - config.iterations))
    chosen = factors(size, count)
    ends = [total * i // len(chosen) for i in range(len(chosen) + 1)]
    return [
        (factor, end - begin) for factor, begin, end in zip(chosen, ends, ends[1:], strict=False)
    ]


def polish_iterations(config: RenderConfig, size: tuple[int, int], *, fresh: bool) -> int:
    """How many of a frame's iterations are the polisher's: the last `config.polish`, at most those
    at full size.
    """
    return min(config.polish, descent(config, size, fresh=fresh)[-1][1])
