from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.optimise.lbfgs import (
    HISTORY_PAIRS,
    CurvaturePairs,
    iterate_lbfgs,
    take_first_step,
)
from vidstyle.stylize.optimise.preconditioner import precondition


def image(*pixels: float) -> Tensor:
    """A picture (1, 1, 1, w), too small for a pyramid."""
    return torch.tensor(pixels).view(1, 1, 1, -1)


def evaluated(x: Tensor, loss: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
    def evaluate() -> Tensor:
        x.grad = None
        value = loss(x)
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    return evaluate


@pytest.mark.parametrize("condition", [1.0, 10.0, 300.0])
def test_it_finds_the_minimum_of_a_quadratic_form(condition: float) -> None:
    shape = (1, 1, 3, 4)
    goal = torch.linspace(0.2, 0.8, 12, dtype=torch.float64).view(shape)
    weights = torch.logspace(0, float(torch.tensor(condition).log10()), 12, dtype=torch.float64)
    weights = weights.view(shape)
    x = torch.full_like(goal, 0.5).requires_grad_()
    evaluate = evaluated(x, lambda y: (weights * (y - goal).square()).sum())
    losses = [float(v) for v in itertools.islice(iterate_lbfgs(x, evaluate, 0.03), 60)]
    assert losses == sorted(losses, reverse=True)
    assert torch.allclose(x.detach(), goal, atol=1e-3)


def test_what_is_left_is_the_best_and_lies_on_the_bounds_where_they_hold_it_back() -> None:
    goal = image(-1.0, 0.3, 2.0)
    x = torch.full_like(goal, 0.5).requires_grad_()
    evaluate = evaluated(x, lambda y: (y - goal).square().sum())
    *_, last = itertools.islice(iterate_lbfgs(x, evaluate, 0.1), 30)
    assert torch.allclose(x.detach(), image(0.0, 0.3, 1.0), atol=1e-4)
    assert float((x.detach() - goal).square().sum()) == pytest.approx(float(last), rel=1e-5)


def test_the_first_step_changes_no_pixel_by_more_than_it_may() -> None:
    x = image(0.5, 0.5, 0.5).requires_grad_()
    evaluated(x, lambda y: (image(1.0, -2.0, 0.5) * y).sum())()
    take_first_step(x, 0.04)
    assert torch.allclose(x.detach(), image(0.48, 0.54, 0.49))


def test_the_history_does_not_grow_with_the_iterations() -> None:
    pairs = CurvaturePairs(image(0, 0, 0))
    for i in range(3 * HISTORY_PAIRS):
        pairs.add(image(*3 * [0.1 + i]), image(*3 * [0.2]), torch.tensor(True))
    assert len(pairs.pairs) == HISTORY_PAIRS


def test_a_pair_is_used_only_where_the_step_was_accepted_and_the_loss_is_convex() -> None:
    step = image(1.0, 0.0)
    for accepted, change, used in (
        (True, step, True),
        (False, step, False),
        (True, -step, False),
        (True, image(*2 * [float("nan")]), False),
    ):
        pairs = CurvaturePairs(step)
        pairs.add(step.clone(), change.clone(), torch.tensor(accepted))
        assert bool(pairs.usable) is used
        newton = pairs.newton_step(image(3.0, 4.0))
        assert torch.equal(newton, image(-3.0, -4.0))


def test_a_newton_step_is_that_of_bfgs_from_a_multiple_of_the_pyramid() -> None:
    generator = torch.Generator().manual_seed(3)
    step, gradient = (
        torch.randn(1, 1, 16, 16, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    change = 0.5 * step + 0.1 * torch.randn(step.shape, generator=generator, dtype=torch.float64)
    pairs = CurvaturePairs(step)
    pairs.add(step.clone(), change.clone(), torch.tensor(True))
    units = torch.eye(256, dtype=torch.float64).view(256, 1, 16, 16)
    pyramid = torch.cat([precondition(unit[None]) for unit in units]).view(256, 256)
    assert not torch.equal(pyramid, torch.eye(256, dtype=torch.float64))
    s, y = step.flatten(), change.flatten()
    rho = 1 / (s @ y)
    left = torch.eye(256, dtype=torch.float64) - rho * torch.outer(s, y)
    start = (s @ y) / (y @ pyramid @ y) * pyramid
    hessian = left @ start @ left.T + rho * torch.outer(s, s)  # Nocedal & Wright 2006, eq. 7.16
    expected = -(hessian @ gradient.flatten())
    assert torch.allclose(pairs.newton_step(gradient.clone()).flatten(), expected)


def test_the_first_step_follows_the_pyramid_and_leaves_pixels_at_their_bounds() -> None:
    generator = torch.Generator().manual_seed(4)
    point = torch.rand(1, 1, 16, 16, generator=generator)
    point[..., :4] = 0.0
    slope = torch.randn(point.shape, generator=generator)
    x = point.clone().requires_grad_()
    evaluated(x, lambda y: (slope * y).sum())()
    take_first_step(x, 1e-3)
    moved = x.detach() - point
    outward = (point <= 0) & (slope > 0)
    assert bool((moved[outward] == 0).all())
    wanted = -precondition(slope.masked_fill(outward, 0)).masked_fill(outward, 0)
    inside = (point > 0.01) & (point < 0.99)
    assert torch.allclose(moved[inside], (wanted * (1e-3 / wanted.abs().max()))[inside], atol=1e-6)
