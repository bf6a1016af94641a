"""Letterbox and pillarbox bars: the flat blocks at the edges of a film that are no part of its
picture.

Four things together tell a bar from a dark sky or a white wall: its rows are one flat colour over
the whole width, this colour is the same in all frames, the picture begins at one row in most
columns and with a step, and there is a bar like it on the other side. A bar without the last must
show the others more clearly. Rows stand for columns as well: the left and right bars are the top
and bottom ones of the transposed frame.

Measured with bars of 3 to 25 % of the side, in five colours, around seven clips at crf 23 to 30,
some with words in the bar or scaled to a boundary between two pixels: 97 % of 231 films are right
within a pixel. In the others white bars lie next to a white table, or words fill the bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

TOLERANCE = 6
"""How far a pixel of a bar may be from the bar's colour, in units of 1/255: a codec's noise."""

STEP = 16
"""How much farther from it the picture must be at its border, in the same units. A sky that fades
to black row by row leaves the tolerance by one or two of them."""

STEP_ROWS = 3
"""The step is made within as many rows."""

MIN_FLAT_SHARE = 0.5
"""The part of a bar's row that is within twice the tolerance in every frame, that of the worst
codec noise among them: the longest line of a subtitle covers a third of it."""

CLEAN_SHARE = 0.95
"""The part of a bar's row that is flat in a frame without a subtitle."""

CLEAN_FRAMES = 0.25
"""The part of the frames that are without one: films are full of words."""

MIN_OUTER_SHARE = 0.9
"""The part of the outermost rows that is flat in every frame: no letters stand there."""

FLAT_FRAME_SHARE = 0.97
"""A frame says nothing where as large a part of it is within twice the tolerance of one colour."""

MIN_STEP_SHARE = 0.5
"""The part of the columns that step from the bar to the picture, in one frame or another. The rest
may be as dark as the bar in all of them."""

MIN_EQUAL_STEP_SHARE = 0.25
"""The same where the opposite bar is as large to `EQUAL_SIZE_TOLERANCE` and has the more of them:
`MIN_STEP_SHARE` then holds for both on average. The dark stand of a football ground has 0.35."""

EQUAL_SIZE_TOLERANCE = 2
"""In pixels. That two borders lie at the same distance by chance is unlikely."""

MIN_LONE_STEP_SHARE = 0.8
"""The same of a bar that has none like it opposite. Unless it is black, its columns must change
there from frame to frame as well: the edge of a table or of a drawn floor does not."""

BLACK = 24
"""The brightest channel of black, in units of 1/255: TV-range black that is shown as full range has
16."""

MIN_SIZE = 0.015
"""A part of the side: less is the unclean edge of a scan, and not worth a special way."""

SIZE_TOLERANCE = 0.02
"""A part of the side, by which opposite bars may differ."""

MIN_INSIDE = 0.3
"""A part of the frame's area: a picture that is smaller is no film with bars."""

RINGING_ROWS = 8
"""A codec's transform of 8x8 pixels carries the picture as far into the bar."""

MAX_EDGE_ROWS = 2
"""As many rows at most are a mixture of bar and picture: where a scaled boundary lies between two
rows, and where 4:2:0 shares colour among two rows."""

MAX_EDGE_RATIO = 0.8
"""A row at the boundary is a mixture where its distance from the bar's colour is less than this
part of the next one's."""

MAX_ODD_FRAMES = 0.01
"""A part of the frames, damaged ones or a full-frame title, whose edges may look otherwise."""


