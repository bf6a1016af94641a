"""The repetitions of an animation, as its file gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidstyle.video import file_kind

if TYPE_CHECKING:
    from vidstyle.video.probe import Source

HEAD_BYTES = 65536
"""The repetitions of a GIF stand before the first picture."""

_GIF_MARKER = b"NETSCAPE2.0\x03\x01"


def gif_repetitions(source: Source) -> int:
    """Return how often a GIF is repeated in ffmpeg's terms, 0 = for ever, -1 = never."""
    with source.path.open("rb") as file:
        _, marker, rest = file.read(HEAD_BYTES).partition(_GIF_MARKER)
    return int.from_bytes(rest[:2], "little") if marker else -1


def is_looping(source: Source) -> bool:
    """Tell whether the input is an animation that is shown again and again: a GIF, a WebP or a PNG
    with more than one repetition.
    """
    if source.kind != "animation":
        return False
    if source.container == "gif":
        return gif_repetitions(source) >= 0
    with (
        source.path.open("rb") as file,
        file_kind.opened(file, ("PNG", "WEBP")) as picture,
    ):
        # 0 is for ever.
        return picture is not None and picture.info.get("loop", 1) != 1
