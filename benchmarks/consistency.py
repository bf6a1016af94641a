"""What each part of the method is worth: renders of the same clips with it and without it, measured side by side.

    python benchmarks/consistency.py CLIP [CLIP ...] --style PAINTING [PAINTING ...] --folder FOLDER
        [--frames 24] [--size 320] [--only NAME ...] [--try NAME:SETTING=VALUE,...]

Renders the first frames of each clip with each of `VARIANTS` and measures them by the score card's definitions
(`docs/metrics.md`) against the render without links between frames. Renders are kept in FOLDER: the same command
continues, and another one takes what is there. `--try` adds a variant: the standard preset with other settings.
A CLIP that is a folder with frame1.png and frame2.png stands for these two in turn: fast motion, back and forth.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidstyle import films, framefile, render
from vidstyle.config import build, preset_values
from vidstyle.device import deterministic, keep_memory, resolve_device, resolve_precision
from vidstyle.errors import StyleError
from vidstyle.evaluate import FEATURES, FLOWS, network_at_hand
from vidstyle.meter import SOURCE, Meter
from vidstyle.motion import flow as estimators
from vidstyle.motion import shots
from vidstyle.scorecard import Scores
from vidstyle.stylize import features
from vidstyle.video import ffmpeg
from vidstyle.video.probe import probe
from vidstyle.video.read import read_image
from vidstyle.video.scan import scan

BASELINE = "per-frame"
RUDER = {"mask": "plain", "rest": "follow"}
VARIANTS: dict[str, dict[str, Any]] = {
    BASELINE: {"per_frame": True},
    "warped start only": {**RUDER, "temporal_weight": 0.0},
    "short-term": RUDER,
    "long-term": {**RUDER, "long_term": 8},
    "multi-pass": {"passes": 5},
    "default": {},
}
"""Settings on top of the standard preset: first what Ruder's method is made of, one after the other, then what is ours.
"""


@dataclass(frozen=True)
class Flicker:
    """A row of the table: what a variant is to the baseline. D of the short and the long pairs; the others are ratios,
    `sharpness` that of the last frames, `saturation` that of what has just come into view.
    """

    d_short: float
    d_long: float
    style: float
    content: float
    ghosting: float
    sharpness: float
    saturation: float

    @classmethod
    def of(cls, ours: Scores, base: Scores) -> Flicker:
        a, b = ours.means(), base.means()

        def over(name: str) -> float:
            x, y = a[name], b[name]
            return float("nan") if x is None or not y else x / y

        last = ours.sharpness[-1], base.sharpness[-1]
        return cls(
            d_short=1 - over("warping_error_short"),
            d_long=1 - over("warping_error_long"),
            style=over("style"),
            content=over("content"),
            ghosting=over("content_near") / over("content_beside"),
            sharpness=last[0] / last[1] if last[0] is not None and last[1] else float("nan"),
            saturation=over("saturation_uncovered"),
        )

    def cells(self) -> str:
        return (
            f"{self.d_short:.3f} | {self.d_long:.3f} | {self.style:.3f} | {self.content:.3f} | "
            f"{self.ghosting:.3f} | {self.sharpness:.3f} | {self.saturation:.3f}"
        )


class Remembered:
    """A flow estimator that keeps what it found in files: every variant is measured along the same flows."""

    def __init__(self, flow: estimators.Flow, name: str, folder: Path) -> None:
        self.flow, self.name, self.folder, self.digest = flow, name, folder, flow.digest
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        key = hashlib.sha256(self.name.encode() + a.numpy().tobytes() + b.numpy().tobytes()).hexdigest()[:24]
        file = self.folder / f"{key}.pt"
        if not file.exists():
            data = io.BytesIO()
            torch.save(self.flow(a, b), data)
            framefile.write_atomically(file, data.getvalue())
        found: Tensor = torch.load(file)
        return found


def rendered(clip: Path, style: Path, frames: int, size: int, changes: Mapping[str, Any], folder: Path) -> Path:
    """The state directory of a render with its frames; made anew only where it is not there."""
    timeline = scan(probe(clip)).timeline
    end = Fraction(timeline.pts[min(frames, len(timeline)) - 1] + 1) * timeline.time_base
    wishes = {"input": clip, "style": style, "size": size, "duration": float(end), "overwrite": True}
    name = "-".join([clip.stem, style.stem, *(f"{k}={v}" for k, v in changes.items())])
    output = folder / f"{name}.mkv"
    config = build(preset_values("standard"), {**wishes, "output": output, "keep_frames": True, **changes})
    result = render(config)
    if result.seconds_per_frame is not None:
        print(f"    {output.name}: {result.seconds_per_frame:.2f} s a frame", flush=True)
    return output.with_name(output.name + ".vidstyle")


def in_turn(scene: Path, frames: int, folder: Path) -> Path:
    """A film, without loss, of the two images in `scene`, one after the other."""
    film = folder / f"{scene.name}.mkv"
    folder.mkdir(parents=True, exist_ok=True)
    pair = ["-framerate", "24", "-loop", "1", "-i", str(scene / "frame%d.png")]
    ffmpeg.run(["-y", *pair, "-frames:v", str(frames), "-c:v", "ffv1", ffmpeg.local(film)], f"cannot make {film}")
    return film


def measured(
    clip: Path, folders: Mapping[str, Path], painting: Tensor, flow: estimators.Flow, network: features.Network
) -> dict[str, Scores]:
    """The scores of the renders in `folders`, all in one go."""
    source, differences = probe(clip), shots.ContentDifference()
    scan(source, differences.add)
    kept = {name: films.opened(folder) for name, folder in folders.items()}
    first = next(iter(kept.values()))
    meter = Meter([SOURCE, *kept], flow, network, painting, shots.cuts(differences.scores))
    readers = [films.images(source, first.size, 0, first.count), *(film.read(first.count) for film in kept.values())]
    for images in zip(*readers, strict=True):
        meter.add(dict(zip([SOURCE, *kept], images, strict=True)))
    return {name: meter.scores(name) for name in kept}


def wished(text: str) -> tuple[str, dict[str, Any]]:
    """NAME:SETTING=VALUE,... -> the name and the settings."""
    name, _, settings = text.partition(":")
    pairs = (pair.partition("=") for pair in settings.split(","))
    return name, {key: value_of(value) for key, _, value in pairs}


def value_of(text: str) -> Any:
    """true, false and numbers as what they are, anything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def mean(rows: Sequence[Flicker]) -> Flicker:
    return Flicker(*(sum(getattr(row, name) for row in rows) / len(rows) for name in Flicker.__dataclass_fields__))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", required=True, nargs="+", type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--try", nargs="+", dest="trials", type=wished, default=[], metavar="NAME:SETTING=VALUE,...")
    parser.add_argument("--weights-dir", type=Path)
    args = parser.parse_args()
    keep_memory()
    args.folder.mkdir(parents=True, exist_ok=True)
    variants = {name: VARIANTS[name] for name in (BASELINE, *args.only)} | dict(args.trials)
    device = resolve_device("auto")
    names = [
        network_at_hand("flow", None, FLOWS, args.weights_dir),
        network_at_hand("", None, FEATURES, args.weights_dir),
    ]
    print(f"measured along {names[0]}, with features of {names[1]}")
    rows: dict[str, list[Flicker]] = {name: [] for name in variants if name != BASELINE}
    for style in args.style:
        for clip in (in_turn(path, args.frames, args.folder) if path.is_dir() else path for path in args.clips):
            folders = {
                name: rendered(clip, style, args.frames, args.size, changes, args.folder)
                for name, changes in variants.items()
            }
            with deterministic(device):
                flow = Remembered(estimators.load(names[0], device, args.weights_dir), names[0], args.folder / "flows")
                network = features.load(
                    names[1], device=device, precision=resolve_precision("auto", device), weights_dir=args.weights_dir
                )
                scores = measured(clip, folders, read_image(style, StyleError), flow, network)
            for name, found in rows.items():
                found.append(Flicker.of(scores[name], scores[BASELINE]))
                print(f"| {clip.stem} x {style.stem} | {name} | {found[-1].cells()} |", flush=True)
    print("\n| mean | D | D(10) | style | content | ghosting | sharpness, last | saturation, uncovered | worst D |")
    print("|---" * 9 + "|")
    for name, found in rows.items():
        print(f"| {name} | {mean(found).cells()} | {min(row.d_short for row in found):.3f} |")


if __name__ == "__main__":
    main()
