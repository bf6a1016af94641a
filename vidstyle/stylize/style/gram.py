"""The Gram matrix as style: which features occur together (Gatys, Ecker, Bethge 2016, eq. 3 to 5).

What it measures of a picture is also what the mean and covariance are made of (`w2`), so the parts
that both share are here: products of features in regions, and mixtures of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.style.mixture import mix_at_equal_energy
from vidstyle.stylize.style.regions import Segmentation, guided_gram, region_areas
from vidstyle.stylize.style.term import LayerLoss, StyleTerm, register_style_term


class GramLoss(LayerLoss):
    """The relative distance of Gram matrices (`losses.style`) from a target, (c, c)."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def measure(self, features: Tensor, positions: int) -> Tensor:
        return measure_gram(features, positions)

    def distance(self, measured: Tensor) -> Tensor:
        return losses.style(measured, self.target)


class RegionGramLoss(LayerLoss):
    """The mean over the regions of a picture of their losses, weighted by their areas.

    Args:
        regions: the loss of each region, of which only the distance is asked.
        measure_regions: (1, c, h, w) and masks (k, 1, h, w) -> what is measured of every region,
            (k, ...).
    """

    def __init__(
        self,
        regions: Sequence[LayerLoss],
        masks: Segmentation,
        measure_regions: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.regions = regions
        self.masks = masks
        self.measure_regions = measure_regions

    def measure(self, features: Tensor, positions: int) -> Tensor:
        return self.measure_regions(features, self.masks.masks_of(features))

    def distance(self, measured: Tensor) -> Tensor:
        return self.masks.average(lambda i: self.regions[i].distance(measured[i]))


class GramTerm(StyleTerm):
    """The Gram matrix of each layer; the target is that of the style image, (c, c), or one for each
    region, (k, c, c).
    """

    name = "gram"
    additive = True

    def target(
        self, features: Tensor, positions: int, masks: Segmentation | None, seed: int
    ) -> Tensor:
        if masks is None:
            return measure_gram(features, positions)
        return measure_region_grams(features, masks)

    def mix(self, targets: Sequence[tuple[float, Tensor]]) -> Tensor:
        return mix_moments(targets)

    def loss(self, target: Tensor, masks: Segmentation | None, seed: int) -> LayerLoss:
        if masks is None:
            return GramLoss(target)
        return RegionGramLoss([GramLoss(own) for own in target], masks, guided_gram)


def measure_gram(features: Tensor, positions: int) -> Tensor:
    """(1, c, h, w) -> the share of these positions in the Gram matrix of a map of so many, (c,
    c).
    """
    return losses.products(features) / positions


def measure_region_grams(features: Tensor, masks: Segmentation) -> Tensor:
    """(1, c, h, w) -> the Gram matrix of every region, (k, c, c).

    A region that is smaller than one position, or that lies in the rest of a row that is no whole
    position, takes the Gram matrix of the whole map.
    """
    own = masks.masks_of(features)
    present = (region_areas(own) >= 1)[:, None, None]
    return torch.where(present, guided_gram(features, own), losses.gram(features))


def mix_moments(targets: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Mix mean products of features, as if each style image had its share of the positions.

    Args:
        targets: (share, target): Gram matrices, (c, c), or with a row of means before them, (1 + c,
            c).
    """
    return mix_at_equal_energy(targets, moments_energy, rescale_moments)


def moments_energy(target: Tensor) -> Tensor:
    """Return the mean of |F|^2, a scalar, from a target of `mix_moments`."""
    return target[-target.shape[1] :].trace().clamp_min(losses.TINY)


def rescale_moments(target: Tensor, factor: Tensor) -> Tensor:
    """Return the target of features that are `factor` times as large: a mean grows with it, a
    product with its square.
    """
    mean_rows = target.shape[0] - target.shape[1]
    return torch.cat([target[:mean_rows] * factor, target[mean_rows:] * factor**2])


register_style_term("gram", lambda settings: GramTerm())
