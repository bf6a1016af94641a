"""A short clip first: small, few iterations, source and result side by side, and what the whole render will take.

Imports stay inside the functions: `vidstyle/__init__.py` binds this module's function by name and must stay light.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import MemoryLimitError, OutputError
from vidstyle.progress import Report, clock_time, disk_space, silent

if TYPE_CHECKING:
    from vidstyle.checkpoint import Checkpoint
    from vidstyle.config import RenderConfig
    from vidstyle.motion.flow import Flow
    from vidstyle.pipeline import Job
    from vidstyle.stylize.step import Stylizer

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
        full_seconds, full_bytes: expected for the full render: time (None: a frame of it does not fit into memory), and
            disk space at its peak.
    """

    output: Path
    sheet: Path
    frames: int
    seconds_per_frame: float
    full_frames: int
    full_seconds: float | None
    full_bytes: int

    def text(self) -> str:
        took = f"preview: {self.frames} frames, {self.seconds_per_frame:.2f} s each; contact sheet {self.sheet}"
        whole = f"the full render: {self.full_frames} frames, {disk_space(self.full_bytes)} of disk"
        if self.full_seconds is None:
            return f"{took}\n{whole}; a frame of it does not fit into memory: choose a smaller --size"
        return f"{took}\n{whole}, about {clock_time(self.full_seconds)}"


