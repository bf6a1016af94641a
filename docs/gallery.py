"""Make the gallery again, docs/gallery.md and docs/gallery/: every way to steer the style, with its
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
from docs.pictures import ROOT, read_frames, write_picture
from sample_videos import scene
from vidstyle.errors import InputError
from vidstyle.video.probe import probe
from vidstyle.video.read import read_image
from vidstyle.video.scan import scan

PAGE = ROOT / "docs" / "gallery.md"
FOLDER = ROOT / "docs" / "gallery"
LAKE = "docs/gallery/lake.jpg"
STROKES = "sample_videos/strokes.jpg"
MOSAIC = "sample_videos/mosaic.jpg"
LABELS = "docs/gallery/lake-labels.png docs/gallery/mosaic-labels.png"
HEIGHT = 216
"""Pixels; the height of a picture on the page."""
SHOWN_FRAME = 20
"""The frame of sample_videos/balloon.mp4 that stands for a photograph."""

Colour = tuple[int, int, int]
"""A label, in RGB."""
SKY: Colour = (80, 160, 255)
LAND: Colour = (200, 80, 40)
WATER: Colour = (20, 60, 120)
BALLOON: Colour = (240, 220, 60)
PIECE_LABELS: dict[str, Colour] = {"sky": SKY, "lake": WATER, "boat": BALLOON, "balloon": BALLOON}
"""The pieces of the scene that have another label than `LAND`."""
BANDS: tuple[tuple[float, Colour], ...] = ((0.46, SKY), (0.63, LAND), (1.0, WATER))
"""The mosaic's labels, from its top down to these shares of its height; its sun is the
balloon's.
"""
SUN = (0.615, 0.43, 0.16)
"""The mosaic's sun: its middle in shares of width and height, its radius in shares of the width."""


@dataclass(frozen=True)
class Example:
    """One picture of the gallery.

    Args:
        text: a line about it.
        words: the command's, without -o; "" for none.
        shown: the frames of a film that the page shows; none for a picture.
    """

    name: str
    text: str
    words: str
    shown: tuple[int, ...] = ()

    @property
    def command(self) -> str:
        """The command that makes it."""
        return f"vidstyle {self.words} -o {self.output}"

    @property
    def output(self) -> str:
        """The name of the command's output."""
        return f"{self.name}.mp4" if self.shown else f"{self.name}.png"

    @property
    def picture(self) -> str:
        """The name of its picture on the page."""
        return f"{self.name}.jpg"


def lake_example(name: str, text: str, words: str, style: str = STROKES) -> Example:
    """Make an example of the lake in a style."""
    return Example(name, text, f"{LAKE} --style {style} {words}".strip())


SECTIONS: dict[str, tuple[Example, ...]] = {
    "Content against style": (
        lake_example("plain", "The default.", ""),
        lake_example("tame", "More of the content.", "--content-weight 0.3"),
        lake_example("wild", "Less of it.", "--content-weight 0.01"),
        lake_example("free", "Edges count like everything else.", "--detail 0"),
        lake_example("kept", "Edges, and figures if there are any, are kept.", "--detail 1"),
        lake_example("smooth", "More total variation smooths the paint.", "--tv-weight 3"),
        lake_example("noise", "Begun from noise instead of the frame.", "--init noise"),
        lake_example(
            "from-style", "Begun from the painting.", "--init style --content-weight 0.03"
        ),
    ),
    "Layers and sizes": (
        lake_example(
            "fine",
            "Fine layers alone: colours and small strokes.",
            "--style-layers relu1_1,relu2_1",
        ),
        lake_example("coarse", "Coarse layers alone.", "--style-layers relu3_1,relu4_1,relu5_1"),
        lake_example(
            "detail",
            "The content of an earlier layer: more of its detail.",
            "--content-layers relu3_1",
        ),
        lake_example("small", "Strokes of half the size.", "--style-scale 0.5"),
        lake_example("large", "Strokes of twice the size.", "--style-scale 2"),
    ),
    "What of the style": (
        lake_example("w2", "Mean and covariance of the features.", "--style-terms w2"),
        lake_example(
            "swd", "Their whole distribution, along many directions.", "--style-terms swd"
        ),
        lake_example(
            "histogram",
            "Gram matrices, and the distribution of every channel.",
            "--style-terms gram,histogram",
        ),
        lake_example("mrf", "Patches: whole strokes come over.", "--style-terms mrf"),
        lake_example(
            "mrf-both",
            "Patches that continue one another, and none of the painting missing.",
            "--style-terms mrf --mrf-coherence 0.05 --mrf-bidirectional",
        ),
    ),
    "Several styles": (
        lake_example(
            "mixed", "Half of each of two paintings.", f"--style {MOSAIC}:0.5", f"{STROKES}:0.5"
        ),
        lake_example(
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
        lake_example("luminance", "Painted in lightness alone.", "--keep-colors luminance"),
        lake_example("match", "The painting is recoloured first.", "--keep-colors match"),
    ),
    "Regions and photographs": (
        lake_example(
            "regions",
            "Sky from sky, water from water, the balloon from the sun.",
            f"--regions {LABELS}",
            MOSAIC,
        ),
        lake_example("no-regions", "The same without regions.", "", MOSAIC),
        lake_example("photograph", "Recolouring alone is allowed.", "--photorealism 100"),
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
            f"grid {LAKE} --style {STROKES} --vary content_weight=0.01,0.06,0.3 "
            "--vary style_scale=0.5,1,2 --size 240",
        ),
        lake_example(
            "trace",
            "How a picture comes about: frames of the film that this writes next to it.",
            "--trace",
        ),
    ),
}

