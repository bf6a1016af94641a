"""The growth of a render's time and memory with the pixels of a frame and the number of frames.

    python benchmarks/scaling.py [CLIP] [--sizes 320 480 640 960 1280 1920] [--length 500] [--set
    NAME=VALUE ...]

Renders the first frames of the clip (a sample) at each of the sizes (long side), few iterations
each, and fits time to a power of the pixels. Then renders the clip, repeated up to `--length`
frames, at 640 and one iteration a frame, and compares the resident memory after 20 frames with that
at the end. Each render is in a process of its own. Stop whatever else computes.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 8
QUICK_SETTINGS = {
    "first_iterations": 8,
    "first_scales": 1,
    "iterations": 8,
    "budget": "fixed",
    "rest": "follow",
}
"""All iterations are at full size, and there are as many in every frame; no frame is static."""
LENGTH_SIZE = 640


def fit_exponent(pixels: Sequence[float], seconds: Sequence[float]) -> float:
    """Fit p of seconds = a pixels^p, by least squares of the logarithms."""
    x, y = ([math.log(value) for value in values] for values in (pixels, seconds))
    middle_x = sum(x) / len(x)
    middle_y = sum(y) / len(y)
    over = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return over / sum((a - middle_x) ** 2 for a in x)


def repeat_clip(clip: Path, frames: int, folder: Path) -> Path:
    """Write a film of so many frames that repeats the clip."""
    from vidstyle.video import ffmpeg

    film = folder / "long.mkv"
    again = [
        "-y",
        "-stream_loop",
        "-1",
        "-i",
        ffmpeg.local(clip),
        "-map",
        "0:v",
        "-frames:v",
        str(frames),
    ]
    ffmpeg.run(
        [*again, "-c:v", "libx264", "-crf", "12", ffmpeg.local(film)], f"cannot repeat {clip}"
    )
    return film


def main() -> None:
    sys.path.insert(0, str(ROOT))  # for `benchmarks.render`, also in the processes that it starts
    from benchmarks.render import measure_in_process, parse_setting
    from vidstyle.video.probe import probe
    from vidstyle.video.read import fit

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "clip", nargs="?", type=Path, default=ROOT / "sample_videos" / "balloon.mp4"
    )
    parser.add_argument("--sizes", nargs="*", type=int, default=[320, 480, 640, 960, 1280, 1920])
    parser.add_argument("--length", type=int, default=500, help="0: only the sizes")
    parser.add_argument(
        "--set", nargs="+", type=parse_setting, default=[], metavar="NAME=VALUE", dest="settings"
    )
    args = parser.parse_args()
    settings = {
        "input": args.clip,
        "style": ROOT / "sample_videos" / "mosaic.jpg",
        **QUICK_SETTINGS,
        **dict(args.settings),
    }
    source = probe(args.clip)
    rows = []
    print(f"| size | s a frame | us a pixel | peak, GB | beyond torch, GB |\n|{'---|' * 5}")
    for size in args.sizes:
        width, height = fit(source.width, source.height, size)
        found = measure_in_process({**settings, "size": size}, FRAMES, alone=False)
        rows.append((width * height, found["seconds per linked frame"]))
        each = f"{rows[-1][1]:.3f} | {rows[-1][1] / rows[-1][0] * 1e6:.3f}"
        print(
            f"| {width}x{height} | {each} | {found['peak']:.2f} | {found['beyond torch']:.2f} |",
            flush=True,
        )
    if len(rows) > 1:
        print(f"\ntime a frame ~ pixels^{fit_exponent(*zip(*rows, strict=True)):.3f}")
    if args.length:
        with tempfile.TemporaryDirectory() as folder:
            film = repeat_clip(args.clip, args.length, Path(folder))
            once = {**settings, "input": film, "size": LENGTH_SIZE, "iterations": 1}
            found = measure_in_process(once, args.length, alone=False)
        sizes = found["resident at frame 20"], found["resident at the end"]
        print(
            f"\n{found['frames']} frames: {sizes[0]:.3f} GB resident at frame 20, "
            f"{sizes[1]:.3f} GB at the end"
        )
        print(
            f"seconds a frame: {found['first half']:.3f} in the first half, "
            f"{found['second half']:.3f} in the second"
        )


if __name__ == "__main__":
    main()
