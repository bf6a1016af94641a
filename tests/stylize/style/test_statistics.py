from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.style import statistics
from vidstyle.stylize.style.statistics import (
    directions,
    histogram,
    mean_covariance,
    moments,
    quantiles,
    root,
    sliced,
    wasserstein,
)

DOUBLE = torch.float64
Loss = Callable[[Tensor, Tensor], Tensor]


def maps(c: int = 5, h: int = 7, w: int = 9, seed: int = 0, dtype: torch.dtype = DOUBLE) -> Tensor:
    drawn = torch.randn(1, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    return (
        (drawn + torch.arange(c).view(1, c, 1, 1) / 3)
        .to(dtype)
        .contiguous(memory_format=torch.channels_last)
    )


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    return mean_covariance(*moments(features), features.shape[2] * features.shape[3])


def by_wasserstein(f: Tensor, p: Tensor) -> Tensor:
    return wasserstein(*gaussian(f), *gaussian(p))


def by_slices(f: Tensor, p: Tensor) -> Tensor:
    along = directions(p.shape[1], 4, seed=3).to(p if p.dtype == DOUBLE else torch.float32)
    return sliced(f, quantiles(p, along, p.shape[2] * p.shape[3]), along)


def by_histogram(f: Tensor, p: Tensor) -> Tensor:
    return histogram(f, quantiles(p, None, p.shape[2] * p.shape[3]))


LOSSES = pytest.mark.parametrize("loss", [by_wasserstein, by_slices, by_histogram])


@LOSSES
def test_the_gradient_agrees_with_finite_differences(loss: Loss) -> None:
    f, p = maps(3, 4, 5).requires_grad_(), maps(3, 5, 4, seed=1)
    assert torch.autograd.gradcheck(lambda x: loss(x, p), f, eps=1e-6, atol=1e-7)


@LOSSES
@pytest.mark.parametrize(("h", "w"), [(7, 9), (1, 3)])
def test_equal_maps_have_no_distance_and_nothing_pulls_at_them(loss: Loss, h: int, w: int) -> None:
    """Also with fewer pixels than channels."""
    f = maps(5, h, w).requires_grad_()
    value = loss(f, f.detach())
    assert float(value.detach()) == pytest.approx(0, abs=1e-7)
    (gradient,) = torch.autograd.grad(value, f)
    assert float(gradient.abs().max()) < 1e-7


@LOSSES
def test_where_the_features_lie_does_not_matter(loss: Loss) -> None:
    f, p = maps(), maps(seed=1)
    shuffled = f.flatten(2)[
        :, :, torch.randperm(63, generator=torch.Generator().manual_seed(2))
    ].view_as(f)
    assert float(loss(shuffled, f)) == pytest.approx(0, abs=1e-7)
    for other in (shuffled, f.contiguous(memory_format=torch.contiguous_format)):
        assert float(loss(other, p)) == pytest.approx(float(loss(f, p)), rel=1e-9)


@LOSSES
@pytest.mark.parametrize("tiles", [(2, 1), (1, 3), (2, 2)])
def test_a_weight_means_the_same_at_every_scale_of_the_values_and_at_every_size(
    loss: Loss, tiles: tuple[int, int]
) -> None:
    f, p = maps(), maps(seed=1)
    once = pytest.approx(float(loss(f, p)), rel=1e-9)
    assert float(loss(10 * f, 10 * p)) == once
    repeat = (1, 1, *tiles)
    assert float(loss(f.repeat(repeat), p.repeat(repeat))) == once
    assert float(loss(f, p.repeat(repeat))) == once


@LOSSES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_half_precision_maps_are_measured_in_single_precision(
    loss: Loss, dtype: torch.dtype
) -> None:
    f, p = maps(dtype=dtype).requires_grad_(), maps(seed=1, dtype=dtype)
    value = loss(f, p)
    assert value.dtype == torch.float32
    exact_f = f.detach().to(DOUBLE).requires_grad_()
    exact = loss(exact_f, p.to(DOUBLE))
    assert float(value.detach()) == pytest.approx(float(exact.detach()), rel=1e-4)
    gradient, wanted = (
        torch.autograd.grad(1000 * value, f)[0],
        torch.autograd.grad(1000 * exact, exact_f)[0],
    )
    assert gradient.dtype == dtype
    assert float((gradient - wanted).norm() / wanted.norm()) < 1e-2


@LOSSES
def test_the_same_maps_give_the_same_bits(loss: Loss) -> None:
    f, p = maps(dtype=torch.float32), maps(seed=1, dtype=torch.float32)
    assert torch.equal(loss(f, p), loss(f.clone(), p.clone()))


@LOSSES
def test_moving_down_the_gradient_leads_to_the_target(loss: Loss) -> None:
    f, p = maps(3).requires_grad_(), 2 * maps(3, seed=1) - 1
    first = float(loss(f, p).detach())
    optimiser = torch.optim.Adam([f], 0.15)
    for _ in range(80):
        optimiser.zero_grad()
        loss(f, p).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert float(loss(f, p).detach()) < 0.01 * first


def test_moments_of_two_halves_add_up_to_those_of_the_whole() -> None:
    f = maps()
    for a, b, whole in zip(moments(f[..., :4]), moments(f[..., 4:]), moments(f), strict=True):
        assert torch.allclose(a + b, whole, rtol=1e-12)
    mean, covariance = gaussian(f)
    assert torch.allclose(mean, f.mean((0, 2, 3)))
    assert torch.allclose(covariance, torch.cov(f[0].flatten(1), correction=0))


def test_the_distance_of_normal_distributions_on_one_axis_is_that_of_means_and_deviations() -> None:
    m, v, n, u = (torch.tensor([x], dtype=DOUBLE) for x in (0.5, 4.0, -1.0, 0.25))
    expected = (1.5**2 + (2 - 0.5) ** 2) / (1 + 0.25)
    assert float(wasserstein(m, v[None], n, u[None])) == pytest.approx(expected)


def test_the_distance_of_commuting_covariances_is_that_of_their_roots() -> None:
    """And a known root of the target is not needed for the result."""
    turn = torch.linalg.qr(maps(6, 2, 3)[0].flatten(1)).Q
    a, b = (maps(1, 1, 6, seed).flatten().square() for seed in (1, 2))
    m, n = (maps(1, 1, 6, seed).flatten() for seed in (3, 4))
    c1, c2 = turn @ a.diag() @ turn.T, turn @ b.diag() @ turn.T
    expected = ((m - n).square().sum() + (a.sqrt() - b.sqrt()).square().sum()) / (
        n.square().sum() + b.sum()
    )
    assert float(wasserstein(m, c1, n, c2)) == pytest.approx(float(expected))
    assert torch.equal(wasserstein(m, c1, n, c2, root(c2)), wasserstein(m, c1, n, c2))
    assert torch.allclose(root(c2) @ root(c2), c2)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize(("pixels", "target"), [(3, 4), (3, 63), (63, 3)])
def test_fewer_pixels_than_channels_leave_distance_and_gradient_finite(
    dtype: torch.dtype, pixels: int, target: int
) -> None:
    f, p = (
        maps(16, 1, pixels, dtype=dtype).requires_grad_(),
        maps(16, 1, target, seed=1, dtype=dtype),
    )
    value = by_wasserstein(f, p)
    (gradient,) = torch.autograd.grad(value, f)
    assert 0 < float(value.detach()) < 10
    assert 0 < float(gradient.norm()) < 10


def test_with_fewer_pixels_than_channels_the_gradient_still_agrees_with_finite_differences() -> (
    None
):
    f, p = maps(6, 1, 4).requires_grad_(), maps(6, seed=1)
    assert torch.autograd.gradcheck(lambda x: by_wasserstein(x, p), f, eps=1e-6, atol=1e-7)


def test_a_map_of_one_value_has_a_distance_and_so_has_one_to_it() -> None:
    flat, p = torch.ones(1, 5, 7, 9, dtype=DOUBLE).requires_grad_(), maps()
    for value in (by_wasserstein(flat, p), by_wasserstein(p, flat)):
        assert bool(torch.autograd.grad(value, flat)[0].isfinite().all())


def test_what_is_not_finite_gives_a_distance_that_is_not_and_no_error() -> None:
    f = maps()
    f[0, 1, 2, 3] = torch.nan
    assert not bool(by_wasserstein(f, maps(seed=1)).isfinite())


def test_directions_are_unit_vectors_that_only_the_seed_decides() -> None:
    along = directions(5, 7, seed=1)
    assert along.shape == (5, 7)
    assert torch.allclose(along.norm(dim=0), torch.ones(7, dtype=DOUBLE))
    assert torch.equal(along, directions(5, 7, seed=1))
    assert not torch.equal(along, directions(5, 7, seed=2))


def test_on_one_axis_the_sliced_distance_is_the_exact_one() -> None:
    f, p = maps(1), maps(1, seed=1)
    exact = (
        f.flatten().sort().values - p.flatten().sort().values
    ).square().mean() / p.square().mean()
    along = torch.ones(1, 1, dtype=DOUBLE)
    assert float(sliced(f, quantiles(p, along, 63), along)) == pytest.approx(float(exact))
    assert float(histogram(f, quantiles(p, None, 63))) == pytest.approx(float(exact))


def test_quantiles_of_a_tiled_map_are_those_of_the_map_and_few_of_them_are_enough() -> None:
    p = maps(3, 40, 50)
    for times in (2, 3):
        assert torch.allclose(
            quantiles(p.repeat(1, 1, times, 1), None, 2000), quantiles(p, None, 2000)
        )
    few = quantiles(p, None, 256)
    assert bool((few.diff() >= 0).all())
    assert float(histogram(p, few)) < 1e-3


def test_the_histogram_loss_pulls_each_pixel_to_the_target_value_of_its_rank() -> None:
    f, p = maps().requires_grad_(), maps(seed=1)
    (gradient,) = torch.autograd.grad(by_histogram(f, p), f)
    rank = f.detach().flatten(2).argsort().argsort()
    remapped = p.flatten(2).sort().values.gather(2, rank).view_as(f)
    assert torch.allclose(
        gradient, 2 * (f.detach() - remapped) / p.square().sum(), rtol=1e-9, atol=1e-12
    )


def test_only_slices_along_all_directions_see_how_channels_go_together() -> None:
    x, y = maps(1), maps(1, seed=1)
    together, apart = torch.cat([x, x], 1), torch.cat([x, x.flip(-1)], 1)
    assert float(by_histogram(apart, together)) == pytest.approx(0, abs=1e-12)
    assert float(by_slices(apart, together)) > 0.01
    assert float(by_wasserstein(apart, together)) > 0.01
    assert float(by_slices(torch.cat([y, y], 1), together)) > 0


@pytest.mark.parametrize("loss", [by_slices, by_histogram])
def test_sorting_some_directions_at_a_time_changes_nothing(
    loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    f, p = maps().requires_grad_(), maps(seed=1)
    whole = loss(f, p)
    (gradient,) = torch.autograd.grad(whole, f)
    monkeypatch.setattr(statistics, "AT_ONCE", 2 * 63)
    pieces = loss(f, p)
    assert torch.allclose(pieces, whole, rtol=1e-12)
    assert torch.allclose(torch.autograd.grad(pieces, f)[0], gradient, rtol=1e-9, atol=1e-15)
