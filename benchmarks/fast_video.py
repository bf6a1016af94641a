"""How steady the films of the fast engine are, next to the optimiser's.

    python -m benchmarks.fast_video CLIP [CLIP ...] --style PAINTING [PAINTING ...] --folder FOLDER
        [--frames 24] [--size 320] [--learn 60] [--weights-dir DIR]

Learns each painting on the clip, and renders the first frames of it with the standard preset, with
the fast one, and with the fast one without links between frames. E1 and E10 are the warping errors
over 1 and 10 frames (`docs/metrics.md`), times 1000; a picture without contrast has little of it,
so E1 stands over the variance of the pixels as well. G is the gradient energy, rest the largest
change of what stands still in the source, in levels of 255. Renders are kept in FOLDER: the same
command continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.consistency import CachedFlow, measure_renders, render_variant
from vidstyle.config.settings import build
from vidstyle.config.toml import preset_values
from vidstyle.errors import StyleError
from vidstyle.evaluation import clips
from vidstyle.evaluation.scorecard import Scores, mean_defined
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import deterministic, resolve_device
from vidstyle.rendering.learned_files import learn_painting
from vidstyle.rendering.models import load_flow, load_network
from vidstyle.video.read import read_image

FLOW = "dis"

WAYS = {
    "optimiser": ("standard", {}),
    "fast": ("fast", {}),
    "fast, no links": ("fast", {"per_frame": True}),
}
"""For each way to render its preset, and settings on top."""

COLUMNS = ("E1", "E10", "E1 / variance", "G", "style", "content", "rest")


def learn(painting: Path, clip: Path, size: int, seconds: float, folder: Path) -> Path:
    """Learn a painting for a clip, where that was not done yet."""
    file = folder / f"{painting.stem}-{clip.stem}-{size}-{seconds:g}.style"
    if not file.exists():
        files = {"input": clip, "style": [painting], "output": file, "size": size}
        learn_painting(build(preset_values("fast"), files, {"learn": seconds}), clip, file)
    return file


def describe(scores: Scores, folder: Path) -> dict[str, float | None]:
    """Reduce the scores of a render, whose frames lie in `folder`, to those of `COLUMNS`."""
    means = scores.means()
    kept = clips.open_clip(folder)
    variances = [float(frame.flatten(1).var(1).mean()) for frame in kept.read(kept.count)]
    error, far, moved = (
        means[name] for name in ("warping_error_short", "warping_error_long", "drift_max")
    )
    variance = sum(variances) / len(variances)
    return {
        "E1": None if error is None else 1000 * error,
        "E10": None if far is None else 1000 * far,
        "E1 / variance": None if error is None else error / variance,
        "G": means["sharpness"],
        "style": means["style"],
        "content": means["content"],
        "rest": None if moved is None else 255 * moved,
    }


def print_row(name: str, way: str, row: dict[str, float | None]) -> None:
    """Print a row of the table."""
    cells = ["-" if row[c] is None else f"{row[c]:.4f}" for c in COLUMNS]
    print(f"| {name} | {way} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", required=True, nargs="+", type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--learn", type=float, default=60)
    parser.add_argument("--weights-dir", type=Path)
    args = parser.parse_args()
    keep_memory()
    args.folder.mkdir(parents=True, exist_ok=True)
    device = resolve_device("cpu")
    flow = CachedFlow(load_flow(FLOW, device, None), FLOW, args.folder / "flows")
    judge = load_network("vgg19", weights_dir=args.weights_dir)
    rows: dict[str, list[dict[str, float | None]]] = {way: [] for way in WAYS}
    print(f"| clip x painting | way | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}")
    for painting in args.style:
        for clip in args.clips:
            learned = learn(painting, clip, args.size, args.learn, args.folder)
            folders = {
                way: render_variant(
                    clip,
                    painting if preset == "standard" else learned,
                    args.frames,
                    args.size,
                    changes,
                    args.folder,
                    preset,
                )
                for way, (preset, changes) in WAYS.items()
            }
            with deterministic(device):
                picture = read_image(painting, StyleError)
                scores = measure_renders(clip, folders, picture, flow, judge)
            for way, folder in folders.items():
                rows[way].append(describe(scores[way], folder))
                print_row(f"{clip.stem} x {painting.stem}", way, rows[way][-1])
    for way, own in rows.items():
        print_row("mean", way, {c: mean_defined([row[c] for row in own]) for c in COLUMNS})


if __name__ == "__main__":
    main()