GIVEN = "From left to right: the frame, its labels, two paintings, and the labels of the second."

INTRODUCTION = f"""# What it can do

Every picture here was made by the command below it, at the top of a checkout. The frame and its
labels come from `sample_videos/balloon.mp4`, the paintings are `{STROKES}` and
`{MOSAIC}`. `python -m docs.gallery` makes the page again.

![{GIVEN}](gallery/given.jpg)

All of it except textures, grids and patterns to lay out takes videos too. README.md says more of
each setting under "Steer the style". On two cores a picture takes some twenty seconds. `--trace`
draws its plot where `vidstyle[plot]` is there.
"""


def compose_page() -> str:
    """Compose the text of the page."""
    parts = [INTRODUCTION]
    for heading, examples in SECTIONS.items():
        parts.append(f"## {heading}\n")
        for one in examples:
            shown = f"![{one.text}](gallery/{one.picture})"
            parts.append(f"{one.text}\n\n{shown}\n\n```sh\n{one.command}\n```\n")
    return "\n".join(parts)


def draw_given() -> None:
    """Draw the frame, its labels, and those of the mosaic."""
    write_picture(
        ROOT / LAKE, read_frames(ROOT / "sample_videos" / "balloon.mp4", (SHOWN_FRAME,))[0]
    )
    seen = scene.pieces_seen(SHOWN_FRAME)
    palette = np.array([PIECE_LABELS.get(name, LAND) for name in scene.PIECES], np.uint8)
    first, second = (ROOT / path for path in LABELS.split())
    save_labels(first, palette[seen])
    save_labels(second, mosaic_labels(read_image(ROOT / MOSAIC, InputError)))
    pictures = [
        read_image(ROOT / path, InputError)
        for path in (LAKE, str(first), STROKES, MOSAIC, str(second))
    ]
    write_picture(FOLDER / "given.jpg", side_by_side(pictures, 150))


def mosaic_labels(mosaic: Tensor) -> NDArray[np.uint8]:
    """Draw the labels (H, W, 3) of the mosaic (3, H, W)."""
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
    """Save labels (H, W, 3) in RGB as a PNG."""
    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(labels[:, :, ::-1]))[1].tobytes())


def make_example(one: Example, folder: Path) -> None:
    """Run the command, and put its picture on the page."""
    output = folder / one.output
    words = [*shlex.split(one.words), "-o", str(output)]
    subprocess.run([sys.executable, "-m", "vidstyle", *words], cwd=ROOT, check=True)
    if one.shown:
        pictures = read_frames(output, one.shown)
    elif one.name == "trace":
        film = output.with_name(f"{one.name}.trace.mp4")
        count = len(scan(probe(film)).timeline)
        pictures = read_frames(
            film, tuple(round(share * (count - 1)) for share in (0, 0.1, 0.2, 0.4, 1))
        )
    else:
        pictures = [read_image(output, InputError)]
    if one.name == "tile":
        pictures = [torch.cat([torch.cat([pictures[0]] * 2, 1)] * 2, 2)]
    write_picture(
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
    PAGE.write_text(compose_page(), encoding="utf-8")
    if args.text:
        return
    if not args.only:
        draw_given()
    with tempfile.TemporaryDirectory() as name:
        for one in (example for examples in SECTIONS.values() for example in examples):
            if not args.only or one.name in args.only:
                make_example(one, Path(name))


if __name__ == "__main__":
    main()
