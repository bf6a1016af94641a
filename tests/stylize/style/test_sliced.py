"""The sliced Wasserstein distance is the exact one along its directions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.stylize.style.distances import DOUBLE, by_histogram, by_slices, draw_map
from vidstyle.stylize.style.sliced import (
    MAX_DIRECTIONS,
    SlicedTerm,
    draw_directions,
    quantiles,
    sliced_wasserstein,
)


def test_directions_are_unit_vectors_that_only_the_seed_decides() -> None:
    along = draw_directions(5, 7, seed=1)
    assert along.shape == (5, 7)
    assert torch.allclose(along.norm(dim=0), torch.ones(7, dtype=DOUBLE))
    assert torch.equal(along, draw_directions(5, 7, seed=1))
    assert not torch.equal(along, draw_directions(5, 7, seed=2))


def test_on_one_axis_the_sliced_distance_is_the_exact_one() -> None:
    f, p = draw_map(1), draw_map(1, seed=1)
    exact = (
        f.flatten().sort().values - p.flatten().sort().values
    ).square().mean() / p.square().mean()
    along = torch.ones(1, 1, dtype=DOUBLE)
    assert float(sliced_wasserstein(f, quantiles(p, along, 63), along)) == pytest.approx(
        float(exact)
    )
    assert float(sliced_wasserstein(f, quantiles(p, None, 63), None)) == pytest.approx(float(exact))


def test_quantiles_of_a_tiled_map_are_those_of_the_map_and_few_of_them_are_enough() -> None:
    p = draw_map(3, 40, 50)
    for times in (2, 3):
        assert torch.allclose(
            quantiles(p.repeat(1, 1, times, 1), None, 2000), quantiles(p, None, 2000)
        )
    few = quantiles(p, None, 256)
    assert bool((few.diff() >= 0).all())
    assert float(sliced_wasserstein(p, few, None)) < 1e-3


@pytest.mark.parametrize("loss", [by_slices, by_histogram])
def test_sorting_some_directions_at_a_time_changes_nothing(loss: Callable[..., Tensor]) -> None:
    f = draw_map().requires_grad_()
    p = draw_map(seed=1)
    whole = loss(f, p)
    (gradient,) = torch.autograd.grad(whole, f)
    pieces = loss(f, p, max_sorted=2 * 63)
    assert torch.allclose(pieces, whole, rtol=1e-12)
    assert torch.allclose(torch.autograd.grad(pieces, f)[0], gradient, rtol=1e-9, atol=1e-15)


def test_a_layer_has_at_most_as_many_directions_as_channels() -> None:
    term = SlicedTerm()
    for channels in (3, 200):
        along = term.choose_directions(torch.zeros(1, channels, 2, 2), seed=1)
        assert along is not None
        assert along.shape == (channels, min(channels, MAX_DIRECTIONS))
