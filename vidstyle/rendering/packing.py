"""Finished frames of a long render get small: as soon as a block of them is there, it is packed,
and most of its 16-bit files go.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from filelock import FileLock

from vidstyle.events import Note
from vidstyle.frames import from_uint16
from vidstyle.rendering.layers import FrameRange
from vidstyle.storage.record import PACKED_FOLDER
from vidstyle.video import packed_frames as blocks
from vidstyle.video.packed_frames import PackedFrames

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.events import Report
    from vidstyle.rendering.job import Job
    from vidstyle.storage.checkpoint import Checkpoint
    from vidstyle.storage.frame_store import FrameStore
    from vidstyle.video.delivery import Delivery
    from vidstyle.video.packed_frames import FrameFile


def choose_bits(delivery: Delivery) -> int:
    """Choose the depth of packed frames: that of the output."""
    if "16" in delivery.pix_fmt:
        return 16
    return 12 if any(word in delivery.pix_fmt for word in ("10", "12")) else 8


def packs_frames(job: Job) -> bool:
    """Tell whether a render is long enough to be packed, and none of its files are to be kept."""
    return may_pack(job.config, job.delivery, job.frame_count)


def may_pack(config: RenderConfig, delivery: Delivery, count: int) -> bool:
    """Tell whether a render of `count` frames packs them."""
    is_film = delivery.kind != "image"
    return is_film and not config.keep_frames and count > blocks.BLOCK_FRAMES


def count_deep_frames(config: RenderConfig, missing: int) -> int:
    """Count the finished frames that lie on the disk at full depth at once, at most, of `missing`
    ones that are still to be made and packed: a block that is nearly full, one that is being
    packed, and those at the ends of all others.
    """
    kept = 2 * config.distances[-1] * missing // blocks.BLOCK_FRAMES
    return min(missing, 2 * blocks.BLOCK_FRAMES + kept)


def packed_frames(job: Job, store: Checkpoint) -> PackedFrames:
    """Return the packed frames of a render, whether or not there are any."""
    return PackedFrames(store.folder / PACKED_FOLDER, job.size, choose_bits(job.delivery))


@dataclass
class Packer:
    """Packs the finished frames of one render."""

    job: Job
    final: FrameStore
    packed: PackedFrames
    _done: set[int] = field(default_factory=set)
    """First frames of the blocks that this process has nothing to do with any more."""

    @classmethod
    def of(cls, job: Job, store: Checkpoint) -> Packer | None:
        """The packer of a render; None where nothing is packed."""
        if not packs_frames(job):
            return None
        return cls(job, store.final, packed_frames(job, store))

    @property
    def blocks(self) -> list[FrameRange]:
        """All blocks of the render."""
        count = self.job.frame_count
        firsts = range(0, count, blocks.BLOCK_FRAMES)
        return [FrameRange(first, min(first + blocks.BLOCK_FRAMES, count)) for first in firsts]

    def pack_finished(self) -> None:
        """Pack every block whose frames are all finished, and remove the files that nothing needs.

        Raises DiskFullError and RenderError; all frames are kept then.
        """
        self.packed.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.packed.folder.with_suffix(".lock")):
            files = self.list_files()
            for block in self.blocks:
                if block.first not in self._done and self.pack_block(block, files):
                    self._done.add(block.first)

    def pack_block(self, block: FrameRange, files: set[int]) -> bool:
        """Pack a block where that is not done, and all its frames are there; tell whether it is.

        Args:
            files: the frames that have a file of their own.
        """
        is_packed = all(self.final.is_packed(index) for index in block.indices)
        if not is_packed:
            if not all(index in files or self.final.is_packed(index) for index in block.indices):
                return False
            if self.final.missing_frames(block.indices):
                return False
            # Some frames of it may be packed already, and others made again.
            unpack(self.final, self.packed, block)
            frames = [self.final.frame_path(index) for index in block.indices]
            labels = [self.final.label_of(index) for index in block.indices]
            self.packed.write(block.first, frames, labels)
        kept = self.kept_files
        self.final.delete_frames(i for i in block.indices if i in files and i not in kept)
        return True

    @functools.cached_property
    def kept_files(self) -> set[int]:
        """The frames that stay at full depth: those that a block on either side begins with, and
        those that a link may come back to.
        """
        reach = self.job.config.distances[-1] if self.job.engine.needs_motion else 0
        reach = max(reach, int(self.job.config.passes > 1))
        kept = {0} if self.job.is_loop else set()
        for block in self.blocks:
            kept |= set(range(block.first - reach, block.first + reach))
        return kept

    def list_files(self) -> set[int]:
        """List the finished frames that have a file of their own."""
        return {int(path.stem) for path in self.final.path.glob("*.png") if path.stem.isdigit()}

    def discard_damaged(self, report: Report) -> bool:
        """Remove blocks that are not what was written, and say so; tell whether there are any."""
        damaged = [first for first in self.packed.blocks() if not self.packed.is_whole(first)]
        for first in damaged:
            stop = min(first + blocks.BLOCK_FRAMES, self.job.frame_count)
            again = f"frames {first} to {stop - 1} are made again"
            report(Note(f"{self.packed.path(first)} is damaged: {again}", warning=True))
            self.packed.discard(first)
            self._done.discard(first)
        return bool(damaged)


def unpack(final: FrameStore, packed: PackedFrames, block: FrameRange) -> None:
    """Give the packed frames of a block files of their own, where they have none."""
    wanted = {i for i in block.indices if not final.frame_path(i).exists() and final.is_packed(i)}
    if not wanted:
        return
    final.open()
    with contextlib.closing(packed.decode(block.first)) as decoded:
        for index, picture in zip(block.indices, decoded, strict=False):
            if index in wanted:
                final.save(index, from_uint16(picture))


def list_finished(job: Job, store: Checkpoint) -> list[FrameFile]:
    """List the finished frames of a render, for the encoder: all of them packed where it packs, so
    that the result is the same whenever they were; else all of them files.
    """
    packed = packed_frames(job, store)
    if packs_frames(job):
        return [packed.frame(index) for index in range(store.count)]
    for first in packed.blocks():
        unpack(store.final, packed, FrameRange(first, first + blocks.BLOCK_FRAMES))
    return [store.frame_path(index) for index in range(store.count)]
