"""Finished frames that nothing needs at full depth any more: blocks of them in one file each,
losslessly compressed at the depth of the output, or encoded as the output will be.

::

    000240.mkv    frames 240 .. 479: FFV1, every frame by itself, at the rate of the film
    000240.mp4    the same frames as the output will have them, where nothing else is kept
    000240.json   its card: labels of the frames, their depth, size and digest of the file, and how
                  they are encoded where that is not FFV1

A block is decoded before its card is written, and a lossless one compared. One without a card is
not there. Before a block is read its digest is: a decoder hides damage. One that is damaged is
removed, and its frames are made again.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vidstyle.errors import RenderError
from vidstyle.storage.atomic import disk_errors, flush_to_disk, hash_file, write_atomically
from vidstyle.video import ffmpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_FRAMES = 240
"""Frames of a block; the last one of a film may have fewer."""

PIXEL_FORMATS = {8: "gbrp", 12: "gbrp12le", 16: "gbrp16le"}
"""By depth in bits."""

DECODED_COLORS = "scale=in_color_matrix=bt709:in_range=tv:out_range=pc:flags=bicubic+accurate_rnd"
"""The filter that gives what was encoded as the output its RGB back."""


@dataclass(frozen=True)
class PackedFrame:
    """A frame in a block.

    Args:
        path: the file of the block.
        position: of the frame in it, from 0.
        rate: frames per second of the block.
    """

    path: Path
    position: int
    rate: Fraction

    @property
    def span(self) -> tuple[str, str]:
        """The seconds of the file at which it begins and ends."""
        begin, end = (round_to_millisecond(self.position + i, self.rate) for i in (0, 1))
        return f"{begin // 1000}.{begin % 1000:03d}", f"{end // 1000}.{end % 1000:03d}"


def round_to_millisecond(position: int, rate: Fraction) -> int:
    """Return the time of a frame in whole milliseconds, as Matroska keeps it."""
    return int(1000 * position / rate + Fraction(1, 2))


FrameFile = Path | PackedFrame
"""A finished frame: a 16-bit RGB PNG, or one of a block."""


class BlockEncoder(Protocol):
    """Encodes blocks as the output will be."""

    @property
    def settings(self) -> dict[str, Any]:
        """All by which the files of two encoders differ."""
        ...

    def encode(self, first: int, frames: Sequence[Path], listing: Path, path: Path) -> None:
        """Write the block that begins with frame `first`.

        Args:
            frames: the 16-bit RGB PNGs of all its frames.
            listing: the place of a script that names them.
            path: the file to write.

        Raises DiskFullError and RenderError.
        """
        ...


@dataclass(frozen=True)
class PackedFrames:
    """The blocks of a render.

    Args:
        folder: where they lie.
        size: (width, height) of the frames.
        bits: 8, 12 or 16, the depth that new blocks get; those that are there keep theirs.
        rate: frames per second of new blocks.
        encoder: writes new blocks; None: they are lossless.
    """

    folder: Path
    size: tuple[int, int]
    bits: int = 8
    rate: Fraction = Fraction(25)
    encoder: BlockEncoder | None = None
    _cards: dict[Path, tuple[int, dict[str, Any]]] = field(default_factory=dict, compare=False)
    _whole: set[str] = field(default_factory=set, compare=False)
    """Digests of blocks that were found whole."""

    @classmethod
    def read_folder(cls, folder: Path) -> PackedFrames:
        """The blocks in a folder, of the size that the first of them has."""
        for path in sorted(folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                width, height = json.loads(path.read_text(encoding="ascii"))["size"]
                return cls(folder, (width, height))
        return cls(folder, (0, 0))

    def path(self, first: int) -> Path:
        """Return the place of the block that begins with frame `first`."""
        encoded = self.folder / f"{first:06d}.mp4"
        return encoded if encoded.exists() else encoded.with_suffix(".mkv")

    def blocks(self) -> list[int]:
        """List the first frames of the blocks that are there."""
        return sorted(int(c.stem) for c in self.folder.glob("*.json") if c.stem.isdigit())

    def card(self, first: int) -> dict[str, Any]:
        """Read the card of a block; empty where it is not there, damaged, or of another size, or
        the file is gone or has another length.
        """
        path = self.folder / f"{first:06d}.json"
        try:
            time = path.stat().st_mtime_ns
            if self._cards.get(path, (None,))[0] != time:
                self._cards[path] = (time, json.loads(path.read_text(encoding="ascii")))
            card = self._cards[path][1]
            is_there = self.path(first).stat().st_size == card["bytes"]
            fits = tuple(card["size"]) == self.size and card["bits"] in PIXEL_FORMATS
        except (OSError, ValueError, LookupError, TypeError):
            return {}
        return card if is_there and fits else {}

    def indices(self, first: int) -> range:
        """Return the frames that are in a block; none where it is not there."""
        return range(first, first + len(self.card(first).get("labels", [])))

    def is_lossless(self, first: int) -> bool:
        """Tell whether a block that is there gives its frames back as they were, at its depth."""
        return not self.card(first).get("encoding")

    def label_of(self, index: int) -> str:
        """Return the label of a frame; "" where it is in no block."""
        first = index // BLOCK_FRAMES * BLOCK_FRAMES
        labels = self.card(first).get("labels", [])
        return str(labels[index - first]) if index - first < len(labels) else ""

    def paint_label_of(self, index: int) -> str:
        """Return the label of a frame in a lossless block; "" where it is in none."""
        first = index // BLOCK_FRAMES * BLOCK_FRAMES
        return self.label_of(index) if self.is_lossless(first) else ""

    def frame(self, index: int) -> PackedFrame:
        """Return a frame that is in a block."""
        first = index // BLOCK_FRAMES * BLOCK_FRAMES
        rate = Fraction(self.card(first).get("rate", self.rate))
        return PackedFrame(self.path(first), index - first, rate)

    def load(self, index: int) -> NDArray[np.uint16]:
        """Decode a frame, (H, W, 3) uint16 RGB. Raises RenderError."""
        frame = self.frame(index)
        first = index - frame.position
        with contextlib.closing(self.decode(first, frame.position)) as decoded:
            return next(decoded)

    def decode_from(self, index: int) -> Generator[tuple[int, NDArray[np.uint16]], None, None]:
        """Decode a frame and those after it in its block, with their indices; see `decode`."""
        frame = self.frame(index)
        with contextlib.closing(self.decode(index - frame.position, frame.position)) as decoded:
            for offset, picture in enumerate(decoded):
                yield index + offset, picture

    def decode(self, first: int, position: int = 0) -> Generator[NDArray[np.uint16], None, None]:
        """Decode the frames of a block from the one at `position` on, each (H, W, 3) uint16 RGB.
        Closing the generator ends the decoder. Raises RenderError where the block is damaged, and
        removes it then.
        """
        path = self.path(first)
        if not self.is_whole(first):
            self.discard(first)
            why, hint = f"{path} is damaged", "run the same command again: they are made again"
            raise RenderError(f"cannot read back the frames from {first} on", why, hint)
        card = self.card(first)
        width, height = self.size
        kind = np.dtype(np.uint8 if card["bits"] == 8 else "<u2")
        levels = 2 ** card["bits"] - 1
        args = [*ffmpeg.ONLY_LOCAL]
        if self.is_lossless(first):
            begin, _ = PackedFrame(path, position, Fraction(card["rate"])).span
            args += ["-ss", begin, "-i", ffmpeg.local(path)]
            unwanted = 0
        else:
            # Few of its frames can be decoded by themselves.
            args += ["-i", ffmpeg.local(path), "-vf", DECODED_COLORS]
            unwanted = position
        args += ["-f", "rawvideo", "-fps_mode", "passthrough"]
        args += ["-pix_fmt", PIXEL_FORMATS[card["bits"]], "pipe:1"]
        with ffmpeg.running(args, stdout=True) as child:
            for number in range(unwanted + len(card["labels"]) - position):
                data = child.stdout.read(3 * width * height * kind.itemsize)
                if len(data) < 3 * width * height * kind.itemsize:
                    why, hint = "ffmpeg ended too early", "run the same command again"
                    raise RenderError(f"cannot read back the frames from {first} on", why, hint)
                if number < unwanted:
                    continue
                green, blue, red = np.frombuffer(data, kind).reshape(3, height, width)
                rgb = np.stack([red, green, blue], 2).astype(np.uint32)
                yield ((rgb * 65535 + levels // 2) // levels).astype(np.uint16)

    def write(self, first: int, frames: Sequence[Path], labels: Sequence[str]) -> None:
        """Write a block from the files of its frames: whole, compared with them, and on the disk
        when this returns.

        Raises DiskFullError and RenderError; what was there before is kept then.
        """
        path = self.folder / f"{first:06d}{'.mkv' if self.encoder is None else '.mp4'}"
        what = f"cannot pack the frames from {first} on"
        with disk_errors(self.folder.parent):
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f"{path.suffix}.tmp")
            listing = path.with_suffix(".ffconcat.tmp")
            try:
                if self.encoder is None:
                    lines = "".join(list_frames(frames, self.rate))
                    listing.write_text(lines, "utf-8", "surrogateescape", "\n")
                    wanted = self._encode(listing, partial, what)
                    is_right = wanted == self._checksums(partial, what)
                    count = len(wanted)
                else:
                    self.encoder.encode(first, frames, listing, partial)
                    count = len(self._checksums(partial, what))
                    is_right = True
                if count != len(frames) or not is_right:
                    why = "what was written does not decode to the same"
                    raise RenderError(what, why, "run the same command again")
                flush_to_disk(partial)
                card = {
                    "labels": list(labels),
                    "size": self.size,
                    "bits": self.bits,
                    "rate": str(self.rate),
                    "bytes": partial.stat().st_size,
                    "sha256": hash_file(partial),
                }
                if self.encoder is not None:
                    card["encoding"] = self.encoder.settings
                self.discard(first)
                partial.replace(path)
                write_atomically(path.with_suffix(".json"), json.dumps(card).encode())
            finally:
                partial.unlink(missing_ok=True)
                listing.unlink(missing_ok=True)

    def is_whole(self, first: int) -> bool:
        """Tell whether the file of a block is, byte for byte, what was written; it is read once for
        each process.
        """
        card = self.card(first)
        if card and card["sha256"] not in self._whole:
            with contextlib.suppress(OSError):
                if hash_file(self.path(first)) == card["sha256"]:
                    self._whole.add(card["sha256"])
        return bool(card) and card["sha256"] in self._whole

    def discard(self, first: int) -> None:
        """Remove a block."""
        for extension in ("json", "mkv", "mp4"):
            (self.folder / f"{first:06d}.{extension}").unlink(missing_ok=True)

    def delete(self) -> None:
        """Remove all blocks."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _encode(self, listing: Path, path: Path, what: str) -> list[bytes]:
        """Encode the frames of a listing; return the checksums of what was encoded."""
        kept = PIXEL_FORMATS[self.bits]
        # zscale rounds; ffmpeg's own scaler cuts off.
        deep = "format=gbrp|gbrp12le|gbrp16le,zscale=dither=none"
        clock = f"settb={1 / self.rate},setpts=N"
        graph = f"[0:v]{deep},format={kept},{clock},split[a][b]"
        args = ["-y", *ffmpeg.ONLY_LOCAL, "-safe", "0", "-f", "concat", "-i", ffmpeg.local(listing)]
        args += ["-filter_complex", graph, "-map", "[a]", "-c:v", "ffv1", "-level", "3", "-g", "1"]
        args += ["-slices", "4", "-slicecrc", "1", "-fps_mode:0", "passthrough"]
        args += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", "matroska"]
        args += [
            ffmpeg.local(path),
            "-map",
            "[b]",
            "-c:v",
            "rawvideo",
            "-fps_mode:0",
            "passthrough",
        ]
        args += ["-f", "framecrc", "pipe:1"]
        return read_checksums(ffmpeg.run(args, what)[0])

    def _checksums(self, path: Path, what: str) -> list[bytes]:
        """Decode a block, and return the checksums of its frames."""
        output = ["-c:v", "rawvideo", "-pix_fmt", PIXEL_FORMATS[self.bits], "-f", "framecrc"]
        args = [*ffmpeg.ONLY_LOCAL, "-i", ffmpeg.local(path), "-fps_mode", "passthrough"]
        args += [*output, "pipe:1"]
        return read_checksums(ffmpeg.run(args, what)[0])


def read_checksums(lines: bytes) -> list[bytes]:
    """Read the checksums of a framecrc report."""
    return [line.split(b",")[5] for line in lines.splitlines() if not line.startswith(b"#")]


def list_frames(frames: Sequence[Path], rate: Fraction) -> Iterator[str]:
    """Yield the lines of an ffconcat script that shows files one after the other."""
    yield "ffconcat version 1.0\n"
    for frame in frames:
        yield from list_frame(frame, rate)
        yield f"duration {float(1 / rate):.6f}\n"


def list_frame(frame: FrameFile, rate: Fraction) -> Iterator[str]:
    """Yield the lines of an ffconcat script that name a frame, all but that of its duration."""
    path = frame.path if isinstance(frame, PackedFrame) else frame
    name = f"file:{path.absolute()}".replace("'", "'\\''")
    yield f"file '{name}'\n"
    if isinstance(frame, PackedFrame):
        begin, end = frame.span
        yield f"inpoint {begin}\noutpoint {end}\n"
    else:
        # Or `%03d` and `*` in a path would be taken for a series of files.
        yield f"option framerate {rate}\noption pattern_type none\n"
