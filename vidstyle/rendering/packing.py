"""The packing of finished frames: as soon as a block of them is there, it is written into one file
at the depth of the output, or encoded as the output will be, and most of its 16-bit files go.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from filelock import FileLock

from vidstyle.errors import OutputError, RenderError, SettingsChangedError
from vidstyle.events import Note
from vidstyle.frames import from_uint16
from vidstyle.rendering.layers import FrameRange
from vidstyle.storage.atomic import disk_errors
from vidstyle.storage.record import PACKED_FOLDER
from vidstyle.video import packed_frames as blocks
from vidstyle.video.delivery import CODECS
from vidstyle.video.encoded_blocks import JOINED_CODECS, BlockEncoding, EncodedBlock
from vidstyle.video.packed_frames import PackedFrames
from vidstyle.video.write import build_output_clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vidstyle.config.settings import RenderConfig
    from vidstyle.events import Report
    from vidstyle.rendering.job import Job
    from vidstyle.storage.checkpoint import Checkpoint
    from vidstyle.storage.frame_store import FrameStore
    from vidstyle.video.delivery import Delivery
    from vidstyle.video.packed_frames import FrameFile

TIMING_SETTINGS = ("tick", "rate", "steady")
"""Of an encoder: nobody chooses them, and before the film has been looked through they are not
certain. They stay the same as long as the film does."""

HIGHEST_RATE = Fraction(240)
"""Frames per second: whole milliseconds tell them apart."""


def choose_bits(delivery: Delivery) -> int:
    """Choose the depth of packed frames: that of the output."""
    if "16" in delivery.pix_fmt:
        return 16
    return 12 if any(word in delivery.pix_fmt for word in ("10", "12")) else 8


def choose_kept_bits(config: RenderConfig, delivery: Delivery) -> int | None:
    """Choose the depth of packed frames; None where they are kept as the output will have them."""
    return None if config.keep == "final" else choose_bits(delivery)


def count_finer_steps(delivery: Delivery) -> int:
    """Count the steps by which the output is finer than the default of its codec."""
    codec = CODECS.get(delivery.codec)
    if codec is None or codec.crf is None or delivery.crf is None:
        return 0
    return codec.crf - delivery.crf


def packs_frames(job: Job) -> bool:
    """Tell whether a render is long enough to be packed, and none of its files are to be kept. The
    end of a loop needs its beginning at full depth, and loops are short.
    """
    return not job.is_loop and may_pack(job.config, job.delivery, job.frame_count)


def may_pack(config: RenderConfig, delivery: Delivery, count: int) -> bool:
    """Tell whether a render of `count` frames packs them."""
    is_film = delivery.kind == "video"
    return is_film and not config.keep_frames and count > blocks.BLOCK_FRAMES


def count_deep_frames(config: RenderConfig, missing: int) -> int:
    """Count the finished frames that lie on the disk at full depth at once, at most, of `missing`
    ones that are still to be made and packed: a block that is full, those that come until it is
    packed, and those at the ends of all others.
    """
    kept = 2 * count_kept(config) * missing // blocks.BLOCK_FRAMES
    return min(missing, blocks.BLOCK_FRAMES + count_unpacked() + kept)


def count_unpacked() -> int:
    """Count the frames that are finished before full blocks are looked for again."""
    return max(1, blocks.BLOCK_FRAMES // 5)


def count_kept(config: RenderConfig) -> int:
    """Count the files that stay on either side of the border between two blocks: the frames that a
    block which is made again is linked to.
    """
    return max(1, config.distances[-1])


def refuse_lossless_final(config: RenderConfig, delivery: Delivery) -> None:
    """Raise OutputError where the output's own encoding is not to be kept block by block."""
    if config.keep == "lossless":
        return
    is_joined = delivery.codec in JOINED_CODECS and delivery.container != "avi"
    if not is_joined:
        kind = "AVI" if delivery.container == "avi" else delivery.codec
        hint = f"leave --keep out, or use --codec {', '.join(JOINED_CODECS)} in .mkv or .mp4"
        why = f"{kind} is not put together from encoded parts, or they would save no space"
        raise OutputError(f"cannot keep the frames of {delivery.path} as encoded", why, hint)


def keeps_final_encoding(job: Job) -> bool:
    """Tell whether the frames that are packed are kept as the output will have them, and not
    losslessly.
    """
    return job.config.keep == "final" and packs_frames(job)


def open_packed_frames(job: Job, folder: Path) -> PackedFrames:
    """Return the packed frames of a render with this state directory, whether or not there are any.

    They have the rate that the output declares.
    """
    rate = min(job.timeline.rate or job.timeline.nominal_rate, HIGHEST_RATE)
    encoder = None
    if keeps_final_encoding(job):
        clock = build_output_clock(job.rendered_timeline, job.delivery, job.trim)
        encoder = BlockEncoding(clock, job.delivery, job.source.sar)
    bits = choose_bits(job.delivery)
    return PackedFrames(folder / PACKED_FOLDER, job.size, bits, rate, encoder)


def refuse_unsettled_encoding(job: Job, store: Checkpoint) -> None:
    """Raise SettingsChangedError where frames are kept in an encoding that the output shall not
    have, or shall be put together differently: they would have to be painted again.
    """
    packed = store.final.packed
    if not isinstance(packed, PackedFrames):
        return
    encoded = [
        first
        for first in packed.blocks()
        if not packed.is_lossless(first) and packed.label_of(first).startswith(store.fingerprint)
    ]
    if not encoded:
        return
    settled = {"keep": "final", **packed.card(encoded[0])["encoding"]}
    wanted = (
        {"keep": "final", **packed.encoder.settings} if packed.encoder else {"keep": "lossless"}
    )
    differences: dict[str, tuple[object, object]] = {
        name: (settled.get(name), value)
        for name, value in wanted.items()
        if settled.get(name) != value and name not in TIMING_SETTINGS
    }
    frames = itertools.chain(*(packed.indices(first) for first in encoded))
    if not differences and not all(store.final.is_packed(index) for index in frames):
        differences["composition"] = ("that of the first run", "another one")
    if differences:
        name, (old, new) = next(iter(differences.items()))
        raise SettingsChangedError(
            f"cannot continue {store.folder}",
            f"its finished frames are kept as they were encoded, with {name} = {old}, not {new}",
            "give the settings of the first run, or --restart to paint all of them again",
            differences,
        )


