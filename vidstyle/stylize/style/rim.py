"""The rim of a style image: the frame, the mat, or the border of a scan around the painting. As a
part of the style it would show as a strip at an edge of the stylised frames.

A rim hardly changes along its side, and it ends in a step, which lies on a straight line, nearly
parallel to the edge, along nearly all of the side. Neither is enough alone: a sky is as even, and a
horizon is as straight. What lies inside must be livelier than the rim, and a deep one must have its
like at another side, or the white or black of a scanner. Rims are taken off one after the other,
the outermost first: a scan's border, a frame, and the mat in it. At last come lines and shadows of
a few pixels. All sides are looked at as a top side: rows stand for columns as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.float32]

MIN_SIDE = 64
"""Pixels of the shorter side from which on a rim is looked for."""

MAX_LOOKED_AT = 1024
"""Pixels of the longer side at which it is looked for: larger images are reduced."""

MAX_CUT = 0.25
"""The part of its width or height that an image loses at one side, at most."""

MAX_ROUNDS = 4
"""Rims inside each other."""

MARGIN = 0.002
"""The part of the side, and a pixel, that is cut inside a rim: scaling blurs its edge."""

MAX_SLOPE = 0.04
"""The tilt of a rim against the edge: a little more than 2 degrees."""

SEGMENT_PIXELS = 8
MIN_SEGMENTS = 12
MAX_SEGMENTS = 48
"""A side is looked at in segments, each the mean of as many pixels at least along the side: noise
and the traces of JPEG go."""

MIN_LOOKED_AT_SEGMENTS = 6
"""Fewer between two other rims say nothing."""

STEP = 13.0
"""The difference between rim and painting, in units of 1/255, that makes a step."""

FULL_STEP = 60.0
"""Larger ones say no more."""

EVEN = 2.5
EVEN_SHARE = 0.2
"""How much an even rim changes along its side: in units of 1/255, or as a part of what the painting
does."""

NEARLY_EVEN = 4.0
NEARLY_EVEN_SHARE = 0.35
"""The same of what may be a rim."""

MAX_LONE_DEPTH = 0.06
"""The part of the side that a clear rim takes which has none like it: the painted strip of board
beside Munch's Scream has 0.05."""

MAX_SCANNER_DEPTH = 0.2
"""The same of a white or black one."""

MIN_SCANNER_COVERAGE = 0.8
"""The part of the side along which it is seen: it has no other rims at its ends."""

WHITE = 238.0
BLACK = 16.0
"""The least channel of white and the largest of black, in units of 1/255."""

SAME_COLOUR = 20.0
SIMILAR_COLOUR = 40.0
"""How far the colours of two sides of a rim may be apart, in units of 1/255: a frame is lit from
one side, and paper is not."""

MAX_DEPTH_RATIO = 2.5
"""A side of a rim is at most so much deeper than the others."""

MAX_FREE_DEPTH = 0.03
"""The part of the side below which it may be deeper than that."""

MAX_PAIR_DEPTH = 0.04
"""The part of the side that a rim takes which is not as even, and has its like opposite."""

THIN = 0.01
MAX_THIN = 8
"""The part of the side, and the pixels, of a line or a shadow at the edge."""

THIN_STEP = 5.0
"""The change of brightness from it to the painting, in units of 1/255, in the same direction."""


@dataclass(frozen=True)
class Rim:
    """What is cut off an image, in pixels of each side.

    Args:
        size: (height, width) of the image.
    """

    size: tuple[int, int]
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def is_empty(self) -> bool:
        """True where nothing is cut off."""
        return not (self.top or self.bottom or self.left or self.right)

    def describe(self) -> str:
        """Name the sides that lose something, each with its pixels: "12 px left, 9 px top"."""
        widths = {"left": self.left, "right": self.right, "top": self.top, "bottom": self.bottom}
        return ", ".join(f"{width} px {side}" for side, width in widths.items() if width)

    def crop(self, image: Tensor) -> Tensor:
        """Return the inside of an image (..., h, w), as a view; of one that shows the same at
        another size, the same part.
        """
        rows = _scale(self.top, self.size[0] - self.bottom, self.size[0], image.shape[-2])
        columns = _scale(self.left, self.size[1] - self.right, self.size[1], image.shape[-1])
        return image[..., rows, columns]


