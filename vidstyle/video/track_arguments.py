"""ffmpeg's arguments for what comes along with the pictures: sound, subtitles, attachments,
chapters and metadata.
"""

from __future__ import annotations

from fractions import Fraction

from vidstyle.video.containers import Track
from vidstyle.video.delivery import Delivery

_CUT_SUBTITLES_FILTER = (
    r"noise=drop=lte(pts+duration\,0),"
    r"setts=pts=max(PTS\,0):dts=max(DTS\,0):duration=DURATION+min(PTS\,0)"
)
"""Leaves out what ended before the part begins, and shortens what began before it."""


def take_tracks(
    delivery: Delivery, begin: Fraction, trim: tuple[Fraction, Fraction] | None
) -> list[str]:
    """Give sound, subtitles, attachments, chapters and metadata of the second input; the source's
    rotation stays behind with its picture.

    Args:
        begin: second of the source at which the output begins.
        trim: begin and length in seconds of the part that was rendered; None for the whole.
    """
    args = ["-map_metadata", "1", "-map_chapters", "1"]
    # These describe the MP4 file, not the film.
    args += [
        word
        for key in ("major_brand", "minor_version", "compatible_brands")
        for word in ("-metadata", f"{key}=")
    ]
    if trim:
        args += ["-t", format_seconds(trim[0] + trim[1] - begin)]
    for position, track in enumerate(delivery.tracks, start=1):
        args += ["-map", f"1:{track.index}", f"-c:{position}", track.encoder]
        filters = list_sound_filters(track, delivery.container, is_part=trim is not None)
        if filters:
            args += [f"-filter:{position}", ",".join(filters)]
        elif track.kind == "audio" and trim:
            args += [f"-copypriorss:{position}", "0"]
        elif track.kind == "subtitle" and trim:
            args += [f"-bsf:{position}", _CUT_SUBTITLES_FILTER]
    return args


def list_sound_filters(track: Track, container: str, *, is_part: bool) -> list[str]:
    """List the filters that converted sound goes through; none of what is copied.

    Args:
        container: ffmpeg's muxer.
    """
    if track.kind != "audio" or track.encoder == "copy":
        return []
    filters = ["atrim=start=0"] if is_part else []
    if container == "avi":
        # It keeps no times, so silence must fill up to a late start.
        filters += ["aresample=async=1:first_pts=0"]
    filters += track.filters
    if track.encoder == "libopus" and not track.filters:
        # It refuses rarer arrangements of loudspeakers.
        filters += ["aformat=channel_layouts=7.1|5.1|stereo|mono"]
    return filters


def format_seconds(value: Fraction) -> str:
    """Write seconds with microseconds, the unit of ffmpeg's options."""
    return f"{round(value * 1_000_000) / 1_000_000:.6f}"
