"""The worth of each part of the method: renders of the same clips with it and without it, measured
next to one another.

    python benchmarks/consistency.py CLIP [CLIP ...] --style PAINTING [PAINTING ...] --folder FOLDER
        [--frames 24] [--size 320] [--only NAME ...] [--try NAME:SETTING=VALUE,...] [--plot
        FILE.png]

Renders the first frames of each clip with each of `VARIANTS` and measures them by the score card's
definitions (`docs/metrics.md`) against the render without links between frames. Renders are kept in
FOLDER: the same command continues, and another one uses those that are there. `--try` adds a
variant: the standard preset with other settings. A CLIP that is a folder with frame1.png and
frame2.png stands for these two in turn: fast motion, back and forth. (D(10) says nothing then: ten
frames earlier everything was as it is.)

`--plot` draws how near each variant comes to the painting, how much flickers, and how what comes
into view is painted, all in relation to the render without links, over the iterations that a linked
frame gets; variants whose names differ in the number at their end alone, "Adam 10" and "Adam 20",
are one curve.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidstyle import render
from vidstyle.config.settings import build
from vidstyle.config.toml import preset_values
from vidstyle.errors import StyleError
from vidstyle.evaluation import clips
from vidstyle.evaluation.comparison import compare_part, scan_source
from vidstyle.evaluation.instruments import FEATURE_NAMES, FLOW_NAMES, choose_network
from vidstyle.evaluation.measure import Meter
from vidstyle.evaluation.scorecard import (
    Scores,
    compare_scores,
    divide,
    format_figure,
    mean_defined,
)
from vidstyle.events import Event, FrameDone
from vidstyle.features import extractor
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import deterministic, resolve_device, resolve_precision
from vidstyle.motion import flow as estimators
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.models import load_flow, load_network
from vidstyle.storage import atomic
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
"""Settings on top of the standard preset: first what Ruder's method is made of, one after the
other, then what is ours.
"""


COLUMNS = {
    "D": "d_short",
    "D(10)": "d_long",
    "style": "style_ratio",
    "content": "content_ratio",
    "ghosting": "ghosting",
    "sharpness, last": "sharpness_last",
    "saturation, uncovered": "saturation_uncovered_ratio",
}
"""For each column the name in `docs/metrics.md`; `sharpness_last` is the sharpness of the last
frames alone.
"""

Row = Mapping[str, "float | None"]
"""The figures of a variant against the baseline, by the names of `COLUMNS`; None where a figure is
not defined.
"""


def compare_to_baseline(ours: Scores, base: Scores) -> Row:
    """Compare a variant with the baseline."""
    found = {
        **compare_scores(ours, base),
        "sharpness_last": divide(ours.sharpness[-1], base.sharpness[-1]),
    }
    return {name: found[name] for name in COLUMNS.values()}


def average_rows(rows: Sequence[Row]) -> Row:
    """Average each column over the rows that have it."""
    return {name: mean_defined([one[name] for one in rows]) for name in COLUMNS.values()}


def format_cells(one: Row) -> str:
    """Write the figures of a row for a table in Markdown."""
    return " | ".join(format_figure(value, 3) for value in one.values())


class CachedFlow:
    """A flow estimator that keeps its flows in files: every variant is measured along the same
    ones.
    """

    def __init__(self, flow: estimators.Flow, name: str, folder: Path) -> None:
        self.flow = flow
        self.name = name
        self.folder = folder
        self.digest = flow.digest
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        key = hashlib.sha256(
            self.name.encode() + a.numpy().tobytes() + b.numpy().tobytes()
        ).hexdigest()[:24]
        file = self.folder / f"{key}.pt"
        if not file.exists():
            data = io.BytesIO()
            torch.save(self.flow(a, b), data)
            atomic.write_atomically(file, data.getvalue())
        found: Tensor = torch.load(file)
        return found


def render_variant(
    clip: Path,
    style: Path,
    frames: int,
    size: int,
    changes: Mapping[str, Any],
    folder: Path,
    preset: str = "standard",
) -> Path:
    """Render a variant where it is not there yet, and return its state directory with the frames.
    The iterations of each frame are written to a file next to it.
    """
    timeline = scan(probe(clip)).timeline
    end = Fraction(timeline.pts[min(frames, len(timeline)) - 1] + 1) * timeline.time_base
    wishes = {
        "input": clip,
        "style": style,
        "size": size,
        "duration": float(end),
        "overwrite": True,
    }
    words = [clip.stem, style.stem, f"{size}px", str(frames)]
    words += [] if preset == "standard" else [preset]
    name = "-".join([*words, *(f"{k}={v}" for k, v in changes.items())])
    output = folder / f"{name.replace('/', '_')}.mkv"
    folder.mkdir(parents=True, exist_ok=True)
    config = build(
        preset_values(preset), {**wishes, "output": output, "keep_frames": True, **changes}
    )
    done: list[int] = []

    def count(event: Event) -> None:
        if isinstance(event, FrameDone):
            done.append(event.iterations)

    result = render(config, count)
    if result.rendered == result.frames:  # of one that continues the first frames are not known
        iterations_file(output).write_text(json.dumps(done))
    if result.seconds_per_frame is not None:
        print(f"    {output.name}: {result.seconds_per_frame:.2f} s a frame", flush=True)
    return output.with_name(output.name + ".vidstyle")


def iterations_file(output: Path) -> Path:
    """Name the file with the iterations of a render's frames."""
    return output.with_name(output.name + ".iterations.json")


