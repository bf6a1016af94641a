"""The reliability mask against ground truth: the pixels that are really hidden, and those that the
mask takes for hidden.

    python benchmarks/mask.py SCENE [SCENE ...] [--flow raft-small dis] [--plot FILE.png]

A SCENE is a folder with frame1.png, frame2.png, occlusions.png and invalid.png, as the MPI Sintel
data set has them. The figures are over all scenes together. The plain formula is shown with its
thresholds moved as well: they trade precision for recall along one frontier, and the mask of the
default is meant to lie beyond it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.machine.plotting import encode_figure, new_figure
from vidstyle.motion.occlusion import photometric_reliability, reliability, squared_length
from vidstyle.motion.warp import points_outside, warp
from vidstyle.rendering.models import load_flow
from vidstyle.storage import atomic
from vidstyle.video.read import read_image

FACTORS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0, 8.0)
"""The factors that the thresholds of eq. 5 are multiplied by."""


@dataclass(frozen=True)
class Scene:
    """Two frames (3, H, W), and the pixels of the first that the second hides: True (H, W)."""

    name: str
    frames: tuple[Tensor, Tensor]
    hidden: Tensor

    @classmethod
    def read(cls, folder: Path) -> Scene:
        """Read a scene from its folder."""
        first, second, occlusions, invalid = (
            read_image(folder / f"{name}.png", InputError)
            for name in ("frame1", "frame2", "occlusions", "invalid")
        )
        return cls(folder.name, (first, second), (occlusions[0] > 0.5) | (invalid[0] > 0.5))


def score_masks(found: list[Tensor], hidden: list[Tensor]) -> tuple[float, float, float]:
    """Compute precision, recall and F1 of masks (H, W), True = hidden, over all scenes together."""
    right = sum(int((a & b).sum()) for a, b in zip(found, hidden, strict=True))
    precision = right / max(1, sum(int(a.sum()) for a in found))
    recall = right / max(1, sum(int(b.sum()) for b in hidden))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def threshold_mask(there: Tensor, back: Tensor, factor: float) -> Tensor:
    """Apply Ruder's eq. 5 with its thresholds times `factor`; what points outside is hidden too."""
    returned = warp(back, there)
    limit = factor * (0.01 * (squared_length(returned) + squared_length(there)) + 0.5)
    return (squared_length(returned + there) >= limit) | points_outside(there)


def draw_frontiers(
    frontiers: dict[str, list[tuple[float, float]]], points: dict[str, tuple[float, float]]
) -> bytes:
    """Draw precision against recall as a PNG: lines for moved thresholds, dots for the masks."""
    figure = new_figure(6, 5)
    axes = figure.subplots()
    for name, curve in frontiers.items():
        axes.plot([r for _, r in curve], [p for p, _ in curve], ".-", label=name)
    for name, (precision, recall) in points.items():
        axes.plot([recall], [precision], "o", label=name)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return encode_figure(figure)


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
        masks |= {f"eq. 5 x {k}": [threshold_mask(*both, k) for both in flows] for k in FACTORS}
        for kind, found in masks.items():
            precision, recall, f1 = score_masks(found, hidden)
            print(f"| {name} | {kind} | {precision:.3f} | {recall:.3f} | {f1:.3f} |", flush=True)
            if kind.startswith("eq"):
                frontiers.setdefault(f"{name}, thresholds moved", []).append((precision, recall))
            else:
                points[f"{name}, {kind}"] = precision, recall
    if args.plot:
        atomic.write_atomically(args.plot, draw_frontiers(frontiers, points))


if __name__ == "__main__":
    main()
