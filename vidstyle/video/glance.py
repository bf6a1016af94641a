"""The times of a film by its packets alone, without decoding: in seconds what a scan takes minutes
for. Damage, and frames that repeat, are seen by a scan alone.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from fractions import Fraction

from vidstyle.frames import TIME_BASE, Timeline
from vidstyle.video import ffmpeg
from vidstyle.video.probe import Source
from vidstyle.video.seek import SeekIndex, build_seek_index
from vidstyle.video.timeline import build_timeline

DISCARDED_PACKET = 0x4
"""Flag of a packet that is decoded, but by the edit list not shown."""


KEY_PACKET = 0x1
"""Flag of a packet from which decoding can begin; framecrc does not print it where it is alone."""


def unknown_checksums(count: int) -> list[int]:
    """Make checksums that no frame has, and no two frames share."""
    return [-1 - i for i in range(count)]


@dataclass(frozen=True)
class Glance:
    """What the packets of a film tell.

    Args:
        seek: where decoding can begin; its checksums are not known.
    """

    timeline: Timeline
    seek: SeekIndex


def glance(source: Source) -> Glance | None:
    """Read the times of the frames off the packets; None where these cannot be trusted to be those
    of the frames: the packets of an animation are drawn over one another, and a file that was put
    together from others may begin its times again.
    """
    if not source.can_begin_midway:
        return None
    args = [*ffmpeg.ONLY_LOCAL, "-copyts"]
    args += [word for name, value in source.input_options for word in (f"-{name}", value)]
    args += ["-i", ffmpeg.local(source.path), "-map", f"0:{source.video_stream}", "-c", "copy"]
    unit = Fraction(1)
    order: list[int] = []
    times: list[tuple[int, int]] = []
    key_times: list[int] = []
    with ffmpeg.running([*args, "-f", "framecrc", "pipe:1"], stdout=True) as child:
        for line in child.stdout:
            if line.startswith(b"#tb 0: "):
                unit = Fraction(line.split()[-1].decode()) / TIME_BASE
            if line.startswith(b"#"):
                continue
            words = line.split(b",")
            found = re.search(rb"F=0x(\w+)", line)
            flags = int(found[1], 16) if found else KEY_PACKET
            order.append(int(words[1]))
            if flags & DISCARDED_PACKET:
                continue
            times.append((round(int(words[2]) * unit), round(int(words[3]) * unit)))
            if flags & KEY_PACKET:
                key_times.append(times[-1][0])
        code, _ = child.wait()
    times.sort()
    in_order = all(a < b for a, b in itertools.pairwise(order))
    apart = all(a[0] < b[0] for a, b in itertools.pairwise(times))
    if code or not times or not in_order or not apart:
        return None
    start = round(source.start / TIME_BASE)
    pts = [time for time, _ in times]
    timeline = build_timeline(pts, times[-1][1], start, source.nominal_rate, source.time_base)
    return Glance(timeline, build_seek_index(pts, unknown_checksums(len(pts)), key_times))