@dataclass
class Packer:
    """Packs the finished frames of one render."""

    job: Job
    final: FrameStore
    packed: PackedFrames
    _done: set[int] = field(default_factory=set)
    """First frames of the blocks that this process has nothing to do with any more."""
    _discarded: set[int] = field(default_factory=set)
    """First frames of the blocks that were damaged."""

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
        with self.locked():
            for leftover in self.packed.folder.glob("*.tmp"):
                leftover.unlink(missing_ok=True)
            files = self.list_files()
            for block in self.blocks:
                if block.first not in self._done and self.pack_block(block, files):
                    self._done.add(block.first)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes away from the blocks; another one may pack the same at a time."""
        folder = self.packed.folder
        with disk_errors(folder.parent):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                yield

    def pack_block(self, block: FrameRange, files: set[int]) -> bool:
        """Pack a block where that is not done, and all its frames are there; tell whether it is.

        Args:
            files: the frames that have a file of their own.
        """
        is_packed = all(self.final.is_packed(index) for index in block.indices)
        # A disk that became too small may be the reason to keep frames as encoded from here on.
        is_packed &= self.packed.encoder is None or not self.packed.is_lossless(block.first)
        if not is_packed:
            if not all(index in files or self.final.is_packed(index) for index in block.indices):
                return False
            if self.final.missing_frames(block.indices):
                return False
            if not self.packed.is_lossless(block.first):
                # What an encoder took away is not to be encoded again.
                self.packed.discard(block.first)
                if not all(index in files for index in block.indices):
                    return False
            # Some frames of it may be packed already, and others made again.
            unpack(self.final, self.packed, block)
            frames = [self.final.frame_path(index) for index in block.indices]
            labels = [self.final.label_of(index) for index in block.indices]
            self.packed.write(block.first, frames, labels)
        kept = self.kept_files
        # Those that were unpacked go as well.
        self.final.delete_frames(i for i in block.indices if i not in kept)
        return True

    @functools.cached_property
    def kept_files(self) -> set[int]:
        """The frames that stay at full depth: those that a block on either side begins with, and
        those that a link may come back to.
        """
        reach = count_kept(self.job.config)
        kept: set[int] = set()
        for block in self.blocks:
            kept |= set(range(block.first - reach, block.first + reach))
        return kept

    def list_files(self) -> set[int]:
        """List the finished frames that have a file of their own."""
        return {int(path.stem) for path in self.final.path.glob("*.png") if path.stem.isdigit()}

    def discard_damaged(self, report: Report) -> bool:
        """Remove blocks that are not what was written, and say so; tell whether there are any.

        Raises RenderError where one is damaged once more.
        """
        with self.locked():
            damaged = [first for first in self.packed.blocks() if not self.packed.is_whole(first)]
            for first in damaged:
                path = self.packed.path(first)
                if first in self._discarded:
                    hint = "look at the disk, then run the same command again"
                    raise RenderError(f"{path} is damaged again", "so is the disk, perhaps", hint)
                stop = min(first + blocks.BLOCK_FRAMES, self.job.frame_count)
                again = f"frames {first} to {stop - 1} are made again"
                report(Note(f"{path} is damaged: {again}", warning=True))
                self.packed.discard(first)
                self._discarded.add(first)
        return bool(damaged)


def create_packer(job: Job, store: Checkpoint) -> Packer | None:
    """Create the packer of a render; None where nothing is packed."""
    if not packs_frames(job):
        return None
    packed = store.final.packed
    assert isinstance(packed, PackedFrames), "it was given when the store was opened"
    return Packer(job, store.final, packed)


def unpack(final: FrameStore, packed: PackedFrames, block: FrameRange) -> None:
    """Give the packed frames of a block files of their own, where they have no sound ones."""
    wanted = {i for i in final.missing_at_full_depth(block.indices) if final.is_packed(i)}
    if not wanted:
        return
    final.open()
    with contextlib.closing(packed.decode(block.first)) as decoded:
        for index, picture in zip(block.indices, decoded, strict=False):
            if index in wanted:
                final.save(index, from_uint16(picture))


def list_encoded(job: Job, store: Checkpoint) -> list[EncodedBlock]:
    """List the blocks of a render that are encoded as the output will be; none where its frames are
    still to be encoded.
    """
    packed = store.final.packed
    if not isinstance(packed, PackedFrames) or not keeps_final_encoding(job):
        return []
    return [EncodedBlock(packed.path(i), len(packed.indices(i))) for i in packed.blocks()]


def list_finished(job: Job, store: Checkpoint) -> list[FrameFile]:
    """List the finished frames of a render, for the encoder: all of them packed where it packs, so
    that the result is the same whenever they were; else all of them files.
    """
    packed = store.final.packed
    if isinstance(packed, PackedFrames):
        if packs_frames(job):
            return [packed.frame(index) for index in range(store.count)]
        for first in packed.blocks():
            unpack(store.final, packed, FrameRange(first, first + blocks.BLOCK_FRAMES))
        packed.delete()
    return [store.frame_path(index) for index in range(store.count)]
