"""A short clip first: small, few iterations, source and result side by side, and what the whole
render will take.

Imports stay inside the functions: `vidstyle/__init__.py` binds this module's function by name and
must stay light.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import OutputError
from vidstyle.events import Report, silent
from vidstyle.units import clock_time, counted, disk_space

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.rendering.pipeline import Job
    from vidstyle.storage.checkpoint import Checkpoint

SECONDS = 3.0
SIZE = 320
"""Long side of the preview."""
COLUMNS = 4
"""Frames on the contact sheet."""
GAP = 8
LABEL = "preview"
"""Marks a contact sheet as ours, so that the next preview may replace it."""


@dataclass(frozen=True)
class Preview:
    """What a preview made and measured.

    Args:
        output: the clip, source and result side by side (the contact sheet when the input is an
            image).
        sheet: the contact sheet.
        seconds_per_frame: measured in the preview.
        full_seconds, full_bytes: expected for the full render: time (None: a frame of it does not
            fit into memory), and disk space at its peak.
    """

    output: Path
    sheet: Path
    frames: int
    seconds_per_frame: float
    full_frames: int
    full_seconds: float | None
    full_bytes: int

    def text(self) -> str:
        took = f"preview: {counted(self.frames, 'frame')}, {self.seconds_per_frame:.2f} s each; contact sheet {self.sheet}"
        whole = f"the full render: {counted(self.full_frames, 'frame')}, {disk_space(self.full_bytes)} of disk"
        if self.full_seconds is None:
            return (
                f"{took}\n{whole}; a frame of it does not fit into memory: choose a smaller --size"
            )
        return f"{took}\n{whole}, about {clock_time(self.full_seconds)}"


def preview(
    config: RenderConfig, report: Report = silent, stop: Callable[[], bool] = lambda: False
) -> Preview:
    """Render `config.duration` seconds (3) from `config.start` (the middle of the longest shot) at
    reduced size and iterations.

    Writes `IN.preview.mp4` and the contact sheet `IN.preview.png` beside the input, or beside
    `config.output` under its name. Its state is its own: the full render is not disturbed. Raises
    what `render` raises.
    """
    from vidstyle.machine import disk, versions
    from vidstyle.machine.device import deterministic, resolve_device
    from vidstyle.rendering import pipeline
    from vidstyle.rendering.estimate import LinkedFrames, full_render
    from vidstyle.rendering.models import Models
    from vidstyle.storage import checkpoint, record
    from vidstyle.video import delivery
    from vidstyle.video.probe import probe
    from vidstyle.video.read import fit

    device = resolve_device(config.device)
    beside = config.output or config.input
    clip, sheet = (
        beside.with_name(f"{beside.stem}.preview.mp4"),
        beside.with_name(f"{beside.stem}.preview.png"),
    )
    refuse_foreign(clip, sheet, config.overwrite)
    source = probe(config.input)
    small = reduced(config, max(source.width, source.height))
    whole = {"start": None, "duration": None, "overwrite": True, "regions": None}
    job = pipeline.prepare(small.model_copy(update=whole))
    full_output, full_frames, still = job.delivery.path, len(job.whole), job.source.kind == "image"
    first, stop_at = pipeline.chosen(job.whole, small.model_copy(update=part_shown(job, config)))
    target = (
        job.delivery
        if still
        else delivery.plan_delivery(
            job.source,
            delivery.DeliveryRequest(config.named_after, clip),
            size=(2 * job.size[0], job.size[1] // 2 * 2),
        )
    )
    # What may be replaced was settled above.
    settled = small.model_copy(update={"overwrite": True})
    regions = pipeline.regions_of(
        settled, job.size, stop_at
    )  # there need be labels for this part alone
    job = replace(job, config=settled, first=first, stop=stop_at, delivery=target, regions=regions)
    for note in job.notes:
        report(note)
    with contextlib.ExitStack() as stack:
        stack.enter_context(deterministic(device))
        stylizer, flow, parts = pipeline.build(job, device, Models(report))
        state = checkpoint.Checkpoint(clip, parts, job.size, len(job.timeline))
        store = stack.enter_context(checkpoint.hold(state))
        # An earlier preview's frames are nothing to keep: other settings simply start over.
        store.begin(
            versions.versions(),
            restart=record.read_record(store.folder).get("fingerprint") != store.fingerprint,
        )
        store.end_orphan()
        missing = store.scan()
        pipeline.check_space(job, len(missing))
        begun, linked = time.perf_counter(), LinkedFrames(job.shots, report)
        pipeline.stylize(job, stylizer, flow, store, missing, linked, stop)
        each = (time.perf_counter() - begun) / max(1, len(missing))
        pairs = side_by_side(job, store)
        write_sheet(sheet, job, store)
        if not still:
            pipeline.deliver(job, store, {"preview": True}, report, stop, pairs)
        store.remove()
        size = fit(source.width, source.height, config.size)
        seconds = full_render(
            linked.scaled(small, config), job, full_output, size, stylizer, flow, linked.optimised
        )
        if (
            seconds is not None and missing
        ):  # and never less than at the preview's size, with half the iterations
            seconds = max(seconds, each * full_frames)
    return Preview(
        output=sheet if still else clip,
        sheet=sheet,
        frames=len(job.timeline),
        seconds_per_frame=each,
        full_frames=full_frames,
        full_seconds=seconds,
        full_bytes=disk.needed(
            size, full_frames, disk.checkpoints(full_frames, config.passes), config.codec or "h264"
        ),
    )


def refuse_foreign(clip: Path, sheet: Path, overwrite: bool) -> None:
    """A preview replaces an earlier preview, and nothing else unless asked to."""
    from vidstyle.storage import png16

    # The clip cannot carry a label of ours; the sheet beside it vouches for it.
    there = [str(path) for path in (clip, sheet) if path.exists()]
    if there and not overwrite and not png16.has_label(sheet, LABEL):
        raise OutputError(
            f"{' and '.join(there)} would be replaced",
            f"nothing shows that an earlier preview made this: {sheet} does not",
            "use -f to replace it, or rename it",
        )


def reduced(config: RenderConfig, long_side: int) -> RenderConfig:
    """The settings of the preview of an input of this long side: never larger than the render, half
    the iterations, everything else as it will be.
    """
    return config.model_copy(
        update={
            "size": min(config.size or long_side, SIZE),
            "iterations": max(1, config.iterations // 2),
            "first_iterations": max(1, config.first_iterations // 2),
            "polish": (config.polish + 1)
            // 2,  # they are part of the iterations; the last one is not lost
        }
    )


def part_shown(job: Job, config: RenderConfig) -> dict[str, float]:
    """Start and duration in seconds: as asked, else 3 s from the middle of the longest shot
    (earlier, where the video would end).
    """
    from vidstyle.motion.shots import middle_of_longest_shot

    base, pts = job.whole.time_base, job.whole.pts
    duration = SECONDS if config.duration is None else config.duration
    if config.start is not None:
        return {"start": config.start, "duration": duration}
    middle = pts[middle_of_longest_shot(job.cuts, pts)] * base
    last = (pts[-1] + job.whole.last_duration) * base - Fraction(duration)
    return {"start": float(max(pts[0] * base, min(middle, last))), "duration": duration}


def side_by_side(job: Job, store: Checkpoint) -> list[Path]:
    """Source and result of every frame in one picture, as files for the encoder."""
    import torch

    from vidstyle.frames import to_uint16
    from vidstyle.storage import atomic, png16
    from vidstyle.video.read import read

    folder = store.folder / "pairs"
    folder.mkdir(exist_ok=True)
    paths = []
    for i, frame in enumerate(read(job.source, job.size, job.first, job.stop)):
        pair = torch.cat([frame.image, store.load(i)], 2)  # (3, H, 2 W): even, as encoders like it
        pair = pair[:, : pair.shape[1] // 2 * 2] if pair.shape[1] > 2 else pair
        paths.append(folder / f"{i:06d}.png")
        atomic.write_atomically(paths[-1], png16.encode(to_uint16(pair), store.fingerprint, i))
    return paths


def write_sheet(path: Path, job: Job, store: Checkpoint) -> None:
    """The contact sheet: the paintings, source frames above, result frames below, evenly spread
    over the preview.
    """
    import torch
    import torch.nn.functional as F

    from vidstyle.frames import to_uint16
    from vidstyle.storage import atomic, png16
    from vidstyle.video.read import read

    width, height = job.size
    count = len(job.timeline)
    columns = sorted({round(i * (count - 1) / max(1, COLUMNS - 1)) for i in range(COLUMNS)})
    tall = 2 * height + GAP
    paintings = [
        F.interpolate(
            one[None],
            (tall, max(1, round(one.shape[2] * tall / one.shape[1]))),
            mode="bilinear",
            antialias=True,
        )[0]
        for one in job.paintings
    ]
    beside = sum(one.shape[2] + GAP for one in paintings)
    sheet = torch.ones(3, tall + 2 * GAP, GAP + beside + len(columns) * (width + GAP))
    x = GAP
    for painting in paintings:
        sheet[:, GAP : GAP + tall, x : x + painting.shape[2]] = painting
        x += painting.shape[2] + GAP
    for frame in read(job.source, job.size, job.first, job.stop):
        i = frame.index - job.first
        if i in columns:
            sheet[:, GAP : GAP + height, x : x + width] = frame.image
            sheet[:, 2 * GAP + height : 2 * GAP + 2 * height, x : x + width] = store.load(i)
            x += width + GAP
    atomic.write_atomically(path, png16.encode(to_uint16(sheet), LABEL, 0))
