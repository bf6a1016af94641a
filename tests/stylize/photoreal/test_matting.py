from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.photoreal import matting
from vidstyle.stylize.photoreal.matting import MattingLaplacian, matting_loss

DOUBLE = torch.float64


def noise(h: int, w: int, seed: int = 0, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.rand(3, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE).to(
        dtype
    )


def by_definition(source: Tensor, epsilon: float, radius: int) -> Tensor:
    """Levin eq. 12 as it is written: (HW, HW)."""
    _, h, w = source.shape
    side = 2 * radius + 1
    n = side**2
    result = torch.zeros(h * w, h * w, dtype=source.dtype)
    for y, x in itertools.product(range(h - side + 1), range(w - side + 1)):
        pixels = [(y + j) * w + x + i for j, i in itertools.product(range(side), repeat=2)]
        colours = source.flatten(1)[:, pixels]
        d = colours - colours.mean(1, keepdim=True)
        inverse = torch.linalg.inv(d @ d.T / n + epsilon / n * torch.eye(3, dtype=source.dtype))
        own = torch.eye(n, dtype=source.dtype) - (1 + d.T @ inverse @ d) / n
        for a, i in enumerate(pixels):
            result[i, pixels] += own[a]
    return result


def built(laplacian: MattingLaplacian, h: int, w: int) -> Tensor:
    """L as a matrix (HW, HW), from what it does to every pixel."""
    return laplacian(torch.eye(h * w, dtype=DOUBLE).view(h * w, h, w)).flatten(1).T


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("epsilon", [1e-2, matting.MATTING_EPSILON, 1e-7])
def test_it_is_levins_matrix_and_its_loss_the_quadratic_form(epsilon: float, radius: int) -> None:
    source, x = noise(6, 7), noise(6, 7, seed=1)
    matrix = by_definition(source, epsilon, radius)
    laplacian = MattingLaplacian(source, epsilon, radius)
    assert torch.allclose(built(laplacian, 6, 7), matrix, rtol=0, atol=1e-9)
    assert torch.allclose(laplacian(x).flatten(1), x.flatten(1) @ matrix, rtol=0, atol=1e-9)
    form = sum(float(channel @ matrix @ channel) for channel in x.flatten(1))
    assert float(matting_loss(x, laplacian)) == pytest.approx(form / (3 * 6 * 7), rel=1e-9)


@pytest.mark.parametrize("kind", ["colours", "grey", "flat", "black and white"])
def test_it_is_symmetric_and_positive_semidefinite_and_its_rows_sum_to_0(kind: str) -> None:
    source = {
        "colours": noise(6, 7),
        "grey": noise(6, 7)[:1].expand(3, -1, -1),
        "flat": torch.full((3, 6, 7), 0.7, dtype=DOUBLE),
        "black and white": noise(6, 7)[:1].round().expand(3, -1, -1),
    }[kind]
    matrix = built(MattingLaplacian(source), 6, 7)
    assert torch.allclose(matrix, matrix.T, rtol=0, atol=1e-9)
    assert float(matrix.sum(1).abs().max()) < 1e-9
    assert float(torch.linalg.eigvalsh(matrix).min()) > -1e-9


def test_a_locally_affine_recolouring_costs_next_to_nothing_and_anything_else_does() -> None:
    source = noise(12, 15)
    laplacian = MattingLaplacian(source)
    matrix = noise(1, 3, seed=2).view(3, 3) - 0.5
    recoloured = (matrix @ source.flatten(1) + 0.3).view_as(source)
    # The ridge takes at most epsilon |a|^2 from each window.
    assert (
        0
        < float(matting_loss(recoloured, laplacian))
        < matting.MATTING_EPSILON * float(matrix.square().sum()) / 3
    )
    assert float(matting_loss(torch.full_like(source, 0.9), laplacian)) == pytest.approx(
        0, abs=1e-15
    )
    assert float(matting_loss(noise(12, 15, seed=3), laplacian)) > 0.1


def test_an_edge_costs_where_the_source_is_flat_and_nothing_where_the_source_has_it() -> None:
    source = torch.full((3, 10, 16), 0.4)
    source[:, :, 8:] = 0.9
    laplacian = MattingLaplacian(source)

    def edge(at: int) -> Tensor:
        x = torch.full((3, 10, 16), 0.2)
        x[:, :, at:] = 0.7
        return x

    assert float(matting_loss(edge(8), laplacian)) < 1e-5
    assert float(matting_loss(edge(4), laplacian)) > 1e-2
    assert float(laplacian(edge(4))[:, :, 3:5].abs().min()) > 0.1


def test_its_gradient_agrees_with_finite_differences() -> None:
    laplacian = MattingLaplacian(noise(5, 6), 1e-3)
    x = noise(5, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: matting_loss(y, laplacian), (x,), eps=1e-6, atol=1e-8)
    assert torch.autograd.gradcheck(
        lambda y: matting_loss(y, laplacian), (x[None].detach().requires_grad_(),), atol=1e-8
    )


@pytest.mark.parametrize("brightness", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("grey", [False, True])
def test_fp32_is_exact_enough_for_flat_bright_and_grey_sources(
    brightness: float, grey: bool, picture: Callable[..., Tensor]
) -> None:
    source = picture(24, 40, 1) * 0.05 + brightness - 0.05 * (brightness == 1)
    source[:, :, 20:] = source[:, :, 20:].mean((1, 2), keepdim=True)
    source = ((source[:1].expand(3, -1, -1) if grey else source) * 255).round() / 255
    x = picture(24, 40, 2)
    found, exact = MattingLaplacian(source)(x), MattingLaplacian(source.double())(x.double())
    assert float((found - exact).abs().max()) < 1e-4 * float(exact.abs().max())
    assert float(matting_loss(x, MattingLaplacian(source))) == pytest.approx(
        float(matting_loss(x.double(), MattingLaplacian(source.double()))), rel=1e-4
    )


def test_the_loss_means_the_same_at_every_resolution() -> None:
    source, x = noise(20, 20), noise(20, 20, seed=1)
    once = float(matting_loss(x, MattingLaplacian(source)))
    assert float(
        matting_loss(x.repeat(1, 4, 4), MattingLaplacian(source.repeat(1, 4, 4)))
    ) == pytest.approx(once, rel=0.2)


@pytest.mark.parametrize("at_once", [1, 50, 10**6])
def test_the_strips_do_not_show(at_once: int) -> None:
    source, x = noise(11, 9), noise(11, 9, seed=1)
    matrix = by_definition(source, 1e-3, 1)
    assert torch.allclose(
        MattingLaplacian(source, 1e-3, max_pixels=at_once)(x).flatten(1),
        x.flatten(1) @ matrix,
        rtol=0,
        atol=1e-10,
    )
