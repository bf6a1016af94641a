"""From the finished frames to the output: one ffmpeg that encodes them and takes the rest from the
source.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidstyle.errors import DiskFullError, EncodeError
from vidstyle.frames import Timeline
from vidstyle.storage.atomic import flush_to_disk, is_disk_full
from vidstyle.video import ffmpeg
from vidstyle.video.containers import Track
from vidstyle.video.delivery import Delivery
from vidstyle.video.encoded_blocks import EncodedBlock, join_script
from vidstyle.video.loops import gif_repetitions
from vidstyle.video.output_timing import FrameClock, build_clock, concat_script, restore_filters
from vidstyle.video.packed_frames import FrameFile, PackedFrame
from vidstyle.video.picture_arguments import copy_pictures, encode_pictures
from vidstyle.video.probe import Source
from vidstyle.video.track_arguments import (
    attach_covers,
    format_seconds,
    list_mapped,
    take_tracks,
)

_FREE_SPACE_HINT = "free some space and run the same command again: the frames are kept"
_TRY_AGAIN_HINT = "run the same command again, perhaps with another --codec: the frames are kept"
_TRACK_HINTS = {
    "audio": "run the same command again with --audio convert, or --audio none to leave the sound "
    "out: the frames are kept",
    "subtitle": "run the same command again with -o to an .mkv file, or with a copy of the input "
    "without its subtitles",
}
_OUTPUT_STREAM = r"\b(?:in stream #?|track )(\d+)\b|output stream #?0:(\d+)"
"""The words in which muxers and encoders name a stream of the output."""
_GIF_TICK_SECONDS = Fraction(1, 100)


@dataclass(frozen=True)
class FinishedFilm:
    """The finished frames of a film, or one of a still, and everything else that its file holds.

    Args:
        frames: one per frame in order: a 16-bit RGB PNG, or one of a block; a still is a PNG.
            Empty where there are `blocks`.
        timeline: their times, counted from `source.start`.
        source: the file that sound and the rest come from; None: there are pictures alone.
        sar: pixel aspect ratio.
        trim: begin and length in seconds, counted from `source.start`, of the part that was
            rendered; None for the whole.
        blocks: all frames as they are encoded already, with these settings.
    """

    frames: Sequence[FrameFile]
    timeline: Timeline
    delivery: Delivery
    source: Source | None = None
    sar: Fraction = Fraction(1)
    trim: tuple[Fraction, Fraction] | None = None
    blocks: Sequence[EncodedBlock] = ()


def encode_film(
    film: FinishedFilm,
    scratch: Path,
    on_start: Callable[[int, Path], None],
    on_frame: Callable[[int], None] | None = None,
) -> Path:
    """Write the output under a temporary name next to its final one; the caller renames it.

    Args:
        scratch: existing directory for the script that lists the frames.
        on_start: gets ffmpeg's pid and the temporary path as soon as it runs; not called for an
            image.
        on_frame: gets the number of frames encoded so far.

    The file is on disk, and decodes to as many frames. Raises DiskFullError or EncodeError; on any
    error, also one of the caller's, ffmpeg is ended and the temporary removed.
    """
    delivery = film.delivery
    temporary = delivery.path.with_name(
        f".{delivery.path.name}.{os.getpid()}.tmp{delivery.path.suffix}"
    )
    what = f"cannot write {delivery.path}"
    try:
        with _disk_errors(what):
            if delivery.kind == "image":
                bits = film.source.bits if film.source else 16
                still = film.frames[0]
                assert not isinstance(still, PackedFrame), "a still is never packed"
                _write_image(still, temporary, delivery, bits)
            else:
                args = [*_encode_arguments(film, scratch), ffmpeg.local(temporary)]
                with _name_failed_track(delivery):
                    _run_encoder(args, what, temporary, on_start, on_frame)
                _check_frame_count(temporary, len(film.timeline), what)
            flush_to_disk(temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


@contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    """Turn Python's own writing errors into ours."""
    try:
        yield
    except OSError as e:
        if is_disk_full(e):
            raise DiskFullError(what, e.strerror or str(e), _FREE_SPACE_HINT) from e
        raise EncodeError(what, str(e), _TRY_AGAIN_HINT) from e


