"""The opacity of the painting over the video, and how it moves over time: `value[@time]`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vidstyle.config.key_times import NUMBER, find_interval, format_number

OPACITY = re.compile(rf"(?P<value>{NUMBER})(?:@(?P<at>{NUMBER})s?)?", re.IGNORECASE)

OPACITY_EXAMPLE = "write 0.6, or 0.6@3s with a time in seconds"


@dataclass(frozen=True)
class OpacityKey:
    """The opacity at one time.

    Args:
        value: in [0, 1]; the rest of the picture is the source.
        at: the second of the input at which it has that value; None: throughout.
    """

    value: float
    at: float | None = None

    def __str__(self) -> str:
        return format_number(self.value) + (
            "" if self.at is None else f"@{format_number(self.at)}s"
        )


def parse_opacity(text: str) -> OpacityKey:
    """Read `0.6@3s` as 0.6 at 3 s. Raises ValueError."""
    match = OPACITY.fullmatch(text.strip())
    if not match:
        raise ValueError(f"opacity: {text!r} is none: {OPACITY_EXAMPLE}")
    return OpacityKey(float(match["value"]), None if match["at"] is None else float(match["at"]))


def parse_opacities(given: Any) -> tuple[OpacityKey, ...]:
    """Read one text, number or `OpacityKey`, or a list of such, in the order of their times; () and
    None stand for 1 throughout, and 1 throughout is ().

    Raises ValueError where one cannot be read, values or times contradict each other or change
    nothing, or nothing would be painted.
    """
    if given is None:
        return ()
    ones = given if isinstance(given, (list, tuple)) else [given]
    keys = [read_key(one) for one in ones]
    check_values(keys)
    check_times(keys)
    if all(key.value == 1 for key in keys):
        return ()
    return tuple(sorted(keys, key=lambda key: key.at or 0.0))


def read_key(given: Any) -> OpacityKey:
    """Read one text, number or `OpacityKey`. Raises ValueError."""
    if isinstance(given, OpacityKey):
        return given
    if isinstance(given, str):
        return parse_opacity(given)
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return OpacityKey(float(given))
    raise ValueError(f"opacity: {given!r} is none: {OPACITY_EXAMPLE}")


def check_values(keys: Sequence[OpacityKey]) -> None:
    """Raise ValueError for a value that is no opacity, and where all are 0."""
    for key in keys:
        if not 0 <= key.value <= 1:
            value = format_number(key.value)
            raise ValueError(f"opacity: {value} is not from 0 to 1: {OPACITY_EXAMPLE}")
        if key.at is not None and not 0 <= key.at < math.inf:
            raise ValueError(f"opacity {key} has no time that can be: give one in seconds, as 3s")
    if keys and all(key.value == 0 for key in keys):
        raise ValueError("opacity is 0 throughout, and nothing is to be seen: make it larger")


def check_times(keys: Sequence[OpacityKey]) -> None:
    """Raise ValueError where several values have no times, or times change nothing."""
    times = [key.at for key in keys]
    without = [key for key in keys if key.at is None]
    if len(keys) > 1 and without:
        raise ValueError(
            f"opacity {without[0]} has no time and is not the only one: give every one a time, as "
            f"in {format_number(without[0].value)}@3s"
        )
    if len(keys) == 1 and not without:
        raise ValueError(
            f"opacity {keys[0]} has the only time, which changes nothing: leave it out"
        )
    for key in keys:
        if times.count(key.at) > 1:
            raise ValueError(f"opacity is given twice for {key.at:g} s: leave one of them out")
    if len(keys) > 1 and len({key.value for key in keys}) == 1:
        raise ValueError(
            "opacity is the same at all times, which change nothing then: leave them out"
        )


def opacity_at(keys: Sequence[OpacityKey], time: Fraction) -> float:
    """Return the opacity at this second of the input, in [0, 1].

    Between two times it moves in proportion to time; before the first and after the last it is
    constant.
    """
    if not keys:
        return 1.0
    values = {key.at: key.value for key in keys}
    times = [at for at in values if at is not None]
    if not times:
        return keys[0].value
    interval = find_interval(times, time)
    return interval.interpolate(values[interval.before], values[interval.after])
