"""The distribution of features as style: the sliced Wasserstein distance along fixed directions.

It sorts the positions of a layer, so it needs whole maps.

References: Bonneel, Rabin, Peyré, Pfister 2015 "Sliced and Radon Wasserstein barycenters of
measures" ("Bonneel"); Heitz, Vanhoey, Chambon, Belcour 2021 "A sliced Wasserstein loss for neural
texture synthesis" ("Heitz").
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.style.mixture import mix_at_equal_energy
from vidstyle.stylize.style.regions import Segmentation, select_positions
from vidstyle.stylize.style.term import LayerLoss, StyleTerm, register_style_term

MAX_DIRECTIONS = 32
"""Directions along which a layer's distribution is compared, at most as many as it has channels.
Heitz takes as many as channels, and others in every step."""

KEPT_QUANTILES = 4096
"""Quantiles that are kept of a style image, for each direction."""

MAX_SORTED_PROJECTIONS = 2**22
"""Projections of positions that are sorted at once; sorting takes about 24 bytes for each."""

Directions = Callable[[Tensor], Tensor | None]
"""Gives the directions (c, k) along which a map (1, c, h, w) is compared; None: each channel."""


class SlicedLoss(LayerLoss):
    """The sliced Wasserstein distance from a target: its quantiles, (k, n)."""

    def __init__(self, target: Tensor, directions: Directions) -> None:
        self.target = target
        self.directions = directions

    def measure(self, features: Tensor, positions: int) -> Tensor:
        return sliced_wasserstein(features, self.target, self.directions(features))


class RegionSlicedLoss(LayerLoss):
    """The mean of the regions' sliced Wasserstein distances, weighted by their areas.

    Args:
        targets: the quantiles of every region, (r, k, n).
    """

    def __init__(self, targets: Tensor, directions: Directions, masks: Segmentation) -> None:
        self.targets = targets
        self.directions = directions
        self.masks = masks

    def measure(self, features: Tensor, positions: int) -> Tensor:
        along = self.directions(features)
        places = self.masks.places_in(features)

        def measure_region(i: int) -> Tensor:
            own = select_positions(features, places[i])
            return sliced_wasserstein(own, self.targets[i], along)

        return self.masks.average(measure_region)


class SlicedTerm(StyleTerm):
    """The whole distribution of each layer's features along directions that are drawn once; the
    target of a style image is its quantiles, (k, n), or those of each region, (r, k, n).
    """

    name = "swd"

    def choose_directions(self, features: Tensor, seed: int) -> Tensor | None:
        """Return the directions (c, k) along which a map (1, c, h, w) is compared."""
        dtype = torch.promote_types(features.dtype, torch.float32)
        return recall_directions(features.shape[1], seed, features.device, dtype)

    def target(
        self, features: Tensor, positions: int, masks: Segmentation | None, seed: int
    ) -> Tensor:
        along = self.choose_directions(features, seed)
        if masks is None:
            return quantiles(features, along, KEPT_QUANTILES)
        places = masks.places_in(features)
        return torch.stack(
            [quantiles(select_positions(features, own), along, KEPT_QUANTILES) for own in places]
        )

    def mix(self, targets: Sequence[tuple[float, Tensor]]) -> Tensor:
        """Mix distributions along their quantiles, the way of optimal transport."""
        return mix_at_equal_energy(targets, quantile_energy, torch.mul)

    def loss(self, target: Tensor, masks: Segmentation | None, seed: int) -> LayerLoss:
        directions = functools.partial(self.choose_directions, seed=seed)
        if masks is None:
            return SlicedLoss(target, directions)
        return RegionSlicedLoss(target, directions, masks)


def quantile_energy(target: Tensor) -> Tensor:
    """Return the mean square of quantiles (k, n), a scalar above 0: that of the features, up to a
    factor that is the same for all style images.
    """
    return target.square().mean().clamp_min(losses.TINY)


@functools.lru_cache(maxsize=32)
def recall_directions(channels: int, seed: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the directions of a layer, the same ones every time."""
    drawn = draw_directions(channels, min(channels, MAX_DIRECTIONS), seed)
    return drawn.to(device, dtype)


def draw_directions(c: int, k: int, seed: int) -> Tensor:
    """Draw k unit vectors (c, k) in float64, evenly from the sphere.

    Heitz draws new ones for every step; ours stay, for L-BFGS needs the same objective at every
    step.
    """
    drawn = torch.randn(c, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=0)


