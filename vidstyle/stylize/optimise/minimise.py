"""The minimisation of an objective over an image in [0, 1]."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from vidstyle.errors import RenderError
from vidstyle.stylize.optimise.adam import iterate_adam
from vidstyle.stylize.optimise.lbfgs import iterate_lbfgs, take_first_step
from vidstyle.stylize.optimise.schedule import CHECK_INTERVAL, Schedule


def minimise(
    objective: Callable[[Tensor], Tensor],
    start: Tensor,
    schedule: Schedule,
    rate_scale: Tensor | None = None,
) -> tuple[Tensor, int]:
    """Minimise from `start` (3, H, W); return the image (3, H, W) in [0, 1] and the iterations.

    Args:
        objective: (1, 3, H, W) -> the loss, a scalar.
        rate_scale: (1, H, W) in [0, 1], the learning-rate scale: the share of Adam's step that each
            pixel takes; None: the whole step everywhere. L-BFGS, whose steps have the size that the
            loss asks for, ignores it.

    Raises RenderError where the loss is no finite number, from the first iteration to the last.
    """
    x = start.detach()[None].clone(memory_format=torch.contiguous_format)  # (1, 3, H, W)
    x.requires_grad_()
    # The losses are means over pixels, so a pixel's gradient shrinks with the resolution: undone
    # here, before Adam's epsilon and L-BFGS's curvature test can notice.
    pixels = x.shape[2] * x.shape[3]

    losses: list[Tensor] = []
    """Of the first and the last evaluation."""

    def evaluate() -> Tensor:
        x.grad = None
        loss = objective(x) * pixels
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        del losses[1:-1]
        return losses[-1]

    if schedule.method == "adam":
        steps = iterate_adam(x, evaluate, schedule.step_size, rate_scale)
        done = run_iterations(steps, schedule)
    elif schedule.iterations == 1:
        # Trying a step takes another evaluation; this one is not tried.
        evaluate()
        take_first_step(x, schedule.step_size(0))
        done = 1
    else:
        done = run_iterations(iterate_lbfgs(x, evaluate, schedule.step_size(0)), schedule)
    image = x.detach()[0].clamp(0, 1).contiguous()
    refuse_infinite(image, losses)
    return image, done


def refuse_infinite(image: Tensor, losses: Sequence[Tensor]) -> None:
    """Raise RenderError where an image is none, or nothing was minimised: no loss is finite."""
    is_finite = torch.isfinite(image).all()
    if losses:
        is_finite = is_finite & torch.isfinite(torch.stack((*losses,))).any()
    if not is_finite:
        raise RenderError(
            "a frame cannot be optimised",
            "its loss is larger than any number that fits: a weight is too large",
            "choose smaller weights: --style-weight, --content-weight and the like",
        )


def run_iterations(losses: Iterator[Tensor], schedule: Schedule) -> int:
    """Take as many steps as the schedule has, or until the loss has converged; return their number.

    Args:
        losses: takes a step and yields the loss, each time it is asked.
    """
    last_seen: float | None = None
    for i, loss in enumerate(itertools.islice(losses, schedule.iterations), 1):
        if schedule.stop_tolerance and i % CHECK_INTERVAL == 0:
            now = float(loss)
            if schedule.has_converged(last_seen, now):
                return i
            last_seen = now
    return schedule.iterations
