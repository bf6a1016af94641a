"""TODO events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Started:
    """Before the first frame: how many frames there are, how many are done already, and the size
    (width, height).
    """

    total: int
    done: int
    width: int
    height: int


@dataclass(frozen=True)
class FrameDone:
    """One more frame is rendered: its number, how many are done now, and what it took."""

    frame: int
    done: int
    total: int
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Encoding:
    """The encoder has taken `done` of `total` frames."""

    done: int
    total: int


@dataclass(frozen=True)
class Measured:
    """`done` of `total` frames are measured; 0 of them before the first one."""

    done: int
    total: int


@dataclass(frozen=True)
class Note:
    """Something worth knowing; `warning` when the user may want to act on it."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Download:
    """`done` of `total` bytes of the weights of `name` have arrived."""

    name: str
    done: int
    total: int


Event = Started | FrameDone | Encoding | Measured | Download | Note


Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """Shows nothing."""
