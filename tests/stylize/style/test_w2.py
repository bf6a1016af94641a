"""The Wasserstein-2 distance of normal distributions is the exact one, also where covariances have
no full rank.
"""

from __future__ import annotations

import pytest
import torch

from tests.stylize.style.distances import DOUBLE, by_wasserstein, draw_map, normal_of
from vidstyle.stylize.style.regions import Segmentation
from vidstyle.stylize.style.w2 import (
    Normal,
    NormalTerm,
    square_root,
    sum_moments,
    wasserstein_distance,
)


def test_moments_of_two_halves_add_up_to_those_of_the_whole() -> None:
    f = draw_map()
    for a, b, whole in zip(
        sum_moments(f[..., :4]), sum_moments(f[..., 4:]), sum_moments(f), strict=True
    ):
        assert torch.allclose(a + b, whole, rtol=1e-12)
    mean, covariance = normal_of(f)
    assert torch.allclose(mean, f.mean((0, 2, 3)))
    assert torch.allclose(covariance, torch.cov(f[0].flatten(1), correction=0))


def test_the_distance_of_normal_distributions_on_one_axis_is_that_of_means_and_deviations() -> None:
    m, v, n, u = (torch.tensor([x], dtype=DOUBLE) for x in (0.5, 4.0, -1.0, 0.25))
    expected = (1.5**2 + (2 - 0.5) ** 2) / (1 + 0.25)
    assert float(
        wasserstein_distance(Normal(m, v[None]), Normal(n, u[None]), square_root(u[None]))
    ) == pytest.approx(expected)


def test_the_distance_of_commuting_covariances_is_that_of_their_roots() -> None:
    turn = torch.linalg.qr(draw_map(6, 2, 3)[0].flatten(1)).Q
    a, b = (draw_map(1, 1, 6, seed).flatten().square() for seed in (1, 2))
    m, n = (draw_map(1, 1, 6, seed).flatten() for seed in (3, 4))
    c1, c2 = turn @ a.diag() @ turn.T, turn @ b.diag() @ turn.T
    expected = ((m - n).square().sum() + (a.sqrt() - b.sqrt()).square().sum()) / (
        n.square().sum() + b.sum()
    )
    distance = wasserstein_distance(Normal(m, c1), Normal(n, c2), square_root(c2))
    assert float(distance) == pytest.approx(float(expected))
    assert torch.allclose(square_root(c2) @ square_root(c2), c2)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize(("pixels", "target"), [(3, 4), (3, 63), (63, 3)])
def test_fewer_pixels_than_channels_leave_distance_and_gradient_finite(
    dtype: torch.dtype, pixels: int, target: int
) -> None:
    f, p = (
        draw_map(16, 1, pixels, dtype=dtype).requires_grad_(),
        draw_map(16, 1, target, seed=1, dtype=dtype),
    )
    value = by_wasserstein(f, p)
    (gradient,) = torch.autograd.grad(value, f)
    assert 0 < float(value.detach()) < 10
    assert 0 < float(gradient.norm()) < 10


def test_with_fewer_pixels_than_channels_the_gradient_still_agrees_with_finite_differences() -> (
    None
):
    f, p = draw_map(6, 1, 4).requires_grad_(), draw_map(6, seed=1)
    assert torch.autograd.gradcheck(lambda x: by_wasserstein(x, p), f, eps=1e-6, atol=1e-7)


def test_a_map_of_one_value_has_a_distance_and_so_has_one_to_it() -> None:
    flat, p = torch.ones(1, 5, 7, 9, dtype=DOUBLE).requires_grad_(), draw_map()
    for value in (by_wasserstein(flat, p), by_wasserstein(p, flat)):
        assert bool(torch.autograd.grad(value, flat)[0].isfinite().all())


def test_what_is_not_finite_gives_a_distance_that_is_not_and_no_error() -> None:
    f = draw_map()
    f[0, 1, 2, 3] = torch.nan
    assert not bool(by_wasserstein(f, draw_map(seed=1)).isfinite())


def test_the_target_of_a_region_is_that_of_its_positions_alone() -> None:
    f = draw_map(h=8, w=8).float()
    masks = torch.zeros(2, 8, 8)
    masks[0, :, :3] = 1
    masks[1, :, 3:] = 1
    targets = NormalTerm().target(f, 64, Segmentation(masks), seed=0)
    alone = [
        NormalTerm().target(part, part[0, 0].numel(), None, seed=0)
        for part in (f[..., :3], f[..., 3:])
    ]
    assert torch.allclose(targets, torch.stack(alone), atol=1e-5)
