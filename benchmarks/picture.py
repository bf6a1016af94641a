"""Stills judged by VGG-19: the style, what is recognised where the source has structure, grain, and
the edge of the picture.

    python -m benchmarks.picture PHOTO [PHOTO ...] --style PAINTING [PAINTING ...] --folder FOLDER
        [--sizes 640] [--set NAME=VALUE ...] [--against FOLDER]

Renders every photograph in the style of every painting, at every size, and prints for each pair:

style     the style distance of the whole picture from the painting
inside    the same from those positions alone where the source has structure
content   the relative content distance there, at relu4_2 and at relu3_1
colour    the energy of colour's finest octave (a and b of Lab), over the painting's
edge      the style distance of the outermost 16 pixels, over that of the 16 next to them
cut       the same of the middle of the picture, cut out 48 pixels from each edge: where no edge is,
          this is what the judge's own padding and the picture's content make of it

The source has structure where Sobel magnitudes of the luminance at three scales, blurred over 1/64
of the long side, reach 0.6 of their 90th percentile; the detail map of a render is another one.
`--against` prints ratios to the figures in another folder, made the same way by another version.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.render import parse_setting
from vidstyle import render
from vidstyle.config.settings import build
from vidstyle.errors import StyleError
from vidstyle.features.extractor import STYLE_LAYERS, Network
from vidstyle.machine.allocator import keep_memory
from vidstyle.rendering.models import load_network
from vidstyle.stylize.resample import fit_style_image
from vidstyle.stylize.style.rim import find_rim
from vidstyle.video.read import read_image

GREY = 1e-6
"""The least energy of colour that a result is divided by: a painting may be grey."""

CONTENT_LAYERS = ("relu4_2", "relu3_1")
EDGE_PIXELS = 16
CUT_PIXELS = 48
LEAST_SIZE = 320
STRUCTURE = 0.6
"""From this value of `structure_map` on the source has structure."""


def structure_map(image: Tensor) -> Tensor:
    """Measure how much structure is around each pixel of (3, H, W): (H, W) in [0, 1]."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    luminance = (image * weights).sum(0).numpy()
    total = np.zeros_like(luminance)
    for sigma in (0.7, 1.5, 3.0):
        smooth = cv2.GaussianBlur(luminance, (0, 0), sigma)
        dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8
        dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
        total += sigma * np.hypot(dx, dy)
    blurred = cv2.GaussianBlur(total, (0, 0), max(image.shape[1:]) / 64)
    return torch.from_numpy(np.clip(blurred / np.percentile(blurred, 90), 0, 1))


def fine_colour(image: Tensor) -> float:
    """Measure the energy of the finest octave of a and b of (3, H, W) in [0, 1]."""
    rgb: NDArray[np.float32] = image.permute(1, 2, 0).contiguous().numpy()
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    fine = lab - cv2.GaussianBlur(lab, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT_101)
    return float((fine[..., 1:] ** 2).mean())


def gram(features: Tensor, kept: Tensor | None = None) -> Tensor:
    """Compute the Gram matrix (c, c) of the positions of (1, c, h, w) that are True in `kept`."""
    rows = features[0].flatten(1).T
    if kept is not None:
        rows = rows[kept.flatten()]
    return rows.T @ rows / len(rows)


def ring(features: Tensor, height: int, first: int, last: int) -> Tensor:
    """Mark the positions (h, w) between `first` and `last` pixels from the edge."""
    h, w = features.shape[2:]
    y = torch.arange(h)[:, None].expand(h, w)
    x = torch.arange(w)[None].expand(h, w)
    away = torch.minimum(torch.minimum(y, h - 1 - y), torch.minimum(x, w - 1 - x)) * (height / h)
    return (away >= first) & (away < last)


def style_distance(
    x: dict[str, Tensor], target: dict[str, Tensor], kept: dict[str, Tensor] | None = None
) -> float:
    """Measure features against Gram matrices, in the mean over the layers, where `kept` is True."""
    terms = []
    for name, a in target.items():
        g = gram(x[name], None if kept is None else kept[name])
        terms.append(float((g - a).square().sum() / a.square().sum()))
    return float(np.mean(terms))


