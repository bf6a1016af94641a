"""What of a film's description goes into the output, and a line for each thing that does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vidstyle.video.containers import CONTAINERS
from vidstyle.video.description import Description
from vidstyle.video.probe import Source, Stream

DATA_NAMES = {
    "gpmd": "telemetry of the camera",
    "camm": "telemetry of the camera",
    "rtmd": "telemetry of the camera",
    "mebx": "timed metadata of the camera",
    "klv": "telemetry",
    "scte_35": "marks for advertisements",
}
"""The meaning of data, by its four letters or its codec."""

CHAPTER_TAGS = ("text", "sbtl")
"""Data that holds the names of chapters: these come along in another way."""

KNOWN_KEYS = frozenset(
    {
        "title",
        "artist",
        "album_artist",
        "composer",
        "album",
        "date",
        "year",
        "comment",
        "genre",
        "copyright",
        "grouping",
        "lyrics",
        "description",
        "synopsis",
        "show",
        "episode_id",
        "network",
        "keywords",
        "track",
        "disc",
        "location",
        "make",
        "model",
    }
)
"""Metadata for which MP4 and MOV have entries of their own."""

LISTED = 4
"""Keys that are named one by one."""


def is_phone_key(key: str) -> bool:
    """Tell whether a key is one of those that phones write: com.apple.quicktime.make, for one."""
    return key.lower().startswith("com.")


def description_options(source: Source, extension: str) -> tuple[str, ...]:
    """Return the options of the muxer by which it takes what it takes of a description."""
    keys = source.description.keys
    # Only for them: with this option titles are written where fewer players look.
    if CONTAINERS[extension].keeps == "known" and any(map(is_phone_key, keys)):
        return ("-movflags", "+use_metadata_tags")
    return ()


def kept_time_code(source: Source, extension: str, *, is_part: bool) -> str:
    """Return the time code that the output gets; "" for none."""
    is_kept = CONTAINERS[extension].keeps and not is_part
    return source.description.time_code if is_kept else ""


def list_losses(source: Source, extension: str, *, is_part: bool) -> tuple[str, ...]:
    """Write a line for each thing about a film that the output cannot tell.

    Args:
        is_part: only a part of the film is rendered.
    """
    told = source.description
    name = extension[1:]
    lines = [f"the output does not say that its picture is {text}" for text in told.side_data]
    if told.time_code and not kept_time_code(source, extension, is_part=is_part):
        why = "only a part is rendered" if is_part else f"{name} has no place for it"
        lines.append(f"the time code {told.time_code} is left out: {why}")
    if keys := lost_keys(told, extension):
        listed = ", ".join(keys[:LISTED])
        more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
        lines.append(f"metadata is left out, since {name} does not take it: {listed}{more}")
    return (*lines, *list_lost_data(source.streams))


def lost_keys(told: Description, extension: str) -> list[str]:
    """List the names of metadata that the container has no place for."""
    keeps = CONTAINERS[extension].keeps
    if keeps == "any" or (keeps == "known" and any(map(is_phone_key, told.keys))):
        return []
    if extension == ".ts":
        return list(told.keys)
    return [key for key in told.keys if key.lower().partition("-")[0] not in KNOWN_KEYS]


def list_lost_data(streams: Sequence[Stream]) -> list[str]:
    """Write a line for each kind of data in a file; none comes along."""
    data = (stream for stream in streams if stream.kind == "data")
    kinds = Counter(stream.tag or stream.codec for stream in data)
    lines = []
    for kind, count in kinds.items():
        if kind == "tmcd" or kind in CHAPTER_TAGS:
            continue
        meaning = f", {DATA_NAMES[kind]}," if kind in DATA_NAMES else ""
        verb = "is" if count == 1 else "are"
        lines.append(
            f"data ({kind}{' x ' + str(count) if count > 1 else ''}){meaning} {verb} left out"
        )
    return lines
