"""The render, from the input to the output; the only place that knows all the stages.

prepare   everything that can refuse, before anything is touched: input, style, output, shots, models
stylize   the missing frames, each from those before it: source frame + motion + state -> checkpoint
          (in several passes where that is wanted: `passes`)
deliver   checkpoints -> output, atomically
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.config import style_images
from vidstyle.config.settings import RenderConfig
from vidstyle.config.weighted_names import POLISHER
from vidstyle.errors import ConfigError, DecodeError, Interrupted
from vidstyle.events import Encoding, Note, Report, Started, silent
from vidstyle.frames import Frame, FrameStyle, Timeline
from vidstyle.machine import disk, versions
from vidstyle.machine.allocator import return_memory, spare_memory
from vidstyle.machine.device import deterministic, resolve_device, resolve_precision
from vidstyle.motion import shots
from vidstyle.motion.flow import Flow
from vidstyle.rendering import memory, paintings, passes, streams
from vidstyle.rendering.frame_counter import FrameCounter
from vidstyle.rendering.label_maps import Regions, digest
from vidstyle.rendering.models import Models
from vidstyle.rendering.prefetch import Behind
from vidstyle.rendering.sources import moving_frames, recall
from vidstyle.rendering.trace import Trace
from vidstyle.rendering.trace import check as check_trace
from vidstyle.storage import checkpoint, record
from vidstyle.storage.atomic import sha256
from vidstyle.storage.checkpoint import Checkpoint
from vidstyle.stylize import oklab
from vidstyle.stylize.optimise.engine import State, Stylizer
from vidstyle.units import disk_space
from vidstyle.video import delivery as deliveries
from vidstyle.video import read, write
from vidstyle.video.delivery import Delivery
from vidstyle.video.probe import Source, probe
from vidstyle.video.scan import scan

Stop = Callable[[], bool]
"""Asked before every frame and while encoding; True ends the render with `Interrupted`."""


@dataclass(frozen=True)
class Job:
    """A render that nothing speaks against.

    Args:
        whole: the input's timeline; the render takes its frames `first` .. `stop` - 1, and counts
            them from 0.
        cuts: first frames of shots in the whole input.
        size: (width, height) of the render.
        memory: what it takes, and the tiles that features are computed in.
        notes: what the user should know before it starts.
    """

    config: RenderConfig
    source: Source
    delivery: Delivery
    paintings: tuple[Tensor, ...]
    whole: Timeline
    cuts: tuple[int, ...]
    first: int
    stop: int
    size: tuple[int, int]
    memory: memory.Fit
    regions: Regions | None
    notes: tuple[Note, ...]

    @property
    def timeline(self) -> Timeline:
        return self.whole.select(self.first, self.stop)

    @property
    def shots(self) -> frozenset[int]:
        """The rendered frames that start afresh."""
        return frozenset({0, *(t - self.first for t in self.cuts if self.first < t < self.stop)})

    def frame(self, index: int, image: Tensor, masks: Tensor | None = None) -> Frame:
        """A source frame with all that its style depends on."""
        return Frame(index, image, masks, FrameStyle(self.mixture(index), self.restyled(index)))

    def mixture(self, index: int) -> tuple[float, ...]:
        """How much each painting counts in a rendered frame."""
        return style_images.shares(
            self.config.style, self.whole.pts[self.first + index] * self.whole.time_base
        )

    def restyled(self, index: int) -> float:
        """How much the mixture has been moving while what does not move is painted on, in [0, 1]:
        all there is to it where it has in a fifth of that time. From one frame to the next, or in
        all of it, the picture would jump.
        """
        reach, last = max(1, self.config.frames_until_static), self.stop - self.first - 1
        ahead = reach if self.config.passes > 1 else 0  # passes go backward as well
        lately = [
            self.mixture(min(max(0, i), last)) for i in range(index - reach, index + ahead + 1)
        ]
        return min(1.0, 5 * sum(a != b for a, b in pairwise(lately)) / (len(lately) - 1))

    @property
    def trim(self) -> tuple[Fraction, Fraction] | None:
        """Begin and length in seconds when only a part is rendered."""
        if (self.first, self.stop) == (0, len(self.whole)):
            return None
        timeline = self.timeline
        begin = timeline.pts[0] * timeline.time_base
        return begin, timeline.duration


@dataclass(frozen=True)
class Result:
    """What a render did: the output, how many frames it has, how many this run rendered (in each
    pass anew), and the mean seconds of those.
    """

    output: Path
    frames: int
    rendered: int
    seconds_per_frame: float | None


def render(
    config: RenderConfig,
    report: Report = silent,
    stop: Stop = lambda: False,
    models: Models | None = None,
) -> Result:
    """Render `config.input` in the style of `config.style`; continue where an interrupted run of
    the same render stopped. `models` are those of earlier renders.

    Raises the errors of `vidstyle.errors`; finished frames are kept whatever happens.
    """
    device = resolve_device(config.device)
    job = prepare(config)
    for note in job.notes:
        report(note)
    with contextlib.ExitStack() as stack:
        stack.enter_context(deterministic(device))
        spare_memory(sparing=job.memory.tile > 0)
        stylizer, flow, parts = build(job, device, models or Models(report))
        store = stack.enter_context(
            checkpoint.hold(Checkpoint(job.delivery.path, parts, job.size, len(job.timeline)))
        )
        # The output is looked for again: another run may have ended since `prepare`.
        for warning in store.begin(
            versions.versions(), restart=config.restart, overwrite=config.overwrite
        ):
            report(Note(warning, warning=True))
        store.end_orphan()
        settings = delivery_settings(job.delivery)
        trace = Trace(job, stylizer, store, report) if config.trace else None
        seconds: list[float] = []
        if not store.is_delivered(settings):
            missing = store.scan()
            check_space(job, len(missing))
            store.log(
                f"rendering {len(missing)} of {len(job.timeline)} frames of {config.input} as {store.fingerprint}"
                + (f" in {config.passes} passes" if config.passes > 1 else "")
            )
            seconds = stylize(job, stylizer, flow, store, missing, report, stop, trace)
            deliver(job, store, settings, report, stop)
            store.log(f"delivered {store.output}")
        if trace:
            trace.tell()
        if not config.keep_frames:
            store.remove()
    mean = sum(seconds) / len(seconds) if seconds else None
    return Result(job.delivery.path, len(job.timeline), len(seconds), mean)


def prepare(config: RenderConfig) -> Job:
    """Look at everything that can refuse the render, the cheap things first."""
    source = probe(config.input)
    loaded = paintings.load(config, source)
    size = read.fit(source.width, source.height, config.size)

    def decide(timeline: Timeline | None = None) -> Delivery:
        request = deliveries.DeliveryRequest(
            config.named_after, config.output, config.codec, config.crf, config.made_from
        )
        return deliveries.plan_delivery(source, request, size, timeline)

    delivery = decide()
    if delivery.path.exists() and not config.overwrite and not record.is_own_output(delivery.path):
        raise record.existing(delivery.path)
    if config.trace:
        check_trace(delivery.path, config)
    differences, seen = shots.ContentDifference(), oklab.Gathered()

    def look(thumbnail: NDArray[np.uint8]) -> None:
        differences.add(thumbnail)
        if config.keep_colors == "match":
            seen.add(torch.tensor(thumbnail).permute(2, 0, 1) / 255)  # (h, w, 3) -> (3, h, w)

    scanned = scan(source, look)
    notes = [Note(text, warning=True) for text in source.warnings] + [
        Note(text) for text in delivery.notes
    ]
    if scanned.missing:
        why = f"{scanned.missing} frames are missing, {len(scanned.timeline)} are there: {scanned.complaint}"
        if not config.allow_damaged:
            raise DecodeError(
                f"{config.input} is damaged",
                why,
                "use --allow-damaged to render what is left",
                scanned.missing,
            )
        notes.append(Note(f"{config.input} is damaged: {why}", warning=True))
    first, stop = chosen(scanned.timeline, config)
    delivery = decide(scanned.timeline)  # some containers cannot keep all times
    fit = fitting(config, size, delivery.path)
    if fit.tile and config.tile is None:
        within = f"to stay within {disk_space(fit.allowed)} of memory (--max-memory)"
        notes.append(Note(f"features are computed in tiles of {fit.tile} pixels, {within}"))
    regions = regions_of(config, size, stop)
    notes += [
        *(regions.notes if regions else ()),
        *unreached(config, scanned.timeline, first, stop),
    ]
    return Job(
        config=config,
        source=source,
        delivery=delivery,
        paintings=paintings.in_colours_of(loaded, config, seen.statistics),
        whole=scanned.timeline,
        cuts=shots.find_cuts(differences.scores),
        first=first,
        stop=stop,
        size=size,
        memory=fit,
        regions=regions,
        notes=tuple(notes),
    )


def unreached(config: RenderConfig, timeline: Timeline, first: int, stop: int) -> list[Note]:
    """Warns of a style whose time comes after the input's end, and of one that no frame to render
    has a part of.
    """
    timed = [one for one in config.style if one.at is not None]
    if not timed:
        return []
    times = [t * timeline.time_base for t in timeline.pts]
    counted = [
        sum(parts)
        for parts in zip(
            *(style_images.shares(config.style, t) for t in times[first:stop]), strict=True
        )
    ]
    missing = {path for path, part in zip(config.paintings, counted, strict=True) if not part}
    late = [one for one in timed if one.path in missing or (one.at or 0) > times[-1] + 1]
    shown = f"frames are shown from {float(times[first]):.2f} s to {float(times[stop - 1]):.2f} s"
    return [
        Note(f"style {one.path} has the time {one.at:g} s, and {shown}", warning=True)
        for one in late
    ]


def regions_of(config: RenderConfig, size: tuple[int, int], stop: int) -> Regions | None:
    """The labels of the input's frames before `stop`, where there are such."""
    return Regions(config.regions, size, stop, fixed=config.passes > 1) if config.regions else None


