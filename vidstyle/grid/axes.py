"""What a grid varies: `NAME=V1,V2,...` -> an axis of values, and from one or two of them the
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

MOVING = frozenset(configs.settings_that_affect(*MOTION_AFFECTING))
"""What changes nothing on a still. A grid leaves it out of its cells, whatever a preset or a file
says.
"""

REASONS = {
    "size": "all cells of a grid are of one size",
    "start": "a grid is of one frame",
    "duration": "a grid is of one frame",
    "regions": "its value is two files, and one of --vary is one text",
}
"""Why a setting that changes pictures cannot be varied."""

EXAMPLE = "for example --vary content_weight=0.01,0.1"


@dataclass(frozen=True)
class Axis:
    """One setting and the values that it takes along the columns or rows, as they were written."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """The settings of one picture, and what tells it from the others: {name: value}."""

    config: RenderConfig
    place: dict[str, str]

    def __str__(self) -> str:
        return ", ".join(f"{name} = {value}" for name, value in self.place.items())


def axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """From `--vary`, once or twice. Raises ConfigError."""
    if not 1 <= len(texts) <= 2:
        count = "no" if not texts else str(len(texts))
        hint = (
            f"add one, {EXAMPLE}"
            if not texts
            else "leave the others out, and make another grid of them"
        )
        raise ConfigError(
            f"{count} --vary given", "a grid has columns and, with a second --vary, rows", hint
        )
    found = tuple(map(axis, texts))
    if len({one.name for one in found}) < len(found):
        hint = f"give all values in one --vary, {EXAMPLE}"
        raise ConfigError(
            f"{found[0].name} is varied twice", "columns and rows need a setting each", hint
        )
    return found


def axis(text: str) -> Axis:
    """`NAME=V1,V2,...` or, where a value itself has commas, `NAME=V1;V2;...`. Raises
    ConfigError.
    """
    written, equals, rest = text.partition("=")
    name = written.strip().lstrip("-").replace("-", "_")
    fields = [n for n in configs.settings_that_affect(*FRAME_AFFECTING) if n != "input"]
    what = f"cannot vary {name or text!r}"
    if name not in RenderConfig.model_fields:
        near = difflib.get_close_matches(name, fields, n=1)
        why = f"there is no setting {name}" + (f", did you mean {near[0]}?" if near else "")
        raise ConfigError(what, why, f"name a setting of `vidstyle --help-all`, {EXAMPLE}")
    if name not in fields:
        raise ConfigError(
            what, "it does not change the picture", f"name a setting that does, {EXAMPLE}"
        )
    if name in MOVING or name in REASONS:
        why = REASONS.get(name, "it changes nothing on a still, and a grid is of one frame")
        raise ConfigError(what, why, f"name another setting, {EXAMPLE}")
    values = tuple(
        filter(None, (value.strip() for value in rest.split(";" if ";" in rest else ",")))
    )
    if not equals or not values:
        raise ConfigError(what, "no values are given", f"write them after a =, {EXAMPLE}")
    return Axis(name, values)


def cells(settings: Mapping[str, Any], varied: Sequence[Axis]) -> list[Cell]:
    """Every cell, row by row: the first axis varies over the columns. Raises ConfigError where one
    cannot be, or where two would be the same.
    """
    usual = {name: value for name, value in settings.items() if name not in MOVING}
    columns, *more = varied
    made = []
    for values in product(*(one.values for one in reversed(varied))):
        place = dict(zip((*(one.name for one in more), columns.name), values, strict=True))
        place = {one.name: place[one.name] for one in varied}
        try:
            made.append(Cell(configs.build(usual, place), place))
        except ConfigError as e:
            told = ", ".join(f"{name} = {value}" for name, value in place.items())
            raise ConfigError(
                f"the cell {told} cannot be", e.why, "change that value, or leave it out"
            ) from e
    for one in varied:
        seen: dict[Any, str] = {}
        for cell in made:
            text = seen.setdefault(getattr(cell.config, one.name), cell.place[one.name])
            if text != cell.place[one.name] or one.values.count(text) > 1:
                same = (
                    "" if text == cell.place[one.name] else f": {cell.place[one.name]} is the same"
                )
                why = f"{text} is given twice{same}"
                raise ConfigError(f"{one.name} has a value twice", why, "leave one of them out")
    return made


def label(config: RenderConfig, name: str) -> str:
    """A setting of a cell in a few words; a painting by its name alone."""
    value = getattr(config, name)
    if name == "style":
        return " + ".join(one.path.stem for one in value)
    if isinstance(value, float):
        value = repr(value).removesuffix(".0")
    return f"{name} {str(value).lower() if isinstance(value, bool) else value}"
