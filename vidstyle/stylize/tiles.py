"""Exact tiling: the sums over an image that the loss is made of, and their gradient, from one tile
after the other.

Style and content losses are functions of sums over pixels: Gram matrices, squared differences. So
one pass over the tiles gives the sums and with them the loss; a second one gives the gradient: what
the loss says of the sums is the same for every tile, and each tile's features are computed again to
carry it back to the pixels. Only one tile's features are in memory at a time. Tiles overlap by as
far as a feature sees, and of each only its core is counted, so the result is that of the whole
image except for the order of sums.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidstyle.features.extractor import STRIDE, stride


@dataclass(frozen=True)
class TileSpan:
    """A tile along one axis, in pixels: its features are computed from `begin` to `end`, and those
    of its core, from `first` to `last`, are counted.
    """

    begin: int
    first: int
    last: int
    end: int


@dataclass(frozen=True)
class Tile:
    """A part of an image (h, w), with its overlap and its core."""

    rows: TileSpan
    columns: TileSpan

    def crop(self, image: Tensor) -> Tensor:
        """Cut out of an image (..., h, w) the part that the features are computed from: a view."""
        return image[..., self.rows.begin : self.rows.end, self.columns.begin : self.columns.end]

    def core(self, features: Tensor, name: str) -> Tensor:
        """Cut the core out of the map of layer `name` that was computed from `crop`: a view."""
        y = core_slice(features.shape[-2], self.rows, self.rows.begin, name)
        x = core_slice(features.shape[-1], self.columns, self.columns.begin, name)
        return features[..., y, x]

    def place(self, features: Tensor, name: str) -> Tensor:
        """Cut the same part out of the map of the whole image: a view."""
        y = core_slice(features.shape[-2], self.rows, 0, name)
        return features[..., y, core_slice(features.shape[-1], self.columns, 0, name)]


def core_slice(length: int, span: TileSpan, origin: int, name: str) -> slice:
    """Return the positions of the core in a map of `length` positions that begins at pixel
    `origin`.
    """
    size = stride(name)
    begin = (span.first - origin) // size
    return slice(begin, min(length, begin + -(-(span.last - span.first) // size)))


def divide_into_tiles(size: Sequence[int], side: int, halo: int) -> list[Tile]:
    """Divide an image of `size` (h, w) into tiles, row by row.

    Args:
        side: side of a tile's core in pixels, about; the cores have nearly one size.
        halo: how far a tile reaches beyond its core, a multiple of `STRIDE`, as far as the image
            goes.
    """
    rows, columns = (divide_axis(length, side, halo) for length in size)
    return [Tile(y, x) for y in rows for x in columns]


def divide_axis(length: int, side: int, halo: int) -> list[TileSpan]:
    """Divide one axis of an image, as `divide_into_tiles` does."""
    count = math.ceil(length / max(STRIDE, side))
    edges = [round(length * i / count / STRIDE) * STRIDE for i in range(count)] + [length]
    return [
        TileSpan(max(0, a - halo), a, b, min(length, b + halo))
        for a, b in itertools.pairwise(edges)
        if a < b
    ]


TileMeasure = Callable[[Tensor, Tile], tuple[Tensor, ...]]
"""Computes the sums over a tile's core from the tile's part of an image (1, 3, h, w)."""


class TiledSums(torch.autograd.Function):
    """The results of `measure`, added up over the tiles."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, measure: TileMeasure, tiles: Sequence[Tile]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(image)
        ctx.measure = measure
        ctx.tiles = tiles
        first, *others = tiles
        total = measure(first.crop(image), first)
        for tile in others:
            found = measure(tile.crop(image), tile)
            total = tuple(a + b for a, b in zip(total, found, strict=True))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (image,) = ctx.saved_tensors
        result = torch.zeros_like(image)
        for tile in ctx.tiles:
            with torch.enable_grad():
                part = tile.crop(image).detach().requires_grad_()
                sums = ctx.measure(part, tile)
            tile.crop(result).add_(*torch.autograd.grad(sums, part, grads))
        return result, None, None


def sum_over_tiles(
    image: Tensor, measure: TileMeasure, tiles: Sequence[Tile]
) -> tuple[Tensor, ...]:
    """Add up `measure` over the tiles of an image (1, 3, h, w); the gradient flows back to it."""
    sums: tuple[Tensor, ...] = TiledSums.apply(image, measure, tiles)
    return sums
