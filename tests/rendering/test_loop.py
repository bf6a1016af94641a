"""The loop: a frame is reported once it is on the disk, in order, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vidstyle.errors import DiskFullError, Interrupted
from vidstyle.events import Event, FrameDone
from vidstyle.frames import Frame, Motion
from vidstyle.rendering.loop import FrameCounter, run_schedule
from vidstyle.rendering.schedule import Work
from vidstyle.storage.frame_store import FrameStore
from vidstyle.stylize.engine import FrameCost, State, Step

COUNT = 6
SOON = 10.0
"""Seconds after which a wait has failed; none of them is waited for in full."""


@dataclass
class Store:
    """Frames in memory. It writes when `gate` opens, and fails at frame `broken`."""

    broken: int | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    saved: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gate.set()

    def frame_path(self, index: int) -> Path:
        return Path(f"frames/{index:06d}.png")

    def save(self, index: int, image: Tensor) -> None:
        assert self.gate.wait(SOON)
        if index == self.broken:
            raise DiskFullError("the disk is full", "no space left", "make room")
        self.saved[index] = image

    def load(self, index: int) -> Tensor:
        return self.saved[index]


@dataclass
class Counting:
    """A stylizer whose frames are their source plus that of the frame before, on any device."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    states: list[State] = field(default_factory=list)
    fails_at: int | None = None

    def step(
        self, state: State, frame: Frame, motion: Motion | None, observer: object = None
    ) -> Step:
        if frame.index == self.fails_at:
            raise RuntimeError("out of something")
        self.states.append(state)
        before = 0.0 if state.image is None else state.image
        image = frame.image + before
        return Step(image, state.followed_by(image, 1), frame.index + 1)

    def cost(self, frame: object, linked_iterations: object = None) -> FrameCost:
        raise NotImplementedError


@dataclass
class GPU:
    """Stands for a device on which frames may still be on their way to the disk."""

    type: str = "gpu"


def image(value: float) -> Tensor:
    return torch.full((3, 2, 2), value)


LINK = Motion(torch.zeros(2, 2, 2), torch.ones(1, 2, 2))


def schedule(store: Store, indices: Iterator[int] | range = range(COUNT)) -> Iterator[Work]:
    for i in indices:
        target: FrameStore = store  # type: ignore[assignment]
        yield Work(Frame(i, image(1.0)), LINK if i else None, target)


def counter(events: list[Event], stop_after: int | None = None, done: int = 0) -> FrameCounter:
    asked = iter(range(done, 100))
    return FrameCounter(
        COUNT, done, events.append, lambda: stop_after is not None and next(asked) >= stop_after
    )


def reported(events: list[Event]) -> list[int]:
    return [e.frame for e in events if isinstance(e, FrameDone)]


@pytest.mark.parametrize("device", [torch.device("cpu"), GPU()], ids=["cpu", "gpu"])
def test_every_frame_is_reported_in_order_with_its_file_after_it_is_saved(device: object) -> None:
    store = Store()
    events: list[Event] = []

    def report(event: Event) -> None:
        assert isinstance(event, FrameDone)
        assert event.frame in store.saved
        events.append(event)

    frames = FrameCounter(COUNT, 0, report, lambda: False)
    run_schedule(schedule(store), Counting(device), frames)  # type: ignore[arg-type]
    done = [e for e in events if isinstance(e, FrameDone)]
    assert [(e.frame, e.done, e.total, e.iterations) for e in done] == [
        (i, i + 1, COUNT, i + 1) for i in range(COUNT)
    ]
    assert [e.path for e in done] == [store.frame_path(i) for i in range(COUNT)]
    assert [float(store.saved[i].mean()) for i in range(COUNT)] == [1, 2, 3, 4, 5, 6]
    assert len(frames.seconds) == COUNT


@pytest.mark.parametrize(("device", "ahead"), [(torch.device("cpu"), 1), (GPU(), 3)])
def test_a_slow_writer_holds_back_reports_and_soon_the_optimiser(
    device: object, ahead: int
) -> None:
    """One frame is made while its predecessor waits on a GPU; none on a CPU."""
    store = Store()
    store.gate.clear()
    events: list[Event] = []
    stylizer = Counting(device)  # type: ignore[arg-type]
    reached = threading.Event()

    def watched() -> Iterator[int]:
        for i in range(COUNT):
            if i == ahead:
                assert not reported(events)
                reached.set()
            yield i

    thread = threading.Thread(
        target=run_schedule, args=(schedule(store, watched()), stylizer, counter(events))
    )
    thread.start()
    assert reached.wait(SOON)
    thread.join(0.05)
    assert len(stylizer.states) == ahead
    assert reported(events) == []
    store.gate.set()
    thread.join(SOON)
    assert reported(events) == list(range(COUNT))


@pytest.mark.parametrize("device", [torch.device("cpu"), GPU()], ids=["cpu", "gpu"])
@pytest.mark.parametrize("broken", [0, 2, COUNT - 1])
def test_a_frame_that_cannot_be_saved_ends_the_render_and_none_that_was_reported_is_missing(
    device: object, broken: int
) -> None:
    store = Store(broken=broken)
    events: list[Event] = []
    with pytest.raises(DiskFullError):
        run_schedule(schedule(store), Counting(device), counter(events))  # type: ignore[arg-type]
    assert reported(events) == list(range(broken))
    assert set(reported(events)) <= set(store.saved)


@pytest.mark.parametrize("broken", [0, 1])
def test_an_error_of_the_disk_comes_before_the_one_that_ends_the_loop(broken: int) -> None:
    """Or the user would be promised frames that are not there."""
    store = Store(broken=broken)
    stylizer = Counting(GPU(), fails_at=2)  # type: ignore[arg-type]
    store.gate.clear()
    events: list[Event] = []

    def opening() -> Iterator[int]:
        for i in range(COUNT):
            if i == 2:
                store.gate.set()
            yield i

    with pytest.raises(DiskFullError) as caught:
        run_schedule(schedule(store, opening()), stylizer, counter(events))
    assert reported(events) == list(range(broken))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("device", [torch.device("cpu"), GPU()], ids=["cpu", "gpu"])
def test_what_is_made_when_the_user_stops_is_saved_and_counted(device: object) -> None:
    store = Store()
    events: list[Event] = []
    with pytest.raises(Interrupted, match=f"4 of {COUNT} frames are done and kept") as caught:
        run_schedule(
            schedule(store, range(1, COUNT)),
            Counting(device),  # type: ignore[arg-type]
            counter(events, stop_after=4, done=1),
        ) if store.saved.setdefault(0, image(1.0)) is not None else None
    assert caught.value.exit_code == 130
    assert reported(events) == [1, 2, 3]
    assert set(store.saved) == {0, 1, 2, 3}


def test_frames_of_an_earlier_run_come_from_their_files() -> None:
    store = Store()
    store.saved = {0: image(10.0), 3: image(40.0)}
    stylizer = Counting()
    run_schedule(schedule(store, iter([1, 2, 4, 5])), stylizer, counter([]))
    before = [None if s.image is None else float(s.image.mean()) for s in stylizer.states]
    assert before == [10.0, 11.0, 40.0, 41.0]
