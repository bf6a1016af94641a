from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.oklab import (
    ColourStatistics,
    StatisticsCollector,
    colour_statistics,
    from_oklab,
    keep_source_colours,
    match_statistics,
    to_oklab,
)

CORNERS = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3))).T[..., None]  # (3, 8, 1)


def colours(seed: int = 0, h: int = 40, w: int = 50, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(3, h, w, generator=torch.Generator().manual_seed(seed)).to(dtype)


def muted(seed: int, mean: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> Tensor:
    """A picture whose colours are correlated and stay inside the gamut when they are matched."""
    generator = torch.Generator().manual_seed(seed)
    mix = 0.05 * torch.eye(3) + 0.03 * torch.rand(3, 3, generator=generator)
    d = (torch.rand(3, 40 * 50, generator=generator) - 0.5) * 2
    return (torch.tensor(mean)[:, None] + mix @ d).view(3, 40, 50)


def grey(seed: int = 0) -> Tensor:
    return colours(seed)[:1].expand(3, -1, -1)


def chroma(lab: Tensor) -> Tensor:
    return lab[1:].square().sum(0).sqrt()


def apart(lab: Tensor, other: Tensor) -> tuple[float, float]:
    """Largest differences in lightness, and across the other's hue, but for what is nearly black:
    there OKLab's cube roots grow without bounds for the least of lights.
    """
    seen = other[0] > 0.05
    across = (lab[1] * other[2] - lab[2] * other[1]) / (chroma(other) + 1e-3)
    return float(((lab[0] - other[0]).abs() * seen).max()), float((across.abs() * seen).max())


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
        ((0.5, 0.5, 0.5), (0.59818, 0, 0)),
    ],
)
def test_oklab_has_its_published_values(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    found = to_oklab(torch.tensor(rgb, dtype=torch.float32).view(3, 1, 1)).flatten()
    assert found.tolist() == pytest.approx(lab, abs=1e-5)


@pytest.mark.parametrize(
    "image", [colours(), colours(1) / 255, 1 - colours(2) / 255, grey(), CORNERS]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_oklab_and_back_is_the_same_colour(image: Tensor, dtype: torch.dtype) -> None:
    back = from_oklab(to_oklab(image.to(dtype)))
    assert back.dtype == dtype
    assert float((back - image).abs().max()) < 1e-5
    assert 0 <= float(back.min()) <= float(back.max()) <= 1


def test_out_of_gamut_a_colour_keeps_its_lightness_and_hue_and_little_chroma_is_lost() -> None:
    lab = torch.cat([colours()[:1], colours(1)[1:] * 0.8 - 0.4])
    rgb = from_oklab(lab)
    found = to_oklab(rgb)
    assert 0 <= float(rgb.min()) <= float(rgb.max()) <= 1
    assert max(apart(found, lab)) < 2e-4
    lost = chroma(found) < chroma(lab) - 1e-3
    assert 0.1 < float(lost.float().mean()) < 1
    assert bool((chroma(found) <= chroma(lab) + 1e-3).all())
    touches = torch.minimum(rgb.amin(0), 1 - rgb.amax(0))
    assert float(touches[lost].max()) < 0.01, "what lost chroma lies on the gamut's boundary"


@pytest.mark.parametrize("lightness", [-0.2, 0.0, 1.0, 1.3])
def test_blacker_than_black_is_black_and_whiter_than_white_white(lightness: float) -> None:
    lab = torch.tensor([lightness, 0.1, -0.2]).view(3, 1, 1)
    assert torch.allclose(from_oklab(lab), torch.full((3, 1, 1), float(lightness > 0.5)), atol=1e-3)


def test_the_sources_colours_take_the_paintings_lightness() -> None:
    painted, source = colours(), colours(1)
    lab, p, s = (
        to_oklab(image) for image in (keep_source_colours(painted, source), painted, source)
    )
    assert apart(lab, p)[0] < 2e-4
    assert apart(torch.cat([lab[:1], s[1:]]), lab)[1] < 2e-4
    assert bool((lab[1] * s[1] + lab[2] * s[2] >= -1e-5).all())
    same = chroma(lab) > chroma(s) - 1e-3
    assert float(same.float().mean()) > 0.3
    assert bool((chroma(lab) < chroma(s) + 1e-3).all())


def test_a_grey_source_stays_grey_and_a_source_painted_as_itself_is_itself() -> None:
    found = keep_source_colours(colours(), grey(1))
    assert float((found - found.mean(0)).abs().max()) < 1e-5
    assert torch.allclose(keep_source_colours(colours(2), colours(2)), colours(2), atol=1e-5)


@pytest.mark.parametrize("given", ["image", "statistics"])
def test_a_matched_painting_has_the_sources_statistics(given: str) -> None:
    painting, source = muted(0), muted(1, (0.55, 0.45, 0.4))
    wanted, before = colour_statistics(source), colour_statistics(painting)
    found = colour_statistics(match_statistics(painting, source if given == "image" else wanted))
    assert torch.allclose(found.mean, wanted.mean, atol=1e-5)
    assert torch.allclose(found.covariance, wanted.covariance, rtol=1e-3, atol=1e-7)
    assert not torch.allclose(before.covariance, wanted.covariance, rtol=0.1)


def test_statistics_are_the_mean_and_covariance_over_pixels_wherever_they_lie() -> None:
    image = colours()
    mean, covariance = colour_statistics(image)
    flat = to_oklab(image).flatten(1)
    assert torch.allclose(mean, flat.mean(1), atol=1e-6)
    assert torch.allclose(covariance, torch.cov(flat, correction=0), atol=1e-6)
    shuffled = image.flatten(1)[
        :, torch.randperm(2000, generator=torch.Generator().manual_seed(0))
    ].view_as(image)
    assert torch.allclose(colour_statistics(shuffled).covariance, covariance, atol=1e-6)


@pytest.mark.parametrize(
    "image", [colours(), muted(2), grey(), torch.full((3, 8, 8), 0.3), torch.zeros(3, 8, 8)]
)
def test_a_painting_matched_to_itself_is_itself(image: Tensor) -> None:
    assert torch.allclose(match_statistics(image, image), image, atol=1e-4)


PLAIN: list[Callable[[], Tensor]] = [
    grey,
    lambda: torch.full((3, 40, 50), 0.3),
    lambda: torch.zeros(3, 40, 50),
]


@pytest.mark.parametrize("plain", PLAIN)
def test_grey_and_constant_pictures_are_matched_without_inventing_colours(
    plain: Callable[[], Tensor],
) -> None:
    painted, taken = match_statistics(plain(), colours(1)), match_statistics(colours(1), plain())
    for image in (painted, taken):
        assert bool(image.isfinite().all())
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert float((taken - taken.mean(0)).abs().max()) < 2e-3, "a grey source makes a grey painting"


def test_the_noise_of_a_grey_painting_does_not_become_colour() -> None:
    drawing = (grey() * 0.8 + 0.1 + (colours(3) - 0.5) * 0.004).clamp(0, 1)
    found, noise = (
        colour_statistics(match_statistics(drawing, muted(1))),
        colour_statistics(muted(1)),
    )
    assert float(found.covariance[1:, 1:].trace()) < 0.2 * float(noise.covariance[1:, 1:].trace())


def test_statistics_can_be_kept_and_unpacked() -> None:
    kept = colour_statistics(muted(1))
    mean, covariance = kept
    assert isinstance(kept, ColourStatistics)
    assert (tuple(mean.shape), tuple(covariance.shape)) == ((3,), (3, 3))


def test_the_statistics_of_many_images_are_those_of_all_their_pixels() -> None:
    images = [muted(seed) * (0.5 + 0.1 * seed) for seed in range(3)]
    collector = StatisticsCollector()
    for image in images:
        collector.add(image)
    mean, covariance = collector.statistics()
    whole = colour_statistics(torch.cat(images, 1))
    assert torch.allclose(mean, whole.mean.double(), atol=1e-5)
    assert torch.allclose(covariance, whole.covariance.double(), atol=1e-5)
