"""The length and the pace of a minimisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

CHECK_INTERVAL = 10
"""Iterations between two looks at the loss: each look waits for the device."""


@dataclass(frozen=True)
class Schedule:
    """The number of iterations of a minimisation, and the sizes of its steps.

    Args:
        iterations: evaluations of the objective, at most.
        method: "adam" or "lbfgs".
        learning_rate: the first step's size in units of the image's range: Adam's, and the largest
            change of a pixel in that of L-BFGS, which finds its own from then on.
        final_rate: Adam's last step size as a share of the first, reached along a half cosine; 1
            keeps it.
        stop_tolerance: stop when the loss changed by less than this share over `CHECK_INTERVAL`
            iterations; 0 = never.
        before, after: iterations of the same run that other parts of it do; the half cosine spans
            them all.
    """

    iterations: int
    method: str = "adam"
    learning_rate: float = 0.03
    final_rate: float = 1.0
    stop_tolerance: float = 0.0
    before: int = 0
    after: int = 0

    def step_size(self, iteration: int) -> float:
        """Compute Adam's step size in this iteration, counted from 0; L-BFGS takes that of
        iteration 0 for its first step.
        """
        last = max(1, self.before + self.iterations + self.after - 1)
        progress = (self.before + iteration) / last
        share = self.final_rate + (1 - self.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * share

    def split(self, at: int) -> tuple[Schedule, Schedule]:
        """Return the first `at` iterations and the rest; the step size continues where the first
        part left it.
        """
        # The parts are there to change the objective in between, and what an optimiser remembers
        # does not cross over: L-BFGS would fit one curvature to two functions, and Adam's old
        # moments are those of a loss that had nearly converged. In a small trial (Adam, two images
        # at 160x120, from a prototype of lite to VGG-19) new ones came further in 3 to 10
        # iterations, and as far in 20.
        return (
            replace(self, iterations=at, after=self.after + self.iterations - at),
            replace(self, iterations=self.iterations - at, before=self.before + at),
        )

    def has_converged(self, before: float | None, now: float) -> bool:
        """Tell whether the loss has changed by less than the tolerance since the last look."""
        return before is not None and abs(before - now) < self.stop_tolerance * abs(before)
