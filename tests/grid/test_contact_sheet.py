"""A contact sheet shows every picture whole, in its place, below its words."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor

from vidstyle.grid.contact_sheet import (
    GAP_PIXELS,
    MARGIN_PIXELS,
    Originals,
    SheetLabels,
    draw_sheet,
    fit_into,
    stack_pictures,
)

LONG = "style_layers " + ",".join(["relu1_1=0.25"] * 12)


def paint(seed: int, height: int = 60, width: int = 80) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed)) / 2


def find(picture: Tensor, sheet: Tensor) -> tuple[int, int]:
    """(top, left) of the one place where the picture is."""
    height, width = picture.shape[1:]
    starts = (sheet[:, : sheet.shape[1] - height + 1, : sheet.shape[2] - width + 1]).permute(
        1, 2, 0
    )
    for top, left in (starts == picture[:, 0, 0]).all(2).nonzero().tolist():
        if torch.equal(sheet[:, top : top + height, left : left + width], picture):
            return top, left
    raise AssertionError("it is not there")


@pytest.mark.parametrize("label", ["a", "caf\u00e9", LONG])
@pytest.mark.parametrize("row_count", [1, 3])
@pytest.mark.parametrize("size", [(60, 80), (24, 32), (80, 30)])
def test_every_cell_is_whole_and_nothing_covers_another(
    label: str, row_count: int, size: tuple[int, int]
) -> None:
    cells = [[paint(10 * i + j, *size) for j in range(2)] for i in range(row_count)]
    rows = [f"{label} {i}" for i in range(row_count)] if row_count > 1 else []
    sources = [paint(90), paint(91, 30, 90)]
    originals = Originals([], [], [sources, *([] for _ in range(row_count - 1))])
    sheet = draw_sheet(cells, SheetLabels([label, "b"], rows), originals)
    places = {(i, j): find(cells[i][j], sheet) for i in range(row_count) for j in range(2)}
    height, width = size
    for (i, j), (top, left) in places.items():
        assert top + height + MARGIN_PIXELS <= sheet.shape[1]
        assert left + width + MARGIN_PIXELS <= sheet.shape[2]
        assert left == places[0, j][1]
        assert top == places[i, 0][0]
        above = sheet[:, top - 1, left : left + width]
        assert (above > 0.2).all(), "words end above the cell"
    for one, other in combinations(places.values(), 2):
        apart = max(abs(one[0] - other[0]) - height, abs(one[1] - other[1]) - width)
        assert apart >= GAP_PIXELS
    assert (sheet[:, :, :MARGIN_PIXELS] == 1).all()
    assert (sheet[:, :MARGIN_PIXELS] == 1).all()


def test_originals_stand_at_their_columns() -> None:
    cells = [[paint(0), paint(1)]]
    originals = Originals([paint(2)], [paint(3, 20, 10), paint(4, 10, 40)], [[]])
    sheet = draw_sheet(cells, SheetLabels(["a", "b"], []), originals)
    box = (80, 26)
    for cell, original in zip(cells[0], originals.above, strict=True):
        _, left = find(cell, sheet)
        shown = fit_into(original, box)
        top, at = find(shown, sheet)
        assert top + shown.shape[1] == MARGIN_PIXELS + 26
        assert at == left + (80 - shown.shape[2]) // 2


def test_pictures_fit_their_box() -> None:
    assert fit_into(paint(0, 10, 40), (20, 20)).shape == (3, 5, 20)
    assert fit_into(paint(0, 40, 10), (20, 20)).shape == (3, 20, 5)
    stack = stack_pictures([paint(i) for i in range(7)], (20, 30))
    assert stack.shape == (3, 30, 20)
    assert (stack_pictures([], (4, 5)) == 1).all()
