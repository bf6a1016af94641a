"""Lines along which the rim of a style image may end: nearly parallel to an edge, with a step along
nearly all of the side, and even outside of it.

All sides are looked at as a top side: rows stand for columns as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]

RIM_MARGIN = 0.002
"""The part of the side, and a pixel, that is cut inside a rim: scaling blurs its edge."""

MAX_SLOPE = 0.04
"""The tilt of a rim against the edge: a little more than 2 degrees."""

SEGMENT_PIXELS = 8
MIN_SEGMENTS = 12
MAX_SEGMENTS = 48
"""A side is looked at in segments, each the mean of as many pixels at least along the side: noise
and the traces of JPEG go."""

MIN_STEP = 13.0
"""The difference between rim and painting, in units of 1/255, that makes a step."""

FULL_STEP = 60.0
"""Larger ones say no more."""

MAX_EVEN_VARIATION = 2.5
EVEN_SHARE = 0.2
"""How much an even rim changes along its side: in units of 1/255, or as a part of what the painting
does."""

MAX_NEARLY_EVEN_VARIATION = 4.0
NEARLY_EVEN_SHARE = 0.35
"""The same of what may be a rim."""

MAX_LONE_DEPTH = 0.06
"""The part of the side that a clear rim takes which has none like it, at most: the painted strip of
board beside Munch's Scream has 0.05."""


class BorderLine(NamedTuple):
    """A line along which a rim may end.

    Args:
        depth: in rows, at the middle of the side.
        drift: by how many rows it falls from one end of the side to the other.
        share: the part of the segments that step there.
        step: the size of the step nearby, on average over all segments.
        sharpness: the same of the step at that very row.
        outside, near: the variation along the side of what lies outside of it, and next to it
            inside.
    """

    depth: int
    drift: int
    share: float
    step: float
    sharpness: float
    outside: float
    near: float


def average_segments(side: Pixels) -> Pixels:
    """Average a side (h, w, 3) along its rows: (h, segments, 3)."""
    width = side.shape[1]
    count = min(MAX_SEGMENTS, max(MIN_SEGMENTS, width // SEGMENT_PIXELS))
    edges = np.linspace(0, width, count + 1).round().astype(int)
    sums = np.add.reduceat(side, edges[:-1], axis=1)
    means: Pixels = (sums / np.diff(edges)[:, None]).astype(np.float32)
    return means


def measure_variation(rows: Pixels) -> Pixels:
    """Measure how much each row (r, segments, 3) changes along the side, (r,), in units of 1/255:
    the mean distance from a parabola, which uneven light makes.
    """
    count = rows.shape[1]
    x = np.linspace(-1, 1, count)
    basis, _ = np.linalg.qr(np.stack([np.ones(count), x, x * x], 1))
    rest: Pixels = (np.eye(count) - basis @ basis.T).astype(np.float32)
    distance = np.abs(np.matmul(rest, rows))
    variation: Pixels = distance.mean(1).max(-1).astype(np.float32)
    return variation


def _measure_steps(segments: Pixels, count: int) -> tuple[Pixels, Pixels]:
    """Measure the step between the rows before and from each of the first `count` rows on, and the
    larger of that and the step over a blurred edge, each (count, segments).
    """
    reach = 3
    padded = np.concatenate([np.repeat(segments[:1], reach, 0), segments])

    def pair(offset: int) -> Pixels:
        begin = reach + offset
        mean: Pixels = (padded[begin : begin + count] + padded[begin + 1 : begin + 1 + count]) / 2
        return mean

    near: Pixels = np.abs(pair(0) - pair(-2)).max(-1)
    wide: Pixels = np.abs(pair(1) - pair(-3)).max(-1)
    return near, np.maximum(near, wide)


def list_lines(
    segments: Pixels, places: NDArray[np.float64], width: int, limit: int, inside: float
) -> list[BorderLine]:
    """List the lines of all depths and slopes that may be the border of a rim."""
    height, count = segments.shape[:2]
    rows = np.arange(limit + 1)
    exact_steps, steps = _measure_steps(segments, limit + 4)
    reach = 1 + int(RIM_MARGIN * height)
    padded = np.pad(steps, ((reach, reach), (0, 0)), mode="edge")
    steps = np.max([padded[i : i + len(steps)] for i in range(2 * reach + 1)], axis=0)
    near_rows = max(4, int(0.06 * height))
    near_first = np.minimum(rows + 2, limit)
    near_stop = np.minimum(rows + 2 + near_rows, limit + 1)
    outside_rows = np.maximum(1, rows - 1)
    largest = int(MAX_SLOPE * width)
    lines = []
    for drift in range(-largest, largest + 1, 1 if largest <= 12 else 2):
        offsets = np.round(drift * places).astype(int)
        depths = rows[:, None] + offsets  # (rows, segments)
        looked_up = np.clip(depths, 0, limit + 3)
        is_inside = depths > 0
        there = np.maximum(1, is_inside.sum(1))
        local = steps[looked_up, np.arange(count)] * is_inside
        share = (local >= MIN_STEP).sum(1) / there
        fits = (
            (is_inside.sum(1) >= count / 2) & (rows > 0) & (rows + np.abs(offsets).max() <= limit)
        )
        fits &= share >= 0.6
        if not fits.any():
            continue
        variation = measure_variation(segments[looked_up, np.arange(count)])
        total = np.concatenate([[0], np.cumsum(variation)])
        outside = total[outside_rows] / outside_rows
        near = (total[near_stop] - total[near_first]) / np.maximum(1, near_stop - near_first)
        step = np.minimum(local, FULL_STEP).sum(1) / there
        exact = exact_steps[looked_up, np.arange(count)] * is_inside
        sharpness = exact.sum(1) / there
        last = variation[np.maximum(0, rows - 2 - reach)]
        fits &= last <= np.maximum(MAX_NEARLY_EVEN_VARIATION, 2 * outside)
        fits &= outside <= max(MAX_NEARLY_EVEN_VARIATION, NEARLY_EVEN_SHARE * inside)
        fits &= outside < 0.5 * inside
        lines += [
            BorderLine(
                int(i), drift, *(float(v[i]) for v in (share, step, sharpness, outside, near))
            )
            for i in np.nonzero(fits)[0]
        ]
    return lines


def is_clear(line: BorderLine, inside: float, height: int) -> bool:
    """Tell whether a line is clearly the border of a rim: even outside, and with a full step."""
    is_banded = inside >= 10 and line.share >= 0.93 and line.step >= 38
    if is_banded and line.outside <= 0.36 * inside and line.depth <= MAX_LONE_DEPTH * height:
        # A moulding, or a painted strip: less even, but much more so than what lies next to it.
        return line.near >= 2.5 * line.outside
    is_even = line.outside <= max(MAX_EVEN_VARIATION, EVEN_SHARE * inside)
    is_lively_inside = inside >= 6 and line.near >= max(4, 2 * line.outside)
    return is_even and is_lively_inside and line.share >= 0.88 and line.step >= 18


def choose_line(lines: Sequence[BorderLine], height: int) -> BorderLine | None:
    """Choose the best of the outermost lines: the same border is found at several rows."""
    if not lines:
        return None
    outermost = min(line.depth for line in lines)
    nearby = [line for line in lines if line.depth <= outermost + 3 + 0.01 * height]

    def rate(line: BorderLine) -> float:
        return line.share * line.step + line.sharpness - line.outside - 0.02 * abs(line.drift)

    return max(nearby, key=rate)
