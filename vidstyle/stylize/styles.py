"""A painting's style as terms of the objective: what of its features is matched, in which layers, how much of each.

gram        which features occur together (Gatys, Ecker, Bethge 2016, eq. 3 to 5)
w2          their mean and covariance, as a distance of normal distributions (`statistics.wasserstein`)
swd         their whole distribution, along fixed directions (`statistics.sliced`)
histogram   that of each channel (`statistics.histogram`)
mrf         their 3x3 patches, each like one of the painting's (`patches`)

The first two come from sums over pixels; the others look at a whole map and cannot be had tile by tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.config import RenderConfig
from vidstyle.shares import MRF_LAYERS, parsed
from vidstyle.stylize import losses, statistics
from vidstyle.stylize.features import Extractor
from vidstyle.stylize.objective import Sums, Term, View, even, maps, sums
from vidstyle.stylize.patches import Patches
from vidstyle.stylize.regions import area, cells, guided_gram
from vidstyle.stylize.tiles import Tile

DIRECTIONS = 32
"""Along which a layer's distribution is compared, at most as many as it has channels. Heitz 2021 takes as many as
channels, and others in every step."""

QUANTILES = 4096
"""That are kept of the painting's distributions."""

STRENGTH = {"mrf": 0.2}
"""What a weight of 1 means for terms whose distances lie elsewhere: a picture is further from the nearest patches than
from any statistics, and at the same weight little would be left of its content."""

SEARCHED = 2000
"""Patches of the painting that are searched, about."""

SEARCH_EVERY = 8
"""Evaluations for which the matches of patches stay: L-BFGS takes its curvature from an objective that stays the same.
"""

Measure = Callable[[Tensor, int], Tensor]
"""What is taken of a layer's map, (1, c, h, w) or a tile's part of it, whole maps having so many cells."""

Distance = Callable[[Tensor], Tensor]
"""What that, added up over the tiles, says of the distance from the painting: a scalar."""


Part = Callable[["Tensor | None"], tuple[Measure, Distance]]
"""What makes a layer's part of a term for one picture with its regions: matches of patches belong to one picture."""


class LayerTerm:
    """The weighted mean over layers of their distances.

    Args:
        layers: {layer: how it is measured, and what its distance is}.
        shares: {layer: its weight}, of others too; they count in relation to one another.
    """

    def __init__(
        self, weight: float, layers: Mapping[str, tuple[Measure, Distance]], shares: Mapping[str, float]
    ) -> None:
        self.weight, self.of, self.shares = weight, layers, even({name: shares[name] for name in layers})

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.of)

    def sums(self, view: View) -> Sums:
        return [measure(view.maps[name], view.cells[name]) for name, (measure, _) in self.of.items()]

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        found = zip(sums, self.of.items(), strict=True)
        return torch.stack([self.shares[name] * distance(s).to(image) for s, (name, (_, distance)) in found]).mean()


class Painting:
    """What is known of a painting (1, 3, h, w) at one scale.

    Args:
        config: its style terms and layers, and their weights.
        tiles: how the painting's features are divided; None: they are computed all at once.
        regions: (k, H, W) of any size, how much of each pixel belongs to each region; None: it is all one.
    """

    def __init__(
        self,
        extractor: Extractor,
        image: Tensor,
        config: RenderConfig,
        tiles: Sequence[Tile] | None,
        regions: Tensor | None = None,
    ) -> None:
        size = (int(image.shape[2]), int(image.shape[3]))
        self.regions = None if regions is None else F.interpolate(regions[None], size, mode="area")[0]
        self.config, self.kinds, self.shares = config, parsed(config.style_terms), parsed(config.style_layers)
        self.found = {kind: self.targets(kind, extractor, image, tiles) for kind in self.kinds}

    def layers(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name in self.shares if kind != "mrf" or name in MRF_LAYERS)

    @torch.no_grad()
    def targets(self, kind: str, extractor: Extractor, image: Tensor, tiles: Sequence[Tile] | None) -> dict[str, Part]:
        """{layer: what makes its part of a term}."""
        layers = self.layers(kind)
        if self.regions is not None:
            return {name: guided(found, self.regions) for name, found in maps(extractor, image, layers, tiles).items()}
        if kind in ("gram", "w2"):
            measure, distance = ADDITIVE[kind]

            def measured(view: View) -> list[Tensor]:
                return [measure(view.maps[name], view.cells[name]) for name in layers]

            whole = zip(layers, sums(extractor, image, layers, tiles, measured), strict=True)
            return {name: lasting(measure, distance(target)) for name, target in whole}
        return {
            name: self.of_map(kind, seed, found)
            for seed, (name, found) in enumerate(maps(extractor, image, layers, tiles).items())
        }

    def of_map(self, kind: str, seed: int, found: Tensor) -> Part:
        if kind == "mrf":
            stride = max(1, round(math.sqrt(found.shape[2] * found.shape[3] / SEARCHED)))
            patches = Patches(found, stride, self.config.mrf_coherence)
            return lambda _: (Matched(patches, bidirectional=self.config.mrf_bidirectional), itself)
        channels = found.shape[1]
        along = statistics.directions(channels, min(channels, DIRECTIONS), seed) if kind == "swd" else None
        along = None if along is None else along.to(found.device, torch.promote_types(found.dtype, torch.float32))
        quantiles = statistics.quantiles(found, along, QUANTILES)
        return lasting(lambda f, _: statistics.sliced(f, quantiles, along), itself)

    def terms(self, regions: Tensor | None = None) -> list[Term]:
        """For one picture, whose `regions` (k, h, w) are those of the painting, in the same order."""
        return [
            LayerTerm(
                self.config.style_weight * STRENGTH.get(kind, 1) * weight,
                {name: make(regions) for name, make in layers.items()},
                self.shares,
            )
            for (kind, weight), layers in zip(self.kinds.items(), self.found.values(), strict=True)
        ]


