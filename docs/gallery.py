"""Make the gallery anew, docs/gallery.md and docs/gallery/: every way to steer the style, with its
command.

    python -m docs.gallery [--only NAME ...] [--text]

Run from the top of the checkout. Every picture is made by the command that stands below it;
`--text` writes the page alone. The frame and its labels are made from the sample clip's own script.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.lite_vs_vgg19 import side_by_side
from docs.pictures import ROOT, frames, write
from sample_videos import scene
from vidstyle.errors import InputError
from vidstyle.video.probe import probe
from vidstyle.video.read import read_image
from vidstyle.video.scan import scan

PAGE, FOLDER = ROOT / "docs" / "gallery.md", ROOT / "docs" / "gallery"
LAKE, STROKES, MOSAIC = (
    "docs/gallery/lake.jpg",
    "sample_videos/strokes.jpg",
    "sample_videos/mosaic.jpg",
)
LABELS = "docs/gallery/lake-labels.png docs/gallery/mosaic-labels.png"
HEIGHT = 216
"""Of a picture on the page."""
SHOWN = 20
"""The frame of sample_videos/balloon.mp4 that stands for a photograph."""

Colour = tuple[int, int, int]
SKY, LAND, WATER, BALLOON = (80, 160, 255), (200, 80, 40), (20, 60, 120), (240, 220, 60)
"""Labels, in RGB."""
PAINTED: dict[str, Colour] = {"sky": SKY, "lake": WATER, "boat": BALLOON, "balloon": BALLOON}
"""What of the scene has another label than `LAND`."""
BANDS: tuple[tuple[float, Colour], ...] = ((0.46, SKY), (0.63, LAND), (1.0, WATER))
"""The mosaic's labels, from its top down to these shares of its height; its sun is the
balloon's.
"""
SUN = (0.615, 0.43, 0.16)
"""Of the mosaic's sun the middle, in shares of width and height, and the radius in shares of the
width.
"""


@dataclass(frozen=True)
class Example:
    """One picture of the gallery.

    Args:
        text: what is to be seen in it.
        words: the command's, without -o; "" for none.
        shown: of a film, at which of its frames to look.
    """

    name: str
    text: str
    words: str
    shown: tuple[int, ...] = ()

    @property
    def command(self) -> str:
        return f"vidstyle {self.words} -o {self.output}"

    @property
    def output(self) -> str:
        return f"{self.name}.mp4" if self.shown else f"{self.name}.png"

    @property
    def picture(self) -> str:
        return f"{self.name}.jpg"


def of_lake(name: str, text: str, words: str, style: str = STROKES) -> Example:
    return Example(name, text, f"{LAKE} --style {style} {words}".strip())


SECTIONS: dict[str, tuple[Example, ...]] = {
    "Content against style": (
        of_lake("plain", "The default.", ""),
        of_lake("tame", "More of the content.", "--content-weight 0.3"),
        of_lake("wild", "Less of it.", "--content-weight 0.01"),
        of_lake("smooth", "More total variation smooths the paint.", "--tv-weight 3"),
        of_lake("noise", "Begun from noise instead of the frame.", "--init noise"),
        of_lake("from-style", "Begun from the painting.", "--init style --content-weight 0.03"),
    ),
    "Layers and sizes": (
        of_lake(
            "fine",
            "Fine layers alone: colours and small strokes.",
            "--style-layers relu1_1,relu2_1",
        ),
        of_lake("coarse", "Coarse layers alone.", "--style-layers relu3_1,relu4_1,relu5_1"),
        of_lake(
            "detail",
            "The content of an earlier layer: more of its detail.",
            "--content-layers relu3_1",
        ),
        of_lake("small", "Strokes of half the size.", "--style-scale 0.5"),
        of_lake("large", "Strokes of twice the size.", "--style-scale 2"),
    ),
    "What of the style": (
        of_lake("w2", "Mean and covariance of the features.", "--style-terms w2"),
        of_lake("swd", "Their whole distribution, along many directions.", "--style-terms swd"),
        of_lake(
            "histogram",
            "Gram matrices, and the distribution of every channel.",
            "--style-terms gram,histogram",
        ),
        of_lake("mrf", "Patches: whole strokes come over.", "--style-terms mrf"),
        of_lake(
            "mrf-both",
            "Patches that continue one another, and none of the painting missing.",
            "--style-terms mrf --mrf-coherence 0.05 --mrf-bidirectional",
        ),
    ),
    "Several styles": (
        of_lake(
            "mixed", "Half of each of two paintings.", f"--style {MOSAIC}:0.5", f"{STROKES}:0.5"
        ),
        of_lake(
            "mixed-patches",
            "The same with patches.",
            f"--style {MOSAIC}:0.5 --style-terms mrf",
            f"{STROKES}:0.5",
        ),
        Example(
            "moving",
            "A style that moves from one painting to the other in two seconds of film.",
            f"sample_videos/balloon.mp4 --style {STROKES}@0s --style {MOSAIC}@2s --size 384",
            (0, 16, 32, 47),
        ),
    ),
    "Colours": (
        of_lake("luminance", "Painted in lightness alone.", "--keep-colors luminance"),
        of_lake("match", "The painting is recoloured first.", "--keep-colors match"),
    ),
    "Regions and photographs": (
        of_lake(
            "regions",
            "Sky from sky, water from water, the balloon from the sun.",
            f"--regions {LABELS}",
            MOSAIC,
        ),
        of_lake("no-regions", "The same without regions.", "", MOSAIC),
        of_lake("photograph", "Recolouring alone is allowed.", "--photorealism 100"),
    ),
    "Without a picture to paint": (
        Example("texture", "More of a painting's texture.", f"{STROKES} --texture --size 512"),
        Example(
            "tile",
            "One that can be laid out; here two by two.",
            f"{MOSAIC} --texture --tileable --size 256",
        ),
        Example(
            "seen-early", "What an early layer sees of the frame.", f"{LAKE} --reconstruct relu2_1"
        ),
        Example("seen-late", "What a late layer sees of it.", f"{LAKE} --reconstruct relu5_1"),
    ),
    "Looking closer": (
        Example(
            "grid",
            "Two settings varied against each other.",
            f"grid {LAKE} --style {STROKES} --vary content_weight=0.01,0.06,0.3 --vary style_scale=0.5,1,2 --size 240",
        ),
        of_lake(
            "trace",
            "How a picture comes about: frames of the film that this writes beside it.",
            "--trace",
        ),
    ),
}

INTRODUCTION = f"""# What it can do

