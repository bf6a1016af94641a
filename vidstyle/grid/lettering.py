"""Text as pictures: in a font that has its letters, in lines that fit a width.

Pillow's own font (Aileron) has the letters of ASCII. Text with others, as in a file's name, is
drawn with the first of `SYSTEM_FONTS` on this machine that has them all: in DejaVu, Liberation,
Noto, Arial or Segoe these are Latin with its accents, Greek and Cyrillic. A letter that no font has
loses its accent (caf\u00e9 -> cafe), or becomes a question mark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "segoeui.ttf",
    "Arial Unicode.ttf",
)
"""File names of sans-serif fonts that Linux, macOS and Windows bring, best first; Pillow knows the
folders that they are in.
"""

MISSING_LETTER = "\U0010ffff"
"""A character that no font has: it is drawn as every letter that a font does not have."""

INK_GREY = 0.25
"""The grey of the letters, in [0, 1]."""

MAX_LABEL_LINES = 4
"""A label gets at most this many lines."""

LINE_HEIGHT = 36
"""Pixels from one baseline to the next, at scale 1."""

FONT_PIXELS = 28
"""The size of the font at scale 1: capitals are 20 pixels high."""

BASELINE = 0.76
"""The place of the baseline in its line, from the top: capitals with accents have room above."""


@dataclass(frozen=True)
class Lettering:
    """The letters of all labels of one sheet.

    Args:
        font: of the size that belongs to `scale`.
        scale: of the letters; at 1 capitals are 20 pixels high.
    """

    font: ImageFont.FreeTypeFont
    scale: float

    @property
    def line_height(self) -> int:
        """Pixels from one baseline to the next."""
        return round(LINE_HEIGHT * self.scale)

    @cached_property
    def missing_shape(self) -> tuple[tuple[int, int], bytes]:
        """The shape that stands for a letter that the font does not have."""
        return self.draw_shape(MISSING_LETTER)

    def draw_shape(self, letter: str) -> tuple[tuple[int, int], bytes]:
        """Draw a letter: its size and its pixels."""
        mask = self.font.getmask(letter)
        return mask.size, bytes(mask)

    def has_letter(self, letter: str) -> bool:
        """Tell whether the font can draw this letter."""
        return letter.isspace() or self.draw_shape(letter) != self.missing_shape

    def measure_width(self, text: str) -> float:
        """Return the pixels that a text takes from left to right."""
        return self.font.getlength(text) if text else 0.0

    def replace_missing(self, text: str) -> str:
        """Replace the letters that the font does not have: without their accents, else by `?`."""
        text = unicodedata.normalize("NFC", text)
        return "".join(self.replace_letter(letter) for letter in text)

    def replace_letter(self, letter: str) -> str:
        """Return the letter, or what is drawn in its place."""
        if self.has_letter(letter):
            return letter
        plain = unicodedata.normalize("NFKD", letter)
        kept = "".join(c for c in plain if not unicodedata.combining(c) and self.has_letter(c))
        return kept or "?"

    def wrap(self, text: str, width: int) -> list[str]:
        """Break a text into lines of at most `width` pixels, after blanks and commas; what fits
        into no line, or not into `MAX_LABEL_LINES`, is shortened.
        """
        lines = [""]
        for word in re.findall(r"[^ ,]*[ ,]*", self.replace_missing(text)):
            if lines[-1] and self.measure_width((lines[-1] + word).rstrip()) > width:
                lines.append("")
            lines[-1] += word
        if len(lines) > MAX_LABEL_LINES:
            last = lines[MAX_LABEL_LINES - 1].rstrip() + "..."
            lines = [*lines[: MAX_LABEL_LINES - 1], last]
        return [self.shorten(line.rstrip(), width) for line in lines]

    def shorten(self, text: str, width: int) -> str:
        """Cut a text to `width` pixels, with dots where something is missing; empty where not even
        these fit.
        """
        if self.measure_width(text) <= width:
            return text
        kept = text.removesuffix("...")
        while kept and self.measure_width(f"{kept}...") > width:
            kept = kept[:-1]
        return f"{kept}..." if kept else ""

    def draw_lines(self, lines: Sequence[str], width: int, *, centred: bool = False) -> Tensor:
        """Draw lines of text, dark on white: (3, line height * number of lines, width)."""
        canvas = Image.new("L", (width, self.line_height * len(lines)))
        draw = ImageDraw.Draw(canvas)
        for i, text in enumerate(lines):
            left = (width - self.measure_width(text)) / 2 if centred else 0
            baseline = round((i + BASELINE) * self.line_height)
            draw.text((int(left), baseline), text, fill=255, font=self.font, anchor="ls")
        ink = torch.from_numpy(np.array(canvas, np.float32) / 255)  # (h, width)
        return (1 - (1 - INK_GREY) * ink).expand(3, -1, -1)


def find_fonts(pixels: int) -> Iterator[ImageFont.FreeTypeFont]:
    """Yield the fonts of this machine at a size in pixels, Pillow's own first."""
    yield load_own_font(pixels)
    for name in (*SYSTEM_FONTS, *find_matplotlib_fonts()):
        try:
            yield ImageFont.truetype(name, pixels)
        except OSError:
            # It is not installed.
            continue


def load_own_font(pixels: int) -> ImageFont.FreeTypeFont:
    """Load the font that Pillow brings."""
    font = ImageFont.load_default(pixels)
    assert isinstance(font, ImageFont.FreeTypeFont)  # with a size it is scalable
    return font


def find_matplotlib_fonts() -> list[str]:
    """List the DejaVu font that matplotlib brings, where matplotlib is installed."""
    try:
        import matplotlib
    except ImportError:
        return []
    return [str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")]


def choose_lettering(
    texts: Iterable[str],
    scale: float,
    find: Callable[[int], Iterable[ImageFont.FreeTypeFont]] = find_fonts,
) -> Lettering:
    """Choose the first font that has every letter of the texts; where none has, the one that lacks
    fewest.

    Args:
        scale: of the letters; at 1 capitals are 20 pixels high.
        find: yields the fonts of a size in pixels, at least one.
    """
    letters = sorted(set(unicodedata.normalize("NFC", "".join(texts))))
    best: Lettering | None = None
    fewest = len(letters) + 1
    for font in find(max(1, round(FONT_PIXELS * scale))):
        lettering = Lettering(font, scale)
        lacking = sum(not lettering.has_letter(letter) for letter in letters)
        if lacking < fewest:
            best = lettering
            fewest = lacking
        if not lacking:
            break
    assert best is not None  # Pillow's own font is always there
    return best
