"""The pictures of the fast engine next to those of the optimiser, and what each takes.

    python -m benchmarks.fast PHOTO [PHOTO ...] --style PAINTING [PAINTING ...] --folder FOLDER
        [--size 640] [--learn 60] [--only NAME ...] [--weights-dir DIR]

Renders each photograph in each style by each of `WAYS` and judges it by VGG-19: s, the style
distance (mean over five layers), c, the content distance at relu4_2, J = s + 0.06 c, and the total
variation. A still is learned on itself. Renders are kept in FOLDER: the same command continues.
`sheet.png` there shows them side by side.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle import render
from vidstyle.config.settings import build
from vidstyle.config.toml import preset_values
from vidstyle.errors import StyleError
from vidstyle.features.extractor import STYLE_LAYERS, Network
from vidstyle.machine.allocator import keep_memory
from vidstyle.rendering.models import Models, load_network
from vidstyle.stylize import losses
from vidstyle.stylize.resample import fit_style_image, resize
from vidstyle.stylize.style.rim import find_rim
from vidstyle.video.read import read_image

CONTENT_WEIGHT = 0.06
"""Of J."""

SHEET_HEIGHT = 240


def list_ways(learn: float) -> dict[str, tuple[str, dict[str, Any]]]:
    """The ways to paint: preset and settings."""
    return {
        "instant": ("fast", {"learn": 0}),
        "learned": ("fast", {"learn": learn}),
        "balanced": ("balanced", {"learn": learn}),
        "optimise": ("standard", {}),
    }


@torch.no_grad()
def judge(network: Network, source: Tensor, result: Tensor, painting: Tensor) -> dict[str, float]:
    """Measure a result (3, h, w) of a source of the same size in the style of a painting."""
    content = "relu4_2"
    x = network(result[None], (*STYLE_LAYERS, content))
    p = network(source[None], (content,))
    fitted = fit_style_image(painting, (int(result.shape[1]), int(result.shape[2])))
    a = network(fitted[None], STYLE_LAYERS)
    distances = [float(losses.style(losses.gram(x[k]), losses.gram(a[k]))) for k in STYLE_LAYERS]
    s = sum(distances) / len(distances)
    c = float(losses.content(x[content], p[content]))
    tv = float(losses.total_variation(result[None]))
    return {"s": s, "c": c, "J": s + CONTENT_WEIGHT * c, "tv": tv}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--style", nargs="+", required=True, type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--learn", type=float, default=60)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--weights-dir", type=Path)
    args = parser.parse_args()
    keep_memory()
    args.folder.mkdir(parents=True, exist_ok=True)
    network = load_network("vgg19", weights_dir=args.weights_dir)
    models = Models()
    ways = {k: v for k, v in list_ways(args.learn).items() if not args.only or k in args.only}
    file = args.folder / "scores.json"
    scores: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    sheet: list[list[Tensor]] = []
    print("| photo x painting | way | s | c | J | tv | seconds |\n|---|---|---|---|---|---|---|")
    for style in args.style:
        painting = read_image(style, StyleError)
        painting = find_rim(painting).crop(painting)
        for photo in args.photos:
            line = [read_image(photo, StyleError)]
            for name, (preset, wishes) in ways.items():
                key = f"{photo.stem}.{style.stem}.{args.size}.{name}"
                if name in ("learned", "balanced"):
                    key += f".{args.learn:g}"
                output = args.folder / f"{key}.png"
                if key not in scores:
                    files = {"input": photo, "style": style, "output": output, "size": args.size}
                    config = build(preset_values(preset), files, {"overwrite": True, **wishes})
                    begun = time.perf_counter()
                    render(config, models=models)
                    seconds = time.perf_counter() - begun
                    result = read_image(output, StyleError)
                    source = resize(line[0], tuple(result.shape[1:]))
                    scores[key] = judge(network, source, result, painting) | {"seconds": seconds}
                    file.write_text(json.dumps(scores, indent=1))
                line.append(read_image(output, StyleError))
                rows[name].append(scores[key])
                print_row(f"{photo.stem} x {style.stem}", name, scores[key])
            sheet.append(line)
    for name, own in rows.items():
        mean = {column: float(np.mean([row[column] for row in own])) for column in own[0]}
        print_row("mean", name, mean)
    write_sheet(args.folder / "sheet.png", sheet)


def print_row(pair: str, name: str, row: dict[str, float]) -> None:
    """Print a row of the table."""
    figures = " | ".join(f"{row[column]:.3f}" for column in ("s", "c", "J", "tv"))
    print(f"| {pair} | {name} | {figures} | {row['seconds']:.1f} |", flush=True)


def write_sheet(path: Path, lines: list[list[Tensor]]) -> None:
    """Write the pictures of each line side by side."""
    pixels = (lay_out(lines).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    cv2.imwrite(str(path), pixels[..., ::-1])


def lay_out(lines: list[list[Tensor]], height: int = SHEET_HEIGHT) -> Tensor:
    """Lay out the pictures (3, h, w) of each line side by side at one height, (3, H, W)."""
    rows = []
    for line in lines:
        tiles = [resize(x, (height, round(x.shape[2] * height / x.shape[1]))) for x in line]
        rows.append(torch.cat(tiles, 2))
    width = max(row.shape[2] for row in rows)
    return torch.cat([torch.nn.functional.pad(row, (0, width - row.shape[2])) for row in rows], 1)


if __name__ == "__main__":
    main()
