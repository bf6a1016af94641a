"""Ctrl-C once finishes the frame, twice stops at once; between renders it stops at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator

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