def preview(config: RenderConfig, report: Report = silent, stop: Callable[[], bool] = lambda: False) -> Preview:
    """Render `config.duration` seconds (3) from `config.start` (the middle of the longest shot) at reduced size and
    iterations.

    Writes `IN.preview.mp4` and the contact sheet `IN.preview.png` beside the input, or beside `config.output` under
    its name. Its state is its own: the full render is not disturbed. Raises what `render` raises.
    """
    from vidstyle import checkpoint, pipeline, space
    from vidstyle.device import deterministic, resolve_device
    from vidstyle.video import delivery
    from vidstyle.video.probe import probe
    from vidstyle.video.read import fit

    device = resolve_device(config.device)
    beside = config.output or config.input
    clip, sheet = beside.with_name(f"{beside.stem}.preview.mp4"), beside.with_name(f"{beside.stem}.preview.png")
    refuse_foreign(clip, sheet, config.overwrite)
    source = probe(config.input)
    small = reduced(config, max(source.width, source.height))
    job = pipeline.prepare(small.model_copy(update={"start": None, "duration": None, "overwrite": True}))
    full_output, full_frames, still = job.delivery.path, len(job.whole), job.source.kind == "image"
    first, stop_at = pipeline.chosen(job.whole, small.model_copy(update=part_shown(job, config)))
    target = (
        job.delivery
        if still
        else delivery.decide(job.source, clip, config.style, None, None, size=(2 * job.size[0], job.size[1] // 2 * 2))
    )
    # What may be replaced was settled above.
    settled = small.model_copy(update={"overwrite": True})
    job = replace(job, config=settled, first=first, stop=stop_at, delivery=target)
    for note in job.notes:
        report(note)
    with contextlib.ExitStack() as stack:
        stack.enter_context(deterministic(device))
        stylizer, flow, parts = pipeline.build(job, device, report)
        state = checkpoint.Checkpoint(clip, parts, job.size, len(job.timeline))
        store = stack.enter_context(checkpoint.hold(state))
        # An earlier preview's frames are nothing to keep: other settings simply start over.
        store.begin(
            pipeline.versions(), restart=checkpoint.read_record(store.folder).get("fingerprint") != store.fingerprint
        )
        store.end_orphan()
        missing = store.scan()
        pipeline.check_space(job, len(missing))
        begun = time.perf_counter()
        pipeline.stylize(job, stylizer, flow, store, missing, report, stop)
        each = (time.perf_counter() - begun) / max(1, len(missing))
        pairs = side_by_side(job, store)
        write_sheet(sheet, job, store)
        if not still:
            pipeline.deliver(job, store, {"preview": True}, report, stop, pairs)
        store.remove()
        size = fit(source.width, source.height, config.size)
        seconds = full_render(config, job, full_output, size, stylizer, flow)
        if seconds is not None:  # and never less than at the preview's size, with half the iterations
            seconds = max(seconds, each * full_frames)
    return Preview(
        output=sheet if still else clip,
        sheet=sheet,
        frames=len(job.timeline),
        seconds_per_frame=each,
        full_frames=full_frames,
        full_seconds=seconds,
        full_bytes=space.needed(
            size, full_frames, space.checkpoints(full_frames, config.passes), config.codec or "h264"
        ),
    )


def refuse_foreign(clip: Path, sheet: Path, overwrite: bool) -> None:
    """A preview replaces an earlier preview, and nothing else unless asked to."""
    from vidstyle import framefile

    # The clip cannot carry a label of ours; the sheet beside it vouches for it.
    there = [str(path) for path in (clip, sheet) if path.exists()]
    if there and not overwrite and not framefile.has_label(sheet, LABEL):
        raise OutputError(
            f"{' and '.join(there)} would be replaced",
            f"nothing shows that an earlier preview made this: {sheet} does not",
            "use -f to replace it, or rename it",
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
            "polish": (config.polish + 1) // 2,  # they are part of the iterations; the last one is not lost
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


def full_render(
    config: RenderConfig, job: Job, output: Path, size: tuple[int, int], stylizer: Stylizer, flow: Flow
) -> float | None:
    """The seconds that the full render at `size` (width, height) into `output` will take, from its parts timed at that
    size; None when a frame of it does not fit into memory, which must not cost the preview.
    """
    import torch

    from vidstyle.pipeline import fitting

    try:
        costs = timed_parts(config, job, size, stylizer, flow, fitting(config, size, output).tile)
    except (MemoryError, MemoryLimitError, torch.OutOfMemoryError):
        return None
    fresh, warm, links, written = amounts(config, job)
    optimising = fresh * optimisation(config, size, costs, fresh=True)
    optimising += warm * optimisation(config, size, costs, fresh=False)
    beside = links * costs.motion, written * costs.writing
    # A GPU optimises while the CPU does the rest; on a CPU all share the same cores.
    return optimising + sum(beside) if stylizer.device.type == "cpu" else max(optimising, *beside)


def amounts(config: RenderConfig, job: Job) -> tuple[int, int, int, int]:
    """Of the full render: frames that start afresh, frames that do not, links between frames, and frames written; each
    pass counted.
    """
    frames, ends = len(job.whole), (*job.cuts[1:], len(job.whole))
    if config.per_frame:
        return frames, 0, 0, frames
    lengths = [end - begin for begin, end in zip(job.cuts, ends, strict=True)]
    links = sum(max(0, length - j) for length in lengths for j in config.distances)
    if config.passes == 1:
        return len(lengths), frames - len(lengths), links, frames
    later = config.passes - 1
    return frames, later * frames, later * links, (config.passes + 1) * frames  # and the source's


@dataclass(frozen=True)
class Costs:
    """Seconds of a frame's parts at the size of the render.

    Args:
        iteration, scale: one iteration, and what is done once a scale.
        polishing, change: the same of the polisher, which comes in addition; 0 where there is none.
        motion: flow and mask.
        writing: encoding the checkpoint.
    """

    iteration: float
    scale: float
    polishing: float
    change: float
    motion: float
    writing: float


def optimisation(config: RenderConfig, size: tuple[int, int], costs: Costs, *, fresh: bool) -> float:
    """The seconds that the optimiser takes for a frame of `size` (width, height). Work goes with the area: at half the
    size it is a quarter.
    """
    from vidstyle.stylize.step import descent, polish_iterations

    *coarse, (full, finest) = descent(config, size[::-1], fresh=fresh)
    polished = polish_iterations(config, size[::-1], fresh=fresh)
    way = [*coarse, (full, finest - polished)]
    seconds = sum(factor**2 * (costs.scale + count * costs.iteration) for factor, count in way if count)
    return seconds + (costs.change + polished * costs.polishing if polished else 0.0)


def timed_parts(
    config: RenderConfig, job: Job, size: tuple[int, int], stylizer: Stylizer, flow: Flow, tile: int
) -> Costs:
    """The parts of a frame, measured at `size` (width, height) on one or two frames of the input.

    Args:
        tile: as in `Stylizer`.
    """
    from vidstyle import framefile
    from vidstyle.frames import to_uint16
    from vidstyle.links import link
    from vidstyle.stylize.step import State, Stylizer
    from vidstyle.video.read import read

    pair = [frame.image for frame in read(job.source, size, job.first, min(job.first + 2, job.stop))]
    frame, previous = pair[0], pair[-1]

    def optimise(iterations: int, polish: int = 0) -> float:
        """Seconds of a frame with so many iterations at full size, the last `polish` of them polished."""
        few = {"first_iterations": iterations, "first_scales": 1, "polish": polish, "stop_tolerance": 0.0}
        one = Stylizer(
            stylizer.extractor,
            job.painting,
            (size[1], size[0]),
            config.model_copy(update=few),
            stylizer.device,
            stylizer.polisher,
            tile,
        )
        return median(lambda: one.step(State(), frame, None))

    once, more = optimise(1), optimise(4)
    iteration = max(1e-4, (more - once) / 3)
    scale = max(0.0, once - iteration)
    polishing = change = 0.0
    if stylizer.polisher:
        last, last_four = optimise(2, 1), optimise(5, 4)
        polishing = max(1e-4, (last_four - last) / 3)
        change = max(0.0, last - once - polishing)  # the frame's features and the optimiser's buffers, once more
    return Costs(
        iteration=iteration,
        scale=scale,
        polishing=polishing,
        change=change,
        motion=median(lambda: link(frame, previous, flow, config.mask)),
        writing=median(lambda: framefile.encode(to_uint16(frame), "", 0)),
    )


def median(work: Callable[[], object], tries: int = 3) -> float:
    """Seconds of the middle one of a few calls: the first one pays for buffers and compiled kernels."""
    times = []
    for _ in range(tries):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return sorted(times)[tries // 2]
