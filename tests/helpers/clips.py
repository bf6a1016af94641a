"""Small clips that the tests make themselves, with what is in them known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidstyle.errors import FFmpegError
from vidstyle.video import ffmpeg

LUMA = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
}
"""Kr and Kb of each matrix, as the standards give them."""


class Clips:
    """Makes clips in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, name: str, *args: str) -> Path:
        """Runs ffmpeg with `args` and the output's name after them."""
        path = self.folder / name
        ffmpeg.run(["-y", *args, ffmpeg.local(path)], f"cannot make {name}")
        return path

    def pattern(
        self,
        name: str = "clip.mp4",
        *options: str,
        frames: int = 10,
        size: tuple[int, int] = (64, 48),
        rate: str = "10",
        audio: float = 0.0,
        before: Sequence[str] = (),
    ) -> Path:
        """A moving test picture.

        Args:
            options: of the output.
            before: options of the video input (an offset, a rotation).
            audio: seconds of a tone; 0 for none.
        """
        source = f"testsrc=size={size[0]}x{size[1]}:rate={rate},trim=end_frame={frames}"
        args = [*before, "-f", "lavfi", "-i", source]
        if audio:
            args += ["-f", "lavfi", "-i", f"sine=duration={audio}"]
        return self.make(name, *args, "-frames:v", str(frames), *options)

    def turned(self, path: Path, degrees: int) -> Path:
        """The same clip with a display matrix that turns it counter-clockwise."""
        given = ["-i", ffmpeg.local(path), "-c", "copy"]
        try:
            return self.make("turned.mp4", "-display_rotation", str(degrees), *given)
        except FFmpegError:  # before ffmpeg 6
            return self.make("turned.mp4", *given, "-metadata:s:v:0", f"rotate={degrees}")

    def timed(
        self, name: str, expression: str, *options: str, frames: int = 10, last: int | None = None
    ) -> Path:
        """A clip whose frame N is shown at `expression` (in 1/90000 s); `last` is the duration of
        the last one.
        """
        filters = f"settb=1/90000,setpts={expression}"
        length = (
            [
                "-bsf:v",
                f"setts=pts=PTS:dts=DTS:duration=if(eq(N\\,{frames - 1})\\,{last}\\,DURATION)",
            ]
            if last
            else []
        )
        times = ["-fps_mode", "passthrough", "-enc_time_base", "1/90000", *length]
        return self.pattern(
            name, "-vf", filters, *times, "-video_track_timescale", "90000", *options, frames=frames
        )

    def patches(
        self,
        name: str,
        colours: NDArray[np.float64],
        matrix: str,
        full: bool,
        *options: str,
        bits: int = 8,
        tile: tuple[int, int] = (32, 32),
        frames: int = 2,
    ) -> Path:
        """Flat patches side by side, lossless, their YCbCr computed here from the standard's
        equations, not by ffmpeg.

        Args:
            colours: (n, 3) RGB in [0, 1].
            tile: (width, height) of each patch.
        """
        kr, kb = LUMA[matrix]
        r, g, b = colours.T
        y = kr * r + (1 - kr - kb) * g + kb * b
        chroma = [(b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)]
        unit = 2 ** (bits - 8)
        top = 2**bits - 1
        planes = [y * top if full else (16 + 219 * y) * unit]
        planes += [c * top + 128 * unit if full else (128 + 224 * c) * unit for c in chroma]
        rows = [np.repeat(np.rint(plane).clip(0, top), tile[0]) for plane in planes]
        frame = np.stack([np.tile(row, (tile[1], 1)) for row in rows])  # (3, H, W)
        raw = self.folder / f"{name}.raw"
        raw.write_bytes(
            np.tile(frame.astype("<u2" if bits > 8 else "u1"), (frames, 1, 1, 1)).tobytes()
        )
        form = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
        size = f"{tile[0] * len(colours)}x{tile[1]}"
        given = ["-f", "rawvideo", "-pixel_format", form, "-video_size", size, "-framerate", "10"]
        return self.make(name, *given, "-i", ffmpeg.local(raw), *options)
