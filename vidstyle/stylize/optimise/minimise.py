"""Minimise an objective over an image in [0, 1]."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.stylize.optimise import lbfgs

CHECK_EVERY = 10
"""Iterations between two looks at the loss: each look waits for the device."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to go.

    Args:
        iterations: evaluations of the objective, at most.
        optimizer: "adam" or "lbfgs".
        learning_rate: the first step's size in units of the image's range: Adam's, and the largest
            change of a pixel in that of L-BFGS, which finds its own from then on.
        final_rate: Adam's last step size as a share of the first, reached along a half cosine; 1
            keeps it.
        stop_tolerance: stop when the loss changed by less than this share over `CHECK_EVERY`
            iterations; 0 = never.
        before, after: iterations of the same run that other parts of it do; the half cosine spans
            them all.
    """

    iterations: int
    optimizer: str = "adam"
    learning_rate: float = 0.03
    final_rate: float = 1.0
    stop_tolerance: float = 0.0
    before: int = 0
    after: int = 0

    def rate(self, iteration: int) -> float:
        """Adam's step size in this iteration, counted from 0; L-BFGS takes that of iteration 0 for
        its first step.
        """
        progress = (self.before + iteration) / max(
            1, self.before + self.iterations + self.after - 1
        )
        share = self.final_rate + (1 - self.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * share

    def split(self, at: int) -> tuple[Schedule, Schedule]:
        """The first `at` iterations and the rest; the step size goes on where the first part left
        it.
        """
        # The parts are there to change the objective in between, and what an optimiser remembers
        # does not cross over: L-BFGS would fit one curvature to two functions, and Adam's old
        # moments are those of a loss that had nearly settled. In a small trial (Adam, two pictures
        # at 160x120, from a prototype of lite to VGG-19) fresh ones came further in 3 to 10
        # iterations, and as far in 20.
        return (
            replace(self, iterations=at, after=self.after + self.iterations - at),
            replace(self, iterations=self.iterations - at, before=self.before + at),
        )


def minimise(
    objective: Callable[[Tensor], Tensor],
    start: Tensor,
    schedule: Schedule,
    pace: Tensor | None = None,
) -> tuple[Tensor, int]:
    """From `start` (3, H, W) to a stylised image (3, H, W) in [0, 1], and the iterations it took.

    Args:
        pace: (1, H, W) in [0, 1], the share of Adam's step that each pixel takes; None: the whole
            everywhere. L-BFGS, whose steps have the size that the loss asks for, takes no notice of
            it.
    """
    x = (
        start.detach()[None].clone(memory_format=torch.contiguous_format).requires_grad_()
    )  # (1, 3, H, W)
    # The losses are means over pixels, so a pixel's gradient shrinks with the resolution: undone
    # here, before Adam's epsilon and L-BFGS's curvature test can notice.
    pixels = x.shape[2] * x.shape[3]

    def evaluate() -> Tensor:
        x.grad = None
        loss = objective(x) * pixels
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    done = (
        run_adam(x, evaluate, schedule, pace)
        if schedule.optimizer == "adam"
        else run_lbfgs(x, evaluate, schedule)
    )
    return x.detach()[0].clamp(0, 1).contiguous(), done


def settled(before: float | None, now: float, tolerance: float) -> bool:
    return before is not None and abs(before - now) < tolerance * abs(before)


def run_adam(
    x: Tensor, evaluate: Callable[[], Tensor], schedule: Schedule, pace: Tensor | None
) -> int:
    """Adam (Kingma & Ba 2015), projected on [0, 1] after every step; `pace` as in `minimise`."""
    # Fused: one pass over the image and its moments, without the five copies of the image that it
    # takes else.
    fused = x.device.type in ("cpu", "cuda")
    adam = torch.optim.Adam([x], lr=schedule.learning_rate, betas=(0.9, 0.99), fused=fused)
    looked: float | None = None
    for i in range(schedule.iterations):
        adam.param_groups[0]["lr"] = schedule.rate(i)
        loss = evaluate()
        with torch.no_grad():
            before = x.clone() if pace is not None else x
            adam.step()
            if pace is not None:
                torch.lerp(before, x, pace.expand_as(x), out=x)
            x.clamp_(0, 1)
        if schedule.stop_tolerance and i % CHECK_EVERY == CHECK_EVERY - 1:
            now = float(loss)
            if settled(looked, now, schedule.stop_tolerance):
                return i + 1
            looked = now
    return schedule.iterations


def run_lbfgs(x: Tensor, evaluate: Callable[[], Tensor], schedule: Schedule) -> int:
    """L-BFGS on [0, 1] (see `lbfgs`), one evaluation for each iteration."""
    looked: float | None = None
    if schedule.iterations == 1:  # to try a step takes another one; this one is not tried
        evaluate()
        lbfgs.first_step(x, schedule.rate(0))
        return 1
    steps = lbfgs.descend(x, evaluate, schedule.rate(0))
    for i, loss in enumerate(itertools.islice(steps, schedule.iterations), 1):
        if schedule.stop_tolerance and i % CHECK_EVERY == 0:
            now = float(loss)
            if settled(looked, now, schedule.stop_tolerance):
                return i
            looked = now
    return schedule.iterations
