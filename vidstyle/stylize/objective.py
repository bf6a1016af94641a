"""What is minimised: a weighted sum of terms over an image and its features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.features import Extractor

Maps = Mapping[str, Tensor]


class Term(Protocol):
    """One term: the layers it looks at, its weight, and its value for an image (1, 3, h, w) with the maps of those
    layers.
    """

    @property
    def layers(self) -> tuple[str, ...]: ...

    @property
    def weight(self) -> float: ...

    def __call__(self, image: Tensor, maps: Maps) -> Tensor: ...


@dataclass(frozen=True)
class Content:
    """Mean of the relative content losses over `targets`, {layer: map of the frame}."""

    weight: float
    targets: Maps

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def __call__(self, image: Tensor, maps: Maps) -> Tensor:
        return torch.stack([losses.content(maps[name], p) for name, p in self.targets.items()]).mean()


@dataclass(frozen=True)
class Style:
    """Mean of the relative Gram losses over `targets`, {layer: Gram matrix of the painting} (Gatys eq. 5 with equal
    w_l).
    """

    weight: float
    targets: Maps

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def __call__(self, image: Tensor, maps: Maps) -> Tensor:
        return torch.stack([losses.style(losses.gram(maps[name]), a) for name, a in self.targets.items()]).mean()


@dataclass(frozen=True)
class Smoothness:
    """Total variation."""

    weight: float
    layers: tuple[str, ...] = ()

    def __call__(self, image: Tensor, maps: Maps) -> Tensor:
        return losses.total_variation(image)


@dataclass(frozen=True)
class Temporal:
    """Ruder's temporal term; see `losses.temporal` for the shapes. `norm` is one of `losses.TEMPORAL`."""

    weight: float
    warped: Tensor
    mask: Tensor
    layers: tuple[str, ...] = ()
    norm: str = "squared"

    def __call__(self, image: Tensor, maps: Maps) -> Tensor:
        return losses.TEMPORAL[self.norm](image, self.warped, self.mask)


class Objective:
    """image (1, 3, h, w) -> scalar; terms of weight 0 are left out, and no feature is computed that no term looks
    at.
    """

    def __init__(self, extractor: Extractor, terms: tuple[Term, ...]) -> None:
        self.extractor = extractor
        self.terms = tuple(term for term in terms if term.weight > 0)
        self.layers = tuple(dict.fromkeys(name for term in self.terms for name in term.layers))

    def __call__(self, image: Tensor) -> Tensor:
        maps = self.extractor(image, self.layers) if self.layers else {}
        total = image.new_zeros(())
        for term in self.terms:
            total = total + term.weight * term(image, maps)
        return total
