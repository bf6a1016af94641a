"""Numbers as people read them."""

from __future__ import annotations

from rich.filesize import decimal


def disk_space(count: float) -> str:
    """Write bytes with a unit: 1_500_000 -> 1.50 MB."""
    return decimal(round(count), precision=2)


def counted(number: int, what: str) -> str:
    """Write a number of things: 1 frame, 2 frames."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def clock_time(seconds: float) -> str:
    """Write seconds as a clock does: 75 -> 1:15, 3700 -> 1:01:40."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"