@contextmanager
def _name_failed_track(delivery: Delivery) -> Iterator[None]:
    """Say in an encoder's error which track it failed at, and how to do without that."""
    try:
        yield
    except EncodeError as e:
        track = find_failed_track(e.why, delivery)
        if track is None:
            raise
        why = f"{track.kind} stream {track.index} of the input: {e.why}"
        raise EncodeError(e.what, why, _TRACK_HINTS.get(track.kind, _TRY_AGAIN_HINT)) from e


def find_failed_track(complaint: str, delivery: Delivery) -> Track | None:
    """Find the track that a complaint of ffmpeg names, by its number in the output or the input."""
    if named := re.search(_OUTPUT_STREAM, complaint):
        position = int(named[1] or named[2])
        tracks = list_mapped(delivery)
        return tracks[position - 1] if 1 <= position <= len(tracks) else None
    if named := re.search(r"stream #?1:(\d+)", complaint):
        return next((one for one in delivery.tracks if one.index == int(named[1])), None)
    return None


def _run_encoder(
    args: list[str],
    what: str,
    temporary: Path,
    on_start: Callable[[int, Path], None],
    on_frame: Callable[[int], None] | None,
) -> None:
    """Run an encoder to its end and report its progress."""
    with ffmpeg.running(
        ["-progress", "pipe:1", "-stats_period", "0.2", *args], stdout=True
    ) as child:
        on_start(child.pid, temporary)
        for line in child.stdout:
            name, _, value = line.partition(b"=")
            if on_frame and name == b"frame":
                on_frame(int(value))
        child.finish(what, EncodeError, _TRY_AGAIN_HINT)


def _check_frame_count(path: Path, expected: int, what: str) -> None:
    """Decode the file and count its frames. Raises EncodeError when they are not all there."""
    args = [
        *ffmpeg.ONLY_LOCAL,
        "-i",
        ffmpeg.local(path),
        "-map",
        "0:V:0",
        "-fps_mode",
        "passthrough",
    ]
    with ffmpeg.running([*args, "-f", "framecrc", "pipe:1"], stdout=True) as child:
        found = sum(not line.startswith(b"#") for line in child.stdout)
        child.finish(what, EncodeError)
    if found != expected:
        raise EncodeError(
            what, f"the file decodes to {found} frames instead of {expected}", _TRY_AGAIN_HINT
        )


def _encode_arguments(film: FinishedFilm, scratch: Path) -> list[str]:
    """All arguments except for the output's name."""
    trim = film.trim
    first = film.timeline.pts[0] * film.timeline.time_base
    gif = film.delivery.kind == "gif"
    begin = find_begin(film.timeline, film.delivery, trim)
    times = build_output_clock(film.timeline, film.delivery, trim)
    listing = scratch / "frames.ffconcat"
    with listing.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.writelines(
            join_script(film.blocks, times) if film.blocks else concat_script(film.frames, times)
        )
    pictures = [*ffmpeg.ONLY_LOCAL, "-safe", "0", "-f", "concat", "-i", ffmpeg.local(listing)]
    args = ["-y", "-copyts", *pictures]
    if gif:
        args += [*pictures, *_gif_arguments(times, film.source)]
    else:
        # Seeking finds a frame of the video at or before the time; there is none if the video
        # itself begins later.
        seek = trim is not None and first - begin < 1 / film.timeline.nominal_rate
        args += _source_arguments(film.source, begin, seek) if film.source else []
        args += (
            copy_pictures(times, film.delivery)
            if film.blocks
            else encode_pictures(times, film.delivery, film.sar)
        )
        if film.source:
            args += take_tracks(film.delivery, begin, trim)
            if film.delivery.container == "matroska":
                args += attach_covers(film.delivery, film.source, scratch)
        args += film.delivery.options
        if film.delivery.time_code and film.timeline.rate is not None and trim is None:
            args += ["-timecode", film.delivery.time_code]
            args += ["-write_tmcd", "1"] if film.delivery.container in ("mp4", "mov") else []
    # Nothing of the day or the version: the same frames give the same bytes.
    return [*args, "-fflags", "+bitexact", "-f", film.delivery.container]


