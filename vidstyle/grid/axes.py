"""The axes of a grid: `NAME=V1,V2,...` -> an axis of values, and from one or two of them the
settings of every cell.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from vidstyle.config import settings as configs
from vidstyle.config.facts import FRAME_AFFECTING, MOTION_AFFECTING
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import ConfigError

MOTION_SETTINGS = frozenset(configs.settings_that_affect(*MOTION_AFFECTING))
"""Settings that change nothing on a still."""

COMPOSITION_SETTINGS = frozenset(configs.settings_that_affect("composition"))
"""Settings of what is done with a painted frame afterwards, which a grid does not."""

FILM_SETTINGS = MOTION_SETTINGS | COMPOSITION_SETTINGS
"""A grid leaves these out of its cells, whatever a preset or a file says."""

REASONS_NOT_TO_VARY = {
    "size": "all cells of a grid are of one size",
    "start": "a grid is of one frame",
    "duration": "a grid is of one frame",
    "regions": "its value is two files, and one of --vary is one text",
}
"""The reason why a setting that changes pictures cannot be varied."""

EXAMPLE = "for example --vary content_weight=0.01,0.1"


@dataclass(frozen=True)
class Axis:
    """One setting and its values along the columns or rows, as they were written."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One picture of a grid.

    Args:
        config: its settings.
        place: {name of an axis: its value here, as it was written}.
    """

    config: RenderConfig
    place: dict[str, str]

    def __str__(self) -> str:
        return format_place(self.place)


def format_place(place: Mapping[str, str]) -> str:
    """Write the values that tell one cell from the others."""
    return ", ".join(f"{name} = {value}" for name, value in place.items())


def parse_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Read the axes from the texts of `--vary`, one or two. Raises ConfigError."""
    if not 1 <= len(texts) <= 2:
        count = "no" if not texts else str(len(texts))
        shorter = "leave the others out, and make another grid of them"
        raise ConfigError(
            f"{count} --vary given",
            "a grid has columns and, with a second --vary, rows",
            shorter if texts else f"add one, {EXAMPLE}",
        )
    axes = tuple(map(parse_axis, texts))
    if len({axis.name for axis in axes}) < len(axes):
        raise ConfigError(
            f"{axes[0].name} is varied twice",
            "columns and rows need a setting each",
            f"give all values in one --vary, {EXAMPLE}",
        )
    return axes


def parse_axis(text: str) -> Axis:
    """Read an axis from `NAME=V1,V2,...` or, where a value itself has commas, `NAME=V1;V2;...`.

    Raises ConfigError.
    """
    written, equals, rest = text.partition("=")
    name = written.strip().lstrip("-").replace("-", "_")
    check_can_vary(name, text)
    parts = rest.split(";" if ";" in rest else ",")
    values = tuple(filter(None, (part.strip() for part in parts)))
    if not equals or not values:
        raise ConfigError(
            f"cannot vary {name}", "no values are given", f"write them after a =, {EXAMPLE}"
        )
    return Axis(name, values)


def check_can_vary(name: str, text: str) -> None:
    """Raise ConfigError unless `name`, which was written in `text`, is a setting that changes a
    still picture.
    """
    fields = [n for n in configs.settings_that_affect(*FRAME_AFFECTING) if n != "input"]
    what = f"cannot vary {name or text!r}"
    if name not in RenderConfig.model_fields:
        near = difflib.get_close_matches(name, fields, n=1)
        why = f"there is no setting {name}" + (f", did you mean {near[0]}?" if near else "")
        raise ConfigError(what, why, f"name a setting of `vidstyle --help`, {EXAMPLE}")
    if name in COMPOSITION_SETTINGS:
        why = "it is for frames that are painted already, and a grid shows how they are painted"
        raise ConfigError(what, why, f"name another setting, {EXAMPLE}")
    if name not in fields:
        raise ConfigError(
            what, "it does not change the picture", f"name a setting that does, {EXAMPLE}"
        )
    if name in MOTION_SETTINGS or name in REASONS_NOT_TO_VARY:
        still = "it changes nothing on a still, and a grid is of one frame"
        why = REASONS_NOT_TO_VARY.get(name, still)
        raise ConfigError(what, why, f"name another setting, {EXAMPLE}")


def make_cells(settings: Mapping[str, Any], axes: Sequence[Axis]) -> list[Cell]:
    """Make every cell, row by row: the first axis varies over the columns.

    Args:
        settings: what all cells have in common, as for `config.build`.

    Raises ConfigError where the settings of one cell contradict each other, or two cells would be
    the same.
    """
    common = {name: value for name, value in settings.items() if name not in FILM_SETTINGS}
    cells = []
    for values in product(*(axis.values for axis in reversed(axes))):
        # The last axis of the product, the columns, varies fastest.
        place = {axis.name: value for axis, value in zip(axes, reversed(values), strict=True)}
        try:
            cells.append(Cell(configs.build(common, place), place))
        except ConfigError as e:
            raise ConfigError(
                f"the cell {format_place(place)} cannot be",
                e.why,
                "change that value, or leave it out",
            ) from e
    for axis in axes:
        refuse_equal_values(axis, cells)
    return cells


def refuse_equal_values(axis: Axis, cells: Sequence[Cell]) -> None:
    """Raise ConfigError where two values of an axis mean the same: 0.1 and 1e-1."""
    first_text: dict[Any, str] = {}
    for cell in cells:
        text = cell.place[axis.name]
        first = first_text.setdefault(getattr(cell.config, axis.name), text)
        if first != text or axis.values.count(text) > 1:
            same = "" if first == text else f": {text} is the same"
            raise ConfigError(
                f"{axis.name} has a value twice",
                f"{first} is given twice{same}",
                "leave one of them out",
            )


def label_setting(name: str, value: Any) -> str:
    """Write a setting of a cell in a few words; a style image by its file's name alone."""
    if name == "style":
        return " + ".join(one.path.stem for one in value)
    if isinstance(value, float):
        value = repr(value).removesuffix(".0")
    return f"{name} {str(value).lower() if isinstance(value, bool) else value}"
