"""Distributions of features as style: the painting's style is how its features are distributed, not
only which of them occur together (`losses.style`).

As everywhere (`losses`), all are relative to the target's energy in the same terms. `wasserstein`
comes from sums over pixels, so it can be had tile by tile; `sliced` and `histogram` sort the pixels
and need the whole map.

References: Olkin, Pukelsheim 1982 "The distance between two random vectors with given dispersion
matrices" ("Olkin"); Mroueh 2019 "Wasserstein style transfer" ("Mroueh"); Bonneel, Rabin, Peyré,
Pfister 2015 "Sliced and Radon Wasserstein barycenters of measures"; Heitz, Vanhoey, Chambon,
Belcour 2021 "A sliced Wasserstein loss for neural texture synthesis" ("Heitz"); Risser, Wilmot,
Barnes 2017 "Stable and controllable neural texture synthesis and style transfer using histogram
losses" ("Risser").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from vidstyle.stylize import losses

AT_ONCE = 2**22
"""Projections of pixels that are sorted at once; sorting holds about 24 bytes for each."""


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """(1, c, h, w) -> sum of f, (c,), and F^T F, (c, c): sums over pixels, in fp32 at least."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    return features.sum((0, 2, 3), dtype=dtype), losses.products(features)


def mean_covariance(s: Tensor, p: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The `moments` of n pixels -> their mean, (c,), and covariance P / n - mean mean^T, (c, c)."""
    mean = s / n
    return mean, p / n - torch.outer(mean, mean)


def wasserstein(
    mean: Tensor,
    covariance: Tensor,
    target_mean: Tensor,
    target_covariance: Tensor,
    target_root: Tensor | None = None,
) -> Tensor:
    """(|m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2)) / (|m2|^2 + tr C2), a scalar: the
    squared Wasserstein-2 distance of two normal distributions (Olkin; Mroueh, who moves features
    along its map).

    Args:
        mean: (c,); this and `covariance`, (c, c), are the arguments that get a gradient.
        target_root: `root` of the target's covariance, where it is known.
    """
    r = root(target_covariance) if target_root is None else target_root
    c, spread = double(covariance), double(target_covariance).trace()
    distance = (
        losses.distance(double(mean), double(target_mean))
        + c.trace()
        + spread
        - 2 * Fidelity.apply(c, r)
    )
    relative: Tensor = distance / (losses.energy(double(target_mean)) + spread)
    return relative.to(mean)


def root(covariance: Tensor) -> Tensor:
    """C^1/2 of a positive semidefinite C (c, c), in float64; eigenvalues that rounding left below 0
    count as 0.
    """
    values, vectors = spectrum(double(covariance))
    return (vectors * values.sqrt()) @ vectors.mT


def double(t: Tensor) -> Tensor:
    """In float64. C2^1/2 C1 C2^1/2 has the squares of the eigenvalues of C, and fp32 would lose all
    below 3e-4 of the largest: most of them, in deep features.
    """
    return (t.cpu() if t.device.type == "mps" else t).double()  # mps has no float64


def spectrum(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (c,), not below 0, and eigenvectors (c, c), in columns, of a positive
    semidefinite matrix (c, c).
    """
    # eigh raises where it should answer NaN. What is not finite here is not finite in the trace
    # either.
    values, vectors = torch.linalg.eigh(torch.nan_to_num((matrix + matrix.mT) / 2, 0.0, 0.0, 0.0))
    return values.clamp_min(0), vectors


class Fidelity(torch.autograd.Function):
    """tr (R C R)^1/2 of C (c, c), R = C2^1/2. Its gradient is R (R C R)^-1/2 R / 2, half of the map
    that carries one distribution to the other (Mroueh), with the pseudo-inverse: along what C has
    no share in, as with fewer pixels than channels, the derivative is infinite, but no pixel lies
    there to be moved by it.
    """

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, r: Tensor) -> Tensor:
        values, vectors = spectrum(r @ covariance @ r)
        least = (
            values.amax() * len(values) * torch.finfo(values.dtype).eps
        )  # below it is only rounding
        roots = torch.where(values > least, values, 0).sqrt()
        ctx.save_for_backward(r @ vectors, torch.where(values > least, 0.5 / roots, 0))
        return roots.sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        rotated, halves = ctx.saved_tensors
        return (rotated * (grad * halves)) @ rotated.mT, None


def directions(c: int, k: int, seed: int) -> Tensor:
    """k unit vectors (c, k) in float64, drawn evenly from the sphere.

    Heitz draws new ones for every step; ours stay, for L-BFGS needs the same objective at every
    step.
    """
    drawn = torch.randn(c, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=0)