@dataclass(frozen=True)
class Bars:
    """The number of rows or columns, in pixels, that are bars on each side of a frame."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def is_empty(self) -> bool:
        """True where no side has a bar."""
        return not (self.top or self.bottom or self.left or self.right)

    def describe(self) -> str:
        """Name the sides that have a bar, each with its size: "12 above, 12 below"."""
        sizes = {"above": self.top, "below": self.bottom, "left": self.left, "right": self.right}
        return ", ".join(f"{size} {side}" for side, size in sizes.items() if size)

    def inner_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) that a frame of `size` has inside its bars."""
        width, height = size
        return width - self.left - self.right, height - self.top - self.bottom

    def crop(self, image: Tensor) -> Tensor:
        """Return the inside of `image` (..., H, W), as a view."""
        width, height = self.inner_size((image.shape[-1], image.shape[-2]))
        rows = image.narrow(-2, self.top, height)
        return rows.narrow(-1, self.left, width)

    def paste(self, inside: Tensor, frame: Tensor) -> Tensor:
        """Return a copy of `frame` (..., H, W) with `inside` in the place of its inside; its bars
        are those of `frame`, bit for bit.
        """
        pasted = frame.clone()
        self.crop(pasted).copy_(inside)
        return pasted


class BarPrecheck:
    """Tells from thumbnails whether a film may have bars, so that full frames are decoded only
    where it may.

    A side may have a bar where the outermost line of pixels is flat in all frames and has the same
    colour in all. A wall may be so too: `find_bars` decides. Frames that are flat as a whole, as
    the black ones of a fade, say nothing.
    """

    def __init__(self) -> None:
        self.frame_count = 0
        """Of those that say something."""
        self.edges = [_EdgeVote() for _ in range(4)]

    def add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Take the next frame, (h, w, 3) uint8 RGB of any one size."""
        if _is_flat(thumbnail):
            return
        self.frame_count += 1
        lines = thumbnail[0], thumbnail[-1], thumbnail[:, 0], thumbnail[:, -1]
        for edge, line in zip(self.edges, lines, strict=True):
            edge.add(line)

    @property
    def may_have_bars(self) -> bool:
        """True where at least one side looks like a bar in nearly all frames so far."""
        limit = MAX_ODD_FRAMES * self.frame_count
        return self.frame_count > 0 and any(edge.odd_frames <= limit for edge in self.edges)


class _EdgeVote:
    """The colour that most frames have along one edge, by the majority vote of Boyer and Moore
    (1991), and about how many have another: a film may begin with a title of its own.
    """

    def __init__(self) -> None:
        self.colour: NDArray[np.uint8] | None = None
        self.votes = 0
        self.frames = 0
        self.odd_frames = 0

    def add(self, line: NDArray[np.uint8]) -> None:
        """Take the edge (n, 3) of the next frame."""
        if self.votes == 0:
            colour = np.median(line, axis=0).astype(np.uint8)
            if _is_one_colour(line, colour):
                self.colour = colour
                self.odd_frames = self.frames
        agrees = self.colour is not None and _is_one_colour(line, self.colour)
        self.frames += 1
        self.odd_frames += not agrees
        self.votes = max(0, self.votes + (1 if agrees else -1))


def _is_one_colour(line: NDArray[np.uint8], colour: NDArray[np.uint8]) -> bool:
    """Tell whether the pixels (n, 3) of an edge have this colour, letters and noise apart."""
    # Twice the tolerance: the colour comes from one frame, and may itself be off by one.
    return bool((_distance(line, colour) <= 2 * TOLERANCE).mean() >= MIN_OUTER_SHARE)


def find_bars(frames: Iterable[Tensor]) -> Bars:
    """Find the bars of a film from some frames, each (3, H, W), that are spread evenly over it.

    8 to 24 of them will do. They are kept all together, one byte per value. None is asked for any
    more when those so far leave no side that may have a bar.
    """
    images = []
    without_bar = np.zeros(4, bool)
    for frame in frames:
        image = (frame.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        if _is_flat(image):
            continue
        images.append(image)
        without_bar |= _find_lively_edges(image)
        if without_bar.all():
            return Bars()
    if not images:
        return Bars()
    stack = np.stack(images)  # (n, H, W, 3)
    height, width = stack.shape[1:3]
    flipped = stack[:, ::-1], stack.swapaxes(1, 2), stack[:, :, ::-1].swapaxes(1, 2)
    sides = [_measure_side(side) for side in (stack, *flipped)]
    # Each axis is judged inside the flat lines of the other one: a pillarbox leaves half of each
    # row flat.
    rows = _inside(sides[0].flat_rows, sides[1].flat_rows, height)
    columns = _inside(sides[2].flat_rows, sides[3].flat_rows, width)
    top, bottom = _judge_pair(
        sides[:2], [_find_border(side, columns) for side in sides[:2]], height
    )
    left, right = _judge_pair(sides[2:], [_find_border(side, rows) for side in sides[2:]], width)
    bars = Bars(top, bottom, left, right)
    inner_width, inner_height = bars.inner_size((width, height))
    return bars if inner_width * inner_height >= MIN_INSIDE * width * height else Bars()


def _find_lively_edges(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell of each edge of a frame (H, W, 3), top, bottom, left and right, whether no bar can lie
    there: too few of its pixels are near any one colour, and so near their median.
    """
    lines = (image[0], image[-1], image[:, 0], image[:, -1])
    medians = [np.median(line, axis=0).astype(np.uint8) for line in lines]
    near = [
        (_distance(line, median) <= 4 * TOLERANCE + 1).mean()
        for line, median in zip(lines, medians, strict=True)
    ]
    return np.array(near) < MIN_OUTER_SHARE


