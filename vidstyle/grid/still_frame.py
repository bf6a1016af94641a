"""The frame of a video that every cell of a grid shows, kept as a still image."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vidstyle.config.fingerprint import hash_values
from vidstyle.errors import ConfigError
from vidstyle.events import Note, Report
from vidstyle.frames import Timeline, to_uint16
from vidstyle.motion import shots
from vidstyle.storage import atomic, png16
from vidstyle.storage.atomic import disk_errors, sha256
from vidstyle.video.probe import MIN_SIDE, Source
from vidstyle.video.read import read
from vidstyle.video.scan import scan


def save_still(source: Source, start: float | None, path: Path, report: Report) -> None:
    """Write the frame that is shown at second `start`, by default the one in the middle of the
    longest shot, as a 16-bit PNG in square pixels. A file that was written before for the same
    input and `start` is kept: to find the frame takes decoding the whole video.

    Raises ConfigError when the video ends before `start`.
    """
    label = hash_values({"input": sha256(source.path), "start": start})
    if png16.has_label(path, label):
        return
    differences = shots.ContentDifference()
    timeline = scan(source, differences.add).timeline
    if start is None:
        index = shots.middle_of_longest_shot(shots.find_cuts(differences.scores), timeline.pts)
    else:
        index = first_index_from(timeline, start)
    size = (max(MIN_SIDE, round(source.width * source.sar)), source.height)
    [frame] = read(source, size, index, index + 1)
    with disk_errors(path.parent):
        atomic.write_atomically(path, png16.encode_frame(to_uint16(frame.image), label, 0))
    seconds = float(timeline.pts[index] * timeline.time_base)
    report(Note(f"every cell shows the frame at {seconds:.2f} s; --start takes another one"))


def first_index_from(timeline: Timeline, start: float) -> int:
    """Return the first frame from second `start` on, at which a render would begin too.

    Raises ConfigError when there is none.
    """
    begin = round(Fraction(start) / timeline.time_base)
    for index, time in enumerate(timeline.pts):
        if time >= begin:
            return index
    last = float(timeline.pts[-1] * timeline.time_base)
    raise ConfigError(
        f"no frame is shown from {start:g} s on",
        f"the last one is shown at {last:.2f} s",
        "choose an earlier --start",
    )
