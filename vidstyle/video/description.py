"""What a file says of its film besides pictures and sound: metadata, time code, 360 degrees."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TECHNICAL_KEYS = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "creation_time",
        "duration",
        "timecode",
        "handler_name",
        "vendor_id",
        "service_name",
        "service_provider",
    }
)
"""Metadata of the file, which the output has anew, or of no meaning without it."""


@dataclass(frozen=True)
class Description:
    """The words of a file on its film.

    Args:
        keys: names of the metadata that are about the film.
        time_code: of its first frame, "" where it has none.
        side_data: how its pictures are to be shown, apart from their rotation: 360 degrees, stereo.
    """

    keys: tuple[str, ...] = ()
    time_code: str = ""
    side_data: tuple[str, ...] = ()


def read_description(header: str) -> Description:
    """Read the words on a film from ffmpeg's description of its file."""
    block = re.search(r"^  Metadata:\n((?:    .*\n)+)", header, re.MULTILINE)
    keys = re.findall(r"^    (\S[^:\n]*?) *: ", block[1], re.MULTILINE) if block else []
    code = re.search(r"^ +timecode +: (\S+)", header, re.MULTILINE | re.IGNORECASE)
    shown = re.findall(
        r"^ +((?:spherical mapping|spherical|stereo ?3d): .*?) *$",
        header,
        re.MULTILINE | re.IGNORECASE,
    )
    return Description(
        tuple(key for key in keys if key.lower() not in _TECHNICAL_KEYS),
        code[1] if code else "",
        # Flat pictures are no stereo.
        tuple(text for text in shown if not re.match(r"stereo ?3d: 2D", text, re.IGNORECASE)),
    )
