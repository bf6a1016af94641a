"""The order in which the frames of a shot are made, and what each is made from.

A single pass goes forward, and links each frame to those before it. The multi-pass algorithm goes
over a shot again and again (Ruder 2016, section 4.4):

    pass 1          every frame by itself, in order
    pass 2, 4, ...  from the last frame of the shot to its first
    pass 3, 5, ...  from the first to the last

From pass 2 on a frame starts from its image of the pass before, blended with the neighbour that
this pass has just made. So the look of a shot spreads over it in both directions, also to what
comes into view later. A pass reads `frames.N/` of the one before and writes a folder of its own;
the last one writes `frames/`. These folders alone say what is left to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidstyle.motion.correspondence import link_frames
from vidstyle.rendering.prefetch import prefetch, upload_image
from vidstyle.rendering.sources import linked_frames, source_frame, stored_frames

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vidstyle.frames import Frame, Motion
    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.job import FrameRange, Job
    from vidstyle.storage.checkpoint import Checkpoint
    from vidstyle.storage.frame_store import FrameStore


@dataclass(frozen=True)
class Work:
    """One frame to make, with all that it is made from except stylised frames of its own pass.

    Args:
        frame: the source frame, with its style.
        motion: what links it to the frames that the pass makes before it; None for one that is made
            by itself, such as the first one of a shot.
        target: where the stylised frame goes.
        direction: 1 where the pass goes forward, -1 where it goes backward.
        previous_pass: (3, H, W), the frame as the pass before left it; None in the first pass.
        temporal_loss: whether a frame of a later pass is also held to its neighbour by the temporal
            loss.
    """

    frame: Frame
    motion: Motion | None
    target: FrameStore
    direction: int = 1
    previous_pass: Tensor | None = None
    temporal_loss: bool = False


@dataclass(frozen=True)
class Pass:
    """The frames of one pass over a shot that are still to be made.

    Args:
        number: counted from 1.
        frames: in the order in which they are made.
        target: where it writes them.
    """

    number: int
    frames: tuple[int, ...]
    target: FrameStore

    @property
    def direction(self) -> int:
        """1 forward, -1 backward."""
        return direction_of(self.number)

    @property
    def description(self) -> str:
        """Its way through the shot, in words."""
        if self.number == 1:
            return "every frame by itself"
        return "forward" if self.direction > 0 else "backward"


@dataclass(frozen=True)
class ShotPlan:
    """The passes of a shot that are still to be made, the earliest first; none when it is
    complete.
    """

    shot: FrameRange
    passes: tuple[Pass, ...]

    @property
    def frame_count(self) -> int:
        """The number of frames to make, those of every pass."""
        return sum(len(one.frames) for one in self.passes)

    def missing_of_last_pass(self, passes: int) -> int:
        """Count the frames of the result that are missing."""
        return sum(len(one.frames) for one in self.passes if one.number == passes)


def direction_of(number: int) -> int:
    """The direction in which pass `number` goes over a shot: 1 forward, -1 backward."""
    return 1 if number % 2 else -1


def neighbour_of(index: int, number: int, shot: FrameRange) -> int | None:
    """The frame of the shot that pass `number` makes before frame `index`; None for the first one,
    and everywhere in pass 1.
    """
    if number == 1:
        return None
    neighbour = index - direction_of(number)
    return neighbour if neighbour in shot else None


def pass_store(store: Checkpoint, number: int, passes: int) -> FrameStore:
    """Choose the store that pass `number` writes its frames to."""
    return store.final if number == passes else store.pass_frames(number)


def plan_shot(job: Job, shot: FrameRange, store: Checkpoint) -> ShotPlan:
    """Find out what must be made for the last pass over a shot to be complete.

    A frame needs itself in the pass before, and its neighbour in its own. So the plan is made from
    the end: what is missing of the last pass, what is missing of the pass before to make that, and
    so on. Where nothing is damaged this ends at the pass that was interrupted. Where the pass that
    a missing frame is made from is gone, it goes back to the first pass.
    """
    passes = job.config.passes
    left: list[Pass] = []
    wanted = store.final.missing_frames(shot.indices)
    for number in range(passes, 0, -1):
        if not wanted:
            break
        target = pass_store(store, number, passes)
        needed = set(wanted)
        if passes > 1:
            for index in wanted:
                other = neighbour_of(index, number, shot)
                while other is not None and other not in needed and target.missing_frames([other]):
                    needed.add(other)
                    other = neighbour_of(other, number, shot)
        frames = tuple(sorted(needed, reverse=direction_of(number) < 0))
        left.insert(0, Pass(number, frames, target))
        earlier = store.pass_frames(number - 1) if number > 1 else None
        wanted = earlier.missing_frames(sorted(needed)) if earlier else []
    return ShotPlan(shot, tuple(left))


def goes_back(plan: ShotPlan, store: Checkpoint, passes: int) -> bool:
    """Tell whether a plan that is not empty begins at an earlier pass than was reached, because
    frames of it are damaged or gone.
    """
    first = plan.passes[0].number
    later = [pass_store(store, number, passes) for number in range(first + 1, passes + 1)]
    return any(target.frame_path(index).exists() for target in later for index in plan.shot.indices)


def unsaved_sources(plan: ShotPlan, store: Checkpoint) -> list[int]:
    """The source frames that later passes look at, and that are not on the disk yet."""
    needed = set()
    for one in plan.passes:
        if one.number > 1:
            neighbours = (neighbour_of(i, one.number, plan.shot) for i in one.frames)
            needed |= {*one.frames, *(i for i in neighbours if i is not None)}
    return store.source.missing_frames(sorted(needed))


def schedule_pass(
    job: Job,
    plan: ShotPlan,
    one: Pass,
    flow: Flow,
    store: Checkpoint,
    device: torch.device,
    refuse_stopped: Callable[[], None],
) -> Generator[Work, None, None]:
    """Give the work of one pass over a shot, frame after frame. What flow was computed of is on the
    device if that is CUDA, everything else on the CPU.

    Args:
        refuse_stopped: raises where the user wants to stop; asked while source frames are saved.
    """
    if job.config.passes == 1:
        return linked_work(job, plan.shot, one, flow, device)
    if one.number == 1:
        return independent_work(job, plan, one, store)
    if one is plan.passes[0]:
        # An earlier run made the first pass, and has usually saved every source frame.
        save_sources(job, unsaved_sources(plan, store), store, refuse_stopped)
    return revision_work(job, plan, one, flow, store, device)


def linked_work(
    job: Job, shot: FrameRange, one: Pass, flow: Flow, device: torch.device
) -> Generator[Work, None, None]:
    """Each frame linked to those before it, where frames are linked: the single pass."""
    with contextlib.closing(linked_frames(job, shot, set(one.frames), flow, device)) as frames:
        for frame, motion in frames:
            yield Work(frame, motion, one.target)


def independent_work(
    job: Job, plan: ShotPlan, one: Pass, store: Checkpoint
) -> Generator[Work, None, None]:
    """Every frame by itself, like the first one of a shot: the first of several passes."""
    unsaved = set(unsaved_sources(plan, store))
    frames = stored_frames(job, set(one.frames), unsaved, store.source)
    with prefetch(frames) as decoded:
        for frame in decoded:
            yield Work(frame, None, one.target)


def save_sources(
    job: Job, indices: Collection[int], store: Checkpoint, refuse_stopped: Callable[[], None]
) -> None:
    """Save source frames for later passes."""
    frames = stored_frames(job, indices, indices, store.source)
    with contextlib.closing(frames):
        for _ in frames:
            refuse_stopped()


def revision_work(
    job: Job, plan: ShotPlan, one: Pass, flow: Flow, store: Checkpoint, device: torch.device
) -> Generator[Work, None, None]:
    """Each frame from its image of the pass before, linked to the neighbour that this pass has just
    made: a later pass.
    """
    temporal_loss = one.number >= job.config.first_temporal_pass
    regions = job.label_maps.fixed if job.label_maps else None
    before = store.pass_frames(one.number - 1)
    last: tuple[int, Tensor] | None = None
    for index in one.frames:
        image = upload_image(store.source.load(index), device)
        neighbour = neighbour_of(index, one.number, plan.shot)
        motion = None
        if neighbour is not None:
            if last is not None and last[0] == neighbour:
                other = last[1]
            else:
                other = upload_image(store.source.load(neighbour), device)
            motion = link_frames(image, other, flow, job.config.mask)
        last = (index, image)
        frame = source_frame(job, index, image, regions)
        yield Work(
            frame,
            motion,
            one.target,
            direction=one.direction,
            previous_pass=before.load(index),
            temporal_loss=temporal_loss,
        )
