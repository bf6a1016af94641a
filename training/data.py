"""Crops to train on, (3, size, size) RGB in [0, 1]: photographs, paintings, textures, mosaics and
facets made here.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from training.facets import faceted
from training.mosaics import tiled
from vidstyle.errors import StyleError
from vidstyle.video.read import read_image

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
HELD_OUT = 20
"""One in so many images is kept out of training and measures it."""


class Images:
    """The images of a folder; names that begin with `style` are paintings, all others
    photographs.
    """

    def __init__(self, folder: Path, size: int) -> None:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        kinds = [
            [path for path in paths if path.name.startswith("style") is painting]
            for painting in (False, True)
        ]
        if not all(len(kind) >= 2 for kind in kinds):
            raise SystemExit(
                f"{folder} needs photographs and paintings (style*.jpg), at least two of each"
            )
        self.size = size
        held_out = [[path for path in kind if is_held_out(path)] or kind[:1] for kind in kinds]
        self.photos, self.paintings = (
            [path for path in kind if path not in out]
            for kind, out in zip(kinds, held_out, strict=True)
        )
        self.held_out = [(photo, painting) for photo in held_out[0] for painting in held_out[1]]
        """Pairs of a photograph and a painting."""

    def any(self, rng: random.Random) -> Tensor:
        """Draw an image of any kind: together they are what users' films may hold."""
        kind = rng.choices(
            ("photo", "painting", "texture", "collage", "mosaic", "facets"), (5, 3, 1, 2, 1, 1)
        )[0]
        if kind == "texture":
            return texture(rng, self.size)
        if kind == "collage":
            return augment(self.collage(rng), rng)
        if kind == "mosaic":
            return augment(self.mosaic(rng), rng)
        if kind == "facets":
            return augment(self.facets(rng), rng)
        return augment(
            self.crop(rng.choice(self.photos if kind == "photo" else self.paintings), rng), rng
        )

    def style(self, rng: random.Random) -> Tensor:
        """Draw a style image: mostly paintings, and some of everything for variety."""
        kind = rng.choices(("painting", "mosaic", "facets", "any"), (11, 2, 3, 4))[0]
        if kind == "any":
            return self.any(rng)
        if kind == "painting":
            image = self.crop(rng.choice(self.paintings), rng)
        else:
            image = self.mosaic(rng) if kind == "mosaic" else self.facets(rng)
        return augment(image, rng, colours=0.4)

    def content(self, rng: random.Random) -> Tensor:
        """Draw a content image: mostly photographs."""
        return self.crop(rng.choice(self.photos if rng.random() < 0.9 else self.paintings), rng)

    def collage(self, rng: random.Random) -> Tensor:
        """Draw four pictures at half the size: detail as fine as that of a large photograph seen
        whole.
        """
        half = self.size // 2
        parts = [self.crop(rng.choice(self.photos + self.paintings), rng, half) for _ in range(4)]
        return torch.cat([torch.cat(parts[:2], 2), torch.cat(parts[2:], 2)], 1)

    def mosaic(self, rng: random.Random) -> Tensor:
        """Draw a painting, or sometimes a synthetic texture, laid in tiles."""
        picture = (
            texture(rng, self.size)
            if rng.random() < 0.3
            else self.crop(rng.choice(self.paintings), rng)
        )
        return tiled(picture, rng)

    def facets(self, rng: random.Random) -> Tensor:
        """Draw a painting or a photograph, cut into facets."""
        return faceted(
            self.crop(rng.choice(self.paintings if rng.random() < 0.8 else self.photos), rng), rng
        )

    def crop(self, path: Path, rng: random.Random, size: int | None = None) -> Tensor:
        """Cut a random part at a random scale. A picture that is too small continues mirrored:
        enlarged until it fits, it would have none of the fine detail that films have.
        """
        size = size or self.size
        image = read_image(path, StyleError)
        smallest = min(0.5, size / min(image.shape[1:]))
        factor = smallest * (1.4 / smallest) ** rng.random()  # log-uniform, to 1.4
        shape = tuple(max(16, round(n * factor)) for n in image.shape[1:])
        image = F.interpolate(image[None], size=shape, mode="bilinear", antialias=True)[0].clamp(
            0, 1
        )
        rows, columns = (mirrored(rng.randint(0, max(n - size, 0)), size, n) for n in shape)
        image = image[:, rows][:, :, columns]
        return image.flip(2).contiguous() if rng.random() < 0.5 else image

    def centre(self, path: Path) -> Tensor:
        """Cut the middle of a held-out image, the same at every call."""
        image = read_image(path, StyleError)
        size = tuple(
            max(self.size, round(n * self.size / min(image.shape[1:]))) for n in image.shape[1:]
        )
        image = F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0].clamp(
            0, 1
        )
        y, x = ((n - self.size) // 2 for n in size)
        return image[:, y : y + self.size, x : x + self.size].contiguous()


def is_held_out(path: Path) -> bool:
    """Tell whether a picture is kept for validation. It depends on the name, so that a picture
    stays on its side when others join it.
    """
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % HELD_OUT == 0


def mirrored(start: int, count: int, length: int) -> Tensor:
    """Compute the indices start .. start + count - 1 into `length` pixels that continue mirrored at
    their end.
    """
    i = torch.arange(start, start + count) % (2 * length - 2)
    return torch.minimum(i, 2 * length - 2 - i)


def augment(image: Tensor, rng: random.Random, colours: float = 0.2) -> Tensor:
    """Vary light, colours, direction and noise, by which films and paintings differ."""
    if rng.random() < 0.3:
        image = image.transpose(1, 2)
    if rng.random() < 0.2:
        image = image * rng.uniform(0.6, 1.4) + rng.uniform(-0.2, 0.2)
    if rng.random() < colours:
        image = image[rng.sample(range(3), 3)]
    if rng.random() < colours / 2:
        image = 1 - image
    if rng.random() < 0.2:
        image = image + noise(rng, image.shape[1]) * rng.uniform(0, 0.15)
    return image.clamp(0, 1).contiguous()


def noise(rng: random.Random, size: int) -> Tensor:
    """Draw Gaussian noise (3, size, size)."""
    return torch.randn(
        (3, size, size), generator=torch.Generator().manual_seed(rng.getrandbits(48))
    )


def texture(rng: random.Random, size: int) -> Tensor:
    """Draw noise of a random grain and direction, soft, in stripes or in flat patches, between two
    or more colours.
    """
    stretch = rng.choice((1, 1, 2, 4, 8))
    grain = 2 ** rng.uniform(0, 5)
    cells = [max(3, round(size / grain)), max(3, round(size / grain / stretch))]
    rng.shuffle(cells)
    field = noise(rng, max(cells))[:, : cells[0], : cells[1]]
    field = F.interpolate(field[None], size=(size, size), mode="bicubic")[0]
    if rng.random() < 0.4:  # all channels along one line between two colours
        field = field[:1] * noise(rng, 1)
    if rng.random() < 0.4:
        field = torch.sin(field * rng.uniform(2, 12))
    if rng.random() < 0.4:
        field = (field * rng.uniform(1, 3)).round() / 2
    return (0.5 + noise(rng, 1) * 0.15 + field * rng.uniform(0.05, 0.35)).clamp(0, 1)
