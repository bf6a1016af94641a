"""The objective that is minimised: a weighted sum of terms over an image and its features.

A term that looks at features computes sums over their pixels, and its value from these sums alone.
So it does not notice whether the features were there all at once or tile by tile (`tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.features.extractor import Extractor, position_count, stride
from vidstyle.stylize.tiles import Tile, sum_over_tiles

Maps = Mapping[str, Tensor]
"""{layer: its map (1, c, h', w')}."""

Sums = Sequence[Tensor]
"""Sums over the pixels of the layers of a term, one for each."""

EvaluationCallback = Callable[[Tensor, Mapping[str, Tensor]], None]
"""Gets the image (1, 3, h, w) of an evaluation, and {name of a term: its weighted value, a scalar};
without gradients.
"""


@dataclass(frozen=True)
class View:
    """The features that the terms look at: those of the whole image, or of the core of a tile.

    Args:
        maps: {layer: map (1, c, h', w')}.
        cells: {layer: the number of positions in the map of the whole image}.
        tile: None for the whole image.
    """

    maps: Maps
    cells: Mapping[str, int]
    tile: Tile | None = None

    def same(self, target: Tensor, name: str) -> Tensor:
        """Cut out of a map of the whole image the part that lies where `maps[name]` does."""
        return self.tile.place(target, name) if self.tile else target


class Term(Protocol):
    """One term of the objective."""

    @property
    def name(self) -> str:
        """Its name; terms of one name are added up for an observer."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it looks at."""
        ...

    @property
    def weight(self) -> float:
        """Its weight; a term of weight 0 is left out."""
        ...

    def sums(self, view: View) -> Sums:
        """Compute its sums over the pixels of the features, one for each of its layers."""
        ...

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        """Compute its value, a scalar, for an image (1, 3, h, w) with these sums."""
        ...


class Objective:
    """The weighted sum of terms: image (1, 3, h, w) -> scalar.

    Terms of weight 0 are left out, and no feature is computed that no term looks at.

    Args:
        tiles: how the features of the image are divided; None: they are computed all at once.
        wrapped: pixels by which the image continues on each side as it begins on the opposite one,
            at most its size.
        on_evaluation: gets every evaluation; terms of one name are added up for it.
    """

    def __init__(
        self,
        extractor: Extractor,
        terms: Sequence[Term],
        tiles: Sequence[Tile] | None = None,
        wrapped: int = 0,
        on_evaluation: EvaluationCallback | None = None,
    ) -> None:
        self.extractor = extractor
        self.tiles = tiles
        self.wrapped = wrapped
        self.on_evaluation = on_evaluation
        self.terms = tuple(term for term in terms if term.weight > 0)
        self.layers = tuple(dict.fromkeys(name for term in self.terms for name in term.layers))

    def __call__(self, image: Tensor) -> Tensor:
        """Evaluate the objective; the gradient flows back to the image."""
        given = image.detach()
        values: dict[str, Tensor] = {}
        if self.wrapped:
            y, x = (min(self.wrapped, n) for n in image.shape[2:])
            image = F.pad(image, (x, x, y, y), mode="circular")
        sums = iter(self.sum_terms(image))
        total = image.new_zeros(())
        for term in self.terms:
            own = [next(sums) for _ in term.layers]
            value = term.weight * term(image, own)
            total = total + value
            if self.on_evaluation:
                values[term.name] = values.get(term.name, 0) + value.detach()
        if self.on_evaluation:
            self.on_evaluation(given, values)
        return total

    def sum_terms(self, image: Tensor) -> Sums:
        """Compute the sums of every term, one after the other."""
        if not self.layers:
            return ()

        def measure(view: View) -> Sums:
            return [s for term in self.terms for s in term.sums(view)]

        return sum_features(self.extractor, image, self.layers, self.tiles, measure)


def normalise_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Scale weights so that their mean is 1, in the same relation: then a mean over what they
    weight is a weighted mean.
    """
    total = sum(weights.values())
    return {name: weight * len(weights) / total for name, weight in weights.items()}


def sum_features(
    extractor: Extractor,
    image: Tensor,
    layers: Sequence[str],
    tiles: Sequence[Tile] | None,
    measure: Callable[[View], Sums],
) -> Sums:
    """Add up `measure` over the pixels of these layers' maps of an image (1, 3, h, w)."""
    if tiles is None:
        maps = extractor(image, layers)
        return measure(View(maps, {name: f.shape[2] * f.shape[3] for name, f in maps.items()}))
    counts = {name: position_count(name, image.shape[2:]) for name in layers}

    def measure_tile(part: Tensor, tile: Tile) -> tuple[Tensor, ...]:
        maps = extractor(part, layers)
        cores = {name: tile.core(f, name) for name, f in maps.items()}
        return tuple(measure(View(cores, counts, tile)))

    return sum_over_tiles(image, measure_tile, tiles)


def compute_maps(
    extractor: Extractor, image: Tensor, layers: Sequence[str], tiles: Sequence[Tile] | None
) -> Maps:
    """Compute the maps of an image (1, 3, h, w) without gradients; with tiles only one tile's other
    maps are in memory at a time.
    """
    with torch.no_grad():
        if tiles is None:
            return extractor(image, layers)
        whole: dict[str, Tensor] = {}
        for tile in tiles:
            for name, features in extractor(tile.crop(image), layers).items():
                if name not in whole:
                    size = (n // stride(name) for n in image.shape[2:])
                    whole[name] = features.new_empty((1, features.shape[1], *size)).to(
                        memory_format=torch.channels_last
                    )
                tile.place(whole[name], name).copy_(tile.core(features, name))
        return whole
