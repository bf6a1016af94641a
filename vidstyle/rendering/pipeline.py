"""The render, from the input to the output.

inspect   everything that can refuse without decoding the input or loading a network
prepare   one pass over the input: exact times, shots, damage
build     the models, once
render    the missing frames, shot after shot: schedule -> engine -> checkpoint
deliver   checkpoints -> output, atomically
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.errors import Interrupted
from vidstyle.events import Encoding, Note, Report, Started, silent
from vidstyle.machine.allocator import spare_memory
from vidstyle.machine.device import deterministic
from vidstyle.machine.versions import library_versions
from vidstyle.rendering import fingerprint_parts
from vidstyle.rendering.loop import FrameCounter, Stop, run_schedule
from vidstyle.rendering.models import Models, RenderTools, build_tools, weight_files
from vidstyle.rendering.prefetch import prefetch_for
from vidstyle.rendering.prepare import check_space, inspect, prepare, refuse_promised_size
from vidstyle.rendering.schedule import ShotPlan, goes_back, plan_shot, schedule_pass
from vidstyle.rendering.trace import Trace
from vidstyle.storage.checkpoint import Checkpoint, lock_output
from vidstyle.storage.lock import lock_shot
from vidstyle.storage.record import read_record
from vidstyle.video.ffmpeg import find
from vidstyle.video.write import FinishedFilm, encode_film

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.rendering.job import FrameRange, Job
    from vidstyle.rendering.loop import FrameWatcher
    from vidstyle.video.delivery import Delivery


Deliver = Callable[["Job", Checkpoint, Report, Stop], None]
"""Makes an output from the finished frames of a job."""


@dataclass(frozen=True)
class Result:
    """The outcome of a render: the output, how many frames it has, how many this run made (those of
    every pass), and the mean seconds of those.
    """

    output: Path
    frames: int
    rendered: int
    seconds_per_frame: float | None


OUTPUT_WAIT_SECONDS = 60.0
"""How long processes that render shots of one output wait for each other while they open it."""


def never_stop() -> bool:
    """Go on."""
    return False


def render(
    config: RenderConfig,
    report: Report = silent,
    stop: Stop = never_stop,
    models: Models | None = None,
) -> Result:
    """Render `config.input` in the style of `config.style`; continue where an interrupted run of
    the same render stopped.

    Args:
        report: receives events (`vidstyle.events`).
        stop: asked before every frame and while encoding; True ends the render.
        models: those of earlier renders.

    Raises the errors of `vidstyle.errors`; finished frames are kept whatever happens.
    """
    request = inspect(config)
    refuse_promised_size(request)
    with lock_output(request.output):
        job = prepare(request)
        return run_job(job, report, stop, models or Models(report), deliver)


def render_job(
    job: Job,
    report: Report = silent,
    stop: Stop = never_stop,
    models: Models | None = None,
    deliver_frames: Deliver | None = None,
) -> Result:
    """Render what was prepared; see `render`.

    Args:
        deliver_frames: makes the output from the finished frames, by default `deliver`.
    """
    with lock_output(job.delivery.path):
        return run_job(job, report, stop, models or Models(report), deliver_frames or deliver)


def run_job(
    job: Job, report: Report, stop: Stop, models: Models, deliver_frames: Deliver
) -> Result:
    """Render what was prepared. The caller holds the lock of the output."""
    config = job.config
    for note in job.notes:
        report(note)
    digests = models.fetch(weight_files(job), config.weights_dir)
    parts = fingerprint_parts.complete(job, digests)
    store = open_store(job, parts, report, restart=config.restart)
    settings = delivery_settings(job.delivery)
    tracer = Trace(job, store, report) if config.trace else None
    seconds: list[float] = []
    if not store.is_delivered(settings):
        seconds = render_missing(job, job.shots, store, report, stop, models, tracer)
        store.delete_passes()
        deliver_frames(job, store, report, stop)
    if tracer:
        tracer.warn_if_nothing()
    if not config.keep_frames:
        store.remove()
    mean = sum(seconds) / len(seconds) if seconds else None
    return Result(job.delivery.path, job.frame_count, len(seconds), mean)


def render_shots(
    job: Job,
    shots: Sequence[FrameRange],
    report: Report = silent,
    stop: Stop = never_stop,
    models: Models | None = None,
) -> None:
    """Render some of the job's shots and keep their frames; the output is left to `render`.

    Several processes may do so at the same time, each with shots of its own. So the setting
    `restart` throws away nothing but frames of other settings.

    Raises LockedError while another process renders one of them, or the whole output.
    """
    models = models or Models(report)
    digests = models.fetch(weight_files(job), job.config.weights_dir)
    parts = fingerprint_parts.complete(job, digests)
    job = replace(job, discards_other_frames=job.discards_other_frames or job.config.restart)
    with lock_output(job.delivery.path, keep_empty=True, wait_seconds=OUTPUT_WAIT_SECONDS):
        store = open_store(job, parts, report, restart=False)
    render_missing(job, shots, store, report, stop, models)


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


def open_store(job: Job, parts: dict[str, Any], report: Report, *, restart: bool) -> Checkpoint:
    """Open the checkpoint, with the frames that earlier runs left. Raises SettingsChangedError, and
    OutputError when another output has appeared since the job was prepared.
    """
    config = job.config
    store = Checkpoint(job.delivery.path, parts, job.size, job.frame_count)
    if job.discards_other_frames:
        restart |= read_record(store.folder).get("fingerprint") != store.fingerprint
    for warning in store.begin(
        library_versions(find().version), restart=restart, overwrite=config.overwrite
    ):
        report(Note(warning, warning=True))
    store.end_orphan()
    return store


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


def delivery_settings(delivery: Delivery) -> dict[str, Any]:
    """Name the settings by which encoded files of the same frames differ."""
    return {
        "codec": delivery.codec,
        "crf": delivery.crf,
        "container": delivery.container,
        "pix_fmt": delivery.pix_fmt,
    }


def deliver(job: Job, store: Checkpoint, report: Report, stop: Stop) -> None:
    """Encode the frames and give the result its name."""
    encode_frames(job, store, report, stop, delivery_settings(job.delivery))
    store.log(f"delivered {store.output}")


def encode_frames(
    job: Job,
    store: Checkpoint,
    report: Report,
    stop: Stop,
    settings: dict[str, Any],
    pictures: Sequence[Path] = (),
) -> None:
    """Encode the frames, or as many other `pictures`, and give the result its name.

    Args:
        settings: what the record says of the encoded file.
    """

    def on_start(pid: int, temporary: Path) -> None:
        store.save_record(encoder={"pid": pid, "temporary": str(temporary)})

    def on_frame(done: int) -> None:
        if stop():
            raise Interrupted(
                "interrupted while encoding",
                "all frames are done and kept",
                "the same command continues",
                130,
            )
        report(Encoding(done, store.count))

    film = FinishedFilm(
        pictures or [store.frame_path(i) for i in range(store.count)],
        job.rendered_timeline,
        job.delivery,
        job.source,
        sar=job.source.sar,
        trim=job.trim,
    )
    temporary = encode_film(film, store.folder, on_start, on_frame)
    store.deliver(temporary, settings, overwrite=job.config.overwrite)
