"""The films that a score card compares, behind one type: a video, a GIF, an image, or the frames
that a render kept.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.frames import from_uint16
from vidstyle.storage import png16
from vidstyle.storage.atomic import sha256
from vidstyle.storage.record import read_record
from vidstyle.video.probe import Source, probe
from vidstyle.video.read import read
from vidstyle.video.scan import scan


@dataclass(frozen=True)
class Film:
    """`count` frames of `size` (width, height).

    Args:
        read: the first so many frames in order, (3, H, W) each; closing the iterator ends the
            decoder.
        identity: what tells it from another film.
        first: the frame of the source at which it begins; None: not known.
        made_of: sha256 of its source; None: not known.
    """

    path: Path
    count: int
    size: tuple[int, int]
    read: Callable[[int], Generator[Tensor, None, None]]
    identity: dict[str, str] = field(default_factory=dict)
    first: int | None = None
    made_of: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What the score card records of it."""
        width, height = self.size
        return {
            "path": str(self.path),
            "frames": self.count,
            "width": width,
            "height": height,
            **self.identity,
        }


def opened(path: Path) -> Film:
    """A video, GIF or image, or a folder OUTPUT.vidstyle. Raises InputError when it is neither, or
    not whole.
    """
    return kept(path) if path.is_dir() else played(path)


def played(path: Path) -> Film:
    """A file, decoded once to count its frames."""
    source = probe(path)
    scanned = scan(source)
    if scanned.missing:
        why = f"{scanned.missing} frames are missing: {scanned.complaint}"
        raise InputError(
            f"{path} is damaged", why, "copy it again, or give the frames that --keep-frames leaves"
        )
    return Film(
        path=path,
        count=len(scanned.timeline),
        size=(source.width, source.height),
        read=lambda count: images(source, (source.width, source.height), 0, count),
        identity={"sha256": sha256(path)},
    )


def images(
    source: Source, size: tuple[int, int], first: int, stop: int
) -> Generator[Tensor, None, None]:
    """The images of `read`, with its decoder ended as soon as they are no longer wanted."""
    with contextlib.closing(read(source, size, first, stop)) as frames:
        for frame in frames:
            yield frame.image


def kept(folder: Path) -> Film:
    """The frames of a finished render: every one is there, whole, and the render's own."""
    record, first = read_record(folder), folder / "frames" / f"{0:06d}.png"
    parts, fingerprint = record.get("parts") or {}, record.get("fingerprint")
    if not isinstance(fingerprint, str) or not isinstance(parts.get("frame_count"), int):
        why = (
            "it is a directory, and not one that a render left: there is no whole render.json in it"
        )
        raise InputError(
            f"cannot read {folder}",
            why,
            "give the folder OUTPUT.vidstyle that --keep-frames leaves",
        )
    count = parts["frame_count"]
    size = picture_size(first)
    files = [folder / "frames" / f"{i:06d}.png" for i in range(count)]
    for i, file in enumerate(files):
        if not png16.is_sound(file, fingerprint, i, size):
            why = f"frame {i} of {count} is missing or damaged"
            raise InputError(
                f"{folder} is not complete", why, "run the command that rendered it: it continues"
            )
    return Film(
        path=folder,
        count=count,
        size=size,
        read=lambda wanted: (from_uint16(png16.decode_frame(file)) for file in files[:wanted]),
        identity={"fingerprint": fingerprint},
        first=parts.get("first_frame"),
        made_of=parts.get("input"),
    )


def picture_size(png: Path) -> tuple[int, int]:
    """(width, height) as the header of a PNG says; (0, 0) where there is none."""
    try:
        with png.open("rb") as file:
            head = file.read(png16.HEADER_END)
    except OSError:
        return 0, 0
    width, height = (
        struct.unpack_from(">II", head, len(png16.PNG_SIGNATURE) + 8) if len(head) > 24 else (0, 0)
    )
    return width, height
