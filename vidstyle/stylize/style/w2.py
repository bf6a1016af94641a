"""Mean and covariance as style: the Wasserstein-2 distance of normal distributions with those of
the features.

References: Olkin, Pukelsheim 1982 "The distance between two random vectors with given dispersion
matrices" ("Olkin"); Mroueh 2019 "Wasserstein style transfer" ("Mroueh").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.style.gram import RegionGramLoss, measure_region_grams, mix_moments
from vidstyle.stylize.style.regions import Segmentation, guided_gram
from vidstyle.stylize.style.term import LayerLoss, StyleTerm, register_style_term


class Normal(NamedTuple):
    """A normal distribution: its mean, (c,), and its covariance, (c, c)."""

    mean: Tensor
    covariance: Tensor


class NormalTarget(NamedTuple):
    """The normal distribution of a style image, with the square root of its covariance, (c, c) in
    float64.
    """

    normal: Normal
    root: Tensor


class NormalLoss(LayerLoss):
    """The relative Wasserstein-2 distance from a target, in terms of means and mean products."""

    def __init__(self, target: NormalTarget) -> None:
        self.target = target

    def measure(self, features: Tensor, positions: int) -> Tensor:
        return measure_moments(features, positions)

    def distance(self, measured: Tensor) -> Tensor:
        normal = fit_normal(measured[0], measured[1:], 1)
        return wasserstein_distance(normal, self.target.normal, self.target.root)


class NormalTerm(StyleTerm):
    """The mean and covariance of each layer; the target of a style image is its means and mean
    products, (1 + c, c), or those of each region, (k, 1 + c, c).
    """

    name = "w2"
    additive = True

    def target(
        self, features: Tensor, positions: int, masks: Segmentation | None, seed: int
    ) -> Tensor:
        if masks is None:
            return measure_moments(features, positions)
        return drop_ones(measure_region_grams(prepend_ones(features), masks))

    def mix(self, targets: Sequence[tuple[float, Tensor]]) -> list[NormalTarget]:
        """Mix the targets, into one normal distribution for each region, or one alone."""
        mixed = mix_moments(targets)
        normals = [fit_normal(own[0], own[1:], 1) for own in mixed.view(-1, *mixed.shape[-2:])]
        return [NormalTarget(normal, square_root(normal.covariance)) for normal in normals]

    def loss(self, target: list[NormalTarget], masks: Segmentation | None, seed: int) -> LayerLoss:
        if masks is None:
            return NormalLoss(target[0])
        return RegionGramLoss([NormalLoss(own) for own in target], masks, measure_region_moments)


def measure_moments(features: Tensor, positions: int) -> Tensor:
    """(1, c, h, w) -> the share of these positions in the means and mean products of a map of so
    many, (1 + c, c).
    """
    total, products = sum_moments(features)
    return torch.cat([total[None].to(products), products]) / positions


def measure_region_moments(features: Tensor, masks: Tensor) -> Tensor:
    """(1, c, h, w) and masks (k, 1, h, w) -> the means and mean products of every region, (k, 1 +
    c, c).
    """
    return drop_ones(guided_gram(prepend_ones(features), masks))


def sum_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """(1, c, h, w) -> sum of f, (c,), and F^T F, (c, c): sums over positions, in fp32 at least."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    return features.sum((0, 2, 3), dtype=dtype), losses.products(features)


def prepend_ones(features: Tensor) -> Tensor:
    """(1, c, h, w) -> (1, 1 + c, h, w), with a channel of ones in front: its Gram matrix holds the
    mean and the mean product.
    """
    return F.pad(features, (0, 0, 0, 0, 1, 0), value=1.0)


def drop_ones(grams: Tensor) -> Tensor:
    """Return the Gram matrices (k, 1 + c, 1 + c) of maps with ones as means and mean products, (k,
    1 + c, c).
    """
    return grams[:, :, 1:]


def fit_normal(total: Tensor, products: Tensor, positions: int) -> Normal:
    """Return the normal distribution of so many positions from `sum_moments`: their mean, and the
    covariance P / n - mean mean^T.
    """
    mean = total / positions
    return Normal(mean, products / positions - torch.outer(mean, mean))


def wasserstein_distance(normal: Normal, target: Normal, target_root: Tensor) -> Tensor:
    """Return (|m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2)) / (|m2|^2 + tr C2), a scalar:
    the squared Wasserstein-2 distance of two normal distributions (Olkin; Mroueh, who moves
    features along its map), relative to the target's energy.

    Args:
        normal: the only argument that gets a gradient.
        target_root: `square_root` of the target's covariance.
    """
    covariance = to_double(normal.covariance)
    spread = to_double(target.covariance).trace()
    distance = (
        losses.distance(to_double(normal.mean), to_double(target.mean))
        + covariance.trace()
        + spread
        - 2 * Fidelity.apply(covariance, target_root)
    )
    relative: Tensor = distance / (losses.energy(to_double(target.mean)) + spread)
    return relative.to(normal.mean)


def square_root(covariance: Tensor) -> Tensor:
    """Return C^1/2 of a positive semidefinite C (c, c), in float64; eigenvalues that rounding left
    below 0 are taken as 0.
    """
    values, vectors = decompose_symmetric(to_double(covariance))
    return (vectors * values.sqrt()) @ vectors.mT


def to_double(t: Tensor) -> Tensor:
    """Convert to float64. C2^1/2 C1 C2^1/2 has the squares of the eigenvalues of C, and fp32 would
    lose all below 3e-4 of the largest: most of them, in deep features.
    """
    return (t.cpu() if t.device.type == "mps" else t).double()  # mps has no float64


def decompose_symmetric(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues (c,), not below 0, and the eigenvectors (c, c), in columns, of a
    positive semidefinite matrix (c, c).
    """
    # eigh raises where it should answer NaN. What is not finite here is not finite in the trace
    # either.
    values, vectors = torch.linalg.eigh(torch.nan_to_num((matrix + matrix.mT) / 2, 0.0, 0.0, 0.0))
    return values.clamp_min(0), vectors


class Fidelity(torch.autograd.Function):
    """The scalar tr (R C R)^1/2 of C (c, c), R = C2^1/2. Its gradient is R (R C R)^-1/2 R / 2, half
    of the map that carries one distribution to the other (Mroueh), with the pseudo-inverse: along
    directions in which C has no share, as with fewer positions than channels, the derivative is
    infinite, but no position lies there to be moved by it.
    """

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, r: Tensor) -> Tensor:
        values, vectors = decompose_symmetric(r @ covariance @ r)
        # Below it is only rounding.
        least = values.amax() * len(values) * torch.finfo(values.dtype).eps
        roots = torch.where(values > least, values, 0).sqrt()
        ctx.save_for_backward(r @ vectors, torch.where(values > least, 0.5 / roots, 0))
        return roots.sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        rotated, halves = ctx.saved_tensors
        return (rotated * (grad * halves)) @ rotated.mT, None


register_style_term("w2", lambda settings: NormalTerm())
