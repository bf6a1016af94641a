"""Maps of features, and the distances between two of them that compare distributions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vidstyle.stylize.style.sliced import (
    MAX_SORTED_PROJECTIONS,
    draw_directions,
    quantiles,
    sliced_wasserstein,
)
from vidstyle.stylize.style.w2 import (
    Normal,
    fit_normal,
    square_root,
    sum_moments,
    wasserstein_distance,
)

DOUBLE = torch.float64

Distance = Callable[[Tensor, Tensor], Tensor]


def draw_map(
    c: int = 5, h: int = 7, w: int = 9, seed: int = 0, dtype: torch.dtype = DOUBLE
) -> Tensor:
    """Draw a map (1, c, h, w) in channels_last whose channels have different means."""
    drawn = torch.randn(1, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    moved = drawn + torch.arange(c).view(1, c, 1, 1) / 3
    return moved.to(dtype).contiguous(memory_format=torch.channels_last)


def normal_of(features: Tensor) -> Normal:
    """Return the normal distribution of a map."""
    return fit_normal(*sum_moments(features), features.shape[2] * features.shape[3])


def by_wasserstein(f: Tensor, p: Tensor) -> Tensor:
    target = normal_of(p)
    return wasserstein_distance(normal_of(f), target, square_root(target.covariance))


def by_slices(f: Tensor, p: Tensor, max_sorted: int = MAX_SORTED_PROJECTIONS) -> Tensor:
    drawn = draw_directions(p.shape[1], 4, seed=3)
    along = drawn.to(p if p.dtype == DOUBLE else torch.float32)
    target = quantiles(p, along, p.shape[2] * p.shape[3], max_sorted)
    return sliced_wasserstein(f, target, along, max_sorted)


def by_histogram(f: Tensor, p: Tensor, max_sorted: int = MAX_SORTED_PROJECTIONS) -> Tensor:
    target = quantiles(p, None, p.shape[2] * p.shape[3], max_sorted)
    return sliced_wasserstein(f, target, None, max_sorted)