def find_begin(
    timeline: Timeline, delivery: Delivery, trim: tuple[Fraction, Fraction] | None
) -> Fraction:
    """Return the second of the source at which the output begins; see `FinishedFilm`."""
    first = timeline.pts[0] * timeline.time_base
    if delivery.kind == "gif" or (trim and delivery.container == "avi"):
        # These cannot show the first frame late.
        return first
    # The frame that is on screen when the part begins may have begun before it.
    return min(trim[0], first) if trim else Fraction(0)


def build_output_clock(
    timeline: Timeline, delivery: Delivery, trim: tuple[Fraction, Fraction] | None
) -> FrameClock:
    """Build the clock of an output; see `FinishedFilm`."""
    tick = _GIF_TICK_SECONDS if delivery.kind == "gif" else None
    return build_clock(timeline, find_begin(timeline, delivery, trim), tick)


def _source_arguments(source: Source, begin: Fraction, seek: bool) -> list[str]:
    """Give the source as second input, its times moved so that its second `begin` (after its first
    timestamp) is 0.
    """
    # Own offsets instead of ffmpeg's: it would count from the first stream in use, not the first of
    # the file.
    args = [
        *ffmpeg.ONLY_LOCAL,
        *(word for name, value in source.input_options for word in (f"-{name}", value)),
    ]
    args += ["-itsoffset", format_seconds(-source.start - begin)]
    if seek:
        # Without -noaccurate_seek converted sound is cut at a time that ignores the offset.
        args += [
            "-noaccurate_seek",
            "-seek_timestamp",
            "1",
            "-ss",
            format_seconds(source.start + begin),
        ]
    return [*args, "-i", ffmpeg.local(source.path)]


def _gif_arguments(times: FrameClock, source: Source | None) -> list[str]:
    """Give one palette for the whole film, and ordered dithering: neither changes from frame to
    frame.

    The frames come as two inputs; with `split` ffmpeg would hold them all in memory until the
    palette is made.
    """
    graph = (
        "[0:v]palettegen=stats_mode=full[palette];"
        f"[1:v]{restore_filters(times)}[film];[film][palette]paletteuse=dither=bayer:bayer_scale=3[v]"
    )
    args = [
        "-filter_complex",
        graph,
        "-map",
        "[v]",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        str(times.tick),
    ]
    last = times.times[-1] - times.times[-2]
    is_gif = source is not None and source.container == "gif"
    repetitions = gif_repetitions(source) if source is not None and is_gif else 0
    return [*args, "-c:v", "gif", "-loop", str(repetitions), "-final_delay", str(last)]


def _write_image(frame: Path, path: Path, delivery: Delivery, bits: int) -> None:
    """Write a still with 8 bits, or the 16 of a deep source where the format has them."""
    import cv2
    import numpy as np

    array = cv2.imdecode(np.frombuffer(frame.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise EncodeError(
            f"cannot write {delivery.path}", f"{frame} is no whole picture", _TRY_AGAIN_HINT
        )
    if bits <= 8 or delivery.container not in ("png", "tiff"):
        array = np.rint(array / 257.0).astype(np.uint8)
    options = {"jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95], "webp": [cv2.IMWRITE_WEBP_QUALITY, 95]}
    _, data = cv2.imencode(path.suffix.lower(), array, options.get(delivery.container, []))
    path.write_bytes(data.tobytes())