def sliced(features: Tensor, target: Tensor, along: Tensor | None) -> Tensor:
    """Mean of |sort(v^T F) - sort(v^T P)|^2 over pixels and directions v, relative to the mean of
    |v^T P|^2, a scalar (Heitz eq. 2 to 4, after Bonneel).

    Args:
        features: (1, c, h, w), the only argument that gets a gradient.
        target: `quantiles` of the painting's features along the same directions, (k, any count).
        along: `directions`, (c, k); None: the axes, one for each channel.
    """
    distance: Tensor = Transport.apply(pixels(features), target, along)
    return distance / (losses.energy(target) / target.numel())


def histogram(features: Tensor, target: Tensor) -> Tensor:
    """Mean of |F - R(F)|^2 relative to the mean of |P|^2, a scalar: R gives each channel the
    target's histogram and leaves the order of its pixels, and is held fixed for the gradient
    (Risser eq. 6 and 7).

    Risser matches 256 bins; we sort, which is exact. So it is `sliced` along the channels' own
    axes.

    Args:
        target: `quantiles` of the painting's channels, (c, any count).
    """
    return sliced(features, target, None)


@torch.no_grad()
def quantiles(features: Tensor, along: Tensor | None, count: int) -> Tensor:
    """(1, c, h, w) -> quantiles of v^T F, ascending, for each direction v; (k, count), along the
    axes (c, count).
    """
    f = pixels(features)
    return torch.cat([resample(p.sort(-1).values, count) for _, p in projections(f, along)])


def resample(ordered: Tensor, count: int) -> Tensor:
    """Quantiles (k, n) -> (k, count): the i-th of n is that of the share (i + 1/2) / n, and between
    two it is linear. So a map laid out several times has the quantiles of the map itself.
    """
    n = ordered.shape[-1]
    if n == count:
        return ordered
    # Twice the place times the count, in integers: fp32 cannot tell the pixels of a large picture
    # apart.
    place = (2 * torch.arange(count, device=ordered.device) + 1) * n - count
    place = place.clamp(0, 2 * count * (n - 1))
    below = place // (2 * count)
    share = (place - below * (2 * count)).to(ordered.dtype) / (2 * count)
    return torch.lerp(ordered[:, below], ordered[:, (below + 1).clamp_max(n - 1)], share)


def pixels(features: Tensor) -> Tensor:
    """(1, c, h, w) -> (h w, c), a view of a channels_last map."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def projections(f: Tensor, along: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """(n, c), (c, k) -> some of the k directions after the other, and v^T F along them, (some, n),
    in fp32 at least.
    """
    step = max(1, AT_ONCE // f.shape[0])
    for first in range(0, f.shape[1] if along is None else along.shape[1], step):
        some = slice(first, first + step)
        if along is None:
            yield some, losses.full(f[:, some]).mT.contiguous()
        else:
            yield (
                some,
                torch.cat(
                    [along[:, some].to(piece).mT @ piece.mT for piece in losses.pieces(f)], -1
                ),
            )


class Transport(torch.autograd.Function):
    """Mean of |sort(v^T F) - q|^2 over the pixels of F (n, c) and k directions v; q are the
    target's quantiles (k, m).

    Its gradient, 2 v (v^T f - q) / (k n) with the q of f's rank, is made at once and held instead
    of all ranks.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, target: Tensor, along: Tensor | None) -> Tensor:
        n, k = f.shape[0], target.shape[0]
        pull = torch.zeros_like(f, dtype=torch.promote_types(f.dtype, torch.float32))
        total = pull.new_zeros(())
        for some, p in projections(f, along):
            ordered, order = p.sort(
                stable=True, dim=-1
            )  # stable: equal pixels are always ordered alike
            apart = ordered.sub_(resample(target[some], n))
            total += apart.square().sum()
            apart = torch.empty_like(p).scatter_(
                -1, order, apart
            )  # p may be a view of the features
            if along is None:
                pull[:, some] = apart.mT
            else:
                pull.addmm_(apart.mT, along[:, some].to(pull).mT)
        # Without its factor it is of the size of f, which half precision can hold.
        ctx.save_for_backward((pull / k).to(f.dtype))
        ctx.factor = 2 / n
        return total / (k * n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (pull,) = ctx.saved_tensors
        return (losses.full(pull) * (grad * ctx.factor)).to(pull.dtype), None, None
