"""A render says how far it is: a line every ten seconds, a JSON object for each event, or a bar."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from vidstyle.cli.display import Bar, JsonLines, Lines, make_display, report_to
from vidstyle.events import Encoding, Event, FrameDone, Measured, Note, Started, silent
from vidstyle.units import clock_time


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_lines_come_every_ten_seconds_and_at_the_end() -> None:
    clock, out = Clock(), io.StringIO()
    show = Lines(out, clock=clock)
    show(Started(30, 0, 64, 48))
    for done in range(1, 31):
        clock.now += 1
        show(FrameDone(done - 1, done, 30, 5, 1.0))
    show.close()
    assert lines_of(out)[0] == "rendering 30 frames at 64x48"
    assert [int(re.findall(r"frame (\d+)/30", text)[0]) for text in lines_of(out)[1:]] == [
        1,
        11,
        21,
        30,
    ]


@pytest.mark.parametrize("already", [0, 60])
def test_the_time_left_is_that_of_this_runs_frames(already: int) -> None:
    clock, out = Clock(), io.StringIO()
    show = Lines(out, clock=clock)
    show(Started(100, already, 64, 48))
    clock.now += 25
    show(FrameDone(already + 9, already + 10, 100, 5, 2.5))
    left = clock_time(2.5 * (100 - already - 10))
    assert lines_of(out)[-1] == f"frame {already + 10}/100, 2.50 s each, {left} left"
    assert (f"{already} done already" in lines_of(out)[0]) == bool(already)


def test_notes_come_at_once_between_the_lines() -> None:
    clock, out = Clock(), io.StringIO()
    show = Lines(out, clock=clock)
    show(Started(30, 0, 64, 48))
    show(FrameDone(0, 1, 30, 5, 1.0))
    show(Note("by the way"))
    show(Note("careful", warning=True))
    show(FrameDone(1, 2, 30, 5, 1.0))
    assert lines_of(out)[-2:] == ["by the way", "warning: careful"]


def test_encoding_is_told_like_rendering() -> None:
    clock, out = Clock(), io.StringIO()
    show = Lines(out, clock=clock)
    for done in range(1, 5):
        clock.now += 6
        show(Encoding(done, 4))
    assert lines_of(out) == ["encoded 1/4", "encoded 3/4", "encoded 4/4"]


def test_measuring_is_told_like_rendering(capsys: pytest.CaptureFixture[str]) -> None:
    clock, out, json_out, bar = Clock(), io.StringIO(), io.StringIO(), Bar()
    lines, objects = Lines(out, clock=clock), JsonLines(json_out)
    for done in range(4):
        clock.now += 6
        for show in (lines, objects, bar):
            show(Measured(done, 3))
    bar.close()
    assert lines_of(out) == ["measured 0/3", "measured 2/3", "measured 3/3"]
    assert json.loads(lines_of(json_out)[-1]) == {"event": "Measured", "done": 3, "total": 3}
    assert re.search(r"measuring.*3/3", capsys.readouterr().err)


def test_quiet_lines_are_warnings_only() -> None:
    out = io.StringIO()
    show = Lines(out, quiet=True)
    for event in (
        Started(2, 0, 64, 48),
        FrameDone(1, 2, 2, 5, 1.0),
        Encoding(2, 2),
        Measured(1, 2),
        Note("by the way"),
    ):
        show(event)
    assert out.getvalue() == ""
    show(Note("careful", warning=True))
    assert lines_of(out) == ["warning: careful"]


def test_json_has_one_object_for_each_event() -> None:
    out = io.StringIO()
    show = JsonLines(out)
    for event in (
        Started(2, 0, 64, 48),
        FrameDone(0, 1, 2, 5, 1.5),
        FrameDone(1, 2, 2, 5, 1.5, Path("frames/000001.png")),
        Note("two\nlines", warning=True),
        Encoding(2, 2),
    ):
        show(event)
    show.close()
    assert [json.loads(text) for text in lines_of(out)] == [
        {"event": "Started", "total": 2, "done": 0, "width": 64, "height": 48},
        {
            "event": "FrameDone",
            "frame": 0,
            "done": 1,
            "total": 2,
            "iterations": 5,
            "seconds": 1.5,
            "path": None,
        },
        {
            "event": "FrameDone",
            "frame": 1,
            "done": 2,
            "total": 2,
            "iterations": 5,
            "seconds": 1.5,
            "path": "frames/000001.png",
        },
        {"event": "Note", "text": "two\nlines", "warning": True},
        {"event": "Encoding", "done": 2, "total": 2},
    ]


def test_a_bar_writes_to_stderr_and_takes_notes_literally(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = Bar()
    for event in (
        Started(2, 1, 64, 48),
        Note("[x]*.mp4", True),
        FrameDone(1, 2, 2, 5, 1.0),
        Encoding(1, 2),
    ):
        bar(event)
    bar.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning: [x]*.mp4" in err
    assert re.search(r"rendering.*2/2", err)
    assert re.search(r"encoding.*1/2", err)


@dataclass(frozen=True)
class Saved:
    """An event that names a file."""

    path: Path


def test_json_writes_a_path_as_its_text() -> None:
    out = io.StringIO()
    JsonLines(out)(Saved(Path("frames/000001.png")))  # type: ignore[arg-type]
    assert json.loads(out.getvalue()) == {"event": "Saved", "path": "frames/000001.png"}


def test_events_go_to_the_watcher_and_then_to_the_display(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[Event] = []
    with report_to("lines", seen.append, quiet=False) as report:
        report(Note("by the way"))
    assert seen == [Note("by the way")]
    assert capsys.readouterr() == ("", "by the way\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "terminal", "quiet", "expected"),
    [
        ("auto", False, False, Lines),
        ("auto", True, False, Bar),
        ("auto", True, True, Lines),
        ("bar", False, False, Bar),
        ("bar", True, True, Lines),
        ("lines", True, False, Lines),
        ("json", True, False, JsonLines),
    ],
)
def test_the_display_fits_the_stream(
    kind: str, terminal: bool, quiet: bool, expected: type
) -> None:
    show = make_display(kind, Terminal() if terminal else io.StringIO(), quiet=quiet)
    show.close()
    assert type(show) is expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3599.4, "59:59"), (3700, "1:01:40")],
)
def test_times_are_written_as_on_a_clock(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text


def test_silence_takes_every_event() -> None:
    for event in (Started(1, 0, 8, 8), FrameDone(0, 1, 1, 1, 0.1), Encoding(1, 1), Note("x")):
        silent(event)