class Matched:
    """`Patches.loss`, or `Patches.bidirectional`, with matches that stay for some evaluations."""

    def __init__(self, patches: Patches, *, bidirectional: bool) -> None:
        self.patches, self.bidirectional, self.seen = patches, bidirectional, 0

    def __call__(self, found: Tensor, _: int) -> Tensor:
        if self.seen % SEARCH_EVERY == 0:
            self.match = self.patches.search(found)
        self.seen += 1
        return self.patches.both(found, *self.match) if self.bidirectional else self.patches.loss(found, self.match[0])


def lasting(measure: Measure, distance: Distance) -> Part:
    """The same for every picture."""
    return lambda _: (measure, distance)


def guided(found: Tensor, of_painting: Tensor) -> Part:
    """Gram matrices of each region (`regions.guided_gram`) of a painting's map; a region counts as its size does."""
    masks = cells(of_painting, (found.shape[2], found.shape[3]))
    # What is smaller than a cell here, or lies in a part of one that is cut off, takes the whole painting's.
    there = (area(masks) >= 1)[:, None, None]
    target = torch.where(there, guided_gram(found, masks), losses.gram(found))

    def made(regions: Tensor | None) -> tuple[Measure, Distance]:
        assert regions is not None
        shares = regions.mean((1, 2)) / regions.mean((1, 2)).sum()
        held: dict[tuple[int, int], Tensor] = {}

        def measure(f: Tensor, _: int) -> Tensor:
            size = (f.shape[2], f.shape[3])
            if size not in held:
                held[size] = cells(regions, size)
            return guided_gram(f, held[size])

        def distance(g: Tensor) -> Tensor:
            parts = zip(shares, g, target, strict=True)
            return torch.stack([share * losses.style(own, wanted) for share, own, wanted in parts]).sum()

        return measure, distance

    return made


def itself(found: Tensor) -> Tensor:
    return found


def gram(found: Tensor, cells: int) -> Tensor:
    return losses.products(found) / cells


def from_gram(target: Tensor) -> Distance:
    return lambda g: losses.style(g, target)


def packed_moments(found: Tensor, cells: int) -> Tensor:
    """Mean and mean product of the features, (1 + c, c)."""
    s, p = statistics.moments(found)
    return torch.cat([s[None].to(p), p]) / cells


def from_moments(target: Tensor) -> Distance:
    mean, covariance = statistics.mean_covariance(target[0], target[1:], 1)
    root = statistics.root(covariance)

    def distance(found: Tensor) -> Tensor:
        return statistics.wasserstein(*statistics.mean_covariance(found[0], found[1:], 1), mean, covariance, root)

    return distance


ADDITIVE: Mapping[str, tuple[Measure, Callable[[Tensor], Distance]]] = {
    "gram": (gram, from_gram),
    "w2": (packed_moments, from_moments),
}
"""Of the terms that come from sums over pixels: what is added up, and what the painting's says of a picture's."""
