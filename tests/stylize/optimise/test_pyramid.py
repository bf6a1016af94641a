"""A frame has as many scales as its size allows, and its iterations are divided among them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vidstyle.stylize.optimise.pyramid import (
    MIN_SCALE_RATIO,
    count_refined_iterations,
    plan_scales,
    scale_factors,
    scale_size,
)
from vidstyle.stylize.optimise.settings import PyramidSettings


@pytest.mark.parametrize("count", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("size", "shorter_sides"),
    [
        ((2160, 3840), [68, 135, 270, 540, 1080, 2160]),
        ((1080, 1920), [68, 135, 270, 540, 1080]),
        ((1280, 720), [64, 90, 180, 360, 720]),
        ((540, 960), [68, 135, 270, 540]),
        ((360, 640), [64, 90, 180, 360]),
        ((128, 128), [64, 128]),
        ((90, 300), [64, 90]),
        ((89, 300), [89]),
        ((20, 20), [20]),
    ],
)
def test_scales_go_down_to_where_strokes_cover_a_flat_sky(
    size: tuple[int, int], shorter_sides: list[int], count: int
) -> None:
    found = scale_factors(size, count)
    assert [min(scale_size(size, factor)) for factor in found] == shorter_sides[-count:]
    assert all(coarse * MIN_SCALE_RATIO <= fine <= 2 * coarse for coarse, fine in pairwise(found))


@pytest.mark.parametrize("size", [(16, 16), (360, 640), (1080, 1920)])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("iterations", [1, 5, 200])
def test_no_iteration_is_lost(size: tuple[int, int], first: bool, iterations: int) -> None:
    settings = PyramidSettings(iterations, iterations, 6, 3)
    planned = plan_scales(settings, size, first=first)
    assert sum(scale.iterations for scale in planned) == iterations
    assert planned[-1].factor == 1
    assert planned[-1].iterations == max(scale.iterations for scale in planned)
    for wanted in (0, 1, 999):
        refined = count_refined_iterations(wanted, planned)
        assert refined == min(wanted, planned[-1].iterations)


@pytest.mark.parametrize(
    ("disoccluded", "adaptive", "expected"),
    [(0.0, True, 16), (0.5, True, 53), (1.0, True, 90), (1.0, False, 16)],
)
def test_disocclusion_brings_a_share_of_the_iterations_of_a_first_frame(
    disoccluded: float, adaptive: bool, expected: int
) -> None:
    settings = PyramidSettings(200, 16, 6, 1, adaptive)
    planned = plan_scales(settings, (64, 64), first=False, disoccluded=disoccluded)
    assert [scale.iterations for scale in planned] == [expected]