def mean_linked_iterations(folder: Path) -> float | None:
    """Average the iterations over all frames but the first of the render in this state directory;
    None where the render was continued.
    """
    file = iterations_file(folder.with_name(folder.name.removesuffix(".vidstyle")))
    return mean_defined(json.loads(file.read_text())[1:]) if file.exists() else None


def plot_variants(
    rows: Mapping[str, Sequence[Row]], iterations: Mapping[str, Sequence[float | None]], file: Path
) -> None:
    """Draw the figures of the variants, means over all clips, over the iterations of a linked
    frame.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(13, 4), layout="constrained")
    panels = drawing.subplots(1, 3)
    curves: dict[str, list[tuple[float, Row]]] = {}
    for name, found in rows.items():
        cost = mean_defined(iterations[name])
        if cost is not None:
            curves.setdefault(name.rstrip("0123456789").strip(), []).append(
                (cost, average_rows(found))
            )
    for panel, key, title in zip(
        panels,
        ("style_ratio", "d_short", "saturation_uncovered_ratio"),
        (
            "style distance",
            "D: how much of the flicker is gone",
            "saturation of what comes into view",
        ),
        strict=True,
    ):
        for label, points in curves.items():
            points.sort(key=lambda point: point[0])
            panel.plot(
                [x for x, _ in points], [one[key] for _, one in points], marker="o", label=label
            )
        panel.set(xlabel="iterations of a linked frame", title=title)
        panel.grid(alpha=0.3)
    panels[0].legend()
    FigureCanvasAgg(drawing).print_figure(file, dpi=80)


def make_alternating_clip(scene: Path, frames: int, folder: Path) -> Path:
    """Write a lossless film of the two images in `scene`, one after the other, where it is not
    there yet: no two Matroska files are equal, and renders of one are not those of another.
    """
    film = folder / f"{scene.name}-{frames}.mkv"
    if not film.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = film.with_suffix(".part.mkv")
        pair = ["-framerate", "24", "-loop", "1", "-i", str(scene / "frame%d.png")]
        ffmpeg.run(
            ["-y", *pair, "-frames:v", str(frames), "-c:v", "ffv1", ffmpeg.local(made)],
            f"cannot make {film}",
        )
        made.replace(film)
    return film


def measure_renders(
    clip: Path,
    folders: Mapping[str, Path],
    painting: Tensor,
    flow: estimators.Flow,
    network: extractor.Network,
) -> dict[str, Scores]:
    """Measure the renders in `folders`, all at once."""
    kept = {name: clips.open_clip(folder) for name, folder in folders.items()}
    part = FrameRange(0, next(iter(kept.values())).count)
    comparison = compare_part(scan_source(probe(clip)), kept, part, {})
    meter = Meter(
        comparison.clips, flow, network, painting, comparison.shots, comparison.transitions
    )
    with contextlib.closing(comparison.read_frames()) as moments:
        for frames in moments:
            meter.add(frames)
    return {name: meter.scores(name) for name in kept}


def parse_trial(text: str) -> tuple[str, dict[str, Any]]:
    """Read NAME:SETTING=VALUE,... into the name and the settings."""
    name, _, settings = text.partition(":")
    pairs = (pair.partition("=") for pair in settings.split(","))
    return name, {key: parse_value(value) for key, _, value in pairs}


def parse_value(text: str) -> Any:
    """Read true, false and numbers as what they are, anything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", required=True, nargs="+", type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument(
        "--try",
        nargs="+",
        dest="trials",
        type=parse_trial,
        default=[],
        metavar="NAME:SETTING=VALUE,...",
    )
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    args = parser.parse_args()
    keep_memory()
    args.folder.mkdir(parents=True, exist_ok=True)
    variants = {name: VARIANTS[name] for name in (BASELINE, *args.only)} | dict(args.trials)
    device = resolve_device("auto")
    names = [
        choose_network("flow", None, FLOW_NAMES, args.weights_dir),
        choose_network("features", None, FEATURE_NAMES, args.weights_dir),
    ]
    print(f"measured along {names[0]}, with features of {names[1]}")
    rows: dict[str, list[Row]] = {name: [] for name in variants if name != BASELINE}
    iterations: dict[str, list[float | None]] = {name: [] for name in rows}
    for style in args.style:
        for clip in (
            make_alternating_clip(path, args.frames, args.folder) if path.is_dir() else path
            for path in args.clips
        ):
            folders = {
                name: render_variant(clip, style, args.frames, args.size, changes, args.folder)
                for name, changes in variants.items()
            }
            with deterministic(device):
                flow = CachedFlow(
                    load_flow(names[0], device, args.weights_dir),
                    names[0],
                    args.folder / "flows",
                )
                network = load_network(
                    names[1],
                    device=device,
                    precision=resolve_precision("auto", device),
                    weights_dir=args.weights_dir,
                )
                scores = measure_renders(
                    clip, folders, read_image(style, StyleError), flow, network
                )
            for name, found in rows.items():
                found.append(compare_to_baseline(scores[name], scores[BASELINE]))
                iterations[name].append(mean_linked_iterations(folders[name]))
                print(
                    f"| {clip.stem} x {style.stem} | {name} | {format_cells(found[-1])} |",
                    flush=True,
                )
    print(f"\n| mean | {' | '.join(COLUMNS)} | worst D |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for name, found in rows.items():
        worst = min((one["d_short"] for one in found if one["d_short"] is not None), default=None)
        print(f"| {name} | {format_cells(average_rows(found))} | {format_figure(worst, 3)} |")
    if args.plot:
        plot_variants(rows, iterations, args.plot)


if __name__ == "__main__":
    main()
