"""Makes every file of this folder: two clips and two paintings.

python sample_videos/make_samples.py [FOLDER]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterable
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # so that the command above works from any folder

from sample_videos import mosaic, night, scene  # noqa: E402

CUT_FRAMES = 48
CUT_FRAME = 20  # the first frame of the second shot in cut.mp4
CUT_SIZE = (480, 270)
SAMPLE_RATE = 48_000
BALLOON_CRF, CUT_CRF = 19, 20
# Seconds, semitones from A4, seconds long; place between the left (-1) and the right (1)
# loudspeaker
MELODY = [
    (0.00, -12, 1.9, 0.0), (0.00, -5, 1.9, -0.3), (0.00, 4, 0.5, -0.6), (0.25, 7, 0.5, 0.6), (0.50, 12, 0.7, -0.4),
    (0.83, -14, 1.2, 0.0), (0.83, 2, 0.5, 0.5), (1.08, 5, 0.5, -0.6), (1.33, 9, 0.6, 0.6), (1.58, 7, 0.6, 0.0),
]  # fmt: skip


def cut_picture(n: int) -> NDArray[np.uint8]:
    """Frame `n` of cut.mp4."""
    return (
        scene.frame(n + 20, CUT_SIZE)
        if n < CUT_FRAME
        else scene.close_up(n - CUT_FRAME + 10, CUT_SIZE)
    )


def melody(seconds: float) -> NDArray[np.int16]:
    """(samples, 2): plucked notes that decay, each a few harmonics."""
    sound = np.zeros((round(seconds * SAMPLE_RATE), 2))
    for start, pitch, length, side in MELODY:
        t = np.arange(round(length * SAMPLE_RATE)) / SAMPLE_RATE
        f = 440 * 2 ** (pitch / 12)
        note = sum(
            np.sin(2 * np.pi * f * k * t) * np.exp(-t * (2.2 + 1.6 * k)) / k**1.4
            for k in range(1, 6)
        )
        note = note * np.minimum(1, t / 0.004) * np.minimum(1, (length - t) / 0.05)
        first = round(start * SAMPLE_RATE)
        part = note[: len(sound) - first, None] * [
            [np.sqrt((1 - side) / 2), np.sqrt((1 + side) / 2)]
        ]
        sound[first : first + len(part)] += part
    fade = np.minimum(1, np.arange(len(sound))[::-1, None] / (0.1 * SAMPLE_RATE))
    return (sound * fade / np.abs(sound).max() * 0.6 * 32767).round().astype(np.int16)


def encode(
    pictures: Iterable[NDArray[np.uint8]],
    size: tuple[int, int],
    path: Path,
    crf: int,
    sound: Path | None = None,
) -> None:
    """H.264, BT.709, the same bytes on every run of the same ffmpeg."""
    audio = ["-i", str(sound)] if sound else []
    scale = "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int"
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    command = [
        *[imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"],
        *[
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{size[0]}x{size[1]}",
            "-r",
            str(scene.RATE),
            "-i",
            "-",
            *audio,
        ],
        *["-vf", f"{scale},{tags}"],
        *[
            "-c:v",
            "libx264",
            "-preset",
            "veryslow",
            "-crf",
            str(crf),
            "-pix_fmt",
            "yuv420p",
            "-threads",
            "1",
        ],
        *[
            "-c:a",
            "aac",
            "-b:a",
            "96k",
            "-fflags",
            "+bitexact",
            "-flags:v",
            "+bitexact",
            "-flags:a",
            "+bitexact",
        ],
        *["-map_metadata", "-1", "-movflags", "+faststart", str(path)],
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        for picture in pictures:
            process.stdin.write(picture.tobytes())
        process.stdin.close()
    if process.returncode:
        raise SystemExit(f"ffmpeg could not write {path}")


def save_jpeg(picture: NDArray[np.uint8], path: Path, quality: int) -> None:
    cv2.imwrite(
        str(path),
        picture[..., ::-1],
        [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    )


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_jpeg(night.paint(), folder / "strokes.jpg", 92)
    save_jpeg(mosaic.paint(), folder / "mosaic.jpg", 84)
    encode(map(scene.frame, range(scene.FRAMES)), scene.SIZE, folder / "balloon.mp4", BALLOON_CRF)
    with tempfile.TemporaryDirectory() as scratch:
        sound = Path(scratch) / "melody.wav"
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(melody(CUT_FRAMES / scene.RATE).tobytes())
        encode(map(cut_picture, range(CUT_FRAMES)), CUT_SIZE, folder / "cut.mp4", CUT_CRF, sound)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
