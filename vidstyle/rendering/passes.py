"""The multi-pass algorithm: over every shot again and again, forth and back (Ruder 2016, section
4.4).

pass 1          every frame by itself, in order
pass 2, 4, ...  from the last frame of a shot to its first
pass 3, 5, ...  from the first to the last

From pass 2 on a frame starts from what the pass before made of it, blended with the neighbour that
this pass has just made. So what a shot looks like spreads over it in both directions, also to what
comes into view later.

A pass reads `frames.N/` of the one before and writes its own folder; the last one writes `frames/`.
What is left to do is told by these folders alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidstyle.events import Note, Report, Started
from vidstyle.frames import Frame, Motion
from vidstyle.motion.correspondence import link_frames
from vidstyle.rendering import streams
from vidstyle.rendering.frame_counter import FrameCounter
from vidstyle.rendering.prefetch import Behind, ahead
from vidstyle.stylize.optimise.engine import State
from vidstyle.video import read

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.pipeline import Job, Stop
    from vidstyle.rendering.trace import Trace
    from vidstyle.storage.checkpoint import Checkpoint
    from vidstyle.storage.frame_store import FrameStore
    from vidstyle.stylize.optimise.engine import Stylizer


@dataclass(frozen=True)
class Pass:
    """What is left of one pass, counted from 1: `frames` in the order in which they are
    rendered.
    """

    number: int
    frames: tuple[int, ...]

    @property
    def direction(self) -> str:
        return (
            "every frame by itself"
            if self.number == 1
            else "forward"
            if self.number % 2
            else "backward"
        )


@dataclass(frozen=True)
class Revision:
    """All that a frame of a later pass is made from but its stylised neighbour.

    Args:
        source, image: the source frame, and what the pass before made of it, (3, H, W).
        neighbour: the frame that this pass renders before it, and `motion` what links it to that
            one; None for the first frame of a shot in this pass's direction.
    """

    index: int
    source: Tensor
    image: Tensor
    neighbour: int | None
    motion: Motion | None


def neighbour(index: int, number: int, shots: Collection[int], count: int) -> int | None:
    """The frame of the same shot that pass `number` renders before frame `index`; None for a shot's
    first one.
    """
    if number == 1:
        return None
    if number % 2:
        return None if index in shots else index - 1
    return None if index + 1 in shots or index + 1 == count else index + 1


def folder(store: Checkpoint, number: int, passes: int) -> FrameStore:
    """Where pass `number` writes its frames."""
    return store.final if number == passes else store.pass_frames(number)


def remaining(store: Checkpoint, shots: Collection[int], passes: int) -> list[Pass]:
    """What must be rendered for the last pass to be complete, the earliest pass first; nothing when
    it is.

    A frame needs itself in the pass before, and its neighbour in its own. So it is asked for from
    the end: what is missing of the last pass, what is missing of the pass before to make that, and
    so on. Where nothing is damaged this ends at the pass that was interrupted. Where a frame is,
    and the pass it was made from is gone, it goes back to the first pass, for that shot.
    """
    left: list[Pass] = []
    wanted = store.final.missing(range(store.count))
    for number in range(passes, 0, -1):
        if not wanted:
            break
        there, todo = folder(store, number, passes), set(wanted)
        for index in wanted:
            beside = neighbour(index, number, shots, store.count)
            while beside is not None and beside not in todo and there.missing([beside]):
                todo.add(beside)
                beside = neighbour(beside, number, shots, store.count)
        backward = number % 2 == 0
        left.insert(0, Pass(number, tuple(sorted(todo, reverse=backward))))
        wanted = store.pass_frames(number - 1).missing(sorted(todo)) if number > 1 else []
    return left


def render(
    job: Job,
    stylizer: Stylizer,
    flow: Flow,
    store: Checkpoint,
    report: Report,
    stop: Stop,
    trace: Trace | None = None,
) -> list[float]:
    """Render what is missing, pass after pass. Returns the seconds that each frame of each pass
    took.
    """
    passes, shots = job.config.passes, job.shots
    left = remaining(store, shots, passes)
    total = passes * store.count
    done = total - sum(len(one.frames) for one in left)
    if left and any(
        folder(store, later, passes).files() for later in range(left[0].number + 1, passes + 1)
    ):
        back = f"frames of earlier passes are missing or damaged: it goes back to pass {left[0].number}"
        report(Note(f"{back}, and comes to the same result", warning=True))
    if left:
        report(Note(f"{passes} passes over {store.count} frames: {total} to render in all"))
    report(Started(total, done, *job.size))
    tally = FrameCounter(total, done, report, stop, passes)
    for one in left:
        report(Note(f"pass {one.number} of {passes}, {one.direction}"))
        for earlier in range(1, one.number - 1):  # the one before this is complete
            store.pass_frames(earlier).drop()
        made = folder(store, one.number, passes)
        made.open()
        if one.number == 1:
            first_pass(job, stylizer, store, left, made, tally, trace)
            continue
        if one is left[0]:  # an earlier run did the first pass, and mostly all of them are there
            keep_sources(job, store, sources(store, left, shots), tally)
        later_pass(one, job, stylizer, flow, store, made, tally)
    store.drop_passes()
    return tally.seconds


def sources(store: Checkpoint, left: list[Pass], shots: Collection[int]) -> list[int]:
    """The source frames that later passes will look at, and that are not kept yet."""
    later = [(index, one.number) for one in left if one.number > 1 for index in one.frames]
    beside = (neighbour(index, number, shots, store.count) for index, number in later)
    needed = {index for index, _ in later} | {index for index in beside if index is not None}
    return store.source.missing(sorted(needed))


def decoded(
    job: Job, store: Checkpoint, wanted: Collection[int], unkept: Collection[int]
) -> Generator[Frame, None, None]:
    """The wanted source frames in order; those of `unkept` are written to the disk on the way, for
    the decoder goes only forward and later passes do not."""
    todo, regions = {*wanted, *unkept}, job.regions.fixed if job.regions else None
    if not todo:
        return
    if unkept:
        store.source.open()
    # Closed here and not by the garbage collector: the decoder must be gone when the render is.
    with contextlib.closing(
        read.read(job.source, job.size, job.first + min(todo), job.first + max(todo) + 1)
    ) as frames:
        for frame in frames:
            index = frame.index - job.first
            if index in unkept:
                store.source.save(index, frame.image)
            if index in wanted:
                yield job.frame(index, frame.image, regions)


def keep_sources(job: Job, store: Checkpoint, unkept: Collection[int], tally: FrameCounter) -> None:
    """Write the source frames that no first pass of this run writes."""
    with contextlib.closing(decoded(job, store, unkept, unkept)) as frames:
        for _ in frames:
            tally.ask()


def first_pass(
    job: Job,
    stylizer: Stylizer,
    store: Checkpoint,
    left: list[Pass],
    made: FrameStore,
    tally: FrameCounter,
    trace: Trace | None,
) -> None:
    """Every frame by itself, like the first of a shot."""
    wanted, unkept = set(left[0].frames), set(sources(store, left, job.shots))
    with ahead(decoded(job, store, wanted, unkept)) as frames, Behind() as behind:
        for frame in frames:
            tally.ask()
            _, image, iterations = (trace or stylizer).step(State(), frame, None)
            behind.submit(lambda index=frame.index, image=image: made.save(index, image))  # type: ignore[misc]
            tally.add(frame.index, iterations)
            if trace:
                trace.deliver()


def revisions(
    one: Pass,
    store: Checkpoint,
    shots: Collection[int],
    flow: Flow,
    mask: str,
    device: torch.device,
) -> Generator[Revision, None, None]:
    """The frames of a later pass, each with what it is made from, source and links where
    `moving_frames` has them; `mask` as in `links.link`.
    """

    def source_of(index: int) -> Tensor:
        return streams.brought(store.source.load(index), device)

    before = store.pass_frames(one.number - 1)
    last: tuple[int, Tensor] | None = None
    for index in one.frames:
        source, beside, motion = (
            source_of(index),
            neighbour(index, one.number, shots, store.count),
            None,
        )
        if beside is not None:
            other = last[1] if last and last[0] == beside else source_of(beside)
            motion = link_frames(source, other, flow, mask)
        last = index, source
        yield Revision(index, source, before.load(index), beside, motion)


def later_pass(
    one: Pass,
    job: Job,
    stylizer: Stylizer,
    flow: Flow,
    store: Checkpoint,
    made: FrameStore,
    tally: FrameCounter,
) -> None:
    """Every frame from what it was, and from the neighbour that was rendered before it."""
    hold, regions = (
        one.number >= job.config.first_temporal_pass,
        job.regions.fixed if job.regions else None,
    )
    last: tuple[int, Tensor] | None = None
    device = stylizer.device
    made_from = revisions(one, store, job.shots, flow, job.config.mask, device)
    with streams.beside(made_from, device) as frames, Behind() as behind:
        for frame in frames:
            tally.ask()
            streams.taken_over(frame.source, frame.motion)
            beside: Tensor | None = None
            if frame.neighbour is not None:
                # What this run rendered may still be on its way to the disk; what an earlier one
                # did is there.
                beside = (
                    last[1] if last and last[0] == frame.neighbour else made.load(frame.neighbour)
                )
            source = job.frame(frame.index, frame.source, regions)
            image, iterations = stylizer.revise(
                source, frame.image, beside, frame.motion, hold=hold
            )
            last = frame.index, image
            behind.submit(lambda index=frame.index, image=image: made.save(index, image))  # type: ignore[misc]
            tally.add(frame.index, iterations)
