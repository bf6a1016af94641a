"""The render loop: it makes the frames of a schedule, saves each, and then reports it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vidstyle.errors import Interrupted
from vidstyle.events import FrameDone, Report, Stop
from vidstyle.machine.allocator import return_memory
from vidstyle.rendering.packing import count_unpacked
from vidstyle.rendering.prefetch import hand_over
from vidstyle.stylize.engine import MultiPassStylizer, State, Step, Stylizer

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.rendering.packing import Packer
    from vidstyle.rendering.paint_store import PaintStore
    from vidstyle.rendering.schedule import Work
    from vidstyle.stylize.engine import Observer

WAITING_FRAMES = {"cpu": 0}
"""The number of finished frames that may still be on their way to the disk while the next one is
made, by the type of the device; elsewhere `MOST_WAITING_FRAMES`. On the CPU the writer would use
the optimiser's own cores."""

MOST_WAITING_FRAMES = 2


class FrameWatcher(Protocol):
    """Watches how chosen frames come about."""

    def watch(self, work: Work) -> AbstractContextManager[Observer | None]:
        """Observe this frame while it is made; None where it is not of interest."""
        ...

    def finish(self, work: Work, step: Step) -> None:
        """Take a frame that is made."""
        ...


class FrameCounter:
    """Counts, times and reports the frames of one run; its time begins when it is made.

    Args:
        total: frames of the whole render, those of every pass.
        done: those that earlier runs have made.
        passes: how often each frame is made, and so counted.
    """

    def __init__(self, total: int, done: int, report: Report, stop: Stop, passes: int = 1) -> None:
        self.total = total
        self.done = done
        self.report = report
        self.stop = stop
        self.passes = passes
        self.packer: Packer | None = None
        """Packs finished frames now and then."""
        self.unpacked = 0
        """Frames that were made since then."""
        self.seconds: list[float] = []
        self.begun = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last frame was made, with the wait for decoding and flow."""
        now = time.perf_counter()
        seconds = now - self.begun
        self.begun = now
        return seconds

    def add(self, event: FinishedFrame) -> None:
        """Count and report one more frame, which is on the disk."""
        self.done += 1
        self.seconds.append(event.seconds)
        path = event.target.frame_path(event.index)
        self.report(
            FrameDone(event.index, self.done, self.total, event.iterations, event.seconds, path)
        )
        self.pack_now_and_then()

    def pack_now_and_then(self) -> None:
        """Count a frame that is on the disk, and pack those that are finished once in a while."""
        self.unpacked += 1
        if self.packer is not None and self.unpacked >= count_unpacked():
            self.unpacked = 0
            self.packer.pack_finished()

    def refuse_stopped(self) -> None:
        """Raise Interrupted where the user wants to stop."""
        if self.stop():
            raise self.interruption()

    def interruption(self) -> Interrupted:
        """The error that ends a render that the user stops."""
        counted = "frames" if self.passes == 1 else f"frames of {self.passes} passes"
        return Interrupted(
            "interrupted",
            f"{self.done} of {self.total} {counted} are done and kept",
            "the same command continues",
            130,
        )


@dataclass(frozen=True)
class FinishedFrame:
    """A frame that is made, and perhaps still on its way to the disk."""

    index: int
    iterations: int
    seconds: float
    target: PaintStore
    is_counted: bool = True


class FrameWriter:
    """Saves frames in another thread, one after the other, and counts each once it is durable.

    Frames are counted in the thread that calls `settle`. Leaving the block waits for all of them.
    An error of the disk is raised by the next `settle`, or on leaving the block, where it replaces
    the block's own error: that one would promise frames that are not there.

    Args:
        depth: how many frames may be on their way after `settle`.
    """

    def __init__(self, counter: FrameCounter, depth: int) -> None:
        self.counter = counter
        self.depth = depth
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="frame-writer")
        self.waiting: deque[tuple[Future[None], FinishedFrame]] = deque()

    def __enter__(self) -> FrameWriter:
        return self

    def save(self, frame: FinishedFrame, image: Tensor) -> None:
        """Begin to save a frame (3, H, W)."""
        future = self.pool.submit(frame.target.save, frame.index, image)
        self.waiting.append((future, frame))

    def settle(self, depth: int | None = None) -> None:
        """Wait until at most `depth` frames are on their way, and count those that are durable."""
        most = self.depth if depth is None else depth
        while self.waiting and (len(self.waiting) > most or self.waiting[0][0].done()):
            future, frame = self.waiting.popleft()
            try:
                future.result()
            except BaseException:
                # A later frame may have found room: it is not reported, and the next run finds it.
                self.waiting.clear()
                raise
            if frame.is_counted:
                self.counter.add(frame)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.pool.shutdown(wait=True)
        self.settle(0)


def run_schedule(
    schedule: Iterable[Work],
    stylizer: Stylizer,
    counter: FrameCounter,
    watcher: FrameWatcher | None = None,
) -> None:
    """Make every frame of a schedule, save it, and then report it.

    Raises Interrupted when the user wants to stop; the frames so far are durable and reported.
    """
    state = State()
    last: int | None = None  # `state` is what follows this frame
    depth = WAITING_FRAMES.get(stylizer.device.type, MOST_WAITING_FRAMES)
    with FrameWriter(counter, depth) as writer:
        for work in schedule:
            writer.settle()
            if counter.stop():
                writer.settle(0)
                raise counter.interruption()
            hand_over(work.frame, work.motion)
            state = recall_state(state, last, work)
            with watcher.watch(work) if watcher else nullcontext() as observer:
                step = make_frame(stylizer, state, work, observer)
            state = step.state
            last = work.frame.index
            if work.motion is None and step.iterations:
                # Or what the coarse scales have freed stays with this process, in pieces.
                return_memory()
            writer.save(
                FinishedFrame(last, step.iterations, counter.lap(), work.target, work.is_counted),
                step.image,
            )
            if watcher:
                watcher.finish(work, step)


def make_frame(stylizer: Stylizer, state: State, work: Work, observer: Observer | None) -> Step:
    """Stylise one frame, for the first time or in a later pass, unless it is there already."""
    if work.given is not None:
        return Step(work.given, State(work.given), 0)
    if work.is_repeat:
        assert state.image is not None, "the frame that it repeats has been recalled"
        return Step(state.image, state.followed_by(state.image, work.reach), 0)
    if work.previous_pass is None:
        return stylizer.step(state, work.frame, work.motion, observer)
    assert isinstance(stylizer, MultiPassStylizer), "prepare refuses passes for other engines"
    return stylizer.revise(
        state, work.frame, work.motion, work.previous_pass, temporal_loss=work.temporal_loss
    )


def recall_state(state: State, last: int | None, work: Work) -> State:
    """The state that a frame starts from, where `state` is that after frame `last`.

    Frames that are not in it, because an earlier run has made them, are read from their files.
    """
    if work.motion is None and not work.is_repeat:
        return State()
    index = work.frame.index
    at_hand: dict[int, Tensor] = {}
    if last is not None:
        gap = (index - last) * work.direction
        at_hand = {j + gap - 1: image for j, image in state.images.items()}
    for j in (1, *(work.motion.farther if work.motion else ())):
        if j not in at_hand:
            at_hand[j] = work.target.load(index - j * work.direction)
    return State(at_hand.pop(1), at_hand)