def sliced_wasserstein(
    features: Tensor,
    target: Tensor,
    along: Tensor | None,
    max_sorted: int = MAX_SORTED_PROJECTIONS,
) -> Tensor:
    """Return the mean of |sort(v^T F) - sort(v^T P)|^2 over positions and directions v, relative to
    the mean of |v^T P|^2, a scalar (Heitz eq. 2 to 4, after Bonneel).

    Args:
        features: (1, c, h, w), the only argument that gets a gradient.
        target: `quantiles` of the style image's features along the same directions, (k, any
            number).
        along: `draw_directions`, (c, k); None: the axes, one for each channel.
        max_sorted: projections that are sorted at once.
    """
    distance: Tensor = Transport.apply(flatten_positions(features), target, along, max_sorted)
    return distance / (losses.energy(target) / target.numel())


@torch.no_grad()
def quantiles(
    features: Tensor,
    along: Tensor | None,
    count: int,
    max_sorted: int = MAX_SORTED_PROJECTIONS,
) -> Tensor:
    """(1, c, h, w) -> quantiles of v^T F, ascending, for each direction v; (k, count), along the
    axes (c, count).
    """
    f = flatten_positions(features)
    projections = iterate_projections(f, along, max_sorted)
    return torch.cat([interpolate_quantiles(p.sort(-1).values, count) for _, p in projections])


def interpolate_quantiles(ordered: Tensor, count: int) -> Tensor:
    """Quantiles (k, n) -> (k, count): the i-th of n is that of the share (i + 1/2) / n, and between
    two it is linear. So a map laid out several times has the quantiles of the map itself.
    """
    n = ordered.shape[-1]
    if n == count:
        return ordered
    # Twice the place times the count, in integers: fp32 cannot tell the positions of a large map
    # apart.
    place = (2 * torch.arange(count, device=ordered.device) + 1) * n - count
    place = place.clamp(0, 2 * count * (n - 1))
    below = place // (2 * count)
    share = (place - below * (2 * count)).to(ordered.dtype) / (2 * count)
    return torch.lerp(ordered[:, below], ordered[:, (below + 1).clamp_max(n - 1)], share)


def flatten_positions(features: Tensor) -> Tensor:
    """(1, c, h, w) -> (h w, c), a view of a channels_last map."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def iterate_projections(
    f: Tensor, along: Tensor | None, max_sorted: int
) -> Iterator[tuple[slice, Tensor]]:
    """(n, c), (c, k) -> some of the k directions after the other, and v^T F along them, (some, n),
    in fp32 at least.
    """
    step = max(1, max_sorted // f.shape[0])
    for first in range(0, f.shape[1] if along is None else along.shape[1], step):
        some = slice(first, first + step)
        if along is None:
            yield some, losses.full(f[:, some]).mT.contiguous()
        else:
            projected = [
                along[:, some].to(piece).mT @ piece.mT for piece in losses.convert_in_pieces(f)
            ]
            yield some, torch.cat(projected, -1)


class Transport(torch.autograd.Function):
    """The mean of |sort(v^T F) - q|^2 over the positions of F (n, c) and k directions v; q are the
    target's quantiles (k, m).

    Its gradient, 2 v (v^T f - q) / (k n) with the q of f's rank, is computed together with it and
    kept instead of all ranks.
    """

    @staticmethod
    def forward(
        ctx: Any, f: Tensor, target: Tensor, along: Tensor | None, max_sorted: int
    ) -> Tensor:
        n = f.shape[0]
        k = target.shape[0]
        pull = torch.zeros_like(f, dtype=torch.promote_types(f.dtype, torch.float32))
        total = pull.new_zeros(())
        for some, p in iterate_projections(f, along, max_sorted):
            # Stable: equal positions are always ordered alike.
            ordered, order = p.sort(stable=True, dim=-1)
            apart = ordered.sub_(interpolate_quantiles(target[some], n))
            total += apart.square().sum()
            # Into another tensor: p may be a view of the features.
            apart = torch.empty_like(p).scatter_(-1, order, apart)
            if along is None:
                pull[:, some] = apart.mT
            else:
                pull.addmm_(apart.mT, along[:, some].to(pull).mT)
        # Without its factor it is of the size of f, which half precision can hold.
        ctx.save_for_backward((pull / k).to(f.dtype))
        ctx.factor = 2 / n
        return total / (k * n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (pull,) = ctx.saved_tensors
        return (losses.full(pull) * (grad * ctx.factor)).to(pull.dtype), None, None, None


register_style_term("swd", lambda settings: SlicedTerm())
