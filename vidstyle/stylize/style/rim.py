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

from vidstyle.stylize.style.border_lines import (
    MAX_EVEN_VARIATION,
    MAX_LONE_DEPTH,
    MAX_NEARLY_EVEN_VARIATION,
    RIM_MARGIN,
    BorderLine,
    Pixels,
    average_segments,
    choose_line,
    is_clear,
    list_lines,
    measure_variation,
)

MIN_IMAGE_SIDE = 64
"""Pixels of the shorter side from which on a rim is looked for."""

MAX_LOOKED_AT = 1024
"""Pixels of the longer side at which it is looked for: larger images are reduced."""

MIN_LOOKED_AT = 32
"""Pixels of the shorter side then, at least."""

MAX_CUT = 0.25
"""The part of its width or height that an image loses at one side, at most."""

MAX_ROUNDS = 4
"""Rims inside each other."""

MIN_LOOKED_AT_SEGMENTS = 6
"""Fewer between two other rims say nothing."""

MAX_SCANNER_DEPTH = 0.2
"""The part of the side that a white or black rim takes which has none like it, at most."""

MIN_SCANNER_COVERAGE = 0.8
"""The part of the side along which it is seen: it has no other rims at its ends."""

SCANNER_WHITE = 238.0
SCANNER_BLACK = 16.0
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
    if min(height, width) < MIN_IMAGE_SIDE:
        return Rim((height, width))
    factor = -(-max(height, width) // MAX_LOOKED_AT)
    if min(height, width) // factor < MIN_LOOKED_AT:
        return Rim((height, width))
    small = F.avg_pool2d(image[None], factor)[0] if factor > 1 else image
    pixels = (small.detach().float().clamp(0, 1) * 255).permute(1, 2, 0).cpu().numpy()
    cuts = _find_cuts(np.ascontiguousarray(pixels))
    lengths = (height, height, width, width)
    # A row of the reduced image is cut as a whole, and one more where the factor leaves a rest.
    whole = [
        cut * factor + 1 + round(RIM_MARGIN * length) if cut else 0
        for cut, length in zip(cuts, lengths, strict=True)
    ]
    return Rim((height, width), *whole)


def _find_cuts(pixels: Pixels) -> list[int]:
    """Find what to cut off an image (H, W, 3) at its top, bottom, left and right, in pixels."""
    cuts = [0, 0, 0, 0]
    height, width = pixels.shape[:2]
    lengths = (height, height, width, width)
    most = [int(MAX_CUT * n) - 1 - round(RIM_MARGIN * n) for n in lengths]
    earlier: list[list[_RimBorder]] = [[], [], [], []]
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


@dataclass(frozen=True)
class _RimBorder:
    """A line with what is asked about it.

    Args:
        depth: rows from the edge to where the line is farthest from it.
        colour: (3,), of the rim.
        coverage: the part of the side that was looked at.
    """

    line: BorderLine
    depth: int
    colour: Pixels
    coverage: float


class _Candidates(NamedTuple):
    """The first border of a side that may be that of a rim, and the first that clearly is one."""

    possible: _RimBorder | None
    clear: _RimBorder | None


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
    found: Sequence[_Candidates], earlier: Sequence[Sequence[_RimBorder]], index: int, length: int
) -> _RimBorder | None:
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
        if _is_lone_rim(clear, length, is_outermost=is_outermost) or _has_mates(
            clear, mates, 1, length
        ):
            return clear
    if possible is not None:
        mates = [*known, *(one for i in others if (one := found[i].possible))]
        opposite = found[index ^ 1].possible
        if _has_mates(possible, mates, 2, length) or _is_pair(possible, opposite, length):
            return possible
    return None


def _is_lone_rim(border: _RimBorder, length: int, *, is_outermost: bool) -> bool:
    """Tell whether a clear border is one with none like it at another side."""
    if border.depth <= MAX_LONE_DEPTH * length:
        return True
    is_scanner = bool(border.colour.min() >= SCANNER_WHITE or border.colour.max() <= SCANNER_BLACK)
    is_whole = border.coverage >= MIN_SCANNER_COVERAGE
    is_shallow = border.depth <= MAX_SCANNER_DEPTH * length
    return is_scanner and is_whole and is_shallow and is_outermost


