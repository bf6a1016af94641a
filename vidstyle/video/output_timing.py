"""The times of the frames of the output, in whole ticks of a time base that the encoder is
given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidstyle.frames import Timeline
from vidstyle.video.packed_frames import FrameFile, list_frame

_MAX_SHIFT_SECONDS = Fraction(1, 2000)
"""A frame may be moved by as much to lie on a constant rate."""
_MIN_TICK_SECONDS = Fraction(1, 1_000_000)
"""The unit of ffmpeg's scripts."""
_MAX_FRAME_RATE = 240
"""The highest that SVT-AV1 accepts to be told."""


@dataclass(frozen=True)
class FrameClock:
    """Times of the frames.

    Args:
        tick: seconds.
        times: of each frame, and the end of the last; in ticks, strictly increasing.
        rate: frames per second that encoder and container are told.
        steady: all frames, also the last, are shown equally long.
    """

    tick: Fraction
    times: tuple[int, ...]
    rate: Fraction
    steady: bool


def build_clock(timeline: Timeline, begin: Fraction, tick: Fraction | None = None) -> FrameClock:
    """Build the clock of a timeline whose second `begin` becomes 0 (no frame lies before it).

    A constant rate ticks once per frame, so that the container states it exactly; if it does not
    begin on a multiple of its frame time, it ticks in the largest unit that holds both. A variable
    one ticks in units of the timeline.

    Args:
        tick: forced on the frames where the container knows no other (GIF: 1/100 s).
    """
    exact = [pts * timeline.time_base - begin for pts in timeline.pts]
    exact.append(exact[-1] + timeline.last_duration * timeline.time_base)
    rate = timeline.rate
    constant = rate is not None and all(
        abs(exact[0] + i / rate - t) <= _MAX_SHIFT_SECONDS for i, t in enumerate(exact[:-1])
    )
    steady = False
    if constant and rate is not None:
        steady = abs(exact[-1] - exact[-2] - 1 / rate) <= _MAX_SHIFT_SECONDS
        end = exact[0] + len(timeline) / rate if steady else exact[-1]
        exact = [*(exact[0] + i / rate for i in range(len(timeline))), end]
    if tick is None:
        tick = timeline.time_base
        if constant and rate is not None:
            common = 1 / rate
            for time in (exact[0], exact[-1]):
                common = _common_unit(common, time)
            tick = common if common >= _MIN_TICK_SECONDS else tick
    times = [round(exact[0] / tick)]
    for time in exact[1:]:
        times.append(max(round(time / tick), times[-1] + 1))
    return FrameClock(
        tick, tuple(times), min(rate or timeline.nominal_rate, Fraction(_MAX_FRAME_RATE)), steady
    )


def _common_unit(a: Fraction, b: Fraction) -> Fraction:
    """Return the largest duration that both are whole multiples of."""
    return Fraction(
        math.gcd(a.numerator * b.denominator, b.numerator * a.denominator),
        a.denominator * b.denominator,
    )


def concat_script(frames: Sequence[FrameFile], clock: FrameClock) -> Iterator[str]:
    """Yield the lines of an ffconcat script that begins at 0, in which a tick lasts as long as a
    frame of `clock.rate`.

    The demuxer takes its unit of time from the frame rate, and muxers and encoders believe that
    rate: with the ticks as rate a Matroska file declares 90000 frames per second, and x264 level
    6.2. So the film is slowed down here, and the filters of `restore_filters` bring the ticks back.
    """
    yield "ffconcat version 1.0\n"
    microseconds = [round((time - clock.times[0]) * 1_000_000 / clock.rate) for time in clock.times]
    for frame, begin, end in zip(frames, microseconds, microseconds[1:], strict=False):
        duration = end - begin
        yield from list_frame(frame, clock.rate)
        yield f"duration {duration // 1_000_000}.{duration % 1_000_000:06d}\n"


def restore_filters(clock: FrameClock) -> str:
    """Return the filters that give the frames of `concat_script` their times."""
    if clock.tick * clock.rate == 1 and clock.times[0] == 0:
        # They have them; and some versions of setpts forget the frame rate.
        return "null"
    return f"settb={clock.tick},setpts=round(PTS*({clock.rate * clock.tick}))+{clock.times[0]}"