def fitting(config: RenderConfig, size: tuple[int, int], output: Path) -> memory.Fit:
    """How frames of `size` (width, height) fit into memory. A render that was begun continues with
    its own tiles.

    Raises MemoryLimitError.
    """
    device = resolve_device(config.device)
    demand = memory.Demand(config, size, resolve_precision(config.precision, device), device.type)
    parts = None if config.restart else record.begun(output)
    begun = None
    if parts and all(parts.get(name) == getattr(config, name) for name in ("size", "features")):
        begun = parts.get("tile", 0)
    fit = memory.choose(demand, memory.limit(config, device), begun)
    if not config.force:
        memory.check_free(fit, device)
    return fit


def chosen(timeline: Timeline, config: RenderConfig) -> tuple[int, int]:
    """First frame, and the one after the last, that are shown from `start` for `duration`
    seconds.
    """
    # In whole ticks: as a float 0.1 s lies behind the frame at 0.1 s.
    start, length = Fraction(config.start or 0), Fraction(config.duration or 0)
    begin, end = round(start / timeline.time_base), round((start + length) / timeline.time_base)
    inside = [
        i for i, t in enumerate(timeline.pts) if t >= begin and (config.duration is None or t < end)
    ]
    if not inside:
        raise ConfigError(
            "no frame lies in the part to render",
            f"its frames are shown from {float(timeline.pts[0] * timeline.time_base):.2f} s "
            f"to {float(timeline.pts[-1] * timeline.time_base):.2f} s",
            "choose an earlier --start, or a longer --duration",
        )
    return inside[0], inside[-1] + 1


