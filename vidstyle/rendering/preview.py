"""A short clip before the full render: small, with few iterations, source and result next to each
other, and a measured estimate of what the full render takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from vidstyle.errors import OutputError
from vidstyle.events import Report, Stop, never_stop, silent
from vidstyle.frames import to_uint16
from vidstyle.machine import disk
from vidstyle.motion.shots import middle_of_longest_shot
from vidstyle.rendering.encoding import encode_frames
from vidstyle.rendering.engines import learned_paintings
from vidstyle.rendering.estimate import FullRender, LinkedFrames, estimate_render
from vidstyle.rendering.film import check_keyframe_files, find_keyframes
from vidstyle.rendering.label_maps import LabelMaps
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.models import Models
from vidstyle.rendering.packing import choose_kept_bits, count_deep_frames, may_pack
from vidstyle.rendering.pipeline import render_job
from vidstyle.rendering.prepare import choose_part, inspect, prepare
from vidstyle.rendering.sources import decode_images, read_style_images
from vidstyle.rendering.survey import glance_at_long_film, sample_cuts, survey_part
from vidstyle.storage import png16
from vidstyle.storage.atomic import write_atomically
from vidstyle.units import clock_time, counted, disk_space
from vidstyle.video import delivery as deliveries
from vidstyle.video.probe import probe
from vidstyle.video.read import fit
from vidstyle.video.track_trial import try_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from vidstyle.config.settings import RenderConfig
    from vidstyle.frames import Timeline
    from vidstyle.rendering.job import Job, Request
    from vidstyle.rendering.survey import Survey
    from vidstyle.storage.checkpoint import Checkpoint
    from vidstyle.video.delivery import Delivery

PREVIEW_SECONDS = 3.0

PREVIEW_SIZE = 320
"""Long side in pixels."""

SHEET_COLUMNS = 4
"""Frames on the contact sheet."""

SHEET_GAP = 8
"""Pixels."""

PREVIEW_LABEL = "preview"
"""Marks a contact sheet as ours, so that the next preview may replace it."""


@dataclass(frozen=True)
class Preview:
    """The outcome of a preview.

    Args:
        output: the clip, source and result next to each other (the contact sheet when the input is
            an image).
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
        """Say it in two lines."""
        frames = counted(self.frames, "frame")
        took = f"preview: {frames}, {self.seconds_per_frame:.2f} s each; contact sheet {self.sheet}"
        full_frames = counted(self.full_frames, "frame")
        whole = f"the full render: {full_frames}, {disk_space(self.full_bytes)} of disk"
        if self.full_seconds is None:
            too_large = "a frame of it does not fit into memory: choose a smaller --size"
            return f"{took}\n{whole}; {too_large}"
        return f"{took}\n{whole}, about {clock_time(self.full_seconds)}"


def preview(config: RenderConfig, report: Report = silent, stop: Stop = never_stop) -> Preview:
    """Render `config.duration` seconds (3) from `config.start` (the middle of the longest shot) at
    reduced size and iterations.

    Writes `IN.preview.mp4` and the contact sheet `IN.preview.png` next to the input, or next to
    `config.output` under its name. Its state is its own: the full render is not disturbed. Raises
    the errors of `render`.
    """
    named_after = config.output or config.input
    clip = named_after.with_name(f"{named_after.stem}.preview.mp4")
    sheet = clip.with_suffix(".png")
    refuse_foreign(clip, sheet, overwrite=config.overwrite)
    job, full_output = reduce_job(config, clip, report)
    is_still = job.source.kind == "image"
    models = Models(report)
    linked = LinkedFrames(job, report)

    def deliver_preview(job: Job, store: Checkpoint, report: Report, stop: Stop) -> None:
        write_sheet(sheet, job, store)
        if not is_still:
            pairs = write_pairs(job, store)
            encode_frames(job, store, report, stop, {"preview": True}, pairs)

    result = render_job(job, linked, stop, models, deliver_preview)
    # Of an output frame, whatever the number of passes.
    seconds_each = (result.seconds_per_frame or 0.0) * config.passes
    size = fit(job.source.width, job.source.height, config.size)
    frame_count = len(job.timeline)
    seconds = estimate_render(FullRender(config, size, full_output), job, linked, models)
    if seconds is not None and result.rendered:
        # Never less than at the preview's size, with half the iterations.
        seconds = max(seconds, seconds_each * frame_count)
    whole = replace(job, part=FrameRange(0, frame_count), keyframes=())
    longest_shot = max(len(layer.frames) for layer in whole.layers)
    stored = disk.max_checkpoints(frame_count, config.passes, longest_shot)
    packs = may_pack(config, job.delivery, frame_count)
    return Preview(
        output=sheet if is_still else clip,
        sheet=sheet,
        frames=job.frame_count,
        seconds_per_frame=seconds_each,
        full_frames=frame_count,
        full_seconds=seconds,
        full_bytes=disk.needed_bytes(
            size,
            frame_count,
            count_deep_frames(config, stored) if packs else stored,
            config.codec or "h264",
            packed=frame_count if packs else 0,
            bits=choose_kept_bits(config, job.delivery),
        ),
    )


