"""Make the README's pictures again: after new embedded weights, or other defaults.

    python -m docs.pictures [--only hero|film|lite|fast] [--weights-dir DIR] [--cache DIR]

Run from the top of the checkout. hero.jpg: three frames of a clip, above their render with the
default settings, next to the painting. film.jpg: a film that fades in, flashes and dissolves, made
from both sample clips, above its render. lite.jpg: two frames in two styles, by VGG-19 and by the
embedded features; made by `benchmarks/lite_vs_vgg19.py`, which has the last two arguments too.
fast.jpg: two frames in two styles, by each way of `benchmarks/fast.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import torch
from torch import Tensor

import vidstyle
from benchmarks.fast import lay_out, list_ways
from benchmarks.lite_vs_vgg19 import compare_networks, parse_arguments, side_by_side
from vidstyle.config.settings import build
from vidstyle.config.toml import preset_values
from vidstyle.errors import StyleError, VidstyleError
from vidstyle.rendering.models import Models
from vidstyle.stylize.resample import resize
from vidstyle.video import ffmpeg
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "sample_videos"
DOCS = ROOT / "docs"
SHOWN_FRAMES = (2, 20, 40)
FADE = tuple(i / 10 for i in range(10))
"""The gains of the frames that fade in."""
FLASH_FRAME = 16
DISSOLVE_FRAMES = 12
FILM_SIZE = (180, 320)
"""(h, w) of the film that is cut and lit."""
FILM_FRAMES = (0, 3, 6, 15, 16, 17, 25, 29, 33, 37)
LEARN_SECONDS = 60
TILE_HEIGHT = 150
"""Of a tile of fast.jpg."""
HEIGHT = 225
GAP = 10


def read_frames(video: Path, numbers: tuple[int, ...]) -> list[Tensor]:
    """Read the frames of these numbers, (3, H, W) each."""
    return [
        frame.image
        for frame in read(probe(video), None, stop=max(numbers) + 1)
        if frame.index in numbers
    ]


def write_picture(path: Path, image: Tensor) -> None:
    """Write an image (3, H, W) in [0, 1] with 8 bits, in the format of its name."""
    bytes_hwc = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)  # (3, H, W) -> (H, W, 3)
    array = bytes_hwc.numpy()
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85] if path.suffix == ".jpg" else []
    path.write_bytes(cv2.imencode(path.suffix, array[:, :, ::-1], quality)[1].tobytes())
    print(path, f"{image.shape[2]}x{image.shape[1]}")


def make_hero(folder: Path) -> None:
    """Make hero.jpg from a render in this folder."""
    clip = SAMPLES / "balloon.mp4"
    style = SAMPLES / "strokes.jpg"
    result = vidstyle.render(
        vidstyle.RenderConfig(input=clip, style=style, output=folder / "out.mp4")
    ).output
    above, below = (
        side_by_side(read_frames(video, SHOWN_FRAMES), HEIGHT) for video in (clip, result)
    )
    clips = torch.cat([above, torch.ones(3, GAP, above.shape[2]), below], 1)
    painting = side_by_side([read_image(style, StyleError)], clips.shape[1])
    width = round(0.62 * clips.shape[1])
    left = (painting.shape[2] - width) // 2
    write_picture(
        DOCS / "hero.jpg",
        side_by_side([painting[:, :, left : left + width], clips], clips.shape[1]),
    )


def make_film(folder: Path) -> None:
    """Make film.jpg from a render in this folder."""
    first, second = (
        [resize(frame, FILM_SIZE) for frame in read_frames(SAMPLES / name, numbers)]
        for name, numbers in (("balloon.mp4", tuple(range(36))), ("cut.mp4", tuple(range(20, 46))))
    )
    film = [gain * frame for gain, frame in zip(FADE, first[: len(FADE)], strict=True)]
    film += first[len(FADE) : -DISSOLVE_FRAMES]
    film[FLASH_FRAME] = (1.8 * film[FLASH_FRAME] + 0.3).clamp(0, 1)
    for i, (a, b) in enumerate(
        zip(first[-DISSOLVE_FRAMES:], second[:DISSOLVE_FRAMES], strict=True)
    ):
        film.append(torch.lerp(a, b, (i + 1) / (DISSOLVE_FRAMES + 1)))
    film += second[DISSOLVE_FRAMES:]
    source = folder / "film.mkv"
    write_film(source, film)
    config = vidstyle.RenderConfig(
        input=source, style=SAMPLES / "strokes.jpg", output=folder / "film.out.mkv"
    )
    result = vidstyle.render(config).output
    above, below = (side_by_side(read_frames(video, FILM_FRAMES), 90) for video in (source, result))
    write_picture(
        DOCS / "film.jpg", torch.cat([above, torch.ones(3, GAP // 2, above.shape[2]), below], 1)
    )


def write_film(path: Path, frames: list[Tensor]) -> None:
    """Write frames (3, H, W) as a lossless film of 24 frames a second."""
    raw = path.with_suffix(".raw")
    bytes_hwc = [(x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0) for x in frames]
    raw.write_bytes(b"".join(x.numpy().tobytes() for x in bytes_hwc))
    height, width = frames[0].shape[1:]
    given = ["-f", "rawvideo", "-pixel_format", "rgb24", "-framerate", "24"]
    source = ["-video_size", f"{width}x{height}", "-i", ffmpeg.local(raw)]
    ffmpeg.run(["-y", *given, *source, "-c:v", "ffv1", ffmpeg.local(path)], "cannot write a film")


def make_lite(folder: Path, more: list[str]) -> None:
    """Make lite.jpg from results in this folder.

    Args:
        more: arguments of `benchmarks/lite_vs_vgg19.py`.
    """
    stills = [folder / f"{name}.png" for name in ("balloon", "cut")]
    for still in stills:
        write_picture(still, read_frames(SAMPLES / f"{still.stem}.mp4", SHOWN_FRAMES[1:2])[0])
    styles = [SAMPLES / "strokes.jpg", SAMPLES / "mosaic.jpg"]
    words = ["--photos", *stills, "--styles", *styles, "--out", folder, "--size", 384, *more]
    compare_networks(parse_arguments([str(word) for word in words]))
    write_picture(DOCS / "lite.jpg", read_image(folder / "contact_sheet.png", StyleError))


def make_fast(folder: Path) -> None:
    """Make fast.jpg: each row a frame, and what each way makes of it."""
    models = Models()
    rows = []
    for name in ("balloon", "cut"):
        still = folder / f"{name}.png"
        write_picture(still, read_frames(SAMPLES / f"{name}.mp4", SHOWN_FRAMES[1:2])[0])
        for style in ("strokes", "mosaic"):
            row = [read_image(still, StyleError)]
            for way, (preset, wishes) in list_ways(LEARN_SECONDS).items():
                output = folder / f"{name}-{style}-{way}.png"
                files = {"input": still, "style": SAMPLES / f"{style}.jpg", "output": output}
                vidstyle.render(build(preset_values(preset), files, wishes), models=models)
                row.append(read_image(output, StyleError))
            rows.append(row)
    write_picture(DOCS / "fast.jpg", lay_out(rows, TILE_HEIGHT))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights-dir", type=Path, help="where VGG-19's weights lie; default: as for a render"
    )
    parser.add_argument("--cache", type=Path, help="keeps VGG-19's results")
    parser.add_argument("--only", choices=("hero", "film", "lite", "fast"))
    args = parser.parse_args()
    given = [("--weights-dir", args.weights_dir), ("--cache", args.cache)]
    try:
        with tempfile.TemporaryDirectory() as name:
            if args.only in (None, "lite"):  # first, for it may lack VGG-19's weights
                make_lite(
                    Path(name), [str(x) for flag, value in given if value for x in (flag, value)]
                )
            if args.only in (None, "hero"):
                make_hero(Path(name))
            if args.only in (None, "film"):
                make_film(Path(name))
            if args.only in (None, "fast"):
                make_fast(Path(name))
    except VidstyleError as e:
        sys.exit(f"{e.what}: {e.why}\n{e.hint}")


if __name__ == "__main__":
    main()
