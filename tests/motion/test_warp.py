from __future__ import annotations

import pytest
import torch

from vidstyle.motion.warp import warp

SIZES = [(16, 16), (33, 47), (1080, 1920)]


def constant_flow(dx: float, dy: float, h: int, w: int) -> torch.Tensor:
    return torch.tensor([dx, dy], dtype=torch.float32).view(2, 1, 1).expand(2, h, w).clone()


@pytest.mark.parametrize(("h", "w"), SIZES)
def test_zero_flow_returns_the_image_bit_for_bit(h: int, w: int) -> None:
    image = torch.rand(3, h, w, generator=torch.Generator().manual_seed(0))
    assert torch.equal(warp(image, torch.zeros(2, h, w)), image)


@pytest.mark.parametrize(("h", "w"), SIZES)
@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 1), (-3, 2), (7, -5)])
def test_an_integer_translation_is_exact(h: int, w: int, dx: int, dy: int) -> None:
    image = torch.rand(3, h, w, generator=torch.Generator().manual_seed(1))
    moved = warp(image, constant_flow(dx, dy, h, w))
    ys, xs = torch.arange(h) + dy, torch.arange(w) + dx
    expected = image[:, ys.clamp(0, h - 1)][:, :, xs.clamp(0, w - 1)]
    assert torch.equal(moved, expected)


def test_a_half_pixel_is_the_mean_of_two_neighbours_and_flow_channel_0_is_x() -> None:
    image = torch.arange(12.0).view(1, 3, 4)
    assert torch.equal(warp(image, constant_flow(0.5, 0, 3, 4))[0, 1], torch.tensor([4.5, 5.5, 6.5, 7.0]))
    assert torch.equal(warp(image, constant_flow(0, 0.5, 3, 4))[0, :, 1], torch.tensor([3.0, 7.0, 9.0]))


def test_a_linear_ramp_is_reproduced_at_any_subpixel_position() -> None:
    h, w = 40, 60
    y, x = torch.meshgrid(torch.arange(h, dtype=torch.float64), torch.arange(w, dtype=torch.float64), indexing="ij")
    ramp = torch.stack([x, y, 2 * x - 3 * y])
    generator = torch.Generator().manual_seed(2)
    flow = torch.rand(2, h, w, generator=generator, dtype=torch.float64) * 8 - 4
    tx, ty = (x + flow[0]).clamp(0, w - 1), (y + flow[1]).clamp(0, h - 1)
    assert torch.allclose(warp(ramp, flow), torch.stack([tx, ty, 2 * tx - 3 * ty]), atol=1e-10)


def test_a_flow_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot warp"):
        warp(torch.zeros(3, 8, 8), torch.zeros(2, 8, 9))
