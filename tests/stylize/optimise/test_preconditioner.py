"""The pyramid in which L-BFGS looks at an image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.optimise.preconditioner import double, halve, precondition

SIZES = [(8, 8), (9, 31), (64, 48), (37, 50), (5, 40)]


def picture(seed: int, *size: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, *size, generator=generator, dtype=torch.float64)


def dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())


@pytest.mark.parametrize("size", SIZES)
def test_the_way_up_is_the_transpose_of_the_way_down(size: tuple[int, int]) -> None:
    fine = picture(1, *size)
    coarse = picture(2, -(-size[0] // 2), -(-size[1] // 2))
    assert halve(fine).shape == coarse.shape
    assert dot(halve(fine), coarse) == pytest.approx(dot(fine, double(coarse, *size)))


@pytest.mark.parametrize("size", SIZES)
def test_it_is_symmetric_and_no_direction_is_lost(size: tuple[int, int]) -> None:
    a = picture(1, *size)
    b = picture(2, *size)
    assert dot(precondition(a), b) == pytest.approx(dot(a, precondition(b)))
    assert dot(precondition(a), a) >= dot(a, a) * (1 - 1e-9)


def test_what_is_broad_moves_with_more_ease_than_what_is_fine() -> None:
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    gains = []
    for period in (2, 4, 16, 64):
        wave = torch.cos(2 * torch.pi * (x + y) / period).expand(1, 3, 64, 64)
        gains.append(dot(precondition(wave), wave) / dot(wave, wave))
    assert gains == sorted(gains)
    assert gains[-1] > 3 * gains[0]
