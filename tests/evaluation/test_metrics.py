"""The definitions of the score card, on pictures whose figures are known."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.films import SIZE, noise, shifted, square_moves, texture
from vidstyle.evaluation import metrics
from vidstyle.stylize import losses

EVERYWHERE = torch.ones(SIZE, dtype=torch.bool)


def uniform(x: float, y: float) -> torch.Tensor:
    return torch.stack([torch.full(SIZE, x), torch.full(SIZE, y)])


@pytest.mark.parametrize("step", [(1, 0), (0, 2), (3, 1), (20, 10)])
def test_what_moves_with_the_flow_has_no_warping_error(step: tuple[int, int]) -> None:
    before, now = shifted(texture(0, (120, 130)), 2, step)
    there, back = uniform(*map(float, step)), uniform(*(-float(x) for x in step))
    where = metrics.reliable_pixels(there, back)
    h, w = SIZE
    assert int(where.sum()) == (h - step[1]) * (
        w - step[0]
    )  # what came in from outside does not count
    assert metrics.warping_error(now, before, there, where) == 0
    assert metrics.warping_error(now, before, uniform(0, 0), EVERYWHERE) > 1e-3


@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_noise_of_known_variance_gives_twice_that(sigma: float) -> None:
    a, b = texture(0) + noise(2, sigma)
    assert metrics.warping_error(a, b, uniform(0, 0), EVERYWHERE) == pytest.approx(
        2 * sigma**2, rel=0.05
    )


def test_the_warping_error_is_a_mean_over_channels_and_pixels_that_count() -> None:
    image, where = torch.zeros(3, *SIZE), EVERYWHERE.clone()
    changed = image.clone()
    changed[0, :, :32] = 0.3  # one channel of half the picture
    assert metrics.warping_error(changed, image, uniform(0, 0), where) == pytest.approx(
        0.09 / 3 / 2
    )
    where[:, :32] = False
    assert metrics.warping_error(changed, image, uniform(0, 0), where) == 0
    assert metrics.warping_error(changed, image, uniform(0, 0), ~where) == pytest.approx(0.09 / 3)
    assert metrics.warping_error(changed, image, uniform(0, 0), where & False) is None


def test_still_is_what_noise_moves_and_not_what_anything_else_moves() -> None:
    before, now = square_moves(2)
    grain = noise(2, 2 / 255)
    assert metrics.static_pixels(before + grain[0], before + grain[1]).float().mean() > 0.999
    still = metrics.static_pixels(now, before)
    assert not still[18:30, 8:28].float().mean() > 0.3  # where the square was and is
    assert still[:, 40:].all()
    assert not metrics.static_pixels(before + 5 / 255, before).any()  # a lamp is lit


def test_drift_is_the_change_of_colour_where_it_is_looked_at() -> None:
    before, where = texture(0), EVERYWHERE.clone()
    now = before.clone()
    now[1, :, :32] -= 0.12
    mean, largest, colour = metrics.drift(now, before, where)
    assert (mean, largest, colour) == pytest.approx((0.12 / 6, 0.12, 0.06), rel=1e-4)
    where[:, :32] = False
    assert metrics.drift(now, before, where) == (0, 0, 0)
    assert metrics.drift(now, before, where & False) is None


def test_noise_drifts_but_its_mean_colour_does_not() -> None:
    a, b = texture(0) + noise(2, 0.05)
    mean, largest, colour = metrics.drift(a, b, EVERYWHERE)
    assert mean == pytest.approx(
        0.05 * 2**0.5 * (2 / torch.pi) ** 0.5, rel=0.05
    )  # E|x| of a Gaussian
    assert largest > 4 * mean
    assert colour < 0.1 * mean


def test_gradient_energy_has_its_value_and_falls_with_blur() -> None:
    stripes = torch.zeros(3, *SIZE)
    stripes[:, :, ::2] = 0.5
    assert metrics.gradient_energy(stripes) == pytest.approx(0.25)
    picture, energies = texture(0, cell=2), []
    for _ in range(4):
        energies.append(metrics.gradient_energy(picture))
        picture = torch.nn.functional.avg_pool2d(picture[None], 3, 1, 1, count_include_pad=False)[0]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < energies[0] / 2


def test_what_comes_into_view_is_where_the_flow_does_not_return_or_leaves_the_frame() -> None:
    there, back = uniform(-5.0, 0.0), uniform(5.0, 0.0)
    assert metrics.uncovered_pixels(there, back)[10].nonzero().flatten().tolist() == [0, 1, 2, 3, 4]
    back[0, :, 30:40] = 0.0  # what lies there was elsewhere
    columns = metrics.uncovered_pixels(there, back)[10].nonzero().flatten().tolist()
    assert columns == [0, 1, 2, 3, 4, *range(35, 45)]


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0.5, 0.5, 0.5), 0.0),
        ((0.0, 0.0, 0.0), 0.0),
        ((0.8, 0.2, 0.2), 0.75),
        ((0.4, 0.1, 0.1), 0.75),  # however dark
        ((0.0, 1.0, 0.3), 1.0),
    ],
)
def test_saturation_is_that_of_hsv_where_it_is_looked_at(
    colour: tuple[float, ...], expected: float
) -> None:
    image, where = texture(0), torch.zeros(SIZE, dtype=torch.bool)
    assert metrics.mean_saturation(image, where) is None
    image[:, 10:20, 30:40] = torch.tensor(colour)[:, None, None]
    where[12:18, 30:40] = True
    assert metrics.mean_saturation(image, where) == pytest.approx(expected, abs=1e-6)


def test_near_is_within_twelve_pixels_of_a_motion_boundary() -> None:
    flow = uniform(0, 0)
    flow[0, :, 32:] = 5.0
    near = metrics.near_boundary(flow)[10]
    columns = near.nonzero().flatten().tolist()
    assert columns == list(
        range(31 - 12, 32 + 13)
    )  # the central difference sees it in columns 31 and 32
    assert not metrics.near_boundary(uniform(5, 0)).any()


def test_content_counts_only_the_positions_that_hold_a_pixel_looked_at() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = torch.rand(1, 8, 6, 8, generator=generator)
    said = wanted.clone()
    said[..., 0, 0] += 1
    where = torch.zeros(SIZE, dtype=torch.bool)
    assert metrics.content_within(said, wanted, where) is None
    where[20, 40] = True
    assert metrics.content_within(said, wanted, where) == 0
    where[0, 7] = True  # the first position is 8x8 pixels
    norm = float(wanted[..., 0, 0].square().sum() + wanted[..., 2, 5].square().sum())
    assert metrics.content_within(said, wanted, where) == pytest.approx(8 / norm)
    whole = metrics.content_within(said, wanted, EVERYWHERE)
    assert whole == pytest.approx(float(losses.content(said, wanted)))
