"""The style images that a style is mixed from, with their weights, and how the mixture moves over
time: `path[:weight][@time]`.
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
TIME_SUFFIX = re.compile(rf"(?P<rest>.+)@(?P<value>{NUMBER})s?", re.IGNORECASE)
WEIGHT_SUFFIX = re.compile(rf"(?P<rest>.+):(?P<value>{NUMBER})", re.IGNORECASE)


@dataclass(frozen=True)
class StyleImage:
    """An image that a style is mixed from.

    Args:
        weight: its weight in relation to the others of the same time, above 0.
        at: the second of the input at which it has that weight; None: throughout.
    """

    path: Path
    weight: float = 1.0
    at: float | None = None

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f":{self.weight!r}"
        return f"{self.path}{weight}" + ("" if self.at is None else f"@{self.at!r}s")


def parse_style_image(text: str) -> StyleImage:
    """Read `a.jpg:0.7@4s` as a.jpg with weight 0.7 at 4 s.

    A file of that very name comes first; then suffixes are read from the right, as far as they are
    suffixes. Raises ValueError where a weight is 0, or where the file exists and its suffix cannot
    be read.
    """
    path = text
    weight = 1.0
    at = None
    if not path_exists(path) and (match := TIME_SUFFIX.fullmatch(path)):
        path = match["rest"]
        at = float(match["value"])
    if not path_exists(path) and (match := WEIGHT_SUFFIX.fullmatch(path)):
        path = match["rest"]
        weight = float(match["value"])
    there = path
    while not path_exists(there) and (cut := max(there.rfind(mark) for mark in ":@")) > 0:
        there = there[:cut]
    if there != path and path_exists(there):
        raise ValueError(
            f"style {there} is there, and {text[len(there) :]!r} is neither a weight nor a time "
            f"nor both: write {there}:0.7 or {there}@4s or {there}:0.7@4s, in seconds"
        )
    if weight == 0:
        raise ValueError(f"the weight of {path} is 0: it must be above 0; leave {path} out instead")
    return StyleImage(Path(path), weight, at)


def path_exists(path: str) -> bool:
    """Tell whether there is such a file; not where its name is too long or has a zero in it."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def parse_style_images(given: Any) -> tuple[StyleImage, ...]:
    """Read one text, path or `StyleImage`, or a list of such; None stands for none.

    Raises ValueError where one cannot be read, or where weights or times change nothing.
    """
    if given is None:
        return ()
    if isinstance(given, (str, Path, StyleImage)):
        given = [given]
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(one, (str, Path, StyleImage)) for one in given
    ):
        raise ValueError(f"{given!r} is neither a painting's path nor a list of such")
    styles = tuple(
        parse_style_image(one)
        if isinstance(one, str)
        else StyleImage(one)
        if isinstance(one, Path)
        else one
        for one in given
    )
    check_style_images(styles)
    return styles


def check_style_images(styles: Sequence[StyleImage]) -> None:
    """Raise ValueError where weights or times change nothing."""
    timed = [one for one in styles if one.at is not None]
    if timed and len(timed) < len(styles):
        without = next(one for one in styles if one.at is None)
        raise ValueError(
            f"style {without.path} has no time and {timed[0].path} has one: give all of them one, "
            "or none"
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
                f"style {one.path} has a weight and nothing that it counts in relation to: leave "
                "it out, or use style_weight for more or less style"
            )
    times = key_times(styles)
    if len(times) > 1 and len({key_shares(styles, at) for at in times}) == 1:
        raise ValueError(
            "style is the same at all times, which change nothing then: leave them out"
        )


def list_files(styles: Sequence[StyleImage]) -> tuple[Path, ...]:
    """List the file of every style image once, in the order of their first mention."""
    return tuple(dict.fromkeys(one.path for one in styles))


def style_fingerprint_parts(styles: Sequence[StyleImage], digests: Sequence[str]) -> Any:
    """Return the part of the fingerprint that stands for the style.

    Args:
        digests: of `list_files`, in that order.

    Returns:
        the digest of a single style image, else digest, share and time of every mention.
    """
    if len(styles) == 1:
        return digests[0]
    known = dict(zip(list_files(styles), digests, strict=True))
    return [[known[one.path], relative_weight(one, styles), one.at] for one in styles]


def mixture_shares(styles: Sequence[StyleImage], time: Fraction) -> tuple[float, ...]:
    """Return the share of each of `list_files` in the style at this second of the input.

    The shares add up to 1. Between two key times they move in proportion to time; before the first
    and after the last they are constant.
    """
    times = key_times(styles)
    if not times:
        return key_shares(styles, None)
    now = float(time)
    after = next((at for at in times if at > now), times[-1])
    before = max((at for at in times if at <= now), default=times[0])
    progress = (now - before) / (after - before) if after > before else 0.0
    pairs = zip(key_shares(styles, before), key_shares(styles, after), strict=True)
    # Exactly a where b is the same: nothing moves then.
    return tuple(a + progress * (b - a) for a, b in pairs)


def key_times(styles: Sequence[StyleImage]) -> list[float]:
    """List the times, in seconds, for which shares are given."""
    return sorted({one.at for one in styles if one.at is not None})


def key_shares(styles: Sequence[StyleImage], at: float | None) -> tuple[float, ...]:
    """Return the share of each of `list_files` at one of the `key_times`; None: throughout."""
    given = {one.path: relative_weight(one, styles) for one in styles if one.at == at}
    return tuple(given.get(path, 0.0) for path in list_files(styles))


def relative_weight(one: StyleImage, styles: Sequence[StyleImage]) -> float:
    """Return the share of a style image among those of its time.

    Weights are taken as they are written in decimals, so that 7:2:1 is 0.7:0.2:0.1.
    """
    weights = [Fraction(str(other.weight)) for other in styles if other.at == one.at]
    return float(Fraction(str(one.weight)) / sum(weights))
