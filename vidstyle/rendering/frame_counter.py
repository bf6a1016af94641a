"""How far the frames are: counted, timed and told, one by one, and whether to go on."""

from __future__ import annotations

import time
from collections.abc import Callable

from vidstyle.errors import Interrupted
from vidstyle.events import FrameDone, Report


class FrameCounter:
    """The frames of one run; its time begins when it is made.

    Args:
        total: frames of the whole render, those of every pass.
        done: those that earlier runs have rendered.
        passes: how often each frame is rendered, and so counted.
    """

    def __init__(
        self, total: int, done: int, report: Report, stop: Callable[[], bool], passes: int = 1
    ) -> None:
        self.total, self.before, self.report, self.stop, self.passes = (
            total,
            done,
            report,
            stop,
            passes,
        )
        self.seconds: list[float] = []
        self.begun = time.perf_counter()

    @property
    def done(self) -> int:
        return self.before + len(self.seconds)

    def ask(self) -> None:
        """Raises Interrupted when the user wants to stop."""
        if self.stop():
            counted = "frames" if self.passes == 1 else f"frames of {self.passes} passes"
            raise Interrupted(
                "interrupted",
                f"{self.done} of {self.total} {counted} are done and kept",
                "the same command continues",
                130,
            )

    def add(self, frame: int, iterations: int) -> None:
        """One more is rendered."""
        now = time.perf_counter()
        self.seconds.append(
            now - self.begun
        )  # with the wait for decoding and flow, where they are slower
        self.begun = now
        self.report(FrameDone(frame, self.done, self.total, iterations, self.seconds[-1]))
