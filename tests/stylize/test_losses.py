from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.stylize import losses

DOUBLE = torch.float64


def maps(c: int = 5, h: int = 7, w: int = 9, seed: int = 0) -> Tensor:
    return torch.rand(1, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def test_the_gram_terms_gradient_is_gatys_equation_6_up_to_the_normalisation() -> None:
    f, a = maps().requires_grad_(), losses.gram(maps(seed=1))
    (gradient,) = torch.autograd.grad(losses.style(losses.gram(f), a), f)
    c, h, w = f.shape[1:]
    m = h * w
    matrix = f.detach().reshape(c, m)  # F of Gatys: (N, M)
    g = matrix @ matrix.T / m
    # Eq. 6 is 1/(N^2 M^2) (F^T (G - A))^T for 1/(4 N^2 M^2) sum (G - A)^2 of unnormalised Gram
    # matrices; ours has G / M and 1 / |A|^2 in their place.
    closed = 4 / (m * a.square().sum()) * (g - a) @ matrix
    assert torch.allclose(gradient.reshape(c, m), closed, rtol=1e-12, atol=1e-15)


def test_the_content_terms_gradient_is_gatys_equation_2_up_to_the_normalisation() -> None:
    f, p = maps().requires_grad_(), maps(seed=1)
    (gradient,) = torch.autograd.grad(losses.content(f, p), f)
    assert torch.allclose(gradient, 2 * (f.detach() - p) / p.square().sum(), rtol=1e-12, atol=1e-15)


def test_the_gram_matrix_does_not_see_where_things_are_nor_how_they_lie_in_memory() -> None:
    f = maps()
    shuffled = f.flatten(2)[
        :, :, torch.randperm(63, generator=torch.Generator().manual_seed(2))
    ].view_as(f)
    for other in (shuffled, f.contiguous(memory_format=torch.channels_last)):
        assert torch.allclose(losses.gram(f), losses.gram(other), rtol=1e-12)


@pytest.mark.parametrize("tiles", [(2, 1), (1, 3), (2, 2)])
def test_weights_mean_the_same_at_every_resolution_and_channel_count(
    tiles: tuple[int, int],
) -> None:
    f, p = maps(), maps(seed=1)
    repeat = (1, 1, *tiles)
    assert losses.content(f.repeat(repeat), p.repeat(repeat)) == pytest.approx(
        float(losses.content(f, p))
    )
    assert torch.allclose(losses.gram(f.repeat(repeat)), losses.gram(f))
    doubled = losses.style(losses.gram(torch.cat([f, f], 1)), losses.gram(torch.cat([p, p], 1)))
    assert doubled == pytest.approx(float(losses.style(losses.gram(f), losses.gram(p))))
    mask = torch.ones(1, 7, 9, dtype=DOUBLE)
    x, w = maps(3), maps(3, seed=1)[0]
    once = losses.temporal(x, w, mask)
    assert losses.temporal(
        x.repeat(repeat), w.repeat(1, *tiles), mask.repeat(1, *tiles)
    ) == pytest.approx(float(once))


def test_the_temporal_term_is_ruders_sum_over_3hw_with_the_mask_inside() -> None:
    x, w = maps(3), maps(3, seed=1)[0]
    mask = torch.rand(1, 7, 9, generator=torch.Generator().manual_seed(3), dtype=DOUBLE)
    by_hand = sum(
        float(mask[0, j, i] * (x[0, c, j, i] - w[c, j, i]) ** 2)
        for c in range(3)
        for j in range(7)
        for i in range(9)
    ) / (3 * 7 * 9)
    assert losses.temporal(x, w, mask) == pytest.approx(by_hand)


def test_the_temporal_gradient_is_zero_only_where_the_mask_is() -> None:
    x, w = maps(3).requires_grad_(), maps(3, seed=1)[0].requires_grad_()
    mask = torch.ones(1, 7, 9, dtype=DOUBLE)
    mask[:, :, :4] = 0
    losses.temporal(x, w, mask).backward()
    assert x.grad is not None
    assert torch.equal(x.grad[..., :4], torch.zeros(1, 3, 7, 4, dtype=DOUBLE))
    assert bool((x.grad[..., 4:] != 0).all())
    assert w.grad is None, "the previous frame is held fixed"


def test_total_variation_is_zero_on_a_flat_image_and_known_on_a_ramp() -> None:
    assert losses.total_variation(torch.full((1, 3, 8, 8), 0.3)) == 0
    ramp = torch.arange(10.0).view(1, 1, 1, 10).expand(1, 3, 6, 10) / 10
    assert losses.total_variation(ramp) == pytest.approx(0.01)


def test_smooth_l1_is_the_square_for_small_differences_and_grows_linearly_for_large_ones() -> None:
    knee = losses.SMOOTH_L1_KNEE
    mask = torch.ones(1, 1, 1, dtype=DOUBLE)

    def both(difference: float) -> tuple[float, float]:
        x, w = (
            torch.full((1, 3, 1, 1), 0.4 + difference, dtype=DOUBLE),
            torch.full((3, 1, 1), 0.4, dtype=DOUBLE),
        )
        return float(losses.temporal_smooth_l1(x, w, mask)), float(losses.temporal(x, w, mask))

    for share in (-1.0, -0.5, 0.0, 0.1, 0.999):
        smooth, square = both(share * knee)
        assert smooth == pytest.approx(square, abs=1e-15)
    for share in (-9.0, -2.0, 1.001, 3.0, 12.0):
        smooth, square = both(share * knee)
        assert smooth == pytest.approx(knee**2 * (2 * abs(share) - 1))
        assert smooth < square


def test_smooth_l1_weighs_inside_the_sum_and_pulls_only_at_the_image() -> None:
    x, w = maps(3).requires_grad_(), maps(3, seed=1)[0].requires_grad_()
    mask = torch.rand(
        1, 7, 9, generator=torch.Generator().manual_seed(3), dtype=DOUBLE
    ).requires_grad_()
    loss = losses.temporal_smooth_l1(x, w, mask)
    d = (x - w).abs()
    huber = torch.where(
        d <= losses.SMOOTH_L1_KNEE,
        d.square(),
        2 * losses.SMOOTH_L1_KNEE * d - losses.SMOOTH_L1_KNEE**2,
    )
    assert float(loss.detach()) == pytest.approx(float((mask * huber).detach().sum()) / (3 * 7 * 9))
    loss.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert bool(
        (x.grad.abs() <= 2 * losses.SMOOTH_L1_KNEE * mask / (3 * 7 * 9) + 1e-15).all()
    )  # however wrong the flow is
    assert w.grad is None
    assert mask.grad is None