Every picture here was made by the command below it, at the top of a checkout. The frame and its labels come from
`sample_videos/balloon.mp4`, the paintings are `{STROKES}` and `{MOSAIC}`. `python -m docs.gallery` makes the page anew.

![From left to right: the frame, its labels, two paintings, and the labels of the second.](gallery/given.jpg)

All of it but textures, grids and patterns to lay out takes videos too. README.md says more of each setting under "Steer
the style". On two cores a picture takes some twenty seconds. `--trace` draws its plot where `vidstyle[plot]` is there.
"""


def page() -> str:
    parts = [INTRODUCTION]
    for heading, examples in SECTIONS.items():
        parts.append(f"## {heading}\n")
        for one in examples:
            shown = f"![{one.text}](gallery/{one.picture})"
            parts.append(f"{one.text}\n\n{shown}\n\n```sh\n{one.command}\n```\n")
    return "\n".join(parts)


def given() -> None:
    """The frame, its labels, and those of the mosaic."""
    write(ROOT / LAKE, frames(ROOT / "sample_videos" / "balloon.mp4", (SHOWN,))[0])
    seen = scene.pieces_seen(SHOWN)
    palette = np.array([PAINTED.get(name, LAND) for name in scene.PIECES], np.uint8)
    first, second = (ROOT / path for path in LABELS.split())
    save_labels(first, palette[seen])
    save_labels(second, mosaic_labels(read_image(ROOT / MOSAIC, InputError)))
    pictures = [
        read_image(ROOT / path, InputError)
        for path in (LAKE, str(first), STROKES, MOSAIC, str(second))
    ]
    write(FOLDER / "given.jpg", side_by_side(pictures, 150))


def mosaic_labels(mosaic: Tensor) -> NDArray[np.uint8]:
    height, width = mosaic.shape[1:]
    y, x = np.mgrid[:height, :width]
    labels = np.zeros((height, width, 3), np.uint8)
    for share, colour in reversed(BANDS):
        labels[y < share * height] = colour
    across, down, radius = SUN
    sun = np.hypot(x - across * width, y - down * height) < radius * width
    labels[sun & (y < BANDS[0][0] * height)] = BALLOON
    return labels


def save_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(labels[:, :, ::-1]))[1].tobytes())


def make(one: Example, folder: Path) -> None:
    """Run the command, and put what it made on the page."""
    output = folder / one.output
    words = [*shlex.split(one.words), "-o", str(output)]
    subprocess.run([sys.executable, "-m", "vidstyle", *words], cwd=ROOT, check=True)
    if one.shown:
        pictures = frames(output, one.shown)
    elif one.name == "trace":
        film = output.with_name(f"{one.name}.trace.mp4")
        count = len(scan(probe(film)).timeline)
        pictures = frames(
            film, tuple(round(share * (count - 1)) for share in (0, 0.1, 0.2, 0.4, 1))
        )
    else:
        pictures = [read_image(output, InputError)]
    if one.name == "tile":
        pictures = [torch.cat([torch.cat([pictures[0]] * 2, 1)] * 2, 2)]
    write(
        FOLDER / one.picture, pictures[0] if one.name == "grid" else side_by_side(pictures, HEIGHT)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--text", action="store_true", help="write the page alone")
    args = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    if args.text:
        return
    if not args.only:
        given()
    with tempfile.TemporaryDirectory() as name:
        for one in (example for examples in SECTIONS.values() for example in examples):
            if not args.only or one.name in args.only:
                make(one, Path(name))


if __name__ == "__main__":
    main()
