"""The steadiness on video of every way to steer the style, next to that of the default.

    python benchmarks/steering.py CLIP --style PAINTING --second PAINTING --folder FOLDER
        [--regions SOURCE_LABELS STYLE_LABELS] [--frames 24] [--size 320] [--only NAME ...]
        [--try NAME:SETTING=VALUE,...]

Renders the first frames of the clip with each of `ROWS`, and with the same settings but no links
between frames, and measures the one against the other by the score card's definitions
(`docs/metrics.md`). The style is measured against the first painting. Renders are kept in FOLDER:
the same command continues, and another one takes what is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.consistency import (
    COLUMNS,
    CachedFlow,
    compare_to_baseline,
    format_cells,
    measure_renders,
    parse_trial,
    render_variant,
)
from vidstyle.config.settings import reconstruction_settings
from vidstyle.errors import StyleError
from vidstyle.evaluation.instruments import FEATURE_NAMES, FLOW_NAMES, choose_network
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import deterministic, resolve_device, resolve_precision
from vidstyle.rendering.models import load_flow, load_network
from vidstyle.video.probe import probe
from vidstyle.video.read import read_image
from vidstyle.video.scan import scan

ROWS: dict[str, dict[str, Any]] = {
    "default": {},
    "VGG-19": {"features": "vgg19"},
    "fine layers": {"style_layers": "relu1_1,relu2_1", "content_layers": "relu3_1"},
    "style scale 2": {"style_scale": 2.0},
    "w2": {"style_terms": "w2"},
    "swd": {"style_terms": "swd"},
    "gram and histogram": {"style_terms": "gram=0.5,histogram=0.5"},
    "mrf": {"style_terms": "mrf"},
    "mrf, both ways": {"style_terms": "mrf", "mrf_bidirectional": True, "mrf_coherence": 0.05},
    "luminance": {"keep_colors": "luminance"},
    "match": {"keep_colors": "match"},
    "photorealism": {"photorealism": 100.0},
    "total variation": {"tv_weight": 3.0},
    "from the style": {"init": "style"},
    "from noise": {"init": "noise"},
    "inversion": {**reconstruction_settings("relu4_1"), "style": None},
}
"""Settings on top of the standard preset; `main` adds those that name files."""


def named_files(
    style: Path, second: Path, regions: tuple[Path, Path] | None, seconds: float
) -> dict[str, Any]:
    """The rows with two paintings, and with regions where there are labels."""
    found: dict[str, Any] = {
        "two styles": {"style": [f"{style}:0.7", f"{second}:0.3"]},
        "a style that moves": {"style": [f"{style}@0s", f"{second}@{seconds:g}s"]},
    }
    return found | ({"regions": {"regions": regions}} if regions else {})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--style", required=True, type=Path)
    parser.add_argument("--second", required=True, type=Path)
    parser.add_argument("--regions", nargs=2, type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument(
        "--try",
        nargs="+",
        dest="trials",
        type=parse_trial,
        default=[],
        metavar="NAME:SETTING=VALUE,...",
    )
    parser.add_argument("--weights-dir", type=Path)
    args = parser.parse_args()
    keep_memory()
    args.folder.mkdir(parents=True, exist_ok=True)
    regions = tuple(args.regions) if args.regions else None
    timeline = scan(probe(args.clip)).timeline
    seconds = float(timeline.pts[min(args.frames, len(timeline)) - 1] * timeline.time_base)
    rows: Mapping[str, dict[str, Any]] = {
        **ROWS,
        **named_files(args.style, args.second, regions, seconds),
        **dict(args.trials),
    }
    device = resolve_device("auto")
    names = [
        choose_network("flow", None, FLOW_NAMES, args.weights_dir),
        choose_network("features", None, FEATURE_NAMES, args.weights_dir),
    ]
    print(f"measured along {names[0]}, with features of {names[1]}\n")
    print(
        f"| {args.clip.stem} x {args.style.stem} | {' | '.join(COLUMNS)} |\n"
        f"{'|---' * (len(COLUMNS) + 1)}|"
    )
    if unknown := [name for name in args.only or () if name not in rows]:
        parser.error(f"no row {', '.join(unknown)}: there are {', '.join(rows)}")
    for name in args.only or rows:
        folders = {
            kind: render_variant(
                args.clip,
                args.style,
                args.frames,
                args.size,
                {**rows[name], **more},
                args.folder / kind,
            )
            for kind, more in (("ours", {}), ("alone", {"per_frame": True}))
        }
        with deterministic(device):
            flow = CachedFlow(
                load_flow(names[0], device, args.weights_dir), names[0], args.folder / "flows"
            )
            network = load_network(
                names[1],
                device=device,
                precision=resolve_precision("auto", device),
                weights_dir=args.weights_dir,
            )
            scores = measure_renders(
                args.clip, folders, read_image(args.style, StyleError), flow, network
            )
        print(
            f"| {name} | {format_cells(compare_to_baseline(scores['ours'], scores['alone']))} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
