"""Adam on [0, 1] (Kingma & Ba 2015), projected after every step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

ADAM_BETAS = (0.9, 0.99)
"""Decay rates of the means of the gradient and of its square."""


def iterate_adam(
    x: Tensor,
    evaluate: Callable[[], Tensor],
    step_size: Callable[[int], float],
    rate_scale: Tensor | None = None,
) -> Iterator[Tensor]:
    """Minimise without end, one evaluation in each turn; yield the loss (a scalar) before its step.

    Args:
        x: (1, 3, h, w) in [0, 1]; changed in place.
        evaluate: returns the loss at x, and leaves its gradient in `x.grad`.
        step_size: {iteration, counted from 0: its step size}.
        rate_scale: (1, h, w) in [0, 1], the share of the step that each pixel takes; None: the
            whole step everywhere.
    """
    # The fused one passes once over the image and its moments, without the five copies of the image
    # that Adam takes otherwise.
    fused = x.device.type in ("cpu", "cuda")
    adam = torch.optim.Adam([x], lr=step_size(0), betas=ADAM_BETAS, fused=fused)
    for i in itertools.count():
        adam.param_groups[0]["lr"] = step_size(i)
        loss = evaluate()
        with torch.no_grad():
            before = x.clone() if rate_scale is not None else x
            adam.step()
            if rate_scale is not None:
                torch.lerp(before, x, rate_scale.expand_as(x), out=x)
            x.clamp_(0, 1)
        yield loss
