"""Numbers as people read them."""

from __future__ import annotations


def disk_space(count: float) -> str:
    """Write bytes with a unit: 1_500_000 -> 1.50 MB."""
    unit, name = next((x for x in ((1e9, "GB"), (1e6, "MB")) if count >= x[0]), (1e3, "kB"))
    return f"{count / unit:.2f} {name}"


def counted(number: int, what: str) -> str:
    """Write a number of things: 1 frame, 2 frames."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def clock_time(seconds: float) -> str:
    """Write seconds as a clock does: 75 -> 1:15, 3700 -> 1:01:40."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"
