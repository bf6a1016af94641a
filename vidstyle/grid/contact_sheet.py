"""A labelled contact sheet: pictures of one size in columns and rows, and beside them what they
were made from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FORMAT = 1
"""Raised by hand whenever the same pictures give another sheet."""

GAP, MARGIN = 8, 16
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK = 0.25
"""Grey of the letters."""
FINE = 4
"""Letters are drawn so many times as large, then reduced: OpenCV's own are ragged when small."""
LINES = 4
"""Of a label, at most."""


@dataclass(frozen=True)
class Beside:
    """The pictures that the cells were made from, each (3, H, W) of any size.

    Args:
        corner: above the first column and left of the first row.
        above: one for each column, or none.
        left: for each row those that are stacked beside it.
    """

    corner: Sequence[Tensor]
    above: Sequence[Tensor]
    left: Sequence[Sequence[Tensor]]


def draw(
    cells: Sequence[Sequence[Tensor]], columns: Sequence[str], rows: Sequence[str], beside: Beside
) -> Tensor:
    """The sheet, (3, H, W), white where nothing is.

    Args:
        cells: row by row, (3, h, w) each, all of one size.
        columns: what stands above each column.
        rows: what stands above each row; empty where there is only one that needs no words.
    """
    height, width = cells[0][0].shape[1:]
    scale = min(2.0, max(0.36, width / 640))  # of the letters: 1 is 22 pixels
    line = round(36 * scale)
    half = (height - GAP) / 2  # two pictures are as tall as a cell
    small = max(1, round(width * half / height)), max(1, int(half))
    heads = [wrapped(text, width - GAP, scale) for text in columns]  # neighbours stay apart
    band = small[1] + GAP if beside.corner or beside.above else 0
    head = line * max(map(len, heads)) + (GAP if rows else 0)
    across = MARGIN + small[0] + 2 * GAP  # where the first column begins
    long = width * len(columns) + GAP * (len(columns) - 1)
    sides = [wrapped(text, long, scale) for text in rows]
    down = MARGIN + band + head
    tops = []
    for i in range(len(cells)):
        down += line * len(sides[i]) if sides else 0
        tops.append(down)
        down += height + (GAP if not sides else 2 * GAP)
    end = tops[-1] + height + MARGIN
    sheet = torch.ones(3, end, across + long + MARGIN)
    put(sheet, stacked(beside.corner, small), MARGIN, MARGIN)
    for j, words in enumerate(heads):
        x = across + j * (width + GAP)
        if beside.above:
            picture = fitted(beside.above[j], (width, small[1]))
            put(
                sheet,
                picture,
                MARGIN + small[1] - picture.shape[1],
                x + (width - picture.shape[2]) // 2,
            )
        put(sheet, lettering(words, width, scale, middle=True), MARGIN + band, x)
    for i, top in enumerate(tops):
        if sides:
            put(sheet, lettering(sides[i], long, scale), top - line * len(sides[i]), across)
        put(sheet, stacked(beside.left[i], (small[0], height)), top, MARGIN)
        for j, cell in enumerate(cells[i]):
            put(sheet, cell, top, across + j * (width + GAP))
    return sheet


def put(sheet: Tensor, picture: Tensor, top: int, left: int) -> None:
    sheet[:, top : top + picture.shape[1], left : left + picture.shape[2]] = picture


def fitted(picture: Tensor, box: tuple[int, int]) -> Tensor:
    """As large as it can be in a box (width, height)."""
    height, width = picture.shape[1:]
    scale = min(box[0] / width, box[1] / height)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return F.interpolate(picture[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def stacked(pictures: Sequence[Tensor], box: tuple[int, int]) -> Tensor:
    """One above the other in a box (width, height)."""
    column = torch.ones(3, box[1], box[0])
    top, each = 0, (box[1] - GAP * (len(pictures) - 1)) // max(1, len(pictures))
    for picture in pictures:
        small = fitted(picture, (box[0], max(1, each)))
        put(column, small[:, : box[1] - top], top, 0)
        top += small.shape[1] + GAP
    return column


def breadth(text: str, scale: float) -> float:
    """Pixels that a text takes."""
    return cv2.getTextSize(text, FONT, scale * FINE, weight(scale))[0][0] / FINE


def weight(scale: float) -> int:
    """How thick letters are drawn."""
    return round(5 * scale) + 1


def wrapped(text: str, width: int, scale: float) -> list[str]:
    """The text in lines of at most `width` pixels, broken after blanks and commas; what fits into
    no line, or not into `LINES`, is shortened.
    """
    lines = [""]
    for word in re.findall(r"[^ ,]*[ ,]*", text.encode("ascii", "replace").decode()):
        if lines[-1] and breadth((lines[-1] + word).rstrip(), scale) > width:
            lines.append("")
        lines[-1] += word
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], lines[LINES - 1].rstrip() + "..."]
    return [shortened(one.rstrip(), width, scale) for one in lines]


def shortened(text: str, width: int, scale: float) -> str:
    if breadth(text, scale) <= width:
        return text
    kept = text.removesuffix("...")
    while kept and breadth(f"{kept}...", scale) > width:
        kept = kept[:-1]
    return f"{kept}..." if kept else ""


def lettering(lines: Sequence[str], width: int, scale: float, *, middle: bool = False) -> Tensor:
    """Lines of text, dark on white, (3, h, width)."""
    line = round(36 * scale)
    canvas = np.zeros((line * len(lines) * FINE, width * FINE), np.uint8)
    for i, text in enumerate(lines):
        left = int((width - breadth(text, scale)) / 2) if middle else 0
        base = round((i + 0.66) * line)
        cv2.putText(
            canvas,
            text,
            (left * FINE, base * FINE),
            FONT,
            scale * FINE,
            255,
            weight(scale),
            cv2.LINE_AA,
        )
    fine = cv2.resize(canvas, (width, line * len(lines)), interpolation=cv2.INTER_AREA)
    ink = torch.from_numpy(fine.astype(np.float32) / 255)  # (h, width)
    return (1 - (1 - INK) * ink).expand(3, -1, -1)