def _has_mates(border: _RimBorder, others: Sequence[_RimBorder], count: int, length: int) -> bool:
    """Tell whether as many other sides have a rim like it."""
    tolerance = (
        SAME_COLOUR
        if border.line.outside <= MAX_NEARLY_EVEN_VARIATION and count > 1
        else SIMILAR_COLOUR
    )
    mates = [one for one in others if _colour_distance(one, border) <= tolerance]
    if len(mates) < count:
        return False
    usual = float(np.median([one.depth for one in mates]))
    is_same = max(_colour_distance(one, border) for one in mates) <= SAME_COLOUR / 2
    if (
        is_same
        and len(mates) > 1
        and border.line.outside <= MAX_EVEN_VARIATION
        and border.line.share >= 0.95
    ):
        return True
    is_deeper = border.depth > max(MAX_FREE_DEPTH * length, MAX_DEPTH_RATIO * usual)
    return not is_deeper and max(one.line.share for one in (border, *mates)) >= 0.8


def _is_pair(border: _RimBorder, opposite: _RimBorder | None, length: int) -> bool:
    """Tell whether two shallow borders at opposite sides are those of a frame."""
    if opposite is None or max(border.depth, opposite.depth) > MAX_PAIR_DEPTH * length:
        return False
    is_full = min(border.line.share, opposite.line.share) >= 0.95
    is_like = abs(border.depth - opposite.depth) <= max(3, THIN * length)
    return is_full and is_like and _colour_distance(border, opposite) <= SIMILAR_COLOUR


def _colour_distance(one: _RimBorder, other: _RimBorder) -> float:
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
    segments = average_segments(side)  # (rows, segments, 3)
    count = segments.shape[1]
    first = int(np.ceil(span[0] * count))
    stop = int(np.floor(span[1] * count))
    if stop - first < MIN_LOOKED_AT_SEGMENTS or limit < 2:
        return nothing
    segments = segments[:, first:stop]
    places = ((np.arange(count) + 0.5) / count - 0.5)[first:stop]
    middle = measure_variation(segments[height // 4 : height - height // 4])
    inside = float(np.sqrt(np.square(middle).mean()))
    if measure_variation(segments[:3]).min() > max(MAX_NEARLY_EVEN_VARIATION, 0.5 * inside):
        # The edge itself is as lively as the painting: most sides end here.
        return nothing
    lines = list_lines(segments, places, side.shape[1], limit, inside)
    clear = [line for line in lines if is_clear(line, inside, height)]
    coverage = (stop - first) / count
    return _Candidates(
        _look_at_border(choose_line(lines, height), segments, places, coverage),
        _look_at_border(choose_line(clear, height), segments, places, coverage),
    )


def _look_at_border(
    line: BorderLine | None, segments: Pixels, places: NDArray[np.float64], coverage: float
) -> _RimBorder | None:
    """Find out how deep a line goes, and what colour lies outside of it."""
    if line is None:
        return None
    depths = line.depth + np.round(line.drift * places).astype(int)
    strips = [
        segments[: max(1, depth - 1), i].mean(0) for i, depth in enumerate(depths) if depth > 0
    ]
    colour = np.median(strips, axis=0).astype(np.float32)
    return _RimBorder(line, int(depths.max()), colour, coverage)


def _measure_thin_edge(side: Pixels) -> int:
    """Measure a line or a shadow at the edge, in rows, 0 where there is none: nearly all of the
    side becomes brighter there, or darker, whatever is painted.
    """
    height = len(side)
    most = min(MAX_THIN, max(2, round(THIN * height)))
    brightness = average_segments(side[: max(8 * most, 40)]).mean(-1)  # (rows, segments)
    shares = []
    for row in range(1, len(brightness) - 2):
        change = brightness[row : row + 2].mean(0) - brightness[max(0, row - 2) : row].mean(0)
        shares.append(max((change >= THIN_STEP).mean(), (change <= -THIN_STEP).mean()))
    if max(shares[2 * most :]) >= 0.8:
        # The painting itself has such lines.
        return 0
    return max((row for row in range(1, most + 1) if shares[row - 1] >= 0.93), default=0)
