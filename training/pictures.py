"""The pictures that the network of the fast engine learns from: photographs with their detail maps,
and parts of paintings.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.data import SUFFIXES, texture
from training.facets import faceted
from training.mosaics import tiled
from training.palettes import repaint_in_palette, strengthen_colours
from vidstyle.errors import StyleError
from vidstyle.features.figures import FigureFinder
from vidstyle.stylize.detail import combine, observe
from vidstyle.stylize.resample import resize
from vidstyle.video.read import read_image

LONGEST_SIDE = 512
"""Pixels of a photograph."""
LAID_PICTURES = 240
"""Paintings laid in tiles or facets; each takes a second."""
STYLE_AREA = 400**2
"""Pixels of a whole style image at scale 1: those of a frame of 480x320."""
STYLE_SCALES = (0.4, 2.5)
STYLE_PIXELS = 300**2
"""Of the part of it that is looked at."""


class Pictures:
    """Photographs with their detail maps, and paintings, in memory.

    Args:
        photos: folders of photographs.
        paintings: a folder of paintings.
        finder: finds the figures of the photographs.
        cache: the file that keeps the photographs, with their maps; laid paintings go
            into `laid.pt` next to it.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        paintings: Path,
        finder: FigureFinder,
        cache: Path,
        seed: int,
    ) -> None:
        photo_files = [p for folder in photos for p in list_pictures(folder)]
        self.photos = [p for p in photo_files if not p.name.startswith("style")]
        self.paintings = list_pictures(paintings)
        if cache.exists():
            self.films: list[Tensor] = torch.load(cache)
        else:
            self.films = []
            for path in self.photos:
                image = read_image(path, StyleError)
                side = max(image.shape[1:])
                shape = tuple(round(n * min(1.0, LONGEST_SIDE / side)) for n in image.shape[1:])
                image = resize(image, shape)
                detail = resize(combine(observe(image, finder)), shape)
                self.films.append((torch.cat([image, detail]) * 255).round().to(torch.uint8))
            torch.save(self.films, cache)
        self.kept: dict[int, Tensor] = {}
        rng = random.Random(seed)
        laid = cache.with_name("laid.pt")
        if laid.exists():
            self.laid: list[Tensor] = torch.load(laid)
        else:
            self.laid = [
                (self.lay(rng) * 255).round().to(torch.uint8) for _ in range(LAID_PICTURES)
            ]
            torch.save(self.laid, laid)

    def photo(self, rng: random.Random) -> Tensor:
        """Draw a photograph with its detail map, (4, h, w) in [0, 1]."""
        image = self.films[rng.randrange(len(self.films))].float() / 255
        return image.flip(2) if rng.random() < 0.5 else image

    def painting(self, rng: random.Random) -> Tensor:
        """Draw a style image (3, h, w): mostly a part of a painting."""
        kinds = ("painting", "repainted", "laid", "photo", "texture")
        kind = rng.choices(kinds, (12, 6, 5, 1, 1))[0]
        area = STYLE_AREA * math.exp(rng.uniform(*map(math.log, STYLE_SCALES)))
        side = round(area**0.5)
        if kind == "texture":
            return texture(rng, side)
        if kind == "photo":
            return cut(self.photo(rng)[:3], area, rng)
        if kind == "laid":
            return vary(cut(rng.choice(self.laid).float() / 255, area, rng), rng)
        image = cut(self.whole_painting(rng), area, rng)
        if kind == "repainted":
            image = repaint_in_palette(image, rng)
        return vary(image, rng)

    def lay(self, rng: random.Random) -> Tensor:
        """Lay a painting in tiles or facets: (3, 360, 360)."""
        square = resize(self.whole_painting(rng), (360, 360))
        return tiled(square, rng) if rng.random() < 0.7 else faceted(square, rng)

    def whole_painting(self, rng: random.Random) -> Tensor:
        """Draw a painting, (3, h, w)."""
        at = rng.randrange(len(self.paintings))
        if at not in self.kept:
            image = read_image(self.paintings[at], StyleError)
            shape = tuple(round(n * min(1.0, 800 / max(image.shape[1:]))) for n in image.shape[1:])
            self.kept[at] = (resize(image, shape) * 255).round().to(torch.uint8)
        return self.kept[at].float() / 255


def vary(image: Tensor, rng: random.Random) -> Tensor:
    """Vary direction, light and colours of a style image."""
    if rng.random() < 0.2:
        image = image.transpose(1, 2)
    if rng.random() < 0.5:
        image = image.flip(2)
    if rng.random() < 0.3:
        image = strengthen_colours(image, rng)
    if rng.random() < 0.2:
        image = image * rng.uniform(0.6, 1.4) + rng.uniform(-0.2, 0.2)
    if rng.random() < 0.25:
        image = image[rng.sample(range(3), 3)]
    if rng.random() < 0.05:
        image = 1 - image
    return image.clamp(0, 1).contiguous()


def cut(image: Tensor, area: float, rng: random.Random) -> Tensor:
    """Cut a random part of a picture, at a size of `area` pixels for all: about half to all of it,
    or `STYLE_PIXELS`.
    """
    share = min(rng.uniform(0.6, 1.0), (STYLE_PIXELS / area) ** 0.5)
    height, width = (round(n * share) for n in image.shape[1:])
    top, left = rng.randint(0, image.shape[1] - height), rng.randint(0, image.shape[2] - width)
    part = image[:, top : top + height, left : left + width]
    factor = (area / (image.shape[1] * image.shape[2])) ** 0.5
    return resize(part, tuple(max(64, round(n * factor)) for n in part.shape[1:])).clamp(0, 1)


def list_pictures(folder: Path) -> list[Path]:
    """List the pictures of a folder, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
