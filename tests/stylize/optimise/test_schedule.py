from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.optimise.minimise import minimise
from vidstyle.stylize.optimise.schedule import Schedule


@pytest.mark.parametrize("at", [0, 1, 15, 29, 30])
def test_a_run_in_two_parts_takes_the_steps_of_the_whole(at: int) -> None:
    def steps(*parts: Schedule) -> Tensor:
        seen: list[Tensor] = []

        def slope(
            x: Tensor,
        ) -> Tensor:  # a constant one, where Adam's steps are as large as its rate
            seen.append(x.detach().mean())
            return x.mean()

        x = torch.ones(3, 8, 8)
        for part in parts:
            x, _ = minimise(slope, x, part)
        assert len(seen) == 30
        return -torch.stack([*seen, x.mean()]).diff()

    whole = Schedule(30, final_rate=0.1)
    first, second = whole.split(at)
    assert (first.iterations, second.iterations) == (at, 30 - at)
    torch.testing.assert_close(steps(first, second), steps(whole), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(
        steps(first, *second.split((30 - at) // 2)), steps(whole), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("iterations", [2, 9, 40])
def test_the_step_size_falls_from_the_learning_rate_to_the_final_share_of_it(
    iterations: int,
) -> None:
    schedule = Schedule(iterations, learning_rate=0.2, final_rate=0.1)
    sizes = [schedule.step_size(i) for i in range(iterations)]
    assert (sizes[0], sizes[-1]) == pytest.approx((0.2, 0.02))
    assert sizes == sorted(sizes, reverse=True)


def test_a_loss_has_converged_when_it_changes_by_less_than_the_tolerance() -> None:
    schedule = Schedule(40, stop_tolerance=0.1)
    assert not schedule.has_converged(None, 1.0)
    assert schedule.has_converged(1.0, 0.95)
    assert schedule.has_converged(1.0, 1.05)
    assert not schedule.has_converged(1.0, 0.85)
    assert not Schedule(40).has_converged(1.0, 1.0)
