"""The terms of the objective beyond those of style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.objective import Maps, Sums, View, normalise_weights
from vidstyle.stylize.photoreal.matting import MattingLaplacian, matting_loss


class ContentTerm:
    """The weighted mean of the relative content losses over `targets`, {layer: map of the frame}.

    Args:
        layer_weights: {layer: its weight}; None: all are equal.
    """

    name = "content"

    def __init__(
        self, weight: float, targets: Maps, layer_weights: Mapping[str, float] | None = None
    ) -> None:
        self.weight = weight
        self.targets = targets
        self.shares = normalise_weights(layer_weights or dict.fromkeys(targets, 1.0))
        self.energies = [losses.energy(p) for p in targets.values()]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose content is matched."""
        return tuple(self.targets)

    def sums(self, view: View) -> Sums:
        """Compute the squared distance from the target in each layer."""
        return [
            losses.distance(view.maps[name], view.same(p, name)) for name, p in self.targets.items()
        ]

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        """Compute the weighted mean of the relative distances, a scalar."""
        found = zip(self.targets, sums, self.energies, strict=True)
        return torch.stack([self.shares[name] * d / e for name, d, e in found]).mean()


class PixelTerm:
    """A term that looks at the image alone."""

    name: str
    layers: tuple[str, ...] = ()

    def sums(self, view: View) -> Sums:
        """Compute nothing: there are no features."""
        return ()


@dataclass(frozen=True)
class TotalVariationTerm(PixelTerm):
    """The total variation of the image (`losses.total_variation`)."""

    weight: float
    name = "total variation"

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        """Compute the total variation, a scalar."""
        return losses.total_variation(image)


@dataclass(frozen=True)
class TemporalTerm(PixelTerm):
    """Ruder's temporal term; see `losses.temporal` for the shapes.

    Args:
        norm: one of `losses.TEMPORAL_LOSSES`.
    """

    weight: float
    warped: Tensor
    mask: Tensor
    norm: str = "squared"
    name = "temporal"

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        """Compute the distance from the temporal target, a scalar."""
        return losses.TEMPORAL_LOSSES[self.norm](image, self.warped, self.mask)


@dataclass(frozen=True)
class PhotorealismTerm(PixelTerm):
    """The distance of the image from a locally affine recolouring of its source
    (`matting.matting_loss`).
    """

    weight: float
    laplacian: MattingLaplacian
    name = "photorealism"

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        """Compute the quadratic form of the matting Laplacian, a scalar."""
        return matting_loss(image, self.laplacian)
