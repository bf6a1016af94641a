"""Which paintings the style is mixed from, with their weights, and how the mixture moves:
`path[:weight][@time]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

NUMBER = r"\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?"
TIME = re.compile(rf"(?P<rest>.+)@(?P<value>{NUMBER})s?", re.IGNORECASE)
WEIGHT = re.compile(rf"(?P<rest>.+):(?P<value>{NUMBER})", re.IGNORECASE)


@dataclass(frozen=True)
class Painting:
    """A painting that a style is mixed from.

    Args:
        weight: how much it counts, in relation to the others of the same time.
        at: the second of the input at which it does; None: throughout.
    """

    path: Path
    weight: float = 1.0
    at: float | None = None

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f":{self.weight!r}"
        return f"{self.path}{weight}" + ("" if self.at is None else f"@{self.at!r}s")


def painting(text: str) -> Painting:
    """`a.jpg:0.7@4s` -> a.jpg with weight 0.7 at 4 s. A file of that very name comes first; then
    suffixes are read from the right, as far as they are such. Raises ValueError where a weight is
    0.
    """
    path, weight, at = text, 1.0, None
    if not exists(path) and (found := TIME.fullmatch(path)):
        path, at = found["rest"], float(found["value"])
    if not exists(path) and (found := WEIGHT.fullmatch(path)):
        path, weight = found["rest"], float(found["value"])
    there = path
    while not exists(there) and (cut := max(there.rfind(mark) for mark in ":@")) > 0:
        there = there[:cut]
    if there != path and exists(there):
        raise ValueError(
            f"style {there} is there, and {text[len(there) :]!r} is neither a weight nor a time nor both: write "
            f"{there}:0.7 or {there}@4s or {there}:0.7@4s, in seconds"
        )
    if weight == 0:
        raise ValueError(f"the weight of {path} is 0: it must be above 0; leave {path} out instead")
    return Painting(Path(path), weight, at)


def exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name too long, or with a zero in it
        return False


def paintings(given: Any) -> tuple[Painting, ...]:
    """From one text, path or `Painting`, or a list of such; of None none. Raises ValueError."""
    if given is None:
        return ()
    if isinstance(given, (str, Path, Painting)):
        given = [given]
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(one, (str, Path, Painting)) for one in given
    ):
        raise ValueError(f"{given!r} is neither a painting's path nor a list of such")
    made = tuple(
        painting(one) if isinstance(one, str) else Painting(one) if isinstance(one, Path) else one
        for one in given
    )
    checked(made)
    return made


def checked(styles: Sequence[Painting]) -> None:
    """Raises ValueError where weights or times change nothing."""
    timed = [one for one in styles if one.at is not None]
    if timed and len(timed) < len(styles):
        without = next(one for one in styles if one.at is None)
        raise ValueError(
            f"style {without.path} has no time and {timed[0].path} has one: give all of them one, or none"
        )
    if timed and len({one.at for one in timed}) == 1:
        raise ValueError(
            f"style: {timed[0].at:g} s is the only time, which changes nothing: leave it out"
        )
    for one in styles:
        if not (math.isfinite(one.weight) and math.isfinite(one.at or 0)):
            raise ValueError(f"style {one.path}: its weight or its time is too large a number")
        if [(other.path, other.at) for other in styles].count((one.path, one.at)) > 1:
            raise ValueError(f"style {one.path} is named twice: give it one weight")
        if one.weight != 1 and [other.at for other in styles].count(one.at) == 1:
            raise ValueError(
                f"style {one.path} has a weight and nothing that it counts in relation to: leave it out, or use "
                "style_weight for more or less style"
            )
    if len(moments(styles)) > 1 and len({mixture(styles, at) for at in moments(styles)}) == 1:
        raise ValueError(
            "style is the same at all times, which change nothing then: leave them out"
        )


def files(styles: Sequence[Painting]) -> tuple[Path, ...]:
    """Every painting once, in the order of their first mention."""
    return tuple(dict.fromkeys(one.path for one in styles))


def identity(styles: Sequence[Painting], digests: Sequence[str]) -> Any:
    """What of the styles makes a render, from the digests of `files`: of a lone painting its
    digest, else for every mention that, its share and its time.
    """
    if len(styles) == 1:
        return digests[0]
    known = dict(zip(files(styles), digests, strict=True))
    return [[known[one.path], share(one, styles), one.at] for one in styles]


def shares(styles: Sequence[Painting], time: Fraction) -> tuple[float, ...]:
    """How much each of `files` counts at this second of the input, 1 together. Between two times
    the mixture moves in proportion, before the first and after the last it rests.
    """
    times = moments(styles)
    if not times:
        return mixture(styles, None)
    now = float(time)
    after = next((at for at in times if at > now), times[-1])
    before = max((at for at in times if at <= now), default=times[0])
    along = (now - before) / (after - before) if after > before else 0.0
    pair = zip(mixture(styles, before), mixture(styles, after), strict=True)
    return tuple(
        a + along * (b - a) for a, b in pair
    )  # exactly a where b is the same: nothing moves then


def moments(styles: Sequence[Painting]) -> list[float]:
    """The times at which the mixture is known."""
    return sorted({one.at for one in styles if one.at is not None})


def mixture(styles: Sequence[Painting], at: float | None) -> tuple[float, ...]:
    """How much each of `files` counts at this time."""
    there = {one.path: share(one, styles) for one in styles if one.at == at}
    return tuple(there.get(path, 0.0) for path in files(styles))


def share(one: Painting, styles: Sequence[Painting]) -> float:
    """How much a painting counts among those of its time. As written in decimals, so that 7:2:1 is
    0.7:0.2:0.1.
    """
    weights = [Fraction(str(other.weight)) for other in styles if other.at == one.at]
    return float(Fraction(str(one.weight)) / sum(weights))
