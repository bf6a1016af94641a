"""Properties that all distances of distributions share."""

from __future__ import annotations

import pytest
import torch

from tests.stylize.style.distances import (
    DOUBLE,
    Distance,
    by_histogram,
    by_slices,
    by_wasserstein,
    draw_map,
)

LOSSES = pytest.mark.parametrize("loss", [by_wasserstein, by_slices, by_histogram])


@LOSSES
def test_the_gradient_agrees_with_finite_differences(loss: Distance) -> None:
    f, p = draw_map(3, 4, 5).requires_grad_(), draw_map(3, 5, 4, seed=1)
    assert torch.autograd.gradcheck(lambda x: loss(x, p), f, eps=1e-6, atol=1e-7)


@LOSSES
@pytest.mark.parametrize(("h", "w"), [(7, 9), (1, 3)])
def test_equal_maps_have_no_distance_and_nothing_pulls_at_them(
    loss: Distance, h: int, w: int
) -> None:
    """Also with fewer pixels than channels."""
    f = draw_map(5, h, w).requires_grad_()
    value = loss(f, f.detach())
    assert float(value.detach()) == pytest.approx(0, abs=1e-7)
    (gradient,) = torch.autograd.grad(value, f)
    assert float(gradient.abs().max()) < 1e-7


@LOSSES
def test_where_the_features_lie_does_not_matter(loss: Distance) -> None:
    f, p = draw_map(), draw_map(seed=1)
    shuffled = f.flatten(2)[
        :, :, torch.randperm(63, generator=torch.Generator().manual_seed(2))
    ].view_as(f)
    assert float(loss(shuffled, f)) == pytest.approx(0, abs=1e-7)
    for other in (shuffled, f.contiguous(memory_format=torch.contiguous_format)):
        assert float(loss(other, p)) == pytest.approx(float(loss(f, p)), rel=1e-9)


@LOSSES
@pytest.mark.parametrize("tiles", [(2, 1), (1, 3), (2, 2)])
def test_a_weight_means_the_same_at_every_scale_of_the_values_and_at_every_size(
    loss: Distance, tiles: tuple[int, int]
) -> None:
    f, p = draw_map(), draw_map(seed=1)
    once = pytest.approx(float(loss(f, p)), rel=1e-9)
    assert float(loss(10 * f, 10 * p)) == once
    repeat = (1, 1, *tiles)
    assert float(loss(f.repeat(repeat), p.repeat(repeat))) == once
    assert float(loss(f, p.repeat(repeat))) == once


@LOSSES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_half_precision_maps_are_measured_in_single_precision(
    loss: Distance, dtype: torch.dtype
) -> None:
    f, p = draw_map(dtype=dtype).requires_grad_(), draw_map(seed=1, dtype=dtype)
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
def test_the_same_maps_give_the_same_bits(loss: Distance) -> None:
    f, p = draw_map(dtype=torch.float32), draw_map(seed=1, dtype=torch.float32)
    assert torch.equal(loss(f, p), loss(f.clone(), p.clone()))


@LOSSES
def test_moving_down_the_gradient_leads_to_the_target(loss: Distance) -> None:
    f, p = draw_map(3).requires_grad_(), 2 * draw_map(3, seed=1) - 1
    first = float(loss(f, p).detach())
    optimiser = torch.optim.Adam([f], 0.15)
    for _ in range(80):
        optimiser.zero_grad()
        loss(f, p).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert float(loss(f, p).detach()) < 0.01 * first


def test_only_slices_along_all_directions_see_how_channels_go_together() -> None:
    x, y = draw_map(1), draw_map(1, seed=1)
    together, apart = torch.cat([x, x], 1), torch.cat([x, x.flip(-1)], 1)
    assert float(by_histogram(apart, together)) == pytest.approx(0, abs=1e-12)
    assert float(by_slices(apart, together)) > 0.01
    assert float(by_wasserstein(apart, together)) > 0.01
    assert float(by_slices(torch.cat([y, y], 1), together)) > 0
