"""The keyframes: frames whose finished picture the user gives, `frame=path` or `seconds=path`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidstyle.config.key_times import NUMBER, format_number

FRAME_PATTERN = re.compile(r"\d+", re.ASCII)
SECONDS_PATTERN = re.compile(rf"(?P<value>{NUMBER})s", re.IGNORECASE | re.ASCII)

HOW_TO_NAME = "write 120=fixed.png for a frame, counted from 0, or 4.8s=fixed.png for a time"


@dataclass(frozen=True)
class Keyframe:
    """The finished picture of one frame, which is named by its number or by its time.

    Args:
        path: the file of the picture.
        frame: the number of the frame in the input, from 0.
        seconds: the second of the input at which the frame is shown.

    Raises:
        ValueError: both are given, or neither, or one that no frame can have.
    """

    path: Path
    frame: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.frame is None) == (self.seconds is None):
            raise ValueError(f"keyframes: {self.path} needs a frame or a time: {HOW_TO_NAME}")
        if (self.frame or 0) < 0 or not 0 <= (self.seconds or 0) < math.inf:
            raise ValueError(f"keyframes: no frame of a video is at {self.place}: {HOW_TO_NAME}")

    @property
    def place(self) -> str:
        """The frame or the time as it is written: 120, or 4.8s."""
        return str(self.frame) if self.seconds is None else f"{format_number(self.seconds)}s"

    def __str__(self) -> str:
        return f"{self.place}={self.path}"


def parse_keyframe(text: str) -> Keyframe:
    """Read `120=fixed.png` or `4.8s=fixed.png`. Raises ValueError."""
    place, equals, path = text.partition("=")
    place = place.strip()
    if not equals:
        raise ValueError(f"keyframes: {text!r} names no frame and its picture: {HOW_TO_NAME}")
    if not path.strip():
        raise ValueError(f"keyframes: {text!r} names no picture: {HOW_TO_NAME}")
    if FRAME_PATTERN.fullmatch(place):
        return Keyframe(Path(path), frame=int(place))
    if match := SECONDS_PATTERN.fullmatch(place):
        return Keyframe(Path(path), seconds=float(match["value"]))
    raise ValueError(f"keyframes: {place!r} is neither a frame nor a time: {HOW_TO_NAME}")


def parse_keyframes(given: Any) -> tuple[Keyframe, ...]:
    """Read one text or `Keyframe`, or a list of such; None stands for none.

    Raises ValueError where one cannot be read, or two are for the same frame or time.
    """
    if given is None:
        return ()
    if isinstance(given, (str, Keyframe)):
        given = [given]
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(one, (str, Keyframe)) for one in given
    ):
        raise ValueError(f"keyframes: {given!r} is no keyframe and no list of such: {HOW_TO_NAME}")
    keyframes = tuple(parse_keyframe(one) if isinstance(one, str) else one for one in given)
    check_places(keyframes)
    return keyframes


def check_places(keyframes: Sequence[Keyframe]) -> None:
    """Raise ValueError where two keyframes are for the same frame or the same time."""
    first_at: dict[tuple[int | None, float | None], Keyframe] = {}
    for one in keyframes:
        first = first_at.setdefault((one.frame, one.seconds), one)
        if first is not one:
            raise ValueError(
                f"keyframes: {first} and {one} are for the same frame: leave one of them out"
            )