@torch.no_grad()
def judge(network: Network, source: Tensor, result: Tensor, painting: Tensor) -> dict[str, float]:
    """Measure one picture, all (3, H, W); the painting as large as its style is taken."""
    layers = (*STYLE_LAYERS, "relu4_2")
    target = {name: gram(f) for name, f in network(painting[None], STYLE_LAYERS).items()}
    p = network(source[None], layers)
    x = network(result[None], layers)
    structure = structure_map(source)[None, None]
    inside = {
        name: F.interpolate(structure, f.shape[2:], mode="area")[0, 0] > STRUCTURE
        for name, f in p.items()
    }

    scores = {"style": style_distance(x, target), "inside": style_distance(x, target, inside)}
    for name in CONTENT_LAYERS:
        kept = inside[name]
        change = (x[name] - p[name])[0][:, kept].square().sum()
        scores[f"content {name}"] = float(change / p[name][0][:, kept].square().sum())
    scores["colour"] = fine_colour(result) / max(fine_colour(painting), GREY)
    height = int(result.shape[1])
    scores["edge"] = compare_edge(x, height, target)
    middle = slice(CUT_PIXELS, -CUT_PIXELS)
    inner = network(result[None, :, middle, middle], STYLE_LAYERS)
    scores["cut"] = compare_edge(inner, height - 2 * CUT_PIXELS, target)
    return scores


def compare_edge(x: dict[str, Tensor], height: int, target: dict[str, Tensor]) -> float:
    """Compare the style distance of the outermost pixels of a picture with that of the next.

    Args:
        x: {layer: its maps (1, c, h, w)}.
        height: of the picture.
    """

    def distance(first: int, last: int) -> float:
        kept = {name: ring(x[name], height, first, last) for name in target}
        return style_distance(x, target, kept)

    return distance(0, EDGE_PIXELS) / distance(EDGE_PIXELS, 2 * EDGE_PIXELS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--style", nargs="+", required=True, type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[640])
    parser.add_argument("--set", nargs="+", dest="wishes", type=parse_setting, default=[])
    parser.add_argument("--against", type=Path)
    parser.add_argument("--weights-dir", type=Path)
    args = parser.parse_args()
    if min(args.sizes) < LEAST_SIZE:
        parser.error(f"--sizes below {LEAST_SIZE} leave no middle to compare the edge with")
    keep_memory()
    args.folder.mkdir(parents=True, exist_ok=True)
    network = load_network("vgg19", weights_dir=args.weights_dir)
    file = args.folder / "scores.json"
    scores: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    before = json.loads((args.against / "scores.json").read_text()) if args.against else {}
    header: list[str] = []
    rows: list[list[float]] = []
    for photo in args.photos:
        for size in args.sizes:
            for style in args.style:
                wished = "".join(f" {name}={value}" for name, value in args.wishes)
                key = f"{photo.stem} {size} x {style.stem}{wished}"
                if "cut" not in scores.get(key, {}):
                    output = args.folder / f"{photo.stem}.{size}.{style.stem}.png"
                    wishes = {"input": photo, "style": style, "output": output, "size": size}
                    render(build(wishes, {"overwrite": True, **dict(args.wishes)}))
                    result = read_image(output, StyleError)
                    painting = read_image(style, StyleError)
                    painting = find_rim(painting).crop(painting)
                    scores[key] = judge(
                        network,
                        fit(read_image(photo, StyleError), result),
                        result,
                        fit_style_image(painting, (int(result.shape[1]), int(result.shape[2]))),
                    )
                    file.write_text(json.dumps(scores, indent=1))
                row = scores[key]
                if before:
                    absolute = ("colour", "edge", "cut")
                    row = {n: v if n in absolute else v / before[key][n] for n, v in row.items()}
                if not header:
                    header = list(row)
                    print(f"| pair | {' | '.join(header)} |\n{'|---' * (len(header) + 1)}|")
                rows.append(list(row.values()))
                print(f"| {key} | {' | '.join(f'{v:.3f}' for v in rows[-1])} |", flush=True)
    table = np.array(rows)
    for name, values in (("mean", table.mean(0)), ("most", table.max(0))):
        print(f"| {name} | {' | '.join(f'{v:.3f}' for v in values)} |")


def fit(image: Tensor, like: Tensor) -> Tensor:
    """Resize (3, H, W) to the size of another image."""
    size = tuple(like.shape[1:])
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


if __name__ == "__main__":
    main()
