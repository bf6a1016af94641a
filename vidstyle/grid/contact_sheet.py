"""A labelled contact sheet: pictures of one size in columns and rows, and next to them the pictures
that they were made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.grid.lettering import Lettering, choose_lettering

SHEET_FORMAT = 2
"""Raised by hand whenever the same pictures give another sheet."""

GAP_PIXELS = 8
"""The space between neighbours."""
MARGIN_PIXELS = 16
"""The space around everything."""


@dataclass(frozen=True)
class Originals:
    """The pictures that the cells were made from, each (3, H, W) of any size.

    Args:
        corner: above the first column and left of the first row.
        above: one for each column, or none.
        left: for each row those that are stacked next to it.
    """

    corner: Sequence[Tensor]
    above: Sequence[Tensor]
    left: Sequence[Sequence[Tensor]]


@dataclass(frozen=True)
class SheetLabels:
    """The words of a sheet.

    Args:
        columns: one text above each column.
        rows: one text above each row; empty where there is only one row, which needs no words.
    """

    columns: Sequence[str]
    rows: Sequence[str]


@dataclass(frozen=True)
class SheetLayout:
    """The places of everything on a sheet, in pixels.

    Args:
        cell: (width, height) of a cell.
        original: (width, height) of the box of one original.
        heads: the lines above each column.
        sides: the lines above each row.
        heads_top: the upper edge of the column's words.
        columns_left: the left edge of each column.
        rows_top: the upper edge of each row of cells.
        size: (width, height) of the sheet.
    """

    cell: tuple[int, int]
    original: tuple[int, int]
    heads: Sequence[Sequence[str]]
    sides: Sequence[Sequence[str]]
    heads_top: int
    columns_left: Sequence[int]
    rows_top: Sequence[int]
    size: tuple[int, int]


def draw_sheet(
    cells: Sequence[Sequence[Tensor]], labels: SheetLabels, originals: Originals
) -> Tensor:
    """Draw a sheet, (3, H, W) in [0, 1], white where nothing is.

    Args:
        cells: row by row, (3, h, w) each, all of one size.
    """
    height, width = cells[0][0].shape[1:]
    scale = min(2.0, max(0.36, width / 640))
    lettering = choose_lettering([*labels.columns, *labels.rows], scale)
    has_band = bool(originals.corner or originals.above)
    layout = plan_layout((width, height), len(cells), labels, lettering, has_band=has_band)
    sheet = torch.ones(3, layout.size[1], layout.size[0])
    draw_column_heads(sheet, layout, lettering, originals)
    row_width = layout.columns_left[-1] + width - layout.columns_left[0]
    for i, (row, top) in enumerate(zip(cells, layout.rows_top, strict=True)):
        if layout.sides:
            words = lettering.draw_lines(layout.sides[i], row_width)
            paste(sheet, words, top - words.shape[1], layout.columns_left[0])
        stack = stack_pictures(originals.left[i], (layout.original[0], height))
        paste(sheet, stack, top, MARGIN_PIXELS)
        for cell, left in zip(row, layout.columns_left, strict=True):
            paste(sheet, cell, top, left)
    return sheet


def plan_layout(
    cell: tuple[int, int],
    row_count: int,
    labels: SheetLabels,
    lettering: Lettering,
    *,
    has_band: bool,
) -> SheetLayout:
    """Find the place of everything.

    Args:
        cell: (width, height) of a cell.
        has_band: whether there are originals above the columns.
    """
    width, height = cell
    # Two originals above one another are as tall as a cell.
    half = (height - GAP_PIXELS) / 2
    original = (max(1, round(width * half / height)), max(1, int(half)))
    # Narrower than the column, so that neighbours stay apart.
    heads = [lettering.wrap(text, width - GAP_PIXELS) for text in labels.columns]
    column_count = len(labels.columns)
    row_width = width * column_count + GAP_PIXELS * (column_count - 1)
    sides = [lettering.wrap(text, row_width) for text in labels.rows]
    first_column = MARGIN_PIXELS + original[0] + 2 * GAP_PIXELS
    heads_top = MARGIN_PIXELS + (original[1] + GAP_PIXELS if has_band else 0)
    down = heads_top + lettering.line_height * max(map(len, heads))
    down += GAP_PIXELS if sides else 0
    rows_top = []
    for i in range(row_count):
        down += lettering.line_height * len(sides[i]) if sides else 0
        rows_top.append(down)
        down += height + (2 * GAP_PIXELS if sides else GAP_PIXELS)
    return SheetLayout(
        cell=cell,
        original=original,
        heads=heads,
        sides=sides,
        heads_top=heads_top,
        columns_left=[first_column + j * (width + GAP_PIXELS) for j in range(column_count)],
        rows_top=rows_top,
        size=(first_column + row_width + MARGIN_PIXELS, rows_top[-1] + height + MARGIN_PIXELS),
    )


def draw_column_heads(
    sheet: Tensor, layout: SheetLayout, lettering: Lettering, originals: Originals
) -> None:
    """Draw the originals above the columns, and the words below them."""
    width = layout.cell[0]
    corner = stack_pictures(originals.corner, layout.original)
    paste(sheet, corner, MARGIN_PIXELS, MARGIN_PIXELS)
    for j, left in enumerate(layout.columns_left):
        if originals.above:
            picture = fit_into(originals.above[j], (width, layout.original[1]))
            top = MARGIN_PIXELS + layout.original[1] - picture.shape[1]
            paste(sheet, picture, top, left + (width - picture.shape[2]) // 2)
        words = lettering.draw_lines(layout.heads[j], width, centred=True)
        paste(sheet, words, layout.heads_top, left)


def paste(sheet: Tensor, picture: Tensor, top: int, left: int) -> None:
    """Copy a picture into the sheet, in place."""
    sheet[:, top : top + picture.shape[1], left : left + picture.shape[2]] = picture


def fit_into(picture: Tensor, box: tuple[int, int]) -> Tensor:
    """Resize a picture (3, H, W) to be as large as it can be in a box (width, height)."""
    height, width = picture.shape[1:]
    scale = min(box[0] / width, box[1] / height)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(picture[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def stack_pictures(pictures: Sequence[Tensor], box: tuple[int, int]) -> Tensor:
    """Stack pictures above one another in a box (width, height), white where nothing is."""
    stack = torch.ones(3, box[1], box[0])
    each = (box[1] - GAP_PIXELS * (len(pictures) - 1)) // max(1, len(pictures))
    top = 0
    for picture in pictures:
        resized = fit_into(picture, (box[0], max(1, each)))
        paste(stack, resized[:, : box[1] - top], top, 0)
        top += resized.shape[1] + GAP_PIXELS
    return stack
