"""One pass over the input before anything is rendered: exact times, small pictures for finding
shots, and damage.
"""

from __future__ import annotations

import os
import re
import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vidstyle.errors import InputError
from vidstyle.frames import TIME_BASE, Timeline
from vidstyle.video import ffmpeg
from vidstyle.video.interlacing import deinterlace_filters, lead_frames
from vidstyle.video.probe import STILL_RATE, Source
from vidstyle.video.seek import SeekIndex, build_seek_index
from vidstyle.video.timeline import build_timeline

THUMBNAIL_LONG_SIDE = 160
"""Long side in pixels."""

Thumbnails = Callable[[NDArray[np.uint8]], None]


@dataclass(frozen=True)
class Scan:
    """The result of decoding a file once.

    Args:
        timeline: the times of every frame that decodes.
        missing: frames that the file promises and the decoder did not deliver; 0 when it is sound.
        complaint: the decoder's last complaint; a sound file may have one.
        seek_index: what `read` needs to begin in the middle of the file.
        clock_restart: the first frame after which the clock of the file goes back, as in files that
            were joined; None where it never does.
    """

    timeline: Timeline
    missing: int
    complaint: str
    seek_index: SeekIndex = field(default_factory=SeekIndex)
    clock_restart: int | None = None


def scan(
    source: Source,
    on_thumbnail: Thumbnails | None = None,
    log: ScanLog | None = None,
    *,
    is_background: bool = False,
) -> Scan:
    """Decode the whole file once, in bounded memory.

    Args:
        on_thumbnail: gets each frame in order as (h, w, 3) RGB, at most 160 pixels on its long
            side.
        log: receives what is told of frames and packets while they are decoded.
        is_background: whether something else needs the processor more.

    Raises InputError when no frame decodes.
    """
    if source.kind == "image":
        return _scan_still(source, on_thumbnail)
    log = ScanLog() if log is None else log
    code, report = _decode_all(source, on_thumbnail, log, is_background=is_background)
    errors = ffmpeg.complaints(report)
    if remote := re.search(r"Protocol '(\w+)' not on whitelist", report):
        why = f"it points at {remote[1]}, and only local files are opened"
        raise InputError(
            f"cannot read {source.path}", why, "download what it points at, and give that file"
        )
    if not log.pts:
        why = "; ".join(errors[-2:]) or "ffmpeg decodes no frame of it"
        raise InputError(
            f"no frame of {source.path} can be decoded",
            why,
            "check that it plays, or copy it again",
        )
    start = round(source.start / TIME_BASE)
    timeline = build_timeline(
        log.pts, log.last_duration, start, source.nominal_rate, source.time_base
    )
    missing = _count_missing(source, timeline, log, code, report) if errors or code else 0
    key_times = log.key_times if source.can_begin_midway else []
    seek_index = build_seek_index(log.pts, log.checksums, key_times)
    complaint = errors[-1] if errors else ""
    return Scan(timeline, missing, complaint, seek_index, find_clock_restart(log.pts))


MIN_TIMELESS_FRAMES = 4
"""In a row; fewer with the time of the frame before are the rounding or the damage of a file."""


def find_clock_restart(pts: Sequence[int]) -> int | None:
    """Find the first frame after which a clock goes back: ffmpeg gives the frames that follow the
    latest time that there was, until the clock has passed that.
    """
    timeless = np.diff(np.asarray(pts, np.int64)) <= 0
    if len(timeless) < MIN_TIMELESS_FRAMES:
        return None
    runs = np.lib.stride_tricks.sliding_window_view(timeless, MIN_TIMELESS_FRAMES).all(axis=1)
    return int(runs.argmax()) if runs.any() else None


_KEY_PACKET = 0x1
"""Flag of a packet from which decoding can begin; framecrc does not print it where it is alone."""
_CORRUPT_PACKET = 0x2
"""Flag of a packet that is cut short or damaged in the container."""
_DISCARDED_PACKET = 0x4
"""Flag of a packet that is decoded, but by the edit list not shown."""


