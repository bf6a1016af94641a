"""The clips that a score card compares, behind one type: a video, a GIF, an image, or the frames
that a render kept.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.frames import from_uint16
from vidstyle.storage import png16
from vidstyle.storage.atomic import sha256
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.record import PACKED_FOLDER, read_record
from vidstyle.video import packed_frames
from vidstyle.video.packed_frames import PackedFrames
from vidstyle.video.probe import Source, probe
from vidstyle.video.read import read
from vidstyle.video.scan import scan


@dataclass(frozen=True)
class Clip:
    """A sequence of frames of one size.

    Args:
        path: a file, or the folder of a render.
        count: how many frames there are.
        size: (width, height).
        read: yields the first N frames in order, (3, H, W) each; closing the iterator ends the
            decoder.
        digests: {kind of digest: hex digits}, which tell it from another clip.
        first: the frame of the source at which it begins; None: not known.
        source_digest: sha256 of the file that it was rendered from; None: not known.
    """

    path: Path
    count: int
    size: tuple[int, int]
    read: Callable[[int], Generator[Tensor, None, None]]
    digests: dict[str, str] = field(default_factory=dict)
    first: int | None = None
    source_digest: str | None = None

    def describe(self) -> dict[str, Any]:
        """List the facts that a score card records, in plain types."""
        width, height = self.size
        return {
            "path": str(self.path),
            "frames": self.count,
            "width": width,
            "height": height,
            **self.digests,
        }


def open_clip(path: Path) -> Clip:
    """Open a video, a GIF or an image, or the folder OUTPUT.vidstyle of a render.

    Raises InputError when it is none of these, or not whole.
    """
    return open_kept_frames(path) if path.is_dir() else open_file(path)


def open_file(path: Path) -> Clip:
    """Open a file; it is decoded once to count its frames. Raises InputError when it is damaged."""
    source = probe(path)
    scanned = scan(source)
    if scanned.missing:
        raise InputError(
            f"{path} is damaged",
            f"{scanned.missing} frames are missing: {scanned.complaint}",
            "copy it again, or give the frames that --keep-frames leaves",
        )
    size = (source.width, source.height)
    return Clip(
        path=path,
        count=len(scanned.timeline),
        size=size,
        read=lambda count: read_images(source, size, 0, count),
        digests={"sha256": sha256(path)},
    )


def read_images(
    source: Source, size: tuple[int, int], first: int, stop: int
) -> Generator[Tensor, None, None]:
    """Yield the images of frames `first` to `stop` - 1, (3, H, W) each; closing the generator ends
    the decoder.
    """
    with contextlib.closing(read(source, size, first, stop)) as frames:
        for frame in frames:
            yield frame.image


def open_kept_frames(folder: Path) -> Clip:
    """Open the frames of a finished render, after checking that each is whole and belongs to it.

    Raises InputError when the folder is not that of a render, or a frame is missing.
    """
    record = read_record(folder)
    parts = record.get("parts") or {}
    fingerprint = record.get("fingerprint")
    if not isinstance(fingerprint, str) or not isinstance(parts.get("frame_count"), int):
        raise InputError(
            f"cannot read {folder}",
            "it is a directory, and not one that a render left: "
            "there is no whole render.json in it",
            "give the folder OUTPUT.vidstyle that --keep-frames leaves",
        )
    count = parts["frame_count"]
    packed = PackedFrames.read_folder(folder / PACKED_FOLDER)
    is_packed = bool(packed.card(0))
    for first in packed.blocks():
        if not packed.is_whole(first):
            why = f"{packed.path(first)} is damaged"
            hint = "run the command that rendered it: it continues"
            raise InputError(f"{folder} is not complete", why, hint)
    size = packed.size if is_packed else read_png_size(folder / "frames" / f"{0:06d}.png")
    store = FrameStore(folder / "frames", fingerprint, size, packed=packed)
    labels = [read_label(store, i) for i in range(count)]
    store = replace(store, labels={i: label for i, label in enumerate(labels) if label})
    for i, label in enumerate(labels):
        if label is None or store.missing_frames([i]):
            raise InputError(
                f"{folder} is not complete",
                f"frame {i} of {count} is missing or damaged",
                "run the command that rendered it: it continues",
            )
    return Clip(
        path=folder,
        count=count,
        size=size,
        read=lambda wanted: read_kept(store, packed, wanted),
        digests={"fingerprint": fingerprint},
        first=parts.get("first_frame"),
        source_digest=parts.get("input"),
    )


def read_kept(
    store: FrameStore, packed: PackedFrames, wanted: int
) -> Generator[Tensor, None, None]:
    """Read the first frames of a render, each (3, H, W)."""
    for first in range(0, wanted, packed_frames.BLOCK_FRAMES):
        indices = range(first, min(first + packed_frames.BLOCK_FRAMES, wanted))
        if all(store.is_packed(i) for i in indices):
            # One decoder for all of them.
            with contextlib.closing(packed.decode(first)) as decoded:
                yield from (from_uint16(next(decoded)) for _ in indices)
        else:
            yield from (store.load(i) for i in indices)


def read_label(store: FrameStore, index: int) -> str | None:
    """Read the label of a finished frame; None where the frame is not of the render with the
    store's fingerprint.

    The label is the fingerprint alone where the frame was painted as a whole. Where the frame was
    put together from layers, bars or titles, or stands for a picture of the user's, 16 hex digits
    for these come after it.
    """
    own, _, _ = png16.label_of(store.frame_path(index)).rpartition(" ")
    in_block = "" if store.packed is None else store.packed.label_of(index)
    for label in (own, in_block):
        if re.fullmatch(rf"{re.escape(store.label)}(-[0-9a-f]{{16}})?", label):
            return label
    return None


def read_png_size(png: Path) -> tuple[int, int]:
    """Read (width, height) from the header of a PNG; (0, 0) where there is none."""
    try:
        with png.open("rb") as file:
            head = file.read(png16.HEADER_END)
    except OSError:
        return 0, 0
    if len(head) < png16.HEADER_END:
        return 0, 0
    # The sizes come first in the IHDR chunk, after its length and type.
    width, height = struct.unpack_from(">II", head, len(png16.PNG_SIGNATURE) + 8)
    return width, height
