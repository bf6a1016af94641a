"""Interlaced film: frames that hold two moments, one in the even lines and one in the odd.

Painted as they are, such frames show combs wherever something moves. So every place that decodes a
source puts the same deinterlacer first: one frame comes out for each that goes in, at its time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

Fields = Literal["", "auto", "tff", "bff"]
"""The fields of a film: none; as each of its frames says; or all frames, the top or the bottom one
first, where the decoder does not say and the container does."""

FLAGGING_CODECS = ("h264", "hevc", "mpeg2video", "mpeg4", "vc1", "dvvideo")
"""Codecs that say of every frame whether it is interlaced: a film may have both kinds."""

FIELD_ORDERS: dict[str, Fields] = {
    "top first": "tff",
    "bottom first": "bff",
    "top coded first (swapped)": "bff",
    "bottom coded first (swapped)": "tff",
}
"""ffmpeg's words for the order that a container or the first packets declare."""

LEAD_FRAMES = 1
"""Frames before the first wanted one that have to be decoded: the deinterlacer looks at one frame
before and one after."""


def find_fields(codec: str, description: str, first_frame: str) -> Fields:
    """Find out which fields a film has.

    Args:
        description: of the stream, in ffmpeg's words.
        first_frame: P, T or B, as `showinfo` says.
    """
    named = re.search("|".join(map(re.escape, FIELD_ORDERS)), description)
    if first_frame in ("T", "B") or (named and codec in FLAGGING_CODECS):
        return "auto"
    return FIELD_ORDERS[named[0]] if named else ""


def deinterlace_filters(fields: Fields) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the filters, (name, options), that make whole frames of fields; none where the film
    has none.
    """
    if not fields:
        return []
    which = "interlaced" if fields == "auto" else "all"
    options = {"mode": "send_frame", "parity": fields, "deint": which}
    return [("bwdif", options)]


def lead_frames(fields: Fields) -> int:
    """Return how many frames before the first wanted one have to be decoded."""
    return LEAD_FRAMES if fields else 0
