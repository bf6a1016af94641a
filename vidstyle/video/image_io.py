"""Still images: recognised by their content, decoded by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidstyle.errors import Refusal

_SIGNATURES = (
    b"\xff\xd8\xff",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"P1",
    b"P2",
    b"P3",
    b"P4",
    b"P5",
    b"P6",
)


def check_file(path: Path, error: type[Refusal]) -> None:
    """Raise `error` unless the path is a readable file with something in it."""
    what = f"cannot read {path}"
    try:
        if path.is_dir():
            raise error(what, "it is a directory", "name the file in it")
        if not path.exists():
            raise error(what, "there is no such file", "check the path")
        if not path.is_file():
            raise error(
                what,
                "it is a device or a pipe, and a file is read more than once",
                "save it to a file first",
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise error(what, "the file is empty", "copy or download it again")
    except OSError as e:
        raise error(what, e.strerror or str(e), "check the file's permissions") from e


def is_still(head: bytes) -> bool:
    """Return whether a file that begins so (a kilobyte or more) is a still picture in a format that
    OpenCV always reads.
    """
    if head.startswith(b"\x89PNG"):
        return b"acTL" not in head  # APNG: the animation's header stands before the first picture
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return head[12:16] != b"VP8X" or not head[20] & 0x02  # bit 1: animated
    return head.startswith(_SIGNATURES)


def decode_image(data: bytes) -> NDArray[Any] | None:
    """Decode a picture to (H, W, 3) RGB, uint8, uint16 or float32 as in the file, upright (EXIF);
    None when it is no whole picture.
    """
    array = _decode_quietly(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if array is None or (data.startswith(b"\xff\xd8") and not _has_jpeg_end(data)):
        # A JPEG without its end marker: some decoders fill the rest with grey.
        return None
    return np.ascontiguousarray(array[..., ::-1])


def _has_jpeg_end(data: bytes) -> bool:
    """Return whether the picture's scan has an end marker; the rest of the file (a phone's motion
    photo) does not matter.
    """
    at = 2
    # Segments with a length, up to the scan.
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        # 0xFF may be repeated.
        repeated = data[at + 1] == 0xFF
        at += 1 if repeated else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(b"\xff\xd9", at) >= 0


def has_alpha(data: bytes) -> bool:
    """Return whether there is an alpha channel that shows something through."""
    array = _decode_quietly(data, cv2.IMREAD_UNCHANGED)
    return (
        array is not None
        and array.ndim == 3
        and array.shape[2] == 4
        and bool(
            (array[..., 3] < (np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1)).any()
        )
    )


def _decode_quietly(data: bytes, flags: int) -> NDArray[Any] | None:
    """Decode by OpenCV, without its complaints on stderr; None when it cannot."""
    with _silence_opencv():
        try:
            array: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            # More pixels than OpenCV allows, or a header that makes no sense.
            return None
    return array


@contextmanager
def _silence_opencv() -> Iterator[None]:
    """Keep OpenCV from writing complaints to stderr; ours are in the error that is raised."""
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
