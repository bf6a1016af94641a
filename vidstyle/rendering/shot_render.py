"""The render of single shots: what is left of each, made pass after pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidstyle.events import Note, Report, Started, Stop
from vidstyle.machine.allocator import spare_memory
from vidstyle.machine.device import deterministic
from vidstyle.rendering.loop import FrameCounter, run_schedule
from vidstyle.rendering.models import Models, RenderTools, build_tools
from vidstyle.rendering.prefetch import prefetch_for
from vidstyle.rendering.prepare import check_space
from vidstyle.rendering.schedule import ShotPlan, goes_back, plan_shot, schedule_pass
from vidstyle.storage.lock import lock_shot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vidstyle.rendering.job import FrameRange, Job
    from vidstyle.rendering.loop import FrameWatcher
    from vidstyle.storage.checkpoint import Checkpoint


def render_missing(
    job: Job,
    shots: Sequence[FrameRange],
    store: Checkpoint,
    report: Report,
    stop: Stop,
    models: Models,
    watcher: FrameWatcher | None = None,
) -> list[float]:
    """Render what is missing of some shots; return the seconds that each frame took. Nothing is
    loaded where nothing is missing.
    """
    with deterministic(job.device.device):
        spare_memory(sparing=job.memory.tile > 0)
        plans = [plan_shot(job, shot, store) for shot in shots]
        check_left(job, plans, store, report)
        tools = build_tools(job, models) if any(plan.passes for plan in plans) else None
        # The first frame's time begins here: models are no part of it.
        counter = begin_counting(job, plans, report, stop)
        if tools:
            for plan in plans:
                render_shot(job, plan, tools, store, counter, watcher)
    return counter.seconds


def check_left(job: Job, plans: Sequence[ShotPlan], store: Checkpoint, report: Report) -> None:
    """Check the disk for what is left to do, and note it down."""
    config = job.config
    frames = sum(len(plan.shot) for plan in plans)
    missing = sum(plan.missing_of_last_pass(config.passes) for plan in plans)
    check_space(job, missing)
    passes = f" in {config.passes} passes" if config.passes > 1 else ""
    store.log(
        f"rendering {missing} of {frames} frames of {config.input} as {store.fingerprint}{passes}"
    )
    if config.passes > 1 and any(plan.passes for plan in plans):
        over = f"{config.passes} passes over {frames} frames"
        report(Note(f"{over}: {config.passes * frames} to render in all"))


def begin_counting(job: Job, plans: Sequence[ShotPlan], report: Report, stop: Stop) -> FrameCounter:
    """Report the begin, and count and time frames from now on."""
    passes = job.config.passes
    total = passes * sum(len(plan.shot) for plan in plans)
    done = total - sum(plan.frame_count for plan in plans)
    report(Started(total, done, *job.size))
    return FrameCounter(total, done, report, stop, passes)


def render_shot(
    job: Job,
    plan: ShotPlan,
    tools: RenderTools,
    store: Checkpoint,
    counter: FrameCounter,
    watcher: FrameWatcher | None = None,
) -> None:
    """Render what is left of one shot, pass after pass. Nothing of it depends on another shot.

    Args:
        plan: what was left of it when frames were counted.

    Raises LockedError while another process renders the shot.
    """
    passes = job.config.passes
    if not plan.passes:
        return
    with lock_shot(store.folder, plan.shot.first):
        counted = plan.frame_count
        # Another process may have rendered the shot since.
        plan = plan_shot(job, plan.shot, store)
        counter.done += counted - plan.frame_count
        if not plan.passes:
            return
        if passes > 1 and goes_back(plan, store, passes):
            back = "frames of earlier passes are missing or damaged: it goes back to pass "
            text = f"{back}{plan.passes[0].number}, and comes to the same result"
            counter.report(Note(text, warning=True))
        for one in plan.passes:
            if passes > 1:
                counter.report(Note(describe_pass(job, plan.shot, one.number, one.description)))
                store.delete_pass_frames(range(1, one.number - 1), plan.shot.indices)
            one.target.open()
            device = tools.stylizer.device
            work = schedule_pass(job, plan, one, tools.flow, store, device, counter.refuse_stopped)
            with prefetch_for(device, work) as schedule:
                run_schedule(schedule, tools.stylizer, counter, watcher)
        if passes > 1:
            store.delete_pass_frames(range(1, passes), plan.shot.indices)
            store.delete_sources(plan.shot.indices)


def describe_pass(job: Job, shot: FrameRange, number: int, description: str) -> str:
    """Say which pass over which shot begins."""
    text = f"pass {number} of {job.config.passes}, {description}"
    if len(job.shots) == 1:
        return text
    return f"frames {shot.first} to {shot.stop - 1}: {text}"
