"""Where live pictures come from: a camera, or a film at its own speed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidstyle.errors import InputError
from vidstyle.events import Stop, never_stop
from vidstyle.video import read
from vidstyle.video.probe import probe

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""

CAMERA_RATE = 30.0

WAIT_SECONDS = 0.2
"""How long a picture is waited for until it is asked whether to stop."""


@dataclass(frozen=True)
class Shown:
    """A picture that was shown.

    Args:
        index: how many came before it, dropped ones included.
        at: when it came, in seconds of the clock.
    """

    index: int
    pixels: Pixels
    at: float


class LatestFrame:
    """Takes pictures in a thread of its own and keeps the last one."""

    def __init__(
        self, pictures: Generator[Pixels, None, None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.pictures = pictures
        self.clock = clock
        self.condition = threading.Condition()
        self.latest: Shown | None = None
        self.has_ended = False
        self.failure: BaseException | None = None
        self.is_closed = False
        self.thread = threading.Thread(target=self._run, name="live-source", daemon=True)

    def _run(self) -> None:
        try:
            with contextlib.closing(self.pictures) as pictures:
                for index, pixels in enumerate(pictures):
                    with self.condition:
                        if self.is_closed:
                            return
                        self.latest = Shown(index, pixels, self.clock())
                        self.condition.notify_all()
        except BaseException as e:
            self.failure = e
        finally:
            with self.condition:
                self.has_ended = True
                self.condition.notify_all()

    def __enter__(self) -> LatestFrame:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self.condition:
            self.is_closed = True
        self.thread.join(timeout=5)

    def is_newer_than(self, index: int) -> bool:
        """Tell whether a picture has come after the one of this index."""
        return self.latest is not None and self.latest.index > index

    def take(self, stop: Stop = never_stop) -> Iterator[Shown]:
        """Yield the last picture again and again, each once; those that came in between are
        dropped.

        Args:
            stop: asked while there is none; True ends it.
        """
        last = -1
        while True:
            with self.condition:
                while not (self.has_ended or self.is_newer_than(last)):
                    self.condition.wait(WAIT_SECONDS)
                    if stop():
                        return
                shown = self.latest
                if shown is None or shown.index <= last:
                    if self.failure is not None:
                        raise self.failure
                    return
            last = shown.index
            yield shown


def film_pictures(
    path: Path, size: int | None, clock: Callable[[], float] = time.monotonic
) -> tuple[Generator[Pixels, None, None], float]:
    """Open a film that plays at its own speed: its pictures, and their rate.

    Raises InputError where it cannot be read.
    """
    source = probe(path)
    rate = float(source.nominal_rate)

    def play() -> Generator[Pixels, None, None]:
        begin = clock()
        fitted = read.fit(source.width, source.height, size)
        frames = read.read(source, fitted)
        with contextlib.closing(frames):
            for frame in frames:
                pixels = (frame.image * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
                wait = begin + frame.index / rate - clock()
                if wait > 0:
                    time.sleep(wait)
                yield pixels

    return play(), rate


def camera_pictures(number: int, size: int | None) -> tuple[Generator[Pixels, None, None], float]:
    """Open a camera: its pictures, and their rate. Raises InputError where there is none."""
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        camera.release()
        why = "it is not there, or another program has it"
        raise InputError(f"camera {number} cannot be opened", why, "--input FILE plays a film")
    rate = camera.get(cv2.CAP_PROP_FPS) or CAMERA_RATE

    def take() -> Generator[Pixels, None, None]:
        try:
            while True:
                there, picture = camera.read()
                if not there:
                    why = "it gives no more pictures"
                    hint = "plug it in again, then the same command"
                    raise InputError(f"camera {number} has gone", why, hint)
                height, width = picture.shape[:2]
                fitted = read.fit(width, height, size)
                if fitted != (width, height):
                    picture = cv2.resize(picture, fitted, interpolation=cv2.INTER_AREA)
                yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8)
        finally:
            camera.release()

    return take(), rate
