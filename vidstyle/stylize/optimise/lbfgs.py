"""L-BFGS on [0, 1] (Nocedal & Wright 2006, algorithms 7.4 and 7.5, with projected gradients and
steps), without waiting for the device: whether a step is taken, and which pairs count, is decided
there, where the host would have to read a value for every decision of a line search.

Every evaluation tries one step. One that lowers the loss enough (Armijo's condition) is taken; else
the next one goes half as far in the same direction. torch's L-BFGS with a strong Wolfe line search,
as Gatys' program had it, reads a dozen values back in every iteration, and knows no bounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

HISTORY = 7
"""Pairs of steps and changes of the gradient that the curvature is taken from. Each is as large as
two images; with 3 the loss is a tenth higher after 16 evaluations, with 15 a hundredth lower."""

ENOUGH = 1e-4
"""Of the decrease that the gradient promises, the share that a step must bring (c1 of Armijo's
condition).
"""

CURVED = 1e-6
"""A pair counts where s y > `CURVED` y y: elsewhere the loss is hardly convex along the step."""


@torch.no_grad()
def descend(x: Tensor, evaluate: Callable[[], Tensor], largest: float) -> Iterator[Tensor]:
    """Minimise, one evaluation a turn; yields the loss (a scalar) of what x holds, the best so far.

    Args:
        x: in [0, 1], any shape; changed in place.
        evaluate: the loss at x, with its gradient in `x.grad`.
        largest: change of a pixel in the first step.
    """
    with torch.enable_grad():
        best = evaluate()
    trial, point, gradient = x.data, x.detach().clone(), taken(x)
    pairs = Pairs(point)
    yield best
    direction = steepest(gradient, point, largest)
    length = torch.ones_like(best)
    while True:
        torch.addcmul(point, direction, length, out=trial).clamp_(0, 1)
        with torch.enable_grad():
            loss = evaluate()
        found, step = taken(x), trial - point
        better = loss <= best + ENOUGH * dot(gradient, step).clamp_max(0)
        pairs.add(step, found - gradient, better)
        best = torch.where(better, loss, best)
        torch.where(better, trial, point, out=point)
        torch.where(better, found, gradient, out=gradient)
        del found, step  # the next evaluation is where memory is scarce
        length = torch.where(better, torch.ones_like(length), length / 2)
        # Until a pair counts there is no other direction.
        outward = leaving(gradient, point)
        torch.where(
            pairs.known, pairs.newton(gradient.masked_fill(outward, 0)), direction, out=direction
        )
        direction.masked_fill_(
            outward, 0
        )  # the pairs mix the pixels, and would lead some out again
        trial.copy_(point)
        yield best


@torch.no_grad()
def first_step(x: Tensor, largest: float) -> None:
    """The first step of `descend` alone, from the gradient in `x.grad`, untried."""
    x.add_(steepest(taken(x), x.detach(), largest)).clamp_(0, 1)


def steepest(gradient: Tensor, point: Tensor, largest: float) -> Tensor:
    """Down the gradient, so far that the largest change is as given: no curvature is known yet."""
    direction = -gradient.masked_fill(leaving(gradient, point), 0)
    return direction.mul_(largest / direction.abs().amax().clamp_min(1e-20))


def taken(x: Tensor) -> Tensor:
    """The gradient that `evaluate` has left."""
    assert x.grad is not None
    found, x.grad = x.grad, None
    return found


def leaving(gradient: Tensor, point: Tensor) -> Tensor:
    """True where going down the gradient leads out of [0, 1]."""
    return ((point <= 0) & (gradient > 0)) | ((point >= 1) & (gradient < 0))


def dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.flatten(), b.flatten())


class Pairs:
    """The last steps s and changes of the gradient y, and what they say of the curvature."""

    def __init__(self, like: Tensor) -> None:
        zero = like.new_zeros(())
        self.kept: deque[tuple[Tensor, Tensor, Tensor]] = deque(
            maxlen=HISTORY
        )  # s, y, and 1 / s y, 0 where it counts not
        self.scale = zero + 1  # s y / y y of the last one that counts
        self.known = torch.zeros((), dtype=torch.bool, device=like.device)

    def add(self, step: Tensor, change: Tensor, better: Tensor) -> None:
        """One more pair, which counts where the step was taken and the loss is convex along it."""
        both, square = dot(step, change), dot(change, change)
        counts = better & (both > CURVED * square) & (square > 0)
        torch.where(
            counts, change, torch.zeros_like(both), out=change
        )  # it may not be finite, and 0 times that is not 0
        self.kept.append((step, change, torch.where(counts, 1 / both, torch.zeros_like(both))))
        self.scale = torch.where(counts, both / square, self.scale)
        self.known = self.known | counts

    def newton(self, gradient: Tensor) -> Tensor:
        """The step -H g (algorithm 7.4, the two loops), in the place of the gradient."""
        q, alphas = gradient.neg_(), []
        for step, change, weight in reversed(self.kept):
            alphas.append(weight * dot(step, q))
            q.addcmul_(change, alphas[-1], value=-1)
        q *= self.scale
        for (step, change, weight), alpha in zip(self.kept, reversed(alphas), strict=True):
            q.addcmul_(step, alpha - weight * dot(change, q))
        return q
