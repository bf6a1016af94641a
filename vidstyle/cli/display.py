"""What a render or a measurement tells while it runs: events, and the three ways to show them on
stderr.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Protocol

from vidstyle.events import Download, Encoding, Event, Measured, Note, Report, Started
from vidstyle.units import clock_time, counted

if TYPE_CHECKING:
    from rich.progress import TaskID


Clock = Callable[[], float]


class Display(Protocol):
    def __call__(self, event: Event) -> None: ...
    def close(self) -> None: ...


class Lines:
    """A plain line every `every` seconds, for logs and pipes; notes at once."""

    def __init__(
        self,
        stream: IO[str],
        *,
        quiet: bool = False,
        clock: Clock = time.monotonic,
        every: float = 10.0,
    ) -> None:
        self.stream, self.quiet, self.clock, self.every = stream, quiet, clock, every
        self.last = float("-inf")
        self.begun, self.done_before = clock(), 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            if event.warning or not self.quiet:
                self.say(("warning: " if event.warning else "") + event.text)
        elif self.quiet:
            return
        elif isinstance(event, Started):
            self.begun, self.done_before = self.clock(), event.done
            kept = f", {event.done} done already" if event.done else ""
            self.say(
                f"rendering {counted(event.total, 'frame')} at {event.width}x{event.height}{kept}"
            )
        elif event.done == event.total or self.clock() - self.last >= self.every:
            self.last = self.clock()
            if isinstance(event, Encoding):
                self.say(f"encoded {event.done}/{event.total}")
            elif isinstance(event, Measured):
                self.say(f"measured {event.done}/{event.total}")
            elif isinstance(event, Download):
                self.say(
                    f"downloading {event.name}: {event.done / 1e6:.0f}/{event.total / 1e6:.0f} MB"
                )
            else:
                each = (self.clock() - self.begun) / max(1, event.done - self.done_before)
                text = f"frame {event.done}/{event.total}, {each:.2f} s each"
                if (
                    event.done - self.done_before > 1
                ):  # the first frame of a shot takes several times as long
                    text += f", {clock_time(each * (event.total - event.done))} left"
                self.say(text)

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing is held open."""


class JsonLines:
    """One JSON object a line and event, for programs: {"event": "FrameDone", ...}."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        print(
            json.dumps({"event": type(event).__name__, **asdict(event)}),
            file=self.stream,
            flush=True,
        )

    def close(self) -> None:
        """Nothing is held open."""


class Bar:
    """A bar on a terminal (rich), with the time that is left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[each]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.progress.start()
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            from rich.markup import escape

            self.progress.console.print(
                ("[yellow]warning:[/] " if event.warning else "") + escape(event.text)
            )
        elif isinstance(event, Download):
            self.show(f"downloading {event.name}", event.done, event.total)
        elif isinstance(event, Encoding):
            self.show("encoding", event.done, event.total)
        elif isinstance(event, Measured):
            self.show("measuring", event.done, event.total)
        else:
            self.show("rendering", event.done, event.total, getattr(event, "seconds", None))

    def show(self, task: str, done: int, total: int, seconds: float | None = None) -> None:
        """Move one bar, made when it is first heard of."""
        each = "" if seconds is None else f"{seconds:.2f} s/frame"
        if task not in self.tasks:
            self.tasks[task] = self.progress.add_task(task, total=total, completed=done, each=each)
        self.progress.update(self.tasks[task], completed=done, each=each)

    def close(self) -> None:
        self.progress.stop()


@contextlib.contextmanager
def displayed(kind: str, watch: Report, *, quiet: bool) -> Iterator[Report]:
    """Reports are watched, and shown on stderr by the display called `kind` until the block
    ends.
    """
    shown = display(kind, sys.stderr, quiet=quiet)

    def report(event: Event) -> None:
        watch(event)
        shown(event)

    try:
        yield report
    finally:
        shown.close()


def display(kind: str, stream: IO[str], *, quiet: bool) -> Display:
    """The display called `kind` (bar, lines, json, auto); auto is a bar on a terminal and lines
    elsewhere.
    """
    if kind == "json":
        return JsonLines(stream)
    if not quiet and (kind == "bar" or (kind == "auto" and stream.isatty())):
        return Bar()
    return Lines(stream, quiet=quiet)
