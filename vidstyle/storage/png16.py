"""One checkpointed frame: a 16-bit RGB PNG that says in a text chunk which render and which frame
it belongs to.

The file itself is the proof that the frame is done; there is no ledger that could disagree with it.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import RenderError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


SIGNATURE = b"\x89PNG\r\n\x1a\n"


HEADER_END = len(SIGNATURE) + 25
"""The IHDR chunk: length, type, 13 bytes, checksum."""


KEY = b"vidstyle"


LONGEST_LABEL = 200
"""Bytes that are read of a file to learn its label."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def label(fingerprint: str, index: int) -> bytes:
    return KEY + b"\0" + f"{fingerprint} {index}".encode("latin-1")


def encode(picture: NDArray[np.uint16], fingerprint: str, index: int) -> bytes:
    """The file of frame `index`: (H, W, 3) uint16 RGB, losslessly.

    OpenCV's default compression is kept: level 1 or 3 switch its filter heuristics and take three
    times as long.
    """
    import cv2

    ok, data = cv2.imencode(".png", picture[:, :, ::-1])
    if not ok:
        raise RenderError(
            f"frame {index} could not be encoded",
            "OpenCV's PNG encoder failed",
            "run again; report this if it stays",
        )
    png = data.tobytes()
    return png[:HEADER_END] + chunk(b"tEXt", label(fingerprint, index)) + png[HEADER_END:]


def decode(path: Path) -> NDArray[np.uint16]:
    """(H, W, 3) uint16 RGB. The file has passed `is_sound`."""
    import cv2
    import numpy as np

    bgr = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if bgr is None or bgr.dtype != np.uint16 or bgr.ndim != 3:
        raise RenderError(
            f"cannot read back {path}",
            "it is not the 16-bit image that was written",
            "run the same command again",
        )
    return np.ascontiguousarray(bgr[:, :, ::-1])


def is_sound(path: Path, fingerprint: str, index: int, size: tuple[int, int]) -> bool:
    """Whether this file is frame `index` of this render, whole: every chunk's checksum holds from
    the signature to IEND, it is 16-bit RGB of `size` (width, height), and its label fits. As strict
    as decoding it, and a hundred times faster.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if data[: len(SIGNATURE)] != SIGNATURE:
        return False
    at, kinds, labelled = len(SIGNATURE), [], False
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(kind + body)):
            return False
        if kind == b"IHDR" and struct.unpack(">IIBB", body[:10]) != (*size, 16, 2):
            return False
        labelled |= kind == b"tEXt" and body == label(fingerprint, index)
        kinds.append(kind)
        at += 12 + length
    return (
        labelled
        and kinds[0] == b"IHDR"
        and b"IDAT" in kinds
        and kinds[-1] == b"IEND"
        and at == len(data)
    )


def has_label(path: Path, fingerprint: str, index: int = 0) -> bool:
    """Whether this PNG was written by `encode` with this label."""
    return label_of(path) == f"{fingerprint} {index}"


def label_of(path: Path) -> str:
    """The fingerprint and the index that `encode` gave this PNG; nothing where it is another's."""
    begin = HEADER_END + 8
    try:
        with path.open("rb") as f:
            head = f.read(begin + LONGEST_LABEL)
    except OSError:
        return ""
    if len(head) < begin or head[begin - 4 : begin] != b"tEXt":
        return ""
    (length,) = struct.unpack(">I", head[HEADER_END : HEADER_END + 4])
    key, _, text = head[begin : begin + length].partition(b"\0")
    return text.decode("latin-1") if key == KEY else ""
