"""The key times between which a setting moves: where a time lies among them, and how numbers in the
texts of settings are written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

NUMBER = r"\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?"
"""The pattern of a number that is not negative, as settings have it in their texts."""


@dataclass(frozen=True)
class Interval:
    """The key times around a time, in seconds.

    Args:
        before, after: the last key time up to it, and the first one after it; twice the same one
            before the first key time and from the last one on.
        progress: in [0, 1), the share of the way from one to the other.
    """

    before: float
    after: float
    progress: float

    def interpolate(self, a: float, b: float) -> float:
        """Return the value that lies between `a`, before, and `b`, after; exactly `a` where both
        are the same, so that nothing moves then.
        """
        return a + self.progress * (b - a)


def find_interval(times: Iterable[float], time: Fraction) -> Interval:
    """Find the key times around a time. Raises ValueError where there are none."""
    ordered = sorted(times)
    if not ordered:
        raise ValueError("there are no key times")
    now = float(time)
    after = next((at for at in ordered if at > now), ordered[-1])
    before = max((at for at in ordered if at <= now), default=ordered[0])
    progress = (now - before) / (after - before) if after > before else 0.0
    return Interval(before, after, progress)


def format_number(number: float) -> str:
    """Write a number so that it is read back exactly: 3 for 3.0."""
    return repr(float(number)).removesuffix(".0")
