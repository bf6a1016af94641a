"""Blocks of finished frames that are encoded as the output will be, and the output that is put
together from them without encoding again.

Every block begins with a key frame and needs no other block. Its times begin at 0, in the ticks of
the output, so that no time is rounded where blocks follow each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidstyle.video import ffmpeg
from vidstyle.video.delivery import Delivery
from vidstyle.video.output_timing import FrameClock, concat_script
from vidstyle.video.picture_arguments import encode_pictures

JOINED_CODECS = ("h264", "hevc", "vp9", "av1")
"""The codecs whose encoded blocks are much smaller than lossless ones."""


@dataclass(frozen=True)
class BlockEncoding:
    """The encoder of the blocks of one output.

    Args:
        clock: the times of all frames of the output.
        sar: pixel aspect ratio.
    """

    clock: FrameClock
    delivery: Delivery
    sar: Fraction

    @property
    def settings(self) -> dict[str, Any]:
        """All by which the blocks of two outputs differ, their frames and times apart."""
        return {
            "codec": self.delivery.codec,
            "crf": self.delivery.crf,
            "pix_fmt": self.delivery.pix_fmt,
            "encoder": self.delivery.encoder,
            "tick": str(self.clock.tick),
            "rate": str(self.clock.rate),
            "steady": self.clock.steady,
            "sar": str(self.sar),
        }

    def encode(self, first: int, frames: Sequence[Path], listing: Path, path: Path) -> None:
        """Write the block that begins with frame `first`; see `packed_frames.BlockEncoder`."""
        times = self.clock.times[first : first + len(frames) + 1]
        clock = replace(self.clock, times=tuple(time - times[0] for time in times))
        with listing.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.writelines(concat_script(frames, clock))
        args = ["-y", "-copyts", *ffmpeg.ONLY_LOCAL, "-safe", "0", "-f", "concat"]
        args += ["-i", ffmpeg.local(listing), *encode_pictures(clock, self.delivery, self.sar)]
        # MP4 keeps colours, times and frames that are stored out of order, of all these codecs.
        scale = clock.tick.denominator
        args += ["-video_track_timescale", str(scale), "-fflags", "+bitexact", "-f", "mp4"]
        ffmpeg.run([*args, ffmpeg.local(path)], f"cannot pack the frames from {first} on")


@dataclass(frozen=True)
class EncodedBlock:
    """A block as the output will have it: its file, and its number of frames."""

    path: Path
    count: int


def join_script(blocks: Sequence[EncodedBlock], clock: FrameClock) -> Iterator[str]:
    """Yield the lines of an ffconcat script that shows blocks one after the other, from 0 on."""
    yield "ffconcat version 1.0\n"
    first = 0
    for block in blocks:
        name = f"file:{block.path.absolute()}".replace("'", "'\\''")
        begin, end = (
            round((clock.times[at] - clock.times[0]) * clock.tick * 1_000_000)
            for at in (first, first + block.count)
        )
        duration = end - begin
        yield f"file '{name}'\nduration {duration // 1_000_000}.{duration % 1_000_000:06d}\n"
        first += block.count
