"""Exact tiling: the sums over a picture that the loss is made of, and their gradient, from one tile
after the other.

Style and content losses are functions of sums over pixels: Gram matrices, squared differences. So
one pass over the tiles gives the sums and with them the loss; a second one gives the gradient: what
the loss says of the sums is the same for every tile, and each tile's features are computed anew to
carry it back to the pixels. Only one tile's features are held at a time. Tiles overlap by as far as
a feature sees, and of each only its core is counted, so the result is that of the whole picture but
for the order of sums.
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
class Span:
    """A tile along one axis, in pixels: it is seen from `begin` to `end`, and what counts is from
    `first` to `last`.
    """

    begin: int
    first: int
    last: int
    end: int


@dataclass(frozen=True)
class Tile:
    """A part of a picture (h, w), with its overlap and its core."""

    rows: Span
    columns: Span

    def seen(self, image: Tensor) -> Tensor:
        """What of an image (..., h, w) its features are computed from."""
        return image[..., self.rows.begin : self.rows.end, self.columns.begin : self.columns.end]

    def core(self, features: Tensor, name: str) -> Tensor:
        """What counts of the map of layer `name` that was computed from `seen`."""
        y = part(features.shape[-2], self.rows, self.rows.begin, name)
        return features[..., y, part(features.shape[-1], self.columns, self.columns.begin, name)]

    def place(self, features: Tensor, name: str) -> Tensor:
        """The same of the whole picture's map: a view."""
        y = part(features.shape[-2], self.rows, 0, name)
        return features[..., y, part(features.shape[-1], self.columns, 0, name)]


def part(length: int, span: Span, origin: int, name: str) -> slice:
    """The cells of a map of `length` cells that belong to the core; the map begins at pixel
    `origin`.
    """
    size = stride(name)
    begin = (span.first - origin) // size
    return slice(begin, min(length, begin + -(-(span.last - span.first) // size)))


def tiles(size: Sequence[int], side: int, halo: int) -> list[Tile]:
    """The tiles of a picture of `size` (h, w).

    Args:
        side: of a tile's core in pixels, about; the cores are of nearly one size.
        halo: how far a tile reaches beyond its core, a multiple of `STRIDE`, as far as the picture
            goes.
    """
    rows, columns = (spans(length, side, halo) for length in size)
    return [Tile(y, x) for y in rows for x in columns]


def spans(length: int, side: int, halo: int) -> list[Span]:
    count = math.ceil(length / max(STRIDE, side))
    edges = [round(length * i / count / STRIDE) * STRIDE for i in range(count)] + [length]
    return [
        Span(max(0, a - halo), a, b, min(length, b + halo))
        for a, b in itertools.pairwise(edges)
        if a < b
    ]


Measure = Callable[[Tensor, Tile], tuple[Tensor, ...]]
"""The sums over a tile's core, from what is `seen` of the image (1, 3, h, w)."""


class Summed(torch.autograd.Function):
    """`measure`, added up over the tiles."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, measure: Measure, over: Sequence[Tile]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(image)
        ctx.measure, ctx.over = measure, over
        first, *others = over
        total = measure(first.seen(image), first)
        for tile in others:
            total = tuple(
                a + b for a, b in zip(total, measure(tile.seen(image), tile), strict=True)
            )
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (image,) = ctx.saved_tensors
        result = torch.zeros_like(image)
        for tile in ctx.over:
            with torch.enable_grad():
                seen = tile.seen(image).detach().requires_grad_()
                sums = ctx.measure(seen, tile)
            tile.seen(result).add_(*torch.autograd.grad(sums, seen, grads))
        return result, None, None


def summed(image: Tensor, measure: Measure, over: Sequence[Tile]) -> tuple[Tensor, ...]:
    """The sums over the whole image (1, 3, h, w), which the gradient flows back through."""
    sums: tuple[Tensor, ...] = Summed.apply(image, measure, over)
    return sums
