"""A short clip first: small, few iterations, source and result side by side, and what the whole render will take.

Imports stay inside the functions: `vidstyle/__init__.py` binds this module's function by name and must stay light.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import OutputError
from vidstyle.progress import Report, clock_time, disk_space, silent

if TYPE_CHECKING:
    import torch

    from vidstyle.checkpoint import Checkpoint
    from vidstyle.config import RenderConfig
    from vidstyle.pipeline import Job

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
        output: the clip, source and result side by side (the contact sheet when the input is an image).
        sheet: the contact sheet.
        seconds_per_frame: measured in the preview.
        full_seconds, full_bytes: expected for the full render: time, and disk space at its peak.
    """

    output: Path
    sheet: Path
    frames: int
    seconds_per_frame: float
    full_frames: int
    full_seconds: float
    full_bytes: int

    def text(self) -> str:
        return (
            f"preview: {self.frames} frames, {self.seconds_per_frame:.2f} s each; contact sheet {self.sheet}\n"
            f"the full render: {self.full_frames} frames, about {clock_time(self.full_seconds)}, "
            f"{disk_space(self.full_bytes)} of disk"
        )


def preview(config: RenderConfig, report: Report = silent, stop: Callable[[], bool] = lambda: False) -> Preview:
    """Render `config.duration` seconds (3) from `config.start` (the middle of the longest shot) at reduced size and
    iterations.

    Writes `IN.preview.mp4` and the contact sheet `IN.preview.png` beside the input, or beside `config.output` under
    its name. Its
    state is its own: the full render is not disturbed. Raises what `render` raises.
    """
    from vidstyle import checkpoint, pipeline
    from vidstyle.device import make_deterministic, resolve_device
    from vidstyle.video import delivery
    from vidstyle.video.probe import probe

    beside = config.output or config.input
    clip, sheet = beside.with_name(f"{beside.stem}.preview.mp4"), beside.with_name(f"{beside.stem}.preview.png")
    refuse_foreign(clip, sheet, config.overwrite)
    source = probe(config.input)
    small = reduced(config, max(source.width, source.height))
    job = pipeline.prepare(small.model_copy(update={"start": None, "duration": None, "overwrite": True}))
    full_frames, still = len(job.whole), job.source.kind == "image"
    first, stop_at = pipeline.chosen(job.whole, small.model_copy(update=part_shown(job, config)))
    target = (
        job.delivery
        if still
        else delivery.decide(job.source, clip, config.style, None, None, size=(2 * job.size[0], job.size[1] // 2 * 2))
    )
    job = replace(job, config=small, first=first, stop=stop_at, delivery=target)
    for note in job.notes:
        report(note)
    device = resolve_device(config.device)
    make_deterministic(device)
    stylizer, flow, parts = pipeline.build(job, device, report)
    store = checkpoint.Checkpoint(clip, {**parts, "first": first, "stop": stop_at}, job.size, len(job.timeline))
    with checkpoint.hold(store):
        # An earlier preview's frames are nothing to keep: other settings simply start over.
        store.begin(
            pipeline.versions(), restart=checkpoint.read_record(store.folder).get("fingerprint") != store.fingerprint
        )
        store.end_orphan()
        missing = store.scan()
        pipeline.check_space(job, missing)
        begun = time.perf_counter()
        pipeline.stylize(job, stylizer, flow, store, missing, report, stop)
        each = (time.perf_counter() - begun) / max(1, len(missing))
        pairs = side_by_side(job, store)
        write_sheet(sheet, job, store)
        if not still:
            pipeline.deliver(job, store, {"preview": True}, report, stop, pairs)
        store.remove()
    size, seconds = full_render(config, job, device)
    return Preview(
        output=sheet if still else clip,
        sheet=sheet,
        frames=len(job.timeline),
        seconds_per_frame=each,
        full_frames=full_frames,
        full_seconds=seconds,
        full_bytes=pipeline.space_needed(size, full_frames, full_frames),
    )


def refuse_foreign(clip: Path, sheet: Path, overwrite: bool) -> None:
    """A preview replaces an earlier preview, and nothing else unless asked to."""
    from vidstyle import framefile

    if overwrite or not (clip.exists() or sheet.exists()):
        return
    if not framefile.has_label(sheet, LABEL):
        raise OutputError(
            f"{clip} or {sheet} exists", "they are no earlier preview's", "use -f to replace them, or rename them"
        )


def reduced(config: RenderConfig, long_side: int) -> RenderConfig:
    """The settings of the preview of an input of this long side: never larger than the render, half the iterations,
    everything else as it will be.
    """
    return config.model_copy(
        update={
            "size": min(config.size or long_side, SIZE),
            "iterations": max(1, config.iterations // 2),
            "first_iterations": max(1, config.first_iterations // 2),
        }
    )


def part_shown(job: Job, config: RenderConfig) -> dict[str, float]:
    """Start and duration in seconds: as asked, else 3 s from the middle of the longest shot (earlier, where the
    video would end).
    """
    base, pts = job.whole.time_base, job.whole.pts
    duration = SECONDS if config.duration is None else config.duration
    if config.start is not None:
        return {"start": config.start, "duration": duration}
    ends = (*job.cuts[1:], len(pts))
    a, b = max(zip(job.cuts, ends, strict=True), key=lambda shot: pts[shot[1] - 1] - pts[shot[0]])
    middle = pts[(a + b) // 2] * base
    last = (pts[-1] + job.whole.last_duration) * base - Fraction(duration)
    return {"start": float(max(pts[0] * base, min(middle, last))), "duration": duration}


def side_by_side(job: Job, store: Checkpoint) -> list[Path]:
    """Source and result of every frame in one picture, as files for the encoder."""
    import torch

    from vidstyle import framefile
    from vidstyle.frames import to_uint16
    from vidstyle.video.read import read

    folder = store.folder / "pairs"
    folder.mkdir(exist_ok=True)
    paths = []
    for i, frame in enumerate(read(job.source, job.size, job.first, job.stop)):
        pair = torch.cat([frame.image, store.load(i)], 2)  # (3, H, 2 W): even, as encoders like it
        pair = pair[:, : pair.shape[1] // 2 * 2] if pair.shape[1] > 2 else pair
        paths.append(folder / f"{i:06d}.png")
        framefile.write_atomically(paths[-1], framefile.encode(to_uint16(pair), store.fingerprint, i))
    return paths


def write_sheet(path: Path, job: Job, store: Checkpoint) -> None:
    """The contact sheet: the painting, source frames above, result frames below, evenly spread over the preview."""
    import torch
    import torch.nn.functional as F

    from vidstyle import framefile
    from vidstyle.frames import to_uint16
    from vidstyle.video.read import read

    width, height = job.size
    count = len(job.timeline)
    columns = sorted({round(i * (count - 1) / max(1, COLUMNS - 1)) for i in range(COLUMNS)})
    tall = 2 * height + GAP
    _, h, w = job.painting.shape
    painting = F.interpolate(
        job.painting[None], size=(tall, max(1, round(w * tall / h))), mode="bilinear", antialias=True
    )[0]
    sheet = torch.ones(3, tall + 2 * GAP, painting.shape[2] + 2 * GAP + len(columns) * (width + GAP))
    sheet[:, GAP : GAP + tall, GAP : GAP + painting.shape[2]] = painting
    x = painting.shape[2] + 2 * GAP
    for frame in read(job.source, job.size, job.first, job.stop):
        i = frame.index - job.first
        if i in columns:
            sheet[:, GAP : GAP + height, x : x + width] = frame.image
            sheet[:, 2 * GAP + height : 2 * GAP + 2 * height, x : x + width] = store.load(i)
            x += width + GAP
    framefile.write_atomically(path, framefile.encode(to_uint16(sheet), LABEL, 0))


def full_render(config: RenderConfig, job: Job, device: torch.device) -> tuple[tuple[int, int], float]:
    """The size of the full render and the seconds it will take, from iterations timed at that size."""
    from vidstyle import pipeline
    from vidstyle.stylize.step import State
    from vidstyle.video.read import fit, read

    size = fit(job.source.width, job.source.height, config.size)
    frame = next(iter(read(job.source, size, job.first, job.first + 1))).image

    def seconds(iterations: int) -> float:
        few = config.model_copy(update={"first_iterations": iterations, "first_scales": 1, "stop_tolerance": 0.0})
        stylizer, _, _ = pipeline.build(replace(job, config=few, size=size), device)
        times = []
        for _ in range(3):  # the first call pays for buffers and compiled kernels
            begun = time.perf_counter()
            stylizer.step(State(), frame, None)
            times.append(time.perf_counter() - begun)
        return min(times)

    once, more = seconds(1), seconds(4)
    iteration = max(1e-4, (more - once) / 3)
    coarse = sum(0.25**i for i in range(config.first_scales)) / config.first_scales
    fresh = len(job.whole) if config.per_frame else len(job.cuts)
    warm = len(job.whole) - fresh
    outside_iterations = max(0.0, once - iteration)
    work = fresh * config.first_iterations * coarse + warm * config.iterations
    return size, work * iteration + len(job.whole) * outside_iterations
