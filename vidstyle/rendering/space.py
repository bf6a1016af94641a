"""The disk that a render takes, and its refusal where there is too little."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from vidstyle.machine import disk
from vidstyle.rendering.composition import is_plain
from vidstyle.rendering.packing import (
    choose_kept_bits,
    count_deep_frames,
    count_finer_steps,
    may_pack,
    packs_frames,
)
from vidstyle.storage.record import count_finished_frames, count_frame_files, is_own_output
from vidstyle.video.scan import count_packets

if TYPE_CHECKING:
    from vidstyle.rendering.job import Job, Request
    from vidstyle.video.probe import Source


def disk_needed(job: Job, missing: int, uncomposed: int = 0) -> int:
    """Bytes that the render still takes.

    Args:
        missing: frames that are still to be painted.
        uncomposed: frames that are still to be put together from paint.
    """
    passes = job.config.passes
    longest = max(len(layer.frames) for layer in job.layers)
    written = finished = missing + uncomposed
    packs = packs_frames(job)
    if packs:
        written = count_deep_frames(job.config, finished)
    elif missing and passes > 1:  # earlier passes and the source come as well
        most = disk.max_checkpoints(job.frame_count, passes, longest)
        written = max(missing, most - count_frame_files(job.delivery.path)) + uncomposed
    if missing:
        written += count_working_frames(job)
        # Of one shot, in two passes and its source; not those that the last pass will pack.
        written += 2 * longest if packs and passes > 1 else 0
    # The traced frame has a picture for its start, and one for the result.
    traced = job.config.first_iterations + 2 if missing and job.config.trace else 0
    return disk.needed_bytes(
        job.size,
        job.frame_count,
        written + traced,
        job.delivery.codec,
        packed=finished if packs else 0,
        bits=choose_kept_bits(job.config, job.delivery),
        finer=count_finer_steps(job.delivery),
    )


def count_working_frames(job: Job) -> int:
    """Count the files of frames that lie on the disk at most in addition to the finished ones: the
    paint of two layers, and of the one that a loop leads to, and sources that are needed twice.
    """
    composed = [
        sum(not is_plain(job, index) for index in layer.frames.indices) for layer in job.layers
    ]
    if job.config.keep_frames:
        paint = sum(composed)
    else:
        paint = (
            max(a + b for a, b in itertools.pairwise([*composed, 0])) + job.is_loop * composed[0]
        )
    sources = max(
        len(layer.backward)
        + 3 * sum(job.layer_plan.dissolve_at(index) is not None for index in layer.frames.indices)
        for layer in job.layers
    )
    return paint + sources


def check_space(job: Job, missing: int, uncomposed: int = 0) -> None:
    """Raise DiskSpaceError when the disk is too small, unless told to go on; see `disk_needed`."""
    if not job.config.force:
        needed = disk_needed(job, missing, uncomposed)
        disk.refuse_small_disk(needed, missing + uncomposed, job.delivery.path.parent)


def refuse_promised_size(request: Request) -> None:
    """Raise DiskSpaceError when the frames that the container promises do not fit on the disk.
    Where it promises no duration, only the exact count can refuse the render, after the scan.
    """
    config = request.config
    source = request.source
    if config.force or source.kind == "image" or source.duration is None:
        return
    folder = request.output.parent
    stored = max(count_frame_files(request.output), count_finished_frames(request.output))
    if is_own_output(request.output):
        return

    def needed_bytes(frames: int) -> int:
        missing = max(0, frames - stored)
        packs = may_pack(config, request.delivery, frames)
        return disk.needed_bytes(
            request.size,
            frames,
            count_deep_frames(config, missing) if packs else missing,
            request.delivery.codec,
            packed=missing if packs else 0,
            bits=choose_kept_bits(config, request.delivery),
            finer=count_finer_steps(request.delivery),
        )

    promised = count_promised_frames(source, config.start, config.duration)
    if needed_bytes(promised) > disk.free_bytes(folder):
        # The packets are counted before a render is refused: a rate or a duration may be wrong.
        packets = count_packets(source)
        share = min(1.0, promised / max(1, round(source.duration * source.nominal_rate)))
        frames = min(promised, round(packets * share))
        disk.refuse_small_disk(needed_bytes(frames), max(0, frames - stored), folder)


def count_promised_frames(source: Source, start: float | None, duration: float | None) -> int:
    """Count the frames that are shown from second `start` on for `duration` seconds, as the
    container's duration and rate promise them.
    """
    seconds = float(source.duration or 0) - (start or 0.0)
    if duration is not None:
        seconds = min(seconds, duration)
    return max(0, round(seconds * float(source.nominal_rate)))
