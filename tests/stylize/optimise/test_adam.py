from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.optimise.adam import iterate_adam


def slide(x: Tensor, count: int, rate_scale: Tensor | None = None) -> list[float]:
    """Take `count` steps on the loss sum x, of step size 0.1."""

    def evaluate() -> Tensor:
        x.grad = None
        loss = x.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    losses = iterate_adam(x, evaluate, lambda i: 0.1, rate_scale)
    return [float(loss) for loss in itertools.islice(losses, count)]


def test_every_turn_is_one_evaluation_and_one_step_of_the_given_size() -> None:
    x = torch.full((1, 3, 4, 5), 0.9).requires_grad_()
    losses = slide(x, 3)
    assert losses == pytest.approx([54.0, 48.0, 42.0], rel=1e-4)
    assert torch.allclose(x.detach(), torch.full((1, 3, 4, 5), 0.6), atol=1e-5)


def test_it_stays_in_the_range() -> None:
    x = torch.full((1, 3, 4, 5), 0.15).requires_grad_()
    slide(x, 5)
    assert torch.equal(x.detach(), torch.zeros(1, 3, 4, 5))


def test_each_pixel_takes_its_share_of_a_step() -> None:
    x = torch.full((1, 3, 2, 2), 0.9).requires_grad_()
    slide(x, 1, torch.tensor([[0.0, 0.5], [1.0, 0.25]])[None])
    expected = torch.tensor([[0.9, 0.85], [0.8, 0.875]]).expand(1, 3, 2, 2)
    assert torch.allclose(x.detach(), expected, atol=1e-5)
