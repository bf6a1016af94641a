"""ffmpeg's arguments for what comes along with the pictures: sound, subtitles, attachments,
chapters and metadata.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vidstyle.video import ffmpeg
from vidstyle.video.containers import Track
from vidstyle.video.delivery import Delivery
from vidstyle.video.probe import Source

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
    for position, track in enumerate(list_mapped(delivery), start=1):
        args += ["-map", f"1:{track.index}", f"-c:{position}", track.encoder]
        if track.kind == "cover":
            args += _take_cover(position)
            continue
        filters = list_sound_filters(track, delivery.container, is_part=trim is not None)
        if filters:
            args += [f"-filter:{position}", ",".join(filters)]
        elif track.kind == "audio" and trim:
            args += [f"-copypriorss:{position}", "0"]
        elif track.kind == "subtitle" and trim:
            args += [f"-bsf:{position}", _CUT_SUBTITLES_FILTER]
    return args


def list_mapped(delivery: Delivery) -> list[Track]:
    """List the tracks that are streams of the output from its second on, in order."""
    attaches = delivery.container == "matroska"
    return [track for track in delivery.tracks if not (attaches and track.kind == "cover")]


def _take_cover(position: int) -> list[str]:
    """Give a picture about the film, which has no time of its own."""
    return [f"-disposition:{position}", "attached_pic", f"-copypriorss:{position}", "1"]


def attach_covers(delivery: Delivery, source: Source, scratch: Path) -> list[str]:
    """Give the pictures about the film as files: Matroska would take copies for films.

    Args:
        scratch: existing directory for these files.
    """
    covers = [track for track in delivery.tracks if track.kind == "cover"]
    first = sum(track.kind == "attachment" for track in delivery.tracks)
    codecs = {stream.index: stream.codec for stream in source.streams}
    args = []
    for number, track in enumerate(covers, start=first):
        kind = "png" if codecs[track.index] == "png" else "jpeg"
        name = f"cover.{track.index}.{kind}"
        taken = ["-y", *ffmpeg.ONLY_LOCAL, "-i", ffmpeg.local(source.path)]
        taken += ["-map", f"0:{track.index}", "-c", "copy", "-f", "image2", "-update", "1"]
        ffmpeg.run(
            [*taken, ffmpeg.local(scratch / name)], f"cannot take the cover of {source.path}"
        )
        args += ["-attach", ffmpeg.local(scratch / name)]
        for key, value in (("filename", f"cover.{kind}"), ("mimetype", f"image/{kind}")):
            args += [f"-metadata:s:t:{number}", f"{key}={value}"]
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
