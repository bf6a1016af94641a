"""Three ways to show the events of a render or a measurement on stderr: plain lines, JSON lines and
a bar.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Protocol, cast

from vidstyle.cli.streams import TolerantStream
from vidstyle.events import (
    Composing,
    Download,
    Encoding,
    Event,
    Learning,
    Measured,
    Note,
    Report,
    Scanning,
    Started,
)
from vidstyle.units import clock_time, counted

if TYPE_CHECKING:
    from rich.progress import TaskID


COUNTED = Scanning | Learning | Composing | Encoding | Measured
"""Events that count something other than rendered frames."""

LINES = {
    Scanning: "looking through the input: frame",
    Learning: "learning the painting: step",
    Composing: "put together",
    Encoding: "encoded",
    Measured: "measured",
}
"""What a line says of each."""

BARS = {
    Scanning: "looking through the input",
    Learning: "learning the painting",
    Composing: "putting together",
    Encoding: "encoding",
    Measured: "measuring",
}
"""The names of their bars."""


class Display(Protocol):
    """A way to show events."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Leave the stream as it was found."""


class Lines:
    """A plain line every `every` seconds, for logs and pipes; notes at once.

    Args:
        quiet: shows warnings only.
        clock: tells the time in seconds, from any origin.
    """

    def __init__(
        self,
        stream: IO[str],
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
        every: float = 10.0,
    ) -> None:
        self.stream = stream
        self.quiet = quiet
        self.clock = clock
        self.every = every
        self.last_line_at = float("-inf")
        self.started_at = clock()
        self.done_before = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            if event.warning or not self.quiet:
                self.print_line(("warning: " if event.warning else "") + event.text)
        elif self.quiet:
            return
        elif isinstance(event, Started):
            self.started_at = self.clock()
            self.done_before = event.done
            kept = f", {event.done} done already" if event.done else ""
            self.print_line(
                f"rendering {counted(event.total, 'frame')} at {event.width}x{event.height}{kept}"
            )
        elif event.done == event.total or self.clock() - self.last_line_at >= self.every:
            self.last_line_at = self.clock()
            if isinstance(event, COUNTED):
                self.print_line(f"{LINES[type(event)]} {event.done}/{event.total}")
            elif isinstance(event, Download):
                self.print_line(
                    f"downloading {event.name}: {event.done / 1e6:.0f}/{event.total / 1e6:.0f} MB"
                )
            else:
                each = (self.clock() - self.started_at) / max(1, event.done - self.done_before)
                text = f"frame {event.done}/{event.total}, {each:.2f} s each"
                # The first frame of a shot takes several times as long.
                if event.done - self.done_before > 1:
                    text += f", {clock_time(each * (event.total - event.done))} left"
                self.print_line(text)

    def print_line(self, text: str) -> None:
        """Print one line at once."""
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Do nothing: nothing is open."""


class JsonLines:
    """One JSON object a line and event, for programs: {"event": "FrameDone", ...}."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        values = {"event": type(event).__name__, **asdict(event)}
        # A path is written as its text.
        print(json.dumps(values, default=str), file=self.stream, flush=True)

    def close(self) -> None:
        """Do nothing: nothing is open."""


class Bar:
    """A bar on a terminal (rich), with the time that is left.

    Args:
        stream: None: stderr.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
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
            console=Console(file=stream, stderr=True),
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
            self.show_progress(f"downloading {event.name}", event.done, event.total)
        elif isinstance(event, COUNTED):
            self.show_progress(BARS[type(event)], event.done, event.total)
        else:
            self.show_progress(
                "rendering", event.done, event.total, getattr(event, "seconds", None)
            )

    def show_progress(self, task: str, done: int, total: int, seconds: float | None = None) -> None:
        """Move the bar of a task, which is made when it is first heard of."""
        each = "" if seconds is None else f"{seconds:.2f} s/frame"
        if task not in self.tasks:
            self.tasks[task] = self.progress.add_task(task, total=total, completed=done, each=each)
        self.progress.update(self.tasks[task], completed=done, each=each)

    def close(self) -> None:
        """End the bars, and leave them as they are on the terminal."""
        self.progress.stop()


@contextlib.contextmanager
def report_to(kind: str, watch: Report, *, quiet: bool) -> Iterator[Report]:
    """Provide a report that gives every event to `watch`, and then to the display called `kind`,
    which shows it on stderr until the block ends. Progress that nobody reads stops nothing.
    """
    stream = cast("IO[str]", TolerantStream(sys.stderr))
    show = make_display(kind, stream, quiet=quiet)

    def report(event: Event) -> None:
        watch(event)
        show(event)

    try:
        yield report
    finally:
        show.close()


def make_display(kind: str, stream: IO[str], *, quiet: bool) -> Display:
    """Make the display called `kind` (bar, lines, json, auto); auto is a bar on a terminal and
    lines elsewhere.
    """
    if kind == "json":
        return JsonLines(stream)
    if not quiet and (kind == "bar" or (kind == "auto" and stream.isatty())):
        return Bar(stream)
    return Lines(stream, quiet=quiet)