def refuse_foreign(clip: Path, sheet: Path, *, overwrite: bool) -> None:
    """Raise OutputError where the preview would replace something that no earlier preview made."""
    # The clip cannot carry a label of ours; the sheet next to it vouches for it.
    there = [str(path) for path in (clip, sheet) if path.exists()]
    if there and not overwrite and not png16.has_label(sheet, PREVIEW_LABEL):
        raise OutputError(
            f"{' and '.join(there)} would be replaced",
            f"nothing shows that an earlier preview made this: {sheet} does not",
            "use -f to replace it, or rename it",
        )


def reduce_job(config: RenderConfig, clip: Path, report: Report = silent) -> tuple[Job, Path]:
    """Prepare the render of a part of the input: never larger than the full render, with half its
    iterations, and everything else as it will be.

    Returns the job, and where the full render would go.
    """
    source = probe(config.input)
    full_size = fit(source.width, source.height, config.size)
    check_keyframe_files(config.keyframes, full_size, clip)
    long_side = max(source.width, source.height)
    # What may be replaced is settled, and the frames of the full render do not matter here.
    reduced = config.reduce_for_preview()
    if not learned_paintings(config):
        reduced.pop("learn", None)
    small = config.model_copy(
        update={
            **reduced,
            "size": min(config.size or long_side, PREVIEW_SIZE),
            "overwrite": True,
            "restart": False,
            "trace": False,
            "keep_frames": False,
            "keep": "lossless",
            # A part of what loops does not.
            "loop": False,
        }
    )
    whole = {
        "start": None,
        "duration": None,
        "regions": None,
        "keyframes": (),
        "restart": True,
    }
    request = inspect(small.model_copy(update=whole))
    seen, place = see_preview(request, config, report)
    job = prepare(request, report, seen=seen)
    start, duration = place or choose_seconds(
        job.timeline, job.edit.cuts, config.start, config.duration
    )
    part = choose_part(job.timeline, start, duration)
    label_maps = None
    if config.regions:  # there need be labels for this part alone
        label_maps = LabelMaps(
            config.regions, job.size, job.style_rims[0], must_be_fixed=config.passes > 1
        )
        label_maps.check_length(part.stop)
    keyframes = find_keyframes(config.keyframes, job.timeline, job.edit, part, is_preview=True)
    part_job = replace(
        job,
        config=small,
        keyframes=keyframes,
        part=part,
        delivery=plan_clip(job, clip, config.named_after),
        label_maps=label_maps,
        discards_other_frames=True,
    )
    return part_job, job.delivery.path


