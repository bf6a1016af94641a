"""The render of single layers: what is left of each, made pass after pass, and then put together
into finished frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidstyle.errors import LockedError
from vidstyle.events import Note, Report, Started, Stop
from vidstyle.machine.allocator import spare_memory
from vidstyle.machine.device import deterministic
from vidstyle.rendering.composition import compose_missing
from vidstyle.rendering.layer_files import LayerFiles
from vidstyle.rendering.learning import prepare_engine
from vidstyle.rendering.loop import FrameCounter, run_schedule
from vidstyle.rendering.models import Models, RenderTools, build_tools
from vidstyle.rendering.packing import create_packer
from vidstyle.rendering.paint_store import PaintStore
from vidstyle.rendering.prefetch import prefetch_for
from vidstyle.rendering.schedule import LayerWork, goes_back, plan_layer, schedule_pass
from vidstyle.rendering.sources import LayerSources
from vidstyle.rendering.space import check_space
from vidstyle.storage.lock import lock_shot
from vidstyle.stylize.engine import ShotStylizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import Layer
    from vidstyle.rendering.loop import FrameWatcher
    from vidstyle.storage.checkpoint import Checkpoint


def render_missing(
    job: Job,
    layers: Sequence[Layer],
    store: Checkpoint,
    report: Report,
    stop: Stop,
    models: Models,
    watcher: FrameWatcher | None = None,
    *,
    painted_elsewhere: int | None = None,
) -> list[float]:
    """Render what is missing of some layers, and put together what can be; return the seconds that
    each frame took. Nothing is loaded where nothing is missing.

    Args:
        painted_elsewhere: where the rest of the film is not known yet, the frames of other layers
            that are painted: all of it is counted then, and nothing packed.
    """
    is_early = painted_elsewhere is not None
    with deterministic(job.device.device):
        spare_memory(sparing=job.memory.tile > 0)
        files = [LayerFiles(job, layer, store) for layer in layers]
        for one in files:
            adopt_frames(one)
        works = [plan_layer(job, one) for one in files]
        check_left(job, works, store, report, checks_disk=not is_early)
        tools = None
        if any(work.passes for work in works):
            tools = build_tools(
                job, prepare_engine(job, models, report, stop, store.folder), models
            )
        # The first frame's time begins here: models are no part of it.
        packer = None if is_early else create_packer(job, store)
        others = count_frames(job.layers) - count_frames(layers) if is_early else 0
        counter = begin_counting(job, works, report, stop, others, painted_elsewhere or 0)
        counter.packer = packer
        paints: dict[int, PaintStore] = {}
        uncomposed: list[LayerWork] = []
        for work in works:
            if tools:
                render_layer(job, work, tools, store, counter, watcher)
            paints[work.layer.anchor] = work.files.paint
            compose_missing(
                job,
                work.layer.frames.indices,
                store.final,
                paints,
                counter.refuse_stopped,
                report,
                counter.pack_now_and_then,
            )
            uncomposed = [one for one in (*uncomposed, work) if not delete_composed(job, one)]
            if packer is not None:
                packer.pack_finished()
    return counter.seconds


def count_frames(layers: Iterable[Layer]) -> int:
    """Count the frames of layers; one that is mixed counts in each."""
    return sum(len(layer.frames) for layer in layers)


def delete_composed(job: Job, work: LayerWork) -> bool:
    """Remove the paint of a layer that is in finished frames; tell whether it is gone, or was never
    apart from them.
    """
    paint = work.files.paint.unfinished
    is_needed = job.config.keep_frames or (job.is_loop and 0 in work.layer.frames)
    # A layer that goes on has other frames in the plan.
    is_needed |= work.layer not in job.layers
    composed = [i for i in work.layer.frames.indices if not work.files.is_finished(i)]
    if is_needed or not composed or not paint.path.exists():
        return not composed
    if work.files.final.missing_frames(composed):
        return False
    paint.delete()
    return True


def adopt_frames(files: LayerFiles) -> None:
    """Move painted frames to where they belong now.

    Raises LockedError while another process renders the layer.
    """
    if files.misplaced_frames():
        with lock_shot(files.folder, files.layer.anchor):
            files.adopt()


def check_left(
    job: Job,
    works: Sequence[LayerWork],
    store: Checkpoint,
    report: Report,
    *,
    checks_disk: bool,
) -> None:
    """Check the disk for what is left to do, and note it down."""
    config = job.config
    frames = sum(len(work.layer.frames) for work in works)
    missing = sum(work.missing_of_last_pass(config.passes) for work in works)
    if checks_disk:
        check_space(job, missing, len({index for work in works for index in work.uncomposed}))
    passes = f" in {config.passes} passes" if config.passes > 1 else ""
    store.log(
        f"rendering {missing} of {frames} frames of {config.input} as {store.fingerprint}{passes}"
    )
    if config.passes > 1 and any(work.passes for work in works):
        over = f"{config.passes} passes over {frames} frames"
        report(Note(f"{over}: {config.passes * frames} to render in all"))


def begin_counting(
    job: Job,
    works: Sequence[LayerWork],
    report: Report,
    stop: Stop,
    others: int = 0,
    painted: int = 0,
) -> FrameCounter:
    """Report the begin, and count and time frames from now on.

    Args:
        others: frames of other layers.
        painted: those of them that are painted.
    """
    passes = job.config.passes
    counted = passes * sum(len(work.layer.frames) for work in works)
    done = counted - sum(work.frame_count for work in works) + passes * painted
    total = counted + passes * others
    report(Started(total, done, *job.size))
    return FrameCounter(total, done, report, stop, passes)


def render_layer(
    job: Job,
    work: LayerWork,
    tools: RenderTools,
    store: Checkpoint,
    counter: FrameCounter,
    watcher: FrameWatcher | None = None,
) -> None:
    """Render what is left of one layer, pass after pass. Nothing of it depends on another layer,
    except for that of a loop.

    Args:
        work: what was left of it when frames were counted.

    Raises LockedError while another process renders the layer.
    """
    passes = job.config.passes
    if not work.passes:
        if work.layer in job.layers:
            work.files.delete_working_files()
        return
    refuse_missing_first_frame(job, work)
    with lock_shot(store.folder, work.layer.anchor):
        counted = work.frame_count
        # Another process may have rendered the layer since.
        work = plan_layer(job, work.files)
        counter.done += counted - work.frame_count
        if not work.passes:
            return
        if passes > 1 and goes_back(work, passes):
            back = "frames of earlier passes are missing or damaged: it goes back to pass "
            text = f"{back}{work.passes[0].number}, and comes to the same result"
            counter.report(Note(text, warning=True))
        if isinstance(tools.stylizer, ShotStylizer):
            sources = LayerSources(job, work.layer, work.files.sources, tools.flow)
            tools.stylizer.begin_shot(sources.samples())
        for one in work.passes:
            if passes > 1:
                counter.report(Note(describe_pass(job, work.layer, one.number, one.description)))
                work.files.delete_passes(range(1, one.number - 1))
            one.target.open()
            device = tools.stylizer.device
            schedule = schedule_pass(
                job, work, one, tools.flow, device, counter.refuse_stopped, tools.figures
            )
            with prefetch_for(device, schedule) as prefetched:
                run_schedule(prefetched, tools.stylizer, counter, watcher)
        if work.layer in job.layers:
            work.files.delete_working_files()


def refuse_missing_first_frame(job: Job, work: LayerWork) -> None:
    """Raise LockedError where a loop begins with a frame that is not painted yet."""
    if not work.layer.is_loop:
        return
    first_layer, _ = job.layer_plan.shares(0)[0]
    if LayerFiles(job, first_layer, work.files.store).paint.missing_frames([0]):
        raise LockedError(
            "the end of the loop cannot be painted yet",
            "it leads to the first frame, which is not there",
            "render the first layer before, or wait for the process that does",
        )


def describe_pass(job: Job, layer: Layer, number: int, description: str) -> str:
    """Say which pass over which frames begins."""
    text = f"pass {number} of {job.config.passes}, {description}"
    if len(job.layers) == 1:
        return text
    return f"frames {layer.frames.first} to {layer.frames.stop - 1}: {text}"
