"""The terms of the objective beyond those of style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.objective import Maps, Sums, View, normalise_weights
from vidstyle.stylize.photoreal.matting import MattingLaplacian, matting_loss
from vidstyle.stylize.style.regions import masks_at_positions

FINE_COLOUR_SHARE = 0.002
"""Weight of the energy of colour's finest octave, relative to the style image's, as a share of the
style's weight. The grain of flat paint goes, and the style distance stays as it is
(`benchmarks/RESULTS.md`)."""

LEAST_COLOUR_ENERGY = 1e-5
"""Added to the energy of colour's finest octave in a style image, which may be grey."""


class ContentTerm:
    """The weighted mean of the relative content losses over `targets`, {layer: map of the frame}.

    Args:
        layer_weights: {layer: its weight}; None: all are equal.
        detail: (1, H, W) in [0, 1], how much each pixel of the frame matters; None: all as much.
            The energy that a distance is relative to is that of the whole frame, so a pixel is held
            as strongly whatever else matters.
    """

    name = "content"

    def __init__(
        self,
        weight: float,
        targets: Maps,
        layer_weights: Mapping[str, float] | None = None,
        detail: Tensor | None = None,
    ) -> None:
        self.weight = weight
        self.targets = targets
        self.shares = normalise_weights(layer_weights or dict.fromkeys(targets, 1.0))
        self.energies = [losses.energy(p) for p in targets.values()]
        self.detail: dict[str, Tensor] = {}
        if detail is not None:
            for name, p in targets.items():
                size = (int(p.shape[2]), int(p.shape[3]))
                self.detail[name] = masks_at_positions(detail, size)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose content is matched."""
        return tuple(self.targets)

    def sums(self, view: View) -> Sums:
        """Compute the squared distance from the target in each layer."""
        return [self._measure(view, name) for name in self.targets]

    def _measure(self, view: View, name: str) -> Tensor:
        """Compute the squared distance from the target in one layer."""
        target = view.crop_like(self.targets[name], name)
        detail = self.detail.get(name)
        weights = None if detail is None else view.crop_like(detail, name)
        return losses.squared_distance(view.maps[name], target, weights)

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        """Compute the weighted mean of the relative distances, a scalar."""
        layers = zip(self.targets, sums, self.energies, strict=True)
        return torch.stack([self.shares[name] * d / e for name, d, e in layers]).mean()


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
class FineColourTerm(PixelTerm):
    """The energy of colour's finest octave (`losses.fine_colour_energy`), relative to that of the
    style image: the features hardly see it, and grain in flat paint costs the optimiser nothing.

    Args:
        energy: that of the style image.
    """

    weight: float
    energy: float
    name = "grain"

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        """Compute the relative energy, a scalar."""
        return losses.fine_colour_energy(image) / (self.energy + LEAST_COLOUR_ENERGY)


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