@dataclass
class ScanLog:
    """The lines of framecrc: stream 0 are the decoded frames, stream 1 the packets they came from.

    Args:
        pts, checksums: of the frames; pts in units of `TIME_BASE`.
        key_times: of the packets from which decoding can begin, in the same units.
    """

    pts: array[int] = field(default_factory=lambda: array("q"))
    checksums: array[int] = field(default_factory=lambda: array("q"))
    last_duration: int = 0
    packets: int = 0
    corrupt: bool = False
    key_times: list[int] = field(default_factory=list)
    packet_unit: Fraction = Fraction(1)

    def read_lines(self, lines: IO[bytes]) -> None:
        """Read lines of: stream, dts, pts, duration, size, checksum[, F=flags]."""
        for line in lines:
            if line.startswith(b"#tb 1: "):
                self.packet_unit = Fraction(line.split()[-1].decode()) / TIME_BASE
            if line.startswith(b"#"):
                continue
            words = line.split(b",")
            stream, _, pts, duration = (int(word) for word in words[:4])
            if stream == 0:
                self.pts.append(pts)
                self.checksums.append(int(words[5], 16))
                self.last_duration = duration
                continue
            found = re.search(rb"F=0x(\w+)", line)
            flags = int(found[1], 16) if found else _KEY_PACKET
            self.corrupt |= bool(flags & _CORRUPT_PACKET)
            self.packets += not flags & _DISCARDED_PACKET
            if flags & _KEY_PACKET and not flags & _DISCARDED_PACKET:
                self.key_times.append(round(pts * self.packet_unit))


def _decode_all(
    source: Source, on_thumbnail: Thumbnails | None, log: ScanLog, *, is_background: bool
) -> tuple[int, str]:
    """Decode a file into `log`; return (ffmpeg's return code, its report)."""
    width, height = _thumbnail_size(source)
    # A plain list: ffmpeg-python knows neither two outputs of one decode nor pipes other than
    # stdout. -copyts: times as they are in the file; ffmpeg would else count them from the first
    # stream in use, and not of all.
    args = [*ffmpeg.ONLY_LOCAL, "-copyts"]
    args += [word for name, value in source.input_options for word in (f"-{name}", value)]
    args += ["-i", ffmpeg.local(source.path), "-filter_complex"]
    # The size as probed, should the frames of the file differ in theirs.
    whole = f"scale={source.width}:{source.height}[frames]"
    small = f"scale={width}:{height}:flags=area,format=rgb24[thumbnails]"
    whole_frames = ffmpeg.filter_chain(deinterlace_filters(source.fields))
    stream = f"[0:{source.video_stream}]{whole_frames}{',' * bool(whole_frames)}"
    args += [f"{stream}split[a][b];[a]{whole};[b]{small}" if on_thumbnail else f"{stream}{whole}"]
    args += ["-map", "[frames]", "-map", f"0:{source.video_stream}", "-c:1", "copy"]
    args += [
        "-fps_mode:0",
        "passthrough",
        "-enc_time_base:0",
        "1/90000",
        "-f",
        "framecrc",
        "pipe:1",
    ]
    size = (width, height)
    return _read_both(args, size, on_thumbnail, log, is_background=is_background)


def _read_both(
    args: list[str],
    size: tuple[int, int],
    on_thumbnail: Thumbnails | None,
    log: ScanLog,
    *,
    is_background: bool = False,
) -> tuple[int, str]:
    """Read the lines of framecrc and, where they are asked for, the thumbnails of `size` (width,
    height) that the filters make; return what `_decode_all` does.
    """
    width, height = size
    reading, writing = os.pipe()
    if on_thumbnail:
        args = [*args, "-map", "[thumbnails]", "-fps_mode", "passthrough"]
        args += ["-f", "rawvideo", f"pipe:{writing}"]
    with (
        os.fdopen(reading, "rb") as thumbnails,
        os.fdopen(writing, "wb") as unused,
        ffmpeg.running(
            args,
            stdout=True,
            pass_fds=[writing],
            level="level+info",
            is_background=is_background,
        ) as child,
    ):
        # Only ffmpeg may hold the writing end, or the reading one never sees an end.
        unused.close()
        # Both pipes must be read at the same time: ffmpeg stops as soon as either is full.
        failures: list[BaseException] = []
        reader = threading.Thread(
            target=_read_or_note, args=(log, child, failures), name="scan-log", daemon=True
        )
        reader.start()
        try:
            while (
                on_thumbnail
                and len(data := thumbnails.read(width * height * 3)) == width * height * 3
            ):
                on_thumbnail(np.frombuffer(data, np.uint8).reshape(height, width, 3))
        except BaseException:
            child.process.kill()
            raise
        finally:
            reader.join()
        if failures:
            raise failures[0]
        code, report = child.wait()
    return code, report


def _read_or_note(log: ScanLog, child: ffmpeg.Child, failures: list[BaseException]) -> None:
    """Read the lines of framecrc to their end; what goes wrong ends ffmpeg and is noted, or what
    was read so far would be taken for the whole file.
    """
    try:
        log.read_lines(child.stdout)
    except BaseException as e:
        failures.append(e)
        child.process.kill()


