"""L-BFGS on [0, 1] (Nocedal & Wright 2006, algorithms 7.4 and 7.5, with projected gradients and
steps), without waiting for the device: whether a step is accepted, and which pairs are used, is
decided there, where the host would have to read a value for every decision of a line search.

Every evaluation tries one step. One that lowers the loss enough (Armijo's condition) is accepted;
otherwise the next one goes half as far in the same direction. torch's L-BFGS with a strong Wolfe
line search, as in Gatys' program, reads a dozen values back in every iteration, and knows no
bounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vidstyle.stylize.optimise.preconditioner import precondition

HISTORY_PAIRS = 7
"""Pairs of steps and changes of the gradient that the curvature is computed from. Each is as large
as two images; with 3 the loss is a tenth higher after 16 evaluations, with 15 a hundredth lower.
"""

ARMIJO_SHARE = 1e-4
"""The share of the decrease promised by the gradient that a step must bring (c1 of Armijo's
condition).
"""

MIN_CURVATURE = 1e-6
"""A pair is used where s y > `MIN_CURVATURE` y y: elsewhere the loss is hardly convex along the
step.
"""


@torch.no_grad()
def iterate_lbfgs(x: Tensor, evaluate: Callable[[], Tensor], largest: float) -> Iterator[Tensor]:
    """Minimise without end, one evaluation in each turn; yield the loss (a scalar) of x as it is
    then, the best so far.

    Args:
        x: (1, c, h, w) in [0, 1]; changed in place.
        evaluate: returns the loss at x, and leaves its gradient in `x.grad`.
        largest: change of a pixel in the first step.
    """
    with torch.enable_grad():
        best = evaluate()
    trial = x.data
    point = x.detach().clone()
    gradient = take_gradient(x)
    pairs = CurvaturePairs(point)
    yield best
    direction = steepest_descent(gradient, point, largest)
    length = torch.ones_like(best)
    while True:
        torch.addcmul(point, direction, length, out=trial).clamp_(0, 1)
        with torch.enable_grad():
            loss = evaluate()
        new_gradient = take_gradient(x)
        step = trial - point
        better = loss <= best + ARMIJO_SHARE * dot(gradient, step).clamp_max(0)
        pairs.add(step, new_gradient - gradient, better)
        best = torch.where(better, loss, best)
        torch.where(better, trial, point, out=point)
        torch.where(better, new_gradient, gradient, out=gradient)
        # The next evaluation is where memory is scarce.
        del new_gradient, step
        length = torch.where(better, torch.ones_like(length), length / 2)
        outward = points_outward(gradient, point)
        newton = pairs.newton_step(gradient.masked_fill(outward, 0))
        # Until a pair is usable there is no other direction.
        torch.where(pairs.usable, newton, direction, out=direction)
        # The pairs mix the pixels, and would lead some out again.
        direction.masked_fill_(outward, 0)
        del newton
        trial.copy_(point)
        yield best


@torch.no_grad()
def take_first_step(x: Tensor, largest: float) -> None:
    """Take the first step of `iterate_lbfgs` alone, from the gradient in `x.grad`, untried."""
    x.add_(steepest_descent(take_gradient(x), x.detach(), largest)).clamp_(0, 1)


def steepest_descent(gradient: Tensor, point: Tensor, largest: float) -> Tensor:
    """Return the step -P g (`preconditioner`) whose largest change is as given: no curvature is
    known yet.
    """
    outward = points_outward(gradient, point)
    direction = precondition(gradient.masked_fill(outward, 0)).neg().masked_fill_(outward, 0)
    return direction.mul_(largest / direction.abs().amax().clamp_min(1e-20))


def take_gradient(x: Tensor) -> Tensor:
    """Take away the gradient that `evaluate` has left in x, and return it."""
    assert x.grad is not None
    gradient = x.grad
    x.grad = None
    return gradient


def points_outward(gradient: Tensor, point: Tensor) -> Tensor:
    """Mark where a step down the gradient leads out of [0, 1]."""
    return ((point <= 0) & (gradient > 0)) | ((point >= 1) & (gradient < 0))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Multiply two tensors of one shape as vectors, a scalar."""
    return torch.dot(a.flatten(), b.flatten())


class CurvaturePairs:
    """The last steps s and changes of the gradient y, and the inverse Hessian that they imply."""

    def __init__(self, like: Tensor) -> None:
        zero = like.new_zeros(())
        # s, y, and 1 / s y; 0 where the pair is not used
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY_PAIRS)
        # s y / y P y of the last pair that is used
        self.scale = zero + 1
        self.usable = torch.zeros((), dtype=torch.bool, device=like.device)

    def add(self, step: Tensor, change: Tensor, accepted: Tensor) -> None:
        """Add a pair, which is used where the step was accepted and the loss is convex along it."""
        product = dot(step, change)
        square = dot(change, change)
        used = accepted & (product > MIN_CURVATURE * square) & (square > 0)
        # The change may not be finite, and 0 times that is not 0.
        torch.where(used, change, torch.zeros_like(product), out=change)
        weight = torch.where(used, 1 / product, torch.zeros_like(product))
        self.pairs.append((step, change, weight))
        self.scale = torch.where(used, product / dot(change, precondition(change)), self.scale)
        self.usable = self.usable | used

    def newton_step(self, gradient: Tensor) -> Tensor:
        """Compute the step -H g (algorithm 7.4, the two loops); the gradient's memory is used. The
        first H is a multiple of P (`preconditioner`).
        """
        q = gradient.neg_()
        alphas: list[Tensor] = []
        for step, change, weight in reversed(self.pairs):
            alphas.append(weight * dot(step, q))
            q.addcmul_(change, alphas[-1], value=-1)
        q = precondition(q) * self.scale
        for (step, change, weight), alpha in zip(self.pairs, reversed(alphas), strict=True):
            q.addcmul_(step, alpha - weight * dot(change, q))
        return q
