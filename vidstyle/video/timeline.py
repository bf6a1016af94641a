"""From the times of the frames to a timeline: strictly increasing, of constant rate or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vidstyle.frames import TIME_BASE, Timeline

_MAX_ROUNDING_SECONDS = Fraction(1, 1000)
"""Times further than this from a constant rate are kept as they are: that accuracy is promised."""


def build_timeline(
    times: Sequence[int], last: int, start: int, nominal: Fraction, container: Fraction
) -> Timeline:
    """Build the timeline of the frames.

    Args:
        times: pts of each frame in order, in units of `TIME_BASE`.
        last: duration of the last frame in the same units; 0 for unknown.
        start: the time that pts are counted from.
        nominal: the rate that the container declares.
        container: unit of the container's timestamps in seconds; times are rounded to it.
    """
    pts = _make_increasing([time - start for time in times])
    rounding = min(container, _MAX_ROUNDING_SECONDS) / TIME_BASE + 1
    rate = next(
        (rate for rate in _candidate_rates(pts, nominal) if _fits_rate(pts, rate, rounding)), None
    )
    if rate is None:
        mean = (len(pts) - 1) / ((pts[-1] - pts[0]) * TIME_BASE)
        # A variable rate is often a constant one with frames left out: then the declared one says
        # more than the mean.
        nominal = (
            nominal
            if mean <= nominal * Fraction(21, 20) and nominal <= 2 * mean
            else _nearest_usual_rate(mean)
        )
    usual = round(1 / ((rate or nominal) * TIME_BASE))
    # A duration of a tick or two is a muxer's way to say that it does not know.
    if last <= 2 or (rate is not None and abs(last - usual) <= rounding):
        last = usual
    return Timeline(tuple(pts), last, rate, rate or nominal)


def _make_increasing(pts: list[int]) -> list[int]:
    """Move a frame that is not later than the one before to a tick after it; rounding `start` must
    not make a time negative.
    """
    pts[0] = 0 if abs(pts[0]) <= 1 else max(pts[0], 0)
    for i in range(1, len(pts)):
        pts[i] = max(pts[i], pts[i - 1] + 1)
    return pts


def _candidate_rates(pts: list[int], nominal: Fraction) -> Iterator[Fraction]:
    """Yield the rates worth trying: the declared one if it is usual, the usual ones near the mean,
    any declared one, the mean.
    """
    if nominal.denominator in (1, 1001):
        yield nominal
    if len(pts) > 1:
        mean = (len(pts) - 1) / ((pts[-1] - pts[0]) * TIME_BASE)
        whole = max(1, round(mean))
        yield from sorted(
            (Fraction(whole), Fraction(whole * 1000, 1001)), key=lambda rate: abs(rate - mean)
        )
        yield nominal
        yield _nearest_usual_rate(mean)
    else:
        yield nominal


def _nearest_usual_rate(rate: Fraction) -> Fraction:
    """Return the nearest rate with a usual denominator; above 0 also for a slide an hour."""
    return max(rate.limit_denominator(1001), Fraction(1, 1001))


def _fits_rate(pts: list[int], rate: Fraction, rounding: Fraction) -> bool:
    """Return whether every frame lies where the rate puts it, counted from the first, up to the
    container's rounding.
    """
    counted: NDArray[np.int64] = np.arange(len(pts), dtype=np.int64)
    # In integers, scaled by the rate's numerator: exact however long the film.
    ticks = 90_000 * rate.denominator
    off = (np.asarray(pts, np.int64) - pts[0]) * rate.numerator - counted * ticks
    return bool(off.max() - off.min() <= rounding * rate.numerator)
