"""The files of one layer in the state directory of a render.

::

    frames/            its paint, where that is the finished frame
    paint.000040/      its paint in all other frames: those of a dissolve, with bars, ...
    frames.2.000040/   the same of an earlier pass
    source.000040/     the source, as if the shot were fully lit and alone, where it is needed twice
    hold.000040/       what the last frames were painted from (`motion.hold`), and below it what was
                       observed of them (`stylize.detail`)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.frames import from_uint16
from vidstyle.motion.hold import record_size
from vidstyle.rendering.composition import is_plain, layer_label
from vidstyle.rendering.paint_store import PaintStore
from vidstyle.storage import png16
from vidstyle.storage.frame_store import FrameStore

if TYPE_CHECKING:
    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import Layer
    from vidstyle.storage.checkpoint import Checkpoint


class LayerFiles:
    """The files of one layer."""

    def __init__(self, job: Job, layer: Layer, store: Checkpoint) -> None:
        self.job = job
        self.layer = layer
        self.store = store
        self.folder = store.folder
        self.final = store.final
        self.fingerprint = store.fingerprint
        self.label = layer_label(job, layer, store.fingerprint)
        own = FrameStore(self.folder / f"paint.{self.suffix}", self.label, job.paint_size)
        self.paint = PaintStore(store.final, own, self.is_finished)
        self.sources = FrameStore(
            self.folder / f"source.{self.suffix}", f"{self.fingerprint}-source", job.paint_size
        )

    @property
    def suffix(self) -> str:
        """The end of the names of its folders."""
        return f"{self.layer.anchor:06d}"

    def is_finished(self, index: int) -> bool:
        """Tell whether the paint of a frame is the finished frame."""
        return is_plain(self.job, index)

    def target(self, number: int) -> PaintStore:
        """Choose the store that pass `number` writes its frames to."""
        return self.paint if number == self.job.config.passes else self.pass_paint(number)

    def pass_paint(self, number: int) -> PaintStore:
        """Return the store of a pass before the last one."""
        path = self.folder / f"frames.{number}.{self.suffix}"
        store = FrameStore(path, f"{self.label}-pass{number}", self.job.paint_size)
        return PaintStore(store, store, lambda index: True)

    def records(self, number: int) -> FrameStore:
        """Return the store of what frames were painted from, in pass `number`, by direction."""
        width, height = self.job.paint_size
        record_height, record_width = record_size(height, width)
        # One below the other: what it was painted from, and what was observed of it.
        rows = 2 if self.job.uses_detail else 1
        size = (record_width, rows * record_height)
        path = self.folder / f"hold.{self.suffix}"
        return FrameStore(path, f"{self.fingerprint}-hold{number}", size)

    def misplaced_frames(self) -> list[int]:
        """List the painted frames that do not lie where they belong: a render may have got other
        settings of composition, under which they are finished, or are not any more.
        """
        own = self.paint.unfinished
        misplaced = []
        for index in self.layer.frames.indices:
            final_path = self.final.frame_path(index)
            own_path = own.frame_path(index)
            if self.is_finished(index):
                if own_path.exists() and png16.has_label(own_path, self.label, index):
                    misplaced.append(index)
            elif not own_path.exists() and (
                png16.has_label(final_path, self.label, index) or self.is_packed_paint(index)
            ):
                misplaced.append(index)
        return misplaced

    def is_packed_paint(self, index: int) -> bool:
        """Tell whether the paint of a frame is among the packed frames, and can be had back."""
        packed = self.final.packed
        return packed is not None and packed.paint_label_of(index) == self.label

    def adopt(self) -> None:
        """Move them to where they belong."""
        own = self.paint.unfinished
        for index in self.misplaced_frames():
            final_path = self.final.frame_path(index)
            own_path = own.frame_path(index)
            if self.is_finished(index):
                own_path.replace(final_path)
                continue
            own.open()
            if png16.has_label(final_path, self.label, index):
                final_path.replace(own_path)
        self.adopt_packed()

    def adopt_packed(self) -> None:
        """Give packed paint that is no finished frame any more files of its own, block by block."""
        packed = self.final.packed
        own = self.paint.unfinished
        waiting = set() if packed is None else set(self.misplaced_frames())
        while waiting and packed is not None:
            index = min(waiting)
            for at, picture in packed.decode_from(index):
                if at in waiting:
                    own.save(at, from_uint16(picture))
                    waiting.discard(at)

    def delete_passes(self, numbers: Iterable[int]) -> None:
        """Remove the frames of these passes before the last one."""
        for number in numbers:
            self.pass_paint(number).finished.delete()

    def delete_working_files(self) -> None:
        """Remove all that its frames were made from."""
        for number in range(1, self.job.config.passes):
            self.pass_paint(number).finished.delete()
        self.sources.delete()
        shutil.rmtree(self.dissolve_folder, ignore_errors=True)
        self.records(1).delete()

    @property
    def dissolve_folder(self) -> Path:
        """The folder in which a dissolve is taken apart."""
        return self.sources.path.with_name(f"{self.sources.path.name}.dissolve")
