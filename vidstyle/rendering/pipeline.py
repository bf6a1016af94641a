"""The render, from the input to the output.

inspect   everything that can refuse without decoding the input or loading a network
prepare   one pass over the input: exact times, shots, damage; the first shots of a long film are
          painted meanwhile
build     the models, once
render    the missing frames, layer after layer: schedule -> engine -> checkpoint -> composition
deliver   checkpoints -> output, atomically
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.events import Report, Stop, never_stop, silent
from vidstyle.rendering import fingerprint_parts
from vidstyle.rendering.early import may_begin_early, paint_while_scanning
from vidstyle.rendering.early_layers import discard_without_bars, settle_early_layers
from vidstyle.rendering.encoding import deliver, delivery_settings
from vidstyle.rendering.job_store import open_store
from vidstyle.rendering.layer_render import render_missing
from vidstyle.rendering.models import Models, weight_files
from vidstyle.rendering.packing import create_packer, refuse_unsettled_encoding
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.space import refuse_promised_size
from vidstyle.rendering.trace import Trace
from vidstyle.storage.checkpoint import Checkpoint, lock_output

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import Layer


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
"""How long processes that render layers of one output wait for each other while they open it."""


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
    models = models or Models(report)
    with lock_output(request.output):
        if may_begin_early(request):
            job = paint_while_scanning(request, report, stop, models)
        else:
            job = prepare(request, report)
        return run_job(job, report, stop, models, deliver)


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
    discard_without_bars(job, report)
    store = open_store(job, parts, report, restart=config.restart)
    refuse_unsettled_encoding(job, store)
    settle_early_layers(job, store, report)
    settings = delivery_settings(job, store)
    tracer = Trace(job, store, report) if config.trace else None
    seconds: list[float] = []
    if not store.is_delivered(settings):
        seconds = render_missing(job, job.layers, store, report, stop, models, tracer)
        packer = create_packer(job, store)
        while packer is not None and packer.discard_damaged(report):
            seconds += render_missing(job, job.layers, store, report, stop, models, tracer)
        deliver_frames(job, store, report, stop)
    if tracer:
        tracer.warn_if_nothing()
    if not config.keep_frames:
        store.remove()
    mean = sum(seconds) / len(seconds) if seconds else None
    return Result(job.delivery.path, job.frame_count, len(seconds), mean)


def render_layers(
    job: Job,
    layers: Sequence[Layer],
    report: Report = silent,
    stop: Stop = never_stop,
    models: Models | None = None,
) -> None:
    """Render some of the job's layers and keep their frames; the output is left to `render`.

    Several processes may do so at the same time, each with layers of its own. So the setting
    `restart` throws away nothing but frames of other settings. The layer of a loop waits for that
    of the first frame.

    Raises LockedError while another process renders one of them, or the whole output.
    """
    models = models or Models(report)
    digests = models.fetch(weight_files(job), job.config.weights_dir)
    parts = fingerprint_parts.complete(job, digests)
    job = replace(job, discards_other_frames=job.discards_other_frames or job.config.restart)
    with lock_output(job.delivery.path, keep_empty=True, wait_seconds=OUTPUT_WAIT_SECONDS):
        discard_without_bars(job, report)
        store = open_store(job, parts, report, restart=False)
        refuse_unsettled_encoding(job, store)
        settle_early_layers(job, store, report)
    render_missing(job, layers, store, report, stop, models)