def scan_part(
    source: Source, seek: SeekIndex, first: int, stop: int, on_thumbnail: Thumbnails
) -> SeekIndex | None:
    """Decode the frames `first` .. `stop` - 1 alone, from the key frame before them, and return the
    index with their checksums; None where what comes out are not the frames of the index.

    Args:
        seek: as the packets tell it.
        on_thumbnail: as in `scan`.
    """
    width, height = _thumbnail_size(source)
    # Times and not counts tell which frames these are: nobody knows where ffmpeg arrives.
    begin = f"trim=start_pts={seek.pts_before(first)}," if first else ""
    end = f",trim=end_pts={seek.pts_before(stop)}" if stop < len(seek.times) else ""
    args = [*ffmpeg.ONLY_LOCAL, "-copyts"]
    if key := seek.key_frame_before(max(0, first - lead_frames(source.fields))):
        time = seek.seek_microseconds(key, source.container)
        args += ["-noaccurate_seek", "-seek_timestamp", "1"]
        args += ["-ss", f"{time // 1_000_000}.{time % 1_000_000:06d}"]
    args += [word for name, value in source.input_options for word in (f"-{name}", value)]
    whole = f"scale={source.width}:{source.height}[frames]"
    small = f"scale={width}:{height}:flags=area,format=rgb24[thumbnails]"
    before = ffmpeg.filter_chain(
        [*deinterlace_filters(source.fields), ("settb", {"expr": "1/90000"})]
    )
    stream = f"[0:{source.video_stream}]{before}{end},{begin}split[a][b]"
    args += ["-i", ffmpeg.local(source.path), "-filter_complex", f"{stream};[a]{whole};[b]{small}"]
    lines = ["-map", "[frames]", "-fps_mode", "passthrough", "-enc_time_base", "1/90000"]
    args += [*lines, "-f", "framecrc", "pipe:1"]
    log = ScanLog()
    code, report = _read_both(args, (width, height), on_thumbnail, log)
    expected = seek.times[first:stop]
    fits = len(log.pts) == len(expected) and all(
        abs(a - b) <= 1 for a, b in zip(log.pts, expected, strict=True)
    )
    if code or not fits or ffmpeg.complaints(report):
        return None
    checksums = list(seek.checksums)
    checksums[first:stop] = log.checksums
    return replace(seek, checksums=tuple(checksums))


def count_packets(source: Source) -> int:
    """Count the packets of the video stream, without decoding them: about as many as its frames."""
    if source.kind == "image":
        return 1
    args = [*ffmpeg.ONLY_LOCAL]
    args += [word for name, value in source.input_options for word in (f"-{name}", value)]
    args += ["-i", ffmpeg.local(source.path), "-map", f"0:{source.video_stream}", "-c", "copy"]
    with ffmpeg.running([*args, "-f", "framecrc", "pipe:1"], stdout=True) as child:
        count = sum(not line.startswith(b"#") for line in child.stdout)
        child.wait()
    return count


def _count_missing(source: Source, timeline: Timeline, log: ScanLog, code: int, report: str) -> int:
    """Count the frames that a decoder that complained did not deliver.

    Holes count where packets were read that gave no frame; the end counts only when the file itself
    is cut short: a sound video stream may end before its audio does.
    """
    gaps = np.diff(timeline.pts)
    holes = int(np.rint(gaps / np.median(gaps) - 1).clip(0).sum()) if len(gaps) else 0
    missing = min(max(log.packets - len(timeline), 0), holes)
    if (
        code
        or log.corrupt
        or re.search(r"partial file|ended prematurely|Error during demuxing|[Tt]runcat", report)
    ):
        end = (timeline.pts[-1] + timeline.last_duration) * TIME_BASE
        if source.duration is not None:
            missing += max(
                0, round((source.duration - end) * (timeline.rate or timeline.nominal_rate))
            )
        # The packet that the cut goes through is lost or half a picture, also when no duration is
        # promised.
        missing = max(missing, int(log.corrupt))
    return missing


def _thumbnail_size(source: Source) -> tuple[int, int]:
    """Return (width, height) of the small pictures."""
    scale = min(1.0, THUMBNAIL_LONG_SIDE / max(source.width, source.height))
    return max(1, round(source.width * scale)), max(1, round(source.height * scale))


def _scan_still(source: Source, on_thumbnail: Thumbnails | None) -> Scan:
    """Look at the one picture of a still."""
    if on_thumbnail:
        from vidstyle.frames import to_uint16
        from vidstyle.video.read import read

        frame = next(iter(read(source, _thumbnail_size(source))))
        on_thumbnail((to_uint16(frame.image) / 257).round().astype(np.uint8))
    one = round(1 / (STILL_RATE * TIME_BASE))
    return Scan(Timeline((0,), one, STILL_RATE, STILL_RATE), 0, "")
