"""Ctrl-C once finishes the frame, twice stops at once; between renders it stops at once."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidstyle.cli.signals import Signals
from vidstyle.errors import Interrupted
from vidstyle.events import Encoding, Event, FrameDone, Measured, Note, Started


@pytest.fixture
def signals() -> Iterator[Signals]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    installed = Signals()
    installed.install()
    yield installed
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("event", [Started(3, 0, 8, 8), Measured(0, 3)])
def test_the_first_ctrl_c_of_a_render_only_asks(
    event: Event, signals: Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    signals.watch(event)
    assert not signals.stop_requested()
    signal.raise_signal(signal.SIGINT)
    assert signals.stop_requested()
    assert "Ctrl-C again" in capsys.readouterr().err


class InterruptedFile(io.RawIOBase):
    """A file during whose first writing Ctrl-C is pressed."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb", buffering=0)
        self.pressed = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.file.fileno()

    def write(self, data: object) -> int:
        if not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)
        return self.file.write(data)  # type: ignore[arg-type]

    def close(self) -> None:
        super().close()
        self.file.close()


def test_ctrl_c_while_progress_is_printed_disturbs_neither(
    signals: Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals.watch(Started(3, 0, 8, 8))
    path = tmp_path / "stderr.txt"
    stream = io.TextIOWrapper(io.BufferedWriter(InterruptedFile(path)), write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    print("frame 1/3", file=sys.stderr, flush=True)
    assert signals.stop_requested()
    monkeypatch.undo()
    stream.close()
    text = path.read_text()
    assert "frame 1/3" in text
    assert "Ctrl-C again" in text


def test_the_second_ctrl_c_stops_at_once(signals: Signals) -> None:
    signals.watch(Started(3, 0, 8, 8))
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(Interrupted) as e:
        signal.raise_signal(signal.SIGINT)
    assert e.value.exit_code == 130
    signal.raise_signal(signal.SIGINT)  # a third one does not disturb the tidying up


@pytest.mark.parametrize(
    "events",
    [
        [],
        [Note("before the first frame")],
        [Started(3, 3, 8, 8)],  # nothing is left to render
        [Started(3, 0, 8, 8), FrameDone(2, 3, 3, 1, 0.1)],
        [Started(3, 0, 8, 8), FrameDone(2, 3, 3, 1, 0.1), Encoding(1, 3)],
    ],
    ids=[
        "at the start",
        "preparing",
        "continued with all frames there",
        "after the last frame",
        "encoding",
    ],
)
def test_where_no_frame_is_under_way_the_first_ctrl_c_stops(
    signals: Signals, events: list[Note]
) -> None:
    for event in events:
        signals.watch(event)
    with pytest.raises(Interrupted) as e:
        signal.raise_signal(signal.SIGINT)
    assert (e.value.exit_code, e.value.what) == (130, "interrupted")


@pytest.mark.parametrize("rendering", [False, True])
def test_termination_does_not_wait(signals: Signals, rendering: bool) -> None:
    if rendering:
        signals.watch(Started(3, 0, 8, 8))
    with pytest.raises(Interrupted) as e:
        signal.raise_signal(signal.SIGTERM)
    assert (e.value.exit_code, e.value.what) == (143, "terminated")
    assert "continues" in e.value.hint
