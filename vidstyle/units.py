"""TODO units."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def disk_space(count: float) -> str:
    """1_500_000 bytes -> 1.50 MB."""
    unit, name = next((x for x in ((1e9, "GB"), (1e6, "MB")) if count >= x[0]), (1e3, "kB"))
    return f"{count / unit:.2f} {name}"


def counted(number: int, what: str) -> str:
    """1 frame, 2 frames."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def clock_time(seconds: float) -> str:
    """75 -> 1:15, 3700 -> 1:01:40."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"