def build(job: Job, device: torch.device, models: Models) -> tuple[Stylizer, Flow, dict[str, Any]]:
    """The models, once, and all that makes up the render's fingerprint."""
    config = job.config
    parts = identity(job, device, models)
    extractor = models.network(config.features, config, device)
    polisher = models.network(POLISHER, config, device) if config.polish else None
    width, height = job.size
    masks = job.regions.painting if job.regions else None
    stylizer = Stylizer(
        extractor, job.paintings, (height, width), config, device, polisher, job.memory.tile, masks
    )
    return stylizer, models.flow(config, device), parts


def identity(job: Job, device: torch.device, models: Models) -> dict[str, Any]:
    """All that makes up the render's fingerprint. Loads the models, for their weights are a part of
    it.
    """
    config = job.config
    models.fetch(config)
    mixed = (
        style_images.identity(config.style, [sha256(path) for path in config.paintings])
        if config.style
        else None
    )
    return {
        "input": sha256(config.input),
        **({"style": mixed} if mixed else {}),
        **config.picture_settings(),
        **({"regions": [digest(path) for path in config.regions]} if config.regions else {}),
        # Photorealistic frames were others before `guided.recoloured`, and no others were.
        **({"recolouring": "guided filter"} if config.photorealism else {}),
        "start": job.first,  # what is rendered, not how it was asked for
        "duration": job.stop - job.first,
        "weights": models.network(config.features, config, device).digest,
        "polish_weights": models.network(POLISHER, config, device).digest
        if config.polish
        else None,
        "flow_weights": models.flow(config, device).digest,
        "precision": resolve_precision(config.precision, device),
        "device": device.type,
        **({"tile": job.memory.tile} if job.memory.tile else {}),
    }