def _is_flat(image: NDArray[np.uint8]) -> bool:
    """Tell whether the frame (H, W, 3) is flat as a whole: it would make one bar of everything."""
    few = image[::4, ::4]
    colour = np.median(few, axis=(0, 1)).astype(np.uint8)
    return bool((_distance(few, colour) <= 2 * TOLERANCE).mean() >= FLAT_FRAME_SHARE)


def _distance(pixels: NDArray[np.uint8], colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the greatest distance of the channels from `colour` (3,), in units of 1/255."""
    distance: NDArray[np.uint8] = np.maximum(pixels[..., 0], colour[0])
    distance -= np.minimum(pixels[..., 0], colour[0])
    for channel in (1, 2):
        other = np.maximum(pixels[..., channel], colour[channel])
        other -= np.minimum(pixels[..., channel], colour[channel])
        np.maximum(distance, other, out=distance)
    return distance


@dataclass(frozen=True)
class _Side:
    """The half of all frames that lies at one side, its outermost row first.

    Args:
        frames: (n, rows, W, 3).
        colour: (3,) uint8, of the outermost rows.
        distance: (n, rows, W), of each pixel from that colour, in units of 1/255.
        flat_rows: the number of rows, from the first, that have this colour.
    """

    frames: NDArray[np.uint8]
    colour: NDArray[np.uint8]
    distance: NDArray[np.uint8]
    flat_rows: int


def _measure_side(frames: NDArray[np.uint8]) -> _Side:
    """Count the flat rows at the top of the frames (n, H, W, 3)."""
    outer = max(2, round(MIN_SIZE * frames.shape[1]))
    half = frames[:, : frames.shape[1] // 2]
    colour = np.median(half[:, :outer], axis=(0, 1, 2)).astype(np.uint8)
    distance = _distance(half, colour)
    clean = (distance <= TOLERANCE).mean(-1)  # (n, rows)
    always = (distance <= 2 * TOLERANCE).mean(-1).min(0)  # (rows,)
    flat = np.quantile(clean, 1 - CLEAN_FRAMES, axis=0, method="higher") >= CLEAN_SHARE
    flat &= always >= MIN_FLAT_SHARE
    flat[:outer] &= always[:outer] >= MIN_OUTER_SHARE
    return _Side(half, colour, distance, len(flat) if flat.all() else int(flat.argmin()))


def _inside(first: int, last: int, length: int) -> slice:
    """Return what two flat blocks leave of a side; all of it where that is less than a third."""
    return slice(first, length - last) if 3 * (first + last) <= 2 * length else slice(0, length)


@dataclass(frozen=True)
class _Border:
    """The place where the picture begins.

    Args:
        size: of the bar in rows, those included that are half bar and half picture.
        colour: (3,) uint8, of the bar.
        step_share: the part of the columns that step there from the bar to the picture.
        lively_share: the part of the columns that also change there from frame to frame.
    """

    size: int
    colour: NDArray[np.uint8]
    step_share: float
    lively_share: float


def _find_border(side: _Side, columns: slice) -> _Border | None:
    """Find where the flat rows of a side end and, in `columns`, the picture begins; None where
    there are too few flat rows, or nothing but them.
    """
    flat = side.flat_rows
    rows = side.distance.shape[1]
    if not 2 <= flat < rows - RINGING_ROWS - MAX_EDGE_ROWS - STEP_ROWS:
        return None
    energy = side.distance[:, :, columns].mean((0, 2))  # (rows,)
    # A codec lets the picture ring into the bar. It steps where the energy grows most.
    nearby = energy[flat - 1 : flat + RINGING_ROWS + 1]
    first = flat + int(np.diff(nearby).argmax())
    size = first
    while size < first + MAX_EDGE_ROWS and energy[size] < MAX_EDGE_RATIO * energy[size + 1]:
        size += 1
    inside = side.distance[:, size : size + STEP_ROWS, columns].astype(np.int16)
    outside = side.distance[:, first - 1, columns].astype(np.int16)
    steps = (inside - outside[:, None]).max((0, 1)) >= STEP  # (columns,)
    begin = side.frames[:, size : size + STEP_ROWS, columns]
    span = (begin.max(0) - begin.min(0)).max((0, -1))
    return _Border(size, side.colour, float(steps.mean()), float((steps & (span >= STEP)).mean()))


def _judge_pair(
    sides: Sequence[_Side], borders: Sequence[_Border | None], length: int
) -> tuple[int, int]:
    """Return the sizes of the bars at two opposite sides, 0 where there is none."""
    smallest = max(3, MIN_SIZE * length)
    one, other = (border if border and border.size >= smallest else None for border in borders)
    if one and other and _match(sides) and _support_each_other(one, other, length):
        # Better a row of the picture too few than one of the bar too many.
        larger = max(one.size, other.size)
        near = abs(one.size - other.size) <= 1
        return (larger, larger) if near else (one.size, other.size)
    sizes = [border.size if border and _stands_alone(border) else 0 for border in (one, other)]
    if _match(sides):
        # As dark as the bar for all of the film is the picture at the other one's border.
        if sizes[0] and not sizes[1] and sides[1].flat_rows >= sizes[0]:
            sizes[1] = sizes[0]
        elif sizes[1] and not sizes[0] and sides[0].flat_rows >= sizes[1]:
            sizes[0] = sizes[1]
    return sizes[0], sizes[1]


def _match(sides: Sequence[_Side]) -> bool:
    """Tell whether the edges at two opposite sides have one colour."""
    first, second = (side.colour.astype(np.int16) for side in sides)
    return bool(np.abs(first - second).max() <= 2 * TOLERANCE)


def _support_each_other(one: _Border, other: _Border, length: int) -> bool:
    """Tell whether the borders of two opposite sides are those of a pair of bars."""
    difference = abs(one.size - other.size)
    least, most = sorted((one.step_share, other.step_share))
    if difference <= EQUAL_SIZE_TOLERANCE and least >= MIN_EQUAL_STEP_SHARE:
        return least + most >= 2 * MIN_STEP_SHARE
    return difference <= max(4, SIZE_TOLERANCE * length) and least >= MIN_STEP_SHARE


def _stands_alone(border: _Border) -> bool:
    """Tell whether a bar with none like it opposite is one all the same."""
    share = border.step_share if border.colour.max() <= BLACK else border.lively_share
    return share >= MIN_LONE_STEP_SHARE
