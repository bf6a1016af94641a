from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.errors import RenderError
from vidstyle.stylize.optimise.minimise import minimise
from vidstyle.stylize.optimise.schedule import CHECK_INTERVAL, Schedule

TARGET = torch.rand(3, 12, 10, generator=torch.Generator().manual_seed(0))


def distance(x: Tensor) -> Tensor:
    return (x[0] - TARGET).square().mean()


@pytest.mark.parametrize(("method", "iterations"), [("adam", 150), ("lbfgs", 40)])
def test_both_methods_find_a_known_minimum(method: str, iterations: int) -> None:
    found, done = minimise(
        distance, torch.full_like(TARGET, 0.5), Schedule(iterations, method, final_rate=0.1)
    )
    assert (found - TARGET).abs().max() < 0.01
    assert done <= iterations * 1.3


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_the_image_stays_in_its_range(method: str) -> None:
    found, _ = minimise(
        lambda x: (x - 3).square().mean(), TARGET, Schedule(30, method, learning_rate=0.2)
    )
    assert found.max() <= 1
    assert found.mean() > 0.99


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_a_frame_that_no_longer_changes_is_left(method: str) -> None:
    _, done = minimise(distance, TARGET * 0.5, Schedule(400, method, stop_tolerance=0.5))
    assert CHECK_INTERVAL <= done <= 400
    _, patient = minimise(
        lambda x: distance(x) + 1, TARGET, Schedule(400, method, stop_tolerance=0.01)
    )
    assert patient <= 4 * CHECK_INTERVAL


@pytest.mark.parametrize("size", [8, 64])
def test_the_step_does_not_shrink_with_the_resolution(size: int) -> None:
    start, goal = torch.zeros(3, size, size), torch.full((3, size, size), 0.7)
    found, _ = minimise(lambda x: 1e-3 * (x[0] - goal).square().mean(), start, Schedule(10))
    assert found.mean() == pytest.approx(
        0.3, abs=0.02
    )  # ten steps of 0.03, whatever the size and the weight


def test_the_same_start_gives_the_same_bytes_and_is_not_changed() -> None:
    start = torch.rand(3, 12, 10, generator=torch.Generator().manual_seed(1))
    before = start.clone()
    results = [
        minimise(distance, start, Schedule(20, name))[0]
        for name in ("adam", "adam", "lbfgs", "lbfgs")
    ]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[2], results[3])
    assert torch.equal(start, before)


@pytest.mark.parametrize("iterations", [1, 2, 5, 20])
def test_every_iteration_is_one_evaluation_and_none_makes_it_worse(iterations: int) -> None:
    seen: list[float] = []

    def steep(x: Tensor) -> Tensor:  # too steep for whole steps
        loss = (200 * (x[0] - TARGET)).square().mean() + (x[0] - 0.2).abs().mean()
        seen.append(float(loss.detach()))
        return loss

    start = TARGET.flip(1)
    found, done = minimise(steep, start, Schedule(iterations, "lbfgs"))
    assert len(seen) == done == iterations
    first, last = seen[0], float(steep(found[None]))
    assert last < first
    assert last == pytest.approx(min(seen), rel=1e-4), "the best of what was tried is what is left"


def test_what_is_not_finite_is_not_stepped_on() -> None:
    def cliff(x: Tensor) -> Tensor:
        return (x - 0.62).square().mean() if bool((x < 0.6).all()) else float("nan") * x.mean()

    found, _ = minimise(cliff, torch.full((3, 4, 4), 0.3), Schedule(30, "lbfgs", learning_rate=0.2))
    assert bool(found.isfinite().all())
    assert 0.5 < float(found.max()) < 0.6


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
@pytest.mark.parametrize("iterations", [1, 5])
@pytest.mark.parametrize("factor", [float("inf"), float("nan")])
def test_a_loss_that_is_no_number_is_an_error(method: str, iterations: int, factor: float) -> None:
    with pytest.raises(RenderError, match="cannot be optimised"):
        minimise(lambda x: distance(x) * factor, TARGET * 0.5, Schedule(iterations, method))