def disk_needed(job: Job, missing: int) -> int:
    """Bytes that the render still takes when so many frames of the output are missing."""
    frames, number = len(job.timeline), job.config.passes
    if missing and number > 1:  # earlier passes and the source come as well
        missing = max(missing, disk.checkpoints(frames, number) - record.written(job.delivery.path))
    traced = (
        job.config.first_iterations + 2 if missing and job.config.trace else 0
    )  # with the start and the result
    return disk.needed(job.size, frames, missing + traced, job.delivery.codec)


def check_space(job: Job, missing: int) -> None:
    """Raises DiskSpaceError, unless told to go on."""
    if not job.config.force:
        disk.check(disk_needed(job, missing), missing, job.delivery.path.parent)


def stylize(
    job: Job,
    stylizer: Stylizer,
    flow: Flow,
    store: Checkpoint,
    missing: list[int],
    report: Report,
    stop: Stop,
    trace: Trace | None = None,
) -> list[float]:
    """Render the missing frames in order. Returns the seconds each took."""
    if job.config.passes > 1:
        return passes.render(job, stylizer, flow, store, report, stop, trace)
    report(Started(store.count, store.count - len(missing), *job.size))
    if not missing:
        return []
    tally = FrameCounter(store.count, store.count - len(missing), report, stop)
    state, at = State(), -1  # the state after frame `at`
    moving = moving_frames(job, flow, missing, stylizer.device)
    with streams.beside(moving, stylizer.device) as frames, Behind() as behind:
        for frame, motion in frames:
            tally.ask()
            streams.taken_over(frame.image, motion)
            state = recall(state, at, frame.index, motion, store)
            state, image, iterations = (trace or stylizer).step(state, frame, motion)
            at = frame.index
            if motion is None:
                return_memory()  # the coarser scales' holes would stay open
            behind.submit(lambda index=at, image=image: store.save(index, image))  # type: ignore[misc]
            tally.add(at, iterations)
            if trace:
                trace.deliver()
    return tally.seconds


def delivery_settings(delivery: Delivery) -> dict[str, Any]:
    """What makes one encoded file differ from another one of the same frames."""
    return {
        "codec": delivery.codec,
        "crf": delivery.crf,
        "container": delivery.container,
        "pix_fmt": delivery.pix_fmt,
    }


def deliver(
    job: Job,
    store: Checkpoint,
    settings: dict[str, Any],
    report: Report,
    stop: Stop,
    pictures: Sequence[Path] = (),
) -> None:
    """Encode the checkpoints (or `pictures`, as many) and give the result its name."""

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

    film = write.FinishedFilm(
        pictures or [store.path(i) for i in range(store.count)],
        job.timeline,
        job.delivery,
        job.source,
        sar=job.source.sar,
        trim=job.trim,
    )
    temporary = write.encode_film(film, store.folder, on_start, on_frame)
    store.deliver(temporary, settings, overwrite=job.config.overwrite)
