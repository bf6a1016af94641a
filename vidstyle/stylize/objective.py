"""What is minimised: a weighted sum of terms over an image and its features.

A term that looks at features takes sums over their pixels, and its value comes from these sums
alone. So it does not notice whether the features were there all at once or tile by tile (`tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.features.extractor import Extractor, position_count, stride
from vidstyle.stylize import losses
from vidstyle.stylize.photoreal.matting import Laplacian, affine
from vidstyle.stylize.tiles import Tile, summed

Maps = Mapping[str, Tensor]
Sums = Sequence[Tensor]

Observer = Callable[[Tensor, Mapping[str, Tensor]], None]
"""Gets what an objective is evaluated on, and {name of a term: its weighted value, a scalar};
without gradients.
"""


@dataclass(frozen=True)
class View:
    """What the terms are shown of the features: all of them, or the core of a tile.

    Args:
        maps: {layer: map (1, c, h', w')}.
        cells: how many cells the whole picture's map of each layer has.
        tile: None for the whole picture.
    """

    maps: Maps
    cells: Mapping[str, int]
    tile: Tile | None = None

    def same(self, target: Tensor, name: str) -> Tensor:
        """The part of a whole map that lies where `maps[name]` does."""
        return self.tile.place(target, name) if self.tile else target


class Term(Protocol):
    """One term: what it is called, the layers it looks at, its weight, what it adds up over their
    pixels, and its value for an image (1, 3, h, w) with these sums.
    """

    @property
    def name(self) -> str: ...

    @property
    def layers(self) -> tuple[str, ...]: ...

    @property
    def weight(self) -> float: ...

    def sums(self, view: View) -> Sums: ...

    def __call__(self, image: Tensor, sums: Sums) -> Tensor: ...


def even(shares: Mapping[str, float]) -> dict[str, float]:
    """Weights in the same relation whose mean is 1: a mean over what they weigh is a weighted
    mean.
    """
    total = sum(shares.values())
    return {name: weight * len(shares) / total for name, weight in shares.items()}


class Content:
    """Weighted mean of the relative content losses over `targets`, {layer: map of the frame}.

    Args:
        shares: {layer: its weight}; None: all alike.
    """

    name = "content"

    def __init__(
        self, weight: float, targets: Maps, shares: Mapping[str, float] | None = None
    ) -> None:
        self.weight, self.targets = weight, targets
        self.shares = even(shares or dict.fromkeys(targets, 1.0))
        self.energies = [losses.energy(p) for p in targets.values()]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def sums(self, view: View) -> Sums:
        return [
            losses.distance(view.maps[name], view.same(p, name)) for name, p in self.targets.items()
        ]

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        found = zip(self.targets, sums, self.energies, strict=True)
        return torch.stack([self.shares[name] * d / e for name, d, e in found]).mean()


@dataclass(frozen=True)
class Style:
    """Mean of the relative Gram losses over `targets`, {layer: Gram matrix of the painting} (Gatys
    eq. 5 with equal w_l).
    """

    weight: float
    targets: Maps
    name = "style"

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def sums(self, view: View) -> Sums:
        return grams(view, self.layers)

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        return torch.stack(
            [losses.style(g, a) for g, a in zip(sums, self.targets.values(), strict=True)]
        ).mean()


def grams(view: View, layers: Sequence[str]) -> list[Tensor]:
    """The share of what is shown in the whole picture's Gram matrices."""
    return [losses.products(view.maps[name]) / view.cells[name] for name in layers]


class PixelTerm:
    """A term that looks at the image alone."""

    name: str
    layers: tuple[str, ...] = ()

    def sums(self, view: View) -> Sums:
        return ()


@dataclass(frozen=True)
class Smoothness(PixelTerm):
    """Total variation."""

    weight: float
    name = "total variation"

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        return losses.total_variation(image)


