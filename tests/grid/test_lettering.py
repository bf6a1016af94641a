"""Labels are drawn with their own letters, and never wider than they may be."""

from __future__ import annotations

import unicodedata

import pytest
import torch
from PIL import ImageFont

from vidstyle.grid import lettering
from vidstyle.grid.lettering import Lettering, choose_lettering, load_own_font


def only_own(pixels: int) -> list[ImageFont.FreeTypeFont]:
    """The fonts of a machine that has none."""
    return [load_own_font(pixels)]


@pytest.mark.parametrize("width", [16, 48, 192, 320, 1000])
@pytest.mark.parametrize(
    "text",
    ["a", "content_weight 0.001", "style_layers " + ",".join(["relu1_1=0.25"] * 12), "\u0436" * 99],
)
def test_no_label_runs_over_its_neighbour(width: int, text: str) -> None:
    for scale in (0.36, 0.5, 2.0):
        letters = choose_lettering([text], scale)
        lines = letters.wrap(text, width)
        assert 1 <= len(lines) <= lettering.MAX_LABEL_LINES
        assert all(letters.measure_width(line) <= width for line in lines)
        assert letters.draw_lines(lines, width).shape[2] == width


@pytest.mark.parametrize(
    "text",
    [
        "caf\u00e9",
        "M\u00fcnchen, Stra\u00dfe",
        "\u0416\u0443\u043a",
        "\u039b\u03ac",
        "\u0141\u00f3d\u017a",
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_letter_is_drawn_as_itself(text: str, form: str) -> None:
    pytest.importorskip("matplotlib", reason="its font has these letters on every machine")
    written = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    letters = choose_lettering([written], 0.5)
    assert letters.wrap(written, 1000) == [text]
    assert all(letters.has_letter(letter) for letter in text)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("caf\u00e9", "cafe"),
        ("cafe\u0301", "cafe"),
        ("\u0416", "?"),
        ("content_weight 0.01", "content_weight 0.01"),
    ],
)
def test_without_a_font_that_has_them_letters_lose_their_accents(text: str, drawn: str) -> None:
    letters = choose_lettering([text], 0.5, only_own)
    assert letters.wrap(text, 1000) == [drawn]


def test_plain_letters_look_alike_on_every_machine() -> None:
    text = ["content_weight 0.01"]
    pictures = [
        choose_lettering(text, 0.5, find).draw_lines(text, 300)
        for find in (lettering.find_fonts, only_own)
    ]
    assert torch.equal(*pictures)


@pytest.mark.parametrize("scale", [0.36, 0.5, 1.0, 2.0])
def test_letters_stay_in_their_line_and_are_as_high_as_the_scale_says(scale: float) -> None:
    for text in ("Hxgq_|()", "\u00c9\u0179\u00c5\u0419gq", "\u0416\u0449"):
        letters = choose_lettering([text], scale)
        baseline = round(lettering.BASELINE * letters.line_height)
        _, top, _, bottom = letters.font.getbbox(text, anchor="ls")
        assert -baseline <= top
        assert bottom <= letters.line_height - baseline
        capital = (letters.draw_lines(["H"], 600)[0] < 0.9).any(1).sum()
        assert int(capital) == pytest.approx(20 * scale, abs=1 + scale)


def test_centred_lines_have_as_much_room_on_both_sides() -> None:
    letters: Lettering = choose_lettering([], 1.0)
    ink = (letters.draw_lines(["HHH", "H"], 401, centred=True)[0] < 0.9).nonzero()
    for line in (ink[ink[:, 0] < letters.line_height], ink[ink[:, 0] >= letters.line_height]):
        left = int(line[:, 1].min())
        right = 400 - int(line[:, 1].max())
        assert abs(left - right) <= 6
