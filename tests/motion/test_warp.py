from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from vidstyle.motion.warp import warp, warp_quick, warp_sharp

Warp = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SIZES = [(16, 16), (33, 47), (1080, 1920)]
each = pytest.mark.parametrize("warp", [warp, warp_sharp, warp_quick])


def constant_flow(dx: float, dy: float, h: int, w: int) -> torch.Tensor:
    return torch.tensor([dx, dy], dtype=torch.float32).view(2, 1, 1).expand(2, h, w).clone()


@each
@pytest.mark.parametrize(("h", "w"), SIZES)
def test_zero_flow_returns_the_image_bit_for_bit(warp: Warp, h: int, w: int) -> None:
    image = torch.rand(3, h, w, generator=torch.Generator().manual_seed(0))
    assert torch.equal(warp(image, torch.zeros(2, h, w)), image)


@each
@pytest.mark.parametrize(("h", "w"), SIZES)
@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 1), (-3, 2), (7, -5)])
def test_an_integer_translation_is_exact(warp: Warp, h: int, w: int, dx: int, dy: int) -> None:
    image = torch.rand(3, h, w, generator=torch.Generator().manual_seed(1))
    moved = warp(image, constant_flow(dx, dy, h, w))
    ys, xs = torch.arange(h) + dy, torch.arange(w) + dx
    expected = image[:, ys.clamp(0, h - 1)][:, :, xs.clamp(0, w - 1)]
    assert torch.equal(moved, expected)


def test_a_half_pixel_is_the_mean_of_two_neighbours_and_flow_channel_0_is_x() -> None:
    image = torch.arange(12.0).view(1, 3, 4)
    assert torch.equal(
        warp(image, constant_flow(0.5, 0, 3, 4))[0, 1], torch.tensor([4.5, 5.5, 6.5, 7.0])
    )
    assert torch.equal(
        warp(image, constant_flow(0, 0.5, 3, 4))[0, :, 1], torch.tensor([3.0, 7.0, 9.0])
    )


def test_a_linear_ramp_is_reproduced_at_any_subpixel_position() -> None:
    h, w = 40, 60
    y, x = torch.meshgrid(
        torch.arange(h, dtype=torch.float64), torch.arange(w, dtype=torch.float64), indexing="ij"
    )
    ramp = torch.stack([x, y, 2 * x - 3 * y])
    generator = torch.Generator().manual_seed(2)
    flow = torch.rand(2, h, w, generator=generator, dtype=torch.float64) * 8 - 4
    tx, ty = (x + flow[0]).clamp(0, w - 1), (y + flow[1]).clamp(0, h - 1)
    assert torch.allclose(warp(ramp, flow), torch.stack([tx, ty, 2 * tx - 3 * ty]), atol=1e-10)


@each
def test_a_flow_of_another_size_is_refused(warp: Warp) -> None:
    with pytest.raises(ValueError, match="cannot warp"):
        warp(torch.zeros(3, 8, 8), torch.zeros(2, 8, 9))


def test_the_sharp_warp_follows_a_smooth_picture_to_two_hundredths_at_any_subpixel_position() -> (
    None
):
    h, w = 60, 80
    y, x = torch.meshgrid(
        torch.arange(h, dtype=torch.float64), torch.arange(w, dtype=torch.float64), indexing="ij"
    )

    def picture(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [
                0.5 + 0.4 * torch.sin(0.7 * x),
                0.5 + 0.4 * torch.cos(0.5 * y),
                0.5 + 0.3 * torch.sin(x - y),
            ]
        )

    flow = (
        torch.rand(2, h, w, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 8 - 4
    )
    inside = (slice(None), slice(8, -8), slice(8, -8))
    expected = picture(x + flow[0], y + flow[1])[inside]
    sharp, plain = (
        (follow(picture(x, y), flow)[inside] - expected).abs() for follow in (warp_sharp, warp)
    )
    assert sharp.max() < 0.02
    assert sharp.mean() < 0.2 * plain.mean()


def test_the_sharp_warp_keeps_over_many_frames_what_the_bilinear_one_loses() -> None:
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    for _ in range(2):  # no finer than paint
        picture = torch.nn.functional.avg_pool2d(picture, 3, 1, 1)

    def energy(image: torch.Tensor) -> float:
        return float((image[:, :, 1:] - image[:, :, :-1]).square().mean())

    def left_after_24_frames(warp: Warp) -> float:
        image = picture[0]
        for t in range(24):  # a camera that trembles by a third of a pixel
            image = warp(
                image, constant_flow(*((1 / 3, 1 / 3) if t % 2 else (-1 / 3, -1 / 3)), 64, 64)
            )
        return energy(image) / energy(picture[0])

    assert left_after_24_frames(warp) < 0.1
    assert 0.9 < left_after_24_frames(warp_sharp) < 1.1


def test_the_sharp_warp_rings_by_a_quarter_of_a_step_at_most_and_stays_in_range() -> None:
    step = torch.zeros(3, 16, 32)
    step[:, :, 16:] = 1
    inner = 0.25 + 0.5 * step
    for dx in (0.2, 0.5, 0.8):
        assert warp_sharp(step, constant_flow(dx, 0, 16, 32)).aminmax() == (0, 1)
        lowest, highest = warp_sharp(inner, constant_flow(dx, 0, 16, 32)).aminmax()
        assert lowest >= 0.25 - 0.125
        assert highest <= 0.75 + 0.125
    for shade in (0.0, 0.3, 1.0):
        flat = torch.full((3, 16, 32), shade)
        assert torch.allclose(warp_sharp(flat, constant_flow(0.4, 0.7, 16, 32)), flat, atol=1e-6)