def plan_clip(job: Job, clip: Path, named_after: Path) -> Delivery:
    """Decide how the clip is encoded; of an image there is only the contact sheet."""
    if job.source.kind == "image":
        return replace(job.delivery, path=clip.with_suffix(".png"))
    width, height = job.size
    size = (2 * width, height // 2 * 2)
    request = deliveries.DeliveryRequest(named_after, clip, sound=job.config.audio, is_part=True)
    return try_delivery(deliveries.plan_delivery(job.source, request, size), job.source)


def see_preview(
    request: Request, config: RenderConfig, report: Report
) -> tuple[Survey | None, tuple[float, float] | None]:
    """Look at the part of a long film that a preview shows; return it, and its start and duration
    in seconds. Nothing where the whole is to be looked at.
    """
    needs_all = config.keep_colors == "match" or config.keyframes or config.regions
    known = None if needs_all else glance_at_long_film(request.source)
    if known is None:
        return None, None
    start, duration = config.start, config.duration
    timeline = known.scanned.timeline
    cuts = (0,) if start is not None else sample_cuts(request.source, known)
    place = choose_seconds(timeline, cuts, start, duration)
    seen = survey_part(request.source, known, choose_part(timeline, *place), report)
    return seen, None if seen is None else place


def choose_seconds(
    timeline: Timeline, cuts: Sequence[int], start: float | None, duration: float | None
) -> tuple[float, float]:
    """Choose start and duration in seconds: as asked, else 3 s from the middle of the longest shot
    (earlier, where the video would end).
    """
    length = PREVIEW_SECONDS if duration is None else duration
    if start is not None:
        return start, length
    base = timeline.time_base
    pts = timeline.pts
    middle = pts[middle_of_longest_shot(cuts, pts)] * base
    last = (pts[-1] + timeline.last_duration) * base - Fraction(length)
    return float(max(pts[0] * base, min(middle, last))), length


def write_pairs(job: Job, store: Checkpoint) -> list[Path]:
    """Write source and result of every frame into one picture, as files for the encoder."""
    folder = store.folder / "pairs"
    folder.mkdir(exist_ok=True)
    paths = []
    for index, image in decode_images(job, 0, job.frame_count):
        pair = torch.cat([image, store.load(index)], 2)  # (3, H, 2 W): even, as encoders like it
        if pair.shape[1] > 2:
            pair = pair[:, : pair.shape[1] // 2 * 2]
        path = folder / f"{index:06d}.png"
        data = png16.encode_frame(to_uint16(pair), store.fingerprint, index)
        write_atomically(path, data)
        paths.append(path)
    return paths


def write_sheet(path: Path, job: Job, store: Checkpoint) -> None:
    """Write the contact sheet: the style images, source frames above, result frames below, evenly
    spread over the preview.
    """
    width, height = job.size
    last = job.frame_count - 1
    columns = {round(i * last / max(1, SHEET_COLUMNS - 1)) for i in range(SHEET_COLUMNS)}
    tall = 2 * height + SHEET_GAP
    images = [scale_to_height(image, tall) for image in read_style_images(job)]
    across = sum(image.shape[2] + SHEET_GAP for image in images)
    across += SHEET_GAP + len(columns) * (width + SHEET_GAP)
    sheet = torch.ones(3, tall + 2 * SHEET_GAP, across)
    x = SHEET_GAP
    for image in images:
        place_image(sheet, image, SHEET_GAP, x)
        x += image.shape[2] + SHEET_GAP
    for index, image in decode_images(job, 0, job.frame_count):
        if index in columns:
            place_image(sheet, image, SHEET_GAP, x)
            place_image(sheet, store.load(index), 2 * SHEET_GAP + height, x)
            x += width + SHEET_GAP
    write_atomically(path, png16.encode_frame(to_uint16(sheet), PREVIEW_LABEL, 0))


def scale_to_height(image: Tensor, height: int) -> Tensor:
    """Scale an image (3, h, w) to a height in pixels, its aspect unchanged."""
    size = (height, max(1, round(image.shape[2] * height / image.shape[1])))
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def place_image(sheet: Tensor, image: Tensor, top: int, left: int) -> None:
    """Put an image (3, h, w) onto a sheet, in place."""
    sheet[:, top : top + image.shape[1], left : left + image.shape[2]] = image
