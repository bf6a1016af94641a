"""An index of a video by which decoding can begin in the middle of the file."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vidstyle.frames import TIME_BASE

_REORDER_LEAD = round(0.1305 / TIME_BASE)
"""In units of `TIME_BASE`. Where frames are stored out of order, ffmpeg looks 3/23 s before the
time that it is given, except in containers that it seeks by presentation times.
"""

_LEADING_CONTAINERS = ("matroska", "flv", "asf", "nut")
"""Demuxers with an index of key frames that ffmpeg seeks with that lead all the same."""

MANY_KEY_FRAMES = 64
"""From so many on the key frames of a film are spread over it well enough to stand for others."""


@dataclass(frozen=True)
class SeekIndex:
    """The frames of a file as one decoder delivered them from the first to the last.

    A container is not always right about the frames from which decoding can begin. So the index
    also has a checksum of every frame: a reader that begins at a key frame compares each with it.

    Args:
        key_frames: numbers of the frames from which decoding can begin, in order; none where the
            frames cannot be told apart by their times.
        times: of every frame, in units of `TIME_BASE`, as the file has them (not counted from
            `Source.start`).
        checksums: of the pixels of every frame, as decoded, before any conversion.
    """

    key_frames: tuple[int, ...] = ()
    times: tuple[int, ...] = ()
    checksums: tuple[int, ...] = ()

    def key_frame_before(self, frame: int) -> int:
        """Return the last key frame that is not after `frame`; 0 where there is none."""
        position = bisect.bisect_right(self.key_frames, frame)
        return self.key_frames[position - 1] if position else 0

    def cheap_frame_near(self, frame: int, first: int = 0) -> int:
        """Return the frame that is decoded instead of `frame` where any one near it will do: in a
        film with many key frames the one before it, unless that lies before `first`.
        """
        key_frame = self.key_frame_before(frame)
        is_near = len(self.key_frames) >= MANY_KEY_FRAMES and key_frame >= first
        return key_frame if is_near else frame

    def seek_microseconds(self, key_frame: int, container: str) -> int:
        """Return the time at which ffmpeg is to look for a key frame, to arrive at `key_frame`.

        Args:
            container: ffmpeg's names for the demuxer.
        """
        time = self.times[key_frame]
        if container.startswith(_LEADING_CONTAINERS):
            following = bisect.bisect_right(self.key_frames, key_frame)
            is_last = following == len(self.key_frames)
            limit = self.times[-1] if is_last else self.times[self.key_frames[following]]
            # Arriving at the key frame after it would be wrong, at the one before it is only slow.
            if is_last or time + 2 * _REORDER_LEAD < limit:
                time += _REORDER_LEAD
        # Rounded up, or the frame itself would lie after it.
        return -(-time * TIME_BASE.numerator * 1_000_000 // TIME_BASE.denominator)

    def pts_before(self, frame: int) -> int:
        """Return a time that lies after the frame before `frame` and not after `frame` itself."""
        return (self.times[frame - 1] + self.times[frame] + 1) // 2

    def is_frame(self, frame: int, time: int, checksum: int) -> bool:
        """Return whether a decoded frame is the frame of this number, on time and bit for bit."""
        return abs(self.times[frame] - time) <= 1 and self.checksums[frame] == checksum


def build_seek_index(
    times: Sequence[int], checksums: Sequence[int], key_times: Iterable[int]
) -> SeekIndex:
    """Build the index of a file from what its decoder and its demuxer tell.

    Args:
        times: of the decoded frames in order, in units of `TIME_BASE`.
        checksums: of the same frames.
        key_times: of the packets from which decoding can begin, in the same units.
    """
    in_order = all(earlier + 1 < later for earlier, later in itertools.pairwise(times))
    if not times or not in_order or times[0] < 0:
        return SeekIndex((), tuple(times), tuple(checksums))
    numbers = {time: number for number, time in enumerate(times)}
    # The time of a packet is in the unit of the container, that of its frame may be rounded.
    found = {
        numbers[time + off] for time in key_times for off in (-1, 0, 1) if time + off in numbers
    }
    return SeekIndex(tuple(sorted(found)), tuple(times), tuple(checksums))
