"""One checkpointed frame: a 16-bit RGB PNG with a text chunk that names the render and the frame it
belongs to.

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

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

HEADER_END = len(PNG_SIGNATURE) + 25
"""The first byte after the IHDR chunk, which is length, type, 13 bytes and checksum."""

LABEL_KEYWORD = b"vidstyle"
"""The keyword of the text chunk that holds the label."""

MAX_LABEL_BYTES = 200
"""As much of a text chunk is read to learn a file's label."""


def make_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk with its length and its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def label_chunk_data(fingerprint: str, index: int) -> bytes:
    """Return the data of the text chunk of frame `index`."""
    return LABEL_KEYWORD + b"\0" + f"{fingerprint} {index}".encode("latin-1")


def encode_frame(picture: NDArray[np.uint16], fingerprint: str, index: int) -> bytes:
    """Return the file of frame `index`, lossless.

    OpenCV's default compression is kept: level 1 or 3 switch its filter heuristics and take three
    times as long.

    Args:
        picture: (H, W, 3) RGB.
        fingerprint: the first word of the label.
        index: the second word.
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
    text = make_chunk(b"tEXt", label_chunk_data(fingerprint, index))
    return png[:HEADER_END] + text + png[HEADER_END:]


def decode_frame(path: Path) -> NDArray[np.uint16]:
    """Read a file that has passed `is_sound`, as (H, W, 3) uint16 RGB. Raises RenderError."""
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
    """Tell whether this file is frame `index` of this render, whole: every chunk's checksum holds
    from the signature to IEND, it is 16-bit RGB of `size` (width, height), and its label fits. As
    strict as decoding it, and a hundred times faster.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if data[: len(PNG_SIGNATURE)] != PNG_SIGNATURE:
        return False
    position = len(PNG_SIGNATURE)
    kinds = []
    is_labelled = False
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        if checksum != struct.pack(">I", zlib.crc32(kind + body)):
            return False
        if kind == b"IHDR" and struct.unpack(">IIBB", body[:10]) != (*size, 16, 2):
            return False
        is_labelled |= kind == b"tEXt" and body == label_chunk_data(fingerprint, index)
        kinds.append(kind)
        position += 12 + length
    return (
        is_labelled
        and kinds[0] == b"IHDR"
        and b"IDAT" in kinds
        and kinds[-1] == b"IEND"
        and position == len(data)
    )


def has_label(path: Path, fingerprint: str, index: int = 0) -> bool:
    """Tell whether `encode_frame` wrote this PNG with this label."""
    return label_of(path) == f"{fingerprint} {index}"


def label_of(path: Path) -> str:
    """Return the fingerprint and the index that `encode_frame` gave this PNG; "" where another
    program wrote it.
    """
    begin = HEADER_END + 8
    try:
        with path.open("rb") as f:
            head = f.read(begin + MAX_LABEL_BYTES)
    except OSError:
        return ""
    if len(head) < begin or head[begin - 4 : begin] != b"tEXt":
        return ""
    (length,) = struct.unpack(">I", head[HEADER_END : HEADER_END + 4])
    keyword, _, text = head[begin : begin + length].partition(b"\0")
    return text.decode("latin-1") if keyword == LABEL_KEYWORD else ""
