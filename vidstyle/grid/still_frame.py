"""One frame out of a video, kept as a still: what a grid is made of."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vidstyle.config.fingerprint import fingerprint
from vidstyle.errors import ConfigError
from vidstyle.events import Note, Report
from vidstyle.frames import Timeline, to_uint16
from vidstyle.motion import shots
from vidstyle.storage import atomic, png16
from vidstyle.storage.atomic import disk_errors, sha256
from vidstyle.video.probe import MIN_SIDE, Source
from vidstyle.video.read import read
from vidstyle.video.scan import scan


def frame_of(source: Source, start: float | None, path: Path, report: Report) -> None:
    """Write the frame that is shown at this second, by default the one in the middle of the longest
    shot, as a 16-bit PNG in square pixels. One that was written before is kept: to find it takes
    decoding the whole video.

    Raises ConfigError when the video ends before `start`.
    """
    label = fingerprint({"input": sha256(source.path), "start": start})
    if png16.has_label(path, label):
        return
    differences = shots.ContentDifference()
    timeline = scan(source, differences.add).timeline
    index = (
        shots.middle_of_longest_shot(shots.find_cuts(differences.scores), timeline.pts)
        if start is None
        else shown_at(timeline, start)
    )
    size = max(MIN_SIDE, round(source.width * source.sar)), source.height
    [frame] = read(source, size, index, index + 1)
    with disk_errors(path.parent):
        atomic.write_atomically(path, png16.encode(to_uint16(frame.image), label, 0))
    at = float(timeline.pts[index] * timeline.time_base)
    report(Note(f"every cell shows the frame at {at:.2f} s; --start takes another one"))


def shown_at(timeline: Timeline, start: float) -> int:
    """The first frame from this second on, as a render would begin with it."""
    begin = round(Fraction(start) / timeline.time_base)
    later = [i for i, t in enumerate(timeline.pts) if t >= begin]
    if not later:
        last = float(timeline.pts[-1] * timeline.time_base)
        raise ConfigError(
            f"no frame is shown from {start:g} s on",
            f"the last one is shown at {last:.2f} s",
            "choose an earlier --start",
        )
    return later[0]
