"""The checkpoint of a job, opened with the frames that earlier runs left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vidstyle.events import Note, Report
from vidstyle.machine.versions import library_versions
from vidstyle.rendering.composition import frame_labels
from vidstyle.rendering.packing import open_packed_frames
from vidstyle.storage.checkpoint import Checkpoint
from vidstyle.video.ffmpeg import find

if TYPE_CHECKING:
    from vidstyle.rendering.job import Job


def open_store(job: Job, parts: dict[str, Any], report: Report, *, restart: bool) -> Checkpoint:
    """Open the checkpoint, with the frames that earlier runs left. Raises SettingsChangedError, and
    OutputError when another output has appeared since the job was prepared.
    """
    config = job.config
    store = Checkpoint(job.delivery.path, parts, job.size, job.frame_count)
    # Blocks may be there although no more are to be made: a render with `keep_frames` goes on.
    store.final = replace(
        store.final,
        labels=frame_labels(job, store.fingerprint),
        packed=open_packed_frames(job, store.folder),
    )
    if job.discards_other_frames:
        restart |= store.has_changed()
    for warning in store.begin(
        library_versions(find().version), restart=restart, overwrite=config.overwrite
    ):
        report(Note(warning, warning=True))
    store.end_orphan()
    return store
