"""A photorealistic picture ends as a locally affine recolouring of its source."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.photoreal import guided_filter

DOUBLE = torch.float64


def noise(h: int, w: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(3, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE).to(
        dtype
    )


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 13])
def test_runs_are_sums_of_neighbours(count: int) -> None:
    y = noise(4, 13, dtype=DOUBLE)
    expected = torch.stack([y[:, :, i : i + count].sum(2) for i in range(13 - count + 1)], 2)
    assert torch.allclose(guided_filter.sum_runs(y, count, -1), expected)
    assert torch.allclose(guided_filter.sum_runs(y.mT, count, -2), expected.mT)


def by_definition(image: Tensor, source: Tensor, radius: int) -> Tensor:
    """He eq. 5 to 8, window by window."""
    _, h, w = source.shape
    total, count = torch.zeros_like(image), torch.zeros(h, w, dtype=image.dtype)
    maps = {}
    for y, x in itertools.product(range(h), range(w)):
        where = (
            slice(max(0, y - radius), y + radius + 1),
            slice(max(0, x - radius), x + radius + 1),
        )
        guide, own = (
            source[(slice(None), *where)].flatten(1),
            image[(slice(None), *where)].flatten(1),
        )
        m, p = guide.mean(1, keepdim=True), own.mean(1, keepdim=True)
        s = (guide - m) @ (guide - m).T / guide.shape[1]
        a = torch.linalg.solve(
            s + guided_filter.IGNORED_VARIANCE * torch.eye(3, dtype=DOUBLE),
            (guide - m) @ (own - p).T / guide.shape[1],
        )
        maps[y, x] = a.T, p - a.T @ m
    for y, x in itertools.product(range(h), range(w)):
        around = [maps[k] for k in maps if abs(k[0] - y) <= radius and abs(k[1] - x) <= radius]
        a, b = (sum(part[i] for part in around) / len(around) for i in (0, 1))
        total[:, y, x] = (a @ source[:, y, x, None] + b)[:, 0]
        count[y, x] += 1
    return total


@pytest.mark.parametrize("radius", [1, 2])
def test_it_is_hes_filter(radius: int) -> None:
    image, source = noise(6, 7, 1, DOUBLE), noise(6, 7, 2, DOUBLE)
    assert torch.allclose(
        guided_filter.filter_with_guide(image, source, radius),
        by_definition(image, source, radius),
        atol=1e-9,
    )


def test_strips_of_rows_change_nothing_but_rounding() -> None:
    image, source = noise(60, 200, 1), noise(60, 200, 2)
    whole = guided_filter.smooth_recolouring(image, source)
    strips = guided_filter.smooth_recolouring(image, source, max_pixels=200 * 7)
    assert torch.allclose(strips, whole, atol=1e-5)


@pytest.mark.parametrize("size", [(3, 3), (5, 40), (90, 160)])
def test_a_recolouring_stays_what_it_is_and_paint_on_it_goes(size: tuple[int, int]) -> None:
    source = noise(*size)
    mix = torch.tensor([[0.5, 0.2, 0.0], [0.1, 0.3, 0.2], [0.0, 0.1, 0.6]])
    wanted = torch.einsum("ij,jhw->ihw", mix, source) + 0.1
    assert torch.allclose(guided_filter.smooth_recolouring(wanted, source), wanted, atol=0.02)
    if min(size) > 40:
        painted = (wanted + 0.2 * (noise(*size, seed=5) - 0.5)).clamp(0, 1)
        left = guided_filter.smooth_recolouring(painted, source) - wanted
        assert left.abs().mean() < 0.5 * (painted - wanted).abs().mean()
