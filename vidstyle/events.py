"""Events: what a render or a measurement reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Started:
    """A render begins.

    Args:
        total: frames to make, those of every pass.
        done: how many of them earlier runs have made.
        width, height: of the render, in pixels.
    """

    total: int
    done: int
    width: int
    height: int


@dataclass(frozen=True)
class FrameDone:
    """One more frame is made, and is durable: its file outlives a crash.

    Args:
        frame: its number in the render, from 0.
        done: how many frames are made now, of `total`.
        iterations: evaluations of the objective that it took.
        seconds: that it took.
        path: its 16-bit PNG; in a long render it is packed later, and goes.
    """

    frame: int
    done: int
    total: int
    iterations: int
    seconds: float
    path: Path | None = None


@dataclass(frozen=True)
class Encoding:
    """The encoder has taken `done` of `total` frames."""

    done: int
    total: int


@dataclass(frozen=True)
class Composing:
    """`done` of `total` frames have been put together from what was painted."""

    done: int
    total: int


@dataclass(frozen=True)
class Measured:
    """The measurement has taken `done` of `total` frames; 0 before the first one."""

    done: int
    total: int


@dataclass(frozen=True)
class Note:
    """A line for the user; `warning` when they may want to act on it."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Learning:
    """The network has taken `done` of `total` steps of learning a style."""

    done: int
    total: int


@dataclass(frozen=True)
class Scanning:
    """The scan has decoded `done` of about `total` frames of the input."""

    done: int
    total: int


@dataclass(frozen=True)
class Download:
    """A download has brought `done` of `total` bytes of the weights of `name`."""

    name: str
    done: int
    total: int


Event = (
    Started | FrameDone | Composing | Encoding | Measured | Download | Learning | Scanning | Note
)

Report = Callable[[Event], None]
"""Receives every event of a render or a measurement."""


def silent(event: Event) -> None:
    """Ignore an event."""


Stop = Callable[[], bool]
"""Asked before every frame and while encoding; True ends the render with `Interrupted`."""


def never_stop() -> bool:
    """Go on."""
    return False
