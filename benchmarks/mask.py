"""The reliability mask against ground truth: what is really hidden, and what the mask takes for
hidden.

    python benchmarks/mask.py SCENE [SCENE ...] [--flow raft-small dis] [--plot FILE.png]

A SCENE is a folder with frame1.png, frame2.png, occlusions.png and invalid.png, as the MPI Sintel
data set has them. All scenes count together. The plain formula is shown with its thresholds moved
as well: they trade precision for recall along one frontier, and the mask of the default is meant to
lie beyond it.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.motion.occlusion import photometric_reliability, reliability, squared_length
from vidstyle.motion.warp import points_outside, warp
from vidstyle.rendering.models import load_flow
from vidstyle.storage import atomic
from vidstyle.video.read import read_image

FACTORS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0, 8.0)
"""What the thresholds of eq. 5 are multiplied by."""


@dataclass(frozen=True)
class Scene:
    """Frames (3, H, W) and what of the first one cannot be seen in the second, (H, W) of bool."""

    name: str
    frames: tuple[Tensor, Tensor]
    hidden: Tensor

    @classmethod
    def read(cls, folder: Path) -> Scene:
        first, second, occlusions, invalid = (
            read_image(folder / f"{name}.png", InputError)
            for name in ("frame1", "frame2", "occlusions", "invalid")
        )
        return cls(folder.name, (first, second), (occlusions[0] > 0.5) | (invalid[0] > 0.5))


def scored(found: list[Tensor], hidden: list[Tensor]) -> tuple[float, float, float]:
    """Precision, recall and F1 of masks (H, W), True = hidden, over all scenes together."""
    right = sum(int((a & b).sum()) for a, b in zip(found, hidden, strict=True))
    precision = right / max(1, sum(int(a.sum()) for a in found))
    recall = right / max(1, sum(int(b.sum()) for b in hidden))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def moved(there: Tensor, back: Tensor, factor: float) -> Tensor:
    """Ruder's eq. 5 with its thresholds times `factor`, and what points outside."""
    returned = warp(back, there)
    limit = factor * (0.01 * (squared_length(returned) + squared_length(there)) + 0.5)
    return (squared_length(returned + there) >= limit) | points_outside(there)


def drawn(
    frontiers: dict[str, list[tuple[float, float]]], points: dict[str, tuple[float, float]]
) -> bytes:
    """Precision against recall as a PNG: lines for moved thresholds, dots for the masks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, curve in frontiers.items():
        axes.plot([r for _, r in curve], [p for p, _ in curve], ".-", label=name)
    for name, (precision, recall) in points.items():
        axes.plot([recall], [precision], "o", label=name)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--flow", nargs="+", default=["raft-small", "dis"])
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    scenes = [Scene.read(folder) for folder in args.scenes]
    hidden = [scene.hidden for scene in scenes]
    frontiers: dict[str, list[tuple[float, float]]] = {}
    points: dict[str, tuple[float, float]] = {}
    print("| flow | mask | precision | recall | F1 |\n|---|---|---|---|---|")
    for name in args.flow:
        flow = load_flow(name, "cpu", args.weights_dir)
        flows = [(flow(*scene.frames), flow(*reversed(scene.frames))) for scene in scenes]
        masks = {
            "plain": [reliability(there, back)[0] < 0.5 for there, back in flows],
            "photometric": [
                photometric_reliability(*both, *scene.frames)[0] < 0.5
                for both, scene in zip(flows, scenes, strict=True)
            ],
        }
        masks |= {f"eq. 5 x {k}": [moved(*both, k) for both in flows] for k in FACTORS}
        for kind, found in masks.items():
            precision, recall, f1 = scored(found, hidden)
            print(f"| {name} | {kind} | {precision:.3f} | {recall:.3f} | {f1:.3f} |", flush=True)
            if kind.startswith("eq"):
                frontiers.setdefault(f"{name}, thresholds moved", []).append((precision, recall))
            else:
                points[f"{name}, {kind}"] = precision, recall
    if args.plot:
        atomic.write_atomically(args.plot, drawn(frontiers, points))


if __name__ == "__main__":
    main()