@dataclass(frozen=True)
class Temporal(PixelTerm):
    """Ruder's temporal term; see `losses.temporal` for the shapes. `norm` is one of
    `losses.TEMPORAL`.
    """

    weight: float
    warped: Tensor
    mask: Tensor
    norm: str = "squared"
    name = "temporal"

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        return losses.TEMPORAL[self.norm](image, self.warped, self.mask)


@dataclass(frozen=True)
class Affine(PixelTerm):
    """How far the image is from a locally affine recolouring of its source (`matting.affine`)."""

    weight: float
    laplacian: Laplacian
    name = "photorealism"

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        return affine(image, self.laplacian)


class Objective:
    """image (1, 3, h, w) -> scalar; terms of weight 0 are left out, and no feature is computed that
    no term looks at.

    Args:
        tiles: how the features of the image are divided; None: they are computed all at once.
        wrapped: pixels by which the image goes on on each side as it begins on the other, at most
            its size.
        observer: gets every evaluation; terms of one name are added up for it.
    """

    def __init__(
        self,
        extractor: Extractor,
        terms: Sequence[Term],
        tiles: Sequence[Tile] | None = None,
        wrapped: int = 0,
        observer: Observer | None = None,
    ) -> None:
        self.extractor, self.tiles, self.wrapped, self.observer = (
            extractor,
            tiles,
            wrapped,
            observer,
        )
        self.terms = tuple(term for term in terms if term.weight > 0)
        self.layers = tuple(dict.fromkeys(name for term in self.terms for name in term.layers))

    def __call__(self, image: Tensor) -> Tensor:
        given, values = image.detach(), dict[str, Tensor]()
        if self.wrapped:
            y, x = (min(self.wrapped, n) for n in image.shape[2:])
            image = F.pad(image, (x, x, y, y), mode="circular")
        sums = iter(self.sums(image))
        total = image.new_zeros(())
        for term in self.terms:
            own = [next(sums) for _ in term.layers]
            value = term.weight * term(image, own)
            total = total + value
            if self.observer:
                values[term.name] = values.get(term.name, 0) + value.detach()
        if self.observer:
            self.observer(given, values)
        return total

    def sums(self, image: Tensor) -> Sequence[Tensor]:
        """Of every term, one after the other; one for each of its layers."""
        if not self.layers:
            return ()
        return sums(
            self.extractor,
            image,
            self.layers,
            self.tiles,
            lambda view: [s for t in self.terms for s in t.sums(view)],
        )


def sums(
    extractor: Extractor,
    image: Tensor,
    layers: Sequence[str],
    tiles: Sequence[Tile] | None,
    of: Callable[[View], Sums],
) -> Sums:
    """What `of` adds up over the pixels of these layers' maps of an image (1, 3, h, w)."""
    if tiles is None:
        maps = extractor(image, layers)
        return of(View(maps, {name: f.shape[2] * f.shape[3] for name, f in maps.items()}))
    whole = {name: position_count(name, image.shape[2:]) for name in layers}

    def measure(seen: Tensor, tile: Tile) -> tuple[Tensor, ...]:
        maps = extractor(seen, layers)
        return tuple(of(View({name: tile.core(f, name) for name, f in maps.items()}, whole, tile)))

    return summed(image, measure, tiles)


def maps(
    extractor: Extractor, image: Tensor, layers: Sequence[str], tiles: Sequence[Tile] | None
) -> Maps:
    """The maps of an image (1, 3, h, w) without gradients; with tiles only one tile's other maps
    are held at a time.
    """
    with torch.no_grad():
        if tiles is None:
            return extractor(image, layers)
        whole: dict[str, Tensor] = {}
        for tile in tiles:
            for name, found in extractor(tile.seen(image), layers).items():
                if name not in whole:
                    size = (n // stride(name) for n in image.shape[2:])
                    whole[name] = found.new_empty((1, found.shape[1], *size)).to(
                        memory_format=torch.channels_last
                    )
                tile.place(whole[name], name).copy_(tile.core(found, name))
        return whole