def _scale(start: int, stop: int, length: int, new_length: int) -> slice:
    """Bring a range of a side to another length of the side; a pixel of it is left at least."""
    begin = min(round(start * new_length / length), new_length - 1)
    return slice(begin, max(begin + 1, round(stop * new_length / length)))


def find_rim(image: Tensor) -> Rim:
    """Find the rim of a style image (3, H, W) in [0, 1]. When in doubt, there is none."""
    height, width = image.shape[1:]
    if min(height, width) < MIN_SIDE:
        return Rim((height, width))
    factor = -(-max(height, width) // MAX_LOOKED_AT)
    small = F.avg_pool2d(image[None], factor)[0] if factor > 1 else image
    pixels = (small.detach().float().clamp(0, 1) * 255).permute(1, 2, 0).cpu().numpy()
    cuts = _find_cuts(np.ascontiguousarray(pixels))
    lengths = (height, height, width, width)
    # A row of the reduced image is cut as a whole, and one more where the factor leaves a rest.
    whole = [
        cut * factor + 1 + round(MARGIN * length) if cut else 0
        for cut, length in zip(cuts, lengths, strict=True)
    ]
    return Rim((height, width), *whole)


def _find_cuts(pixels: Pixels) -> list[int]:
    """Find what to cut off an image (H, W, 3) at its top, bottom, left and right, in pixels."""
    cuts = [0, 0, 0, 0]
    height, width = pixels.shape[:2]
    lengths = (height, height, width, width)
    most = [int(MAX_CUT * n) - 1 - round(MARGIN * n) for n in lengths]
    earlier: list[list[_Border]] = [[], [], [], []]
    for _ in range(MAX_ROUNDS):
        sides = _list_sides(pixels, cuts)
        limits = [limit - cut for limit, cut in zip(most, cuts, strict=True)]
        found = _find_all_candidates(sides, limits)
        borders = [_judge_side(found, earlier, i, length) for i, length in enumerate(lengths)]
        if not any(borders):
            break
        for i, border in enumerate(borders):
            if border is not None:
                cuts[i] += border.depth
                earlier[i].append(border)
    thin = [_measure_thin_edge(side) for side in _list_sides(pixels, cuts)]
    return [min(limit, cut + depth) for limit, cut, depth in zip(most, cuts, thin, strict=True)]


def _list_sides(pixels: Pixels, cuts: Sequence[int]) -> list[Pixels]:
    """Return the inside of an image four times, as views: with its top, bottom, left and right at
    the top.
    """
    top, bottom, left, right = cuts
    height, width = pixels.shape[:2]
    inside = pixels[top : height - bottom, left : width - right]
    turned = inside.swapaxes(0, 1)
    return [inside, inside[::-1], turned, turned[::-1]]


class _Line(NamedTuple):
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


@dataclass(frozen=True)
class _Border:
    """A line with what is asked about it.

    Args:
        depth: rows from the edge to where the line is farthest from it.
        colour: (3,), of the rim.
        coverage: the part of the side that was looked at.
    """

    line: _Line
    depth: int
    colour: Pixels
    coverage: float


class _Candidates(NamedTuple):
    """The first border of a side that may be that of a rim, and the first that clearly is one."""

    possible: _Border | None
    clear: _Border | None


def _find_all_candidates(sides: Sequence[Pixels], limits: Sequence[int]) -> list[_Candidates]:
    """Find the borders of all four sides.

    Args:
        limits: the rows of each side that may be cut.
    """
    # What is looked for first are lines in the middle half, where other sides have no rim.
    first = [
        _find_candidates(side, limit, (0.25, 0.75)).possible
        for side, limit in zip(sides, limits, strict=True)
    ]
    ends = [
        border.depth / len(side) if border else 0.0
        for border, side in zip(first, sides, strict=True)
    ]
    spans = [(ends[2], 1 - ends[3])] * 2 + [(ends[0], 1 - ends[1])] * 2
    return [
        _find_candidates(side, limit, span)
        for side, limit, span in zip(sides, limits, spans, strict=True)
    ]


def _judge_side(
    found: Sequence[_Candidates], earlier: Sequence[Sequence[_Border]], index: int, length: int
) -> _Border | None:
    """Return the border of the rim at one of the four sides, None where it is in doubt.

    Args:
        earlier: the borders of the rims around it, of each side.
        length: the rows of the whole image.
    """
    others = [i for i in range(len(found)) if i != index]
    known = [border for i in others for border in earlier[i]]
    possible = found[index].possible
    clear = found[index].clear
    if clear is not None:
        mates = [*known, *(one for i in others if (one := found[i].clear))]
        is_outermost = not any(earlier)
        if _stands_alone(clear, length, is_outermost=is_outermost) or _has_mates(
            clear, mates, 1, length
        ):
            return clear
    if possible is not None:
        mates = [*known, *(one for i in others if (one := found[i].possible))]
        opposite = found[index ^ 1].possible
        if _has_mates(possible, mates, 2, length) or _is_pair(possible, opposite, length):
            return possible
    return None


def _stands_alone(border: _Border, length: int, *, is_outermost: bool) -> bool:
    """Tell whether a clear border is one with none like it at another side."""
    if border.depth <= MAX_LONE_DEPTH * length:
        return True
    is_scanner = bool(border.colour.min() >= WHITE or border.colour.max() <= BLACK)
    is_whole = border.coverage >= MIN_SCANNER_COVERAGE
    is_shallow = border.depth <= MAX_SCANNER_DEPTH * length
    return is_scanner and is_whole and is_shallow and is_outermost


def _has_mates(border: _Border, others: Sequence[_Border], count: int, length: int) -> bool:
    """Tell whether as many other sides have a rim like it."""
    tolerance = SAME_COLOUR if border.line.outside <= NEARLY_EVEN and count > 1 else SIMILAR_COLOUR
    mates = [one for one in others if _colour_distance(one, border) <= tolerance]
    if len(mates) < count:
        return False
    usual = float(np.median([one.depth for one in mates]))
    is_same = max(_colour_distance(one, border) for one in mates) <= SAME_COLOUR / 2
    if is_same and len(mates) > 1 and border.line.outside <= EVEN and border.line.share >= 0.95:
        return True
    is_deeper = border.depth > max(MAX_FREE_DEPTH * length, MAX_DEPTH_RATIO * usual)
    return not is_deeper and max(one.line.share for one in (border, *mates)) >= 0.8


def _is_pair(border: _Border, opposite: _Border | None, length: int) -> bool:
    """Tell whether two shallow borders at opposite sides are those of a frame."""
    if opposite is None or max(border.depth, opposite.depth) > MAX_PAIR_DEPTH * length:
        return False
    is_full = min(border.line.share, opposite.line.share) >= 0.95
    is_like = abs(border.depth - opposite.depth) <= max(3, THIN * length)
    return is_full and is_like and _colour_distance(border, opposite) <= SIMILAR_COLOUR


def _colour_distance(one: _Border, other: _Border) -> float:
    """Return the largest difference of a channel."""
    return float(np.abs(one.colour - other.colour).max())


def _find_candidates(side: Pixels, limit: int, span: tuple[float, float]) -> _Candidates:
    """Find the borders of a side, the outermost first.

    Args:
        limit: the rows that are looked at.
        span: the part of the side that is looked at, from 0 to 1.
    """
    nothing = _Candidates(None, None)
    height = len(side)
    limit = min(limit, height - 8)
    segments = _average_segments(side)  # (rows, segments, 3)
    count = segments.shape[1]
    first = int(np.ceil(span[0] * count))
    stop = int(np.floor(span[1] * count))
    if stop - first < MIN_LOOKED_AT_SEGMENTS or limit < 2:
        return nothing
    segments = segments[:, first:stop]
    places = ((np.arange(count) + 0.5) / count - 0.5)[first:stop]
    middle = _measure_variation(segments[height // 4 : height - height // 4])
    inside = float(np.sqrt(np.square(middle).mean()))
    if _measure_variation(segments[:3]).min() > max(NEARLY_EVEN, 0.5 * inside):
        # The edge itself is as lively as the painting: most sides end here.
        return nothing
    lines = _list_lines(segments, places, side.shape[1], limit, inside)
    clear = [line for line in lines if _is_clear(line, inside, height)]
    coverage = (stop - first) / count
    return _Candidates(
        _look_at_border(_choose_line(lines, height), segments, places, coverage),
        _look_at_border(_choose_line(clear, height), segments, places, coverage),
    )


def _look_at_border(
    line: _Line | None, segments: Pixels, places: NDArray[np.float64], coverage: float
) -> _Border | None:
    """Find out how deep a line goes, and what colour lies outside of it."""
    if line is None:
        return None
    depths = line.depth + np.round(line.drift * places).astype(int)
    strips = [
        segments[: max(1, depth - 1), i].mean(0) for i, depth in enumerate(depths) if depth > 0
    ]
    colour = np.median(strips, axis=0).astype(np.float32)
    return _Border(line, int(depths.max()), colour, coverage)


def _average_segments(side: Pixels) -> Pixels:
    """Average a side (h, w, 3) along its rows: (h, segments, 3)."""
    width = side.shape[1]
    count = min(MAX_SEGMENTS, max(MIN_SEGMENTS, width // SEGMENT_PIXELS))
    edges = np.linspace(0, width, count + 1).round().astype(int)
    sums = np.add.reduceat(side, edges[:-1], axis=1)
    means: Pixels = (sums / np.diff(edges)[:, None]).astype(np.float32)
    return means


def _measure_variation(rows: Pixels) -> Pixels:
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


def _list_lines(
    segments: Pixels, places: NDArray[np.float64], width: int, limit: int, inside: float
) -> list[_Line]:
    """List the lines of all depths and slopes that may be the border of a rim."""
    height, count = segments.shape[:2]
    rows = np.arange(limit + 1)
    exact_steps, steps = _measure_steps(segments, limit + 4)
    reach = 1 + int(MARGIN * height)
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
        share = (local >= STEP).sum(1) / there
        fits = (
            (is_inside.sum(1) >= count / 2) & (rows > 0) & (rows + np.abs(offsets).max() <= limit)
        )
        fits &= share >= 0.6
        if not fits.any():
            continue
        variation = _measure_variation(segments[looked_up, np.arange(count)])
        total = np.concatenate([[0], np.cumsum(variation)])
        outside = total[outside_rows] / outside_rows
        near = (total[near_stop] - total[near_first]) / np.maximum(1, near_stop - near_first)
        step = np.minimum(local, FULL_STEP).sum(1) / there
        exact = exact_steps[looked_up, np.arange(count)] * is_inside
        sharpness = exact.sum(1) / there
        last = variation[np.maximum(0, rows - 2 - reach)]
        fits &= last <= np.maximum(NEARLY_EVEN, 2 * outside)
        fits &= outside <= max(NEARLY_EVEN, NEARLY_EVEN_SHARE * inside)
        fits &= outside < 0.5 * inside
        lines += [
            _Line(int(i), drift, *(float(v[i]) for v in (share, step, sharpness, outside, near)))
            for i in np.nonzero(fits)[0]
        ]
    return lines


def _is_clear(line: _Line, inside: float, height: int) -> bool:
    """Tell whether a line is clearly the border of a rim: even outside, and with a full step."""
    is_banded = inside >= 10 and line.share >= 0.93 and line.step >= 38
    if is_banded and line.outside <= 0.36 * inside and line.depth <= MAX_LONE_DEPTH * height:
        # A moulding, or a painted strip: less even, but much more so than what lies next to it.
        return line.near >= 2.5 * line.outside
    is_even = line.outside <= max(EVEN, EVEN_SHARE * inside)
    is_lively_inside = inside >= 6 and line.near >= max(4, 2 * line.outside)
    return is_even and is_lively_inside and line.share >= 0.88 and line.step >= 18


def _choose_line(lines: Sequence[_Line], height: int) -> _Line | None:
    """Choose the best of the outermost lines: the same border is found at several rows."""
    if not lines:
        return None
    outermost = min(line.depth for line in lines)
    nearby = [line for line in lines if line.depth <= outermost + 3 + 0.01 * height]

    def rate(line: _Line) -> float:
        return line.share * line.step + line.sharpness - line.outside - 0.02 * abs(line.drift)

    return max(nearby, key=rate)


def _measure_thin_edge(side: Pixels) -> int:
    """Measure a line or a shadow at the edge, in rows, 0 where there is none: nearly all of the
    side becomes brighter there, or darker, whatever is painted.
    """
    height = len(side)
    most = min(MAX_THIN, max(2, round(THIN * height)))
    brightness = _average_segments(side[: max(8 * most, 40)]).mean(-1)  # (rows, segments)
    shares = []
    for row in range(1, len(brightness) - 2):
        change = brightness[row : row + 2].mean(0) - brightness[max(0, row - 2) : row].mean(0)
        shares.append(max((change >= THIN_STEP).mean(), (change <= -THIN_STEP).mean()))
    if max(shares[2 * most :]) >= 0.8:
        # The painting itself has such lines.
        return 0
    return max((row for row in range(1, most + 1) if shares[row - 1] >= 0.93), default=0)
