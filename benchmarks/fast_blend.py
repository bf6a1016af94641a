"""Blends of learned styles: how near each comes to either painting, and how evenly one becomes the
other.

    python -m benchmarks.fast_blend PHOTO [PHOTO ...] --style LEARNED LEARNED [...] --folder FOLDER
        [--size 640] [--frames 48] [--weights-dir DIR]

LEARNED is a `.style` file, or the name of a style that is shipped. Each pair of them is blended in
five steps; VGG-19 judges the style distances to both paintings. Then a film that stands still
passes over from one to the other, and the largest change from a frame to the next is compared with
the median.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from benchmarks.fast import judge
from vidstyle import render
from vidstyle.config.settings import build
from vidstyle.config.toml import preset_values
from vidstyle.errors import InputError
from vidstyle.machine.allocator import keep_memory
from vidstyle.rendering.models import Models, load_network
from vidstyle.rendering.style_files import load_painting
from vidstyle.stylize.resample import resize
from vidstyle.video import ffmpeg
from vidstyle.video.read import read_image

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the second painting."""

RATE = 24


def blend(files: tuple[str, str], share: float) -> list[str]:
    """Name a blend as `--style` takes it."""
    given = [f"{files[0]}:{1 - share:g}", f"{files[1]}:{share:g}"]
    return given if 0 < share < 1 else [files[round(share)]]


def write_still(photo: Tensor, path: Path, frames: int) -> None:
    """Write a film of one picture (3, h, w)."""
    still = path.with_suffix(".png")
    pixels = (photo * 255).round().byte().permute(1, 2, 0).numpy()
    cv2.imwrite(str(still), pixels[..., ::-1])
    given = ["-y", "-loop", "1", "-framerate", str(RATE), "-i", ffmpeg.local(still)]
    args = [*given, "-frames:v", str(frames), "-c:v", "ffv1", ffmpeg.local(path)]
    ffmpeg.run(args, f"cannot write {path}")


def measure_jump(film: Path) -> float:
    """Divide the largest change from a frame to the next by the median of those that change."""
    capture = cv2.VideoCapture(str(film))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1].astype(np.float32))
    changes = [float(np.abs(a - b).mean()) for a, b in itertools.pairwise(frames)]
    moving = sorted(change for change in changes if change > 0.05 * max(changes))
    return moving[-1] / moving[len(moving) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--style", nargs="+", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--weights-dir", type=Path)
    args = parser.parse_args()
    keep_memory()
    args.folder.mkdir(parents=True, exist_ok=True)
    network = load_network("vgg19", weights_dir=args.weights_dir)
    models = Models()

    def paint(source: Path, styles: list[str], output: Path) -> Any:
        files = {"input": source, "style": styles, "output": output, "size": args.size}
        config = build(preset_values("fast"), files, {"overwrite": True, "restart": True})
        render(config, models=models)
        return config

    print("| photo | styles | distance to the first | to the second | jump |")
    print("|---|---|---|---|---|")
    for photo in args.photos:
        whole = read_image(photo, InputError)
        for pair in itertools.combinations(args.style, 2):
            name = f"{photo.stem}-{'-'.join(Path(one).stem for one in pair)}"
            distances: list[list[float]] = []
            for share in SHARES:
                output = args.folder / f"{name}-{share:g}.png"
                config = paint(photo, blend(pair, share), output)
                result = read_image(output, InputError)
                source = resize(whole, tuple(result.shape[1:]))
                distances.append(
                    [
                        judge(network, source, result, painting)["s"]
                        for painting in read_paintings(pair, args.size, config)
                    ]
                )
            still, film = args.folder / f"{name}.mkv", args.folder / f"{name}.out.mkv"
            write_still(resize(whole, source.shape[1:]), still, args.frames)
            seconds = args.frames / RATE
            turn = [f"{pair[0]}@{0.25 * seconds:g}s", f"{pair[1]}@{0.75 * seconds:g}s"]
            paint(still, turn, film)
            columns = [" ".join(f"{d[i]:.3f}" for d in distances) for i in (0, 1)]
            words = f"{photo.stem} | {' and '.join(Path(one).stem for one in pair)}"
            print(
                f"| {words} | {columns[0]} | {columns[1]} | {measure_jump(film):.2f} |", flush=True
            )


def read_paintings(pair: tuple[str, str], size: int, config: Any) -> list[Tensor]:
    """Read the paintings of two learned styles."""
    both = build(preset_values("fast"), {"input": config.input, "style": list(pair), "size": size})
    return [load_painting(path) for path in both.style_files]


if __name__ == "__main__":
    main()
