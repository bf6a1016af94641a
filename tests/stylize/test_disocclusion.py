"""What has no predecessor starts in the colours that what looks alike was painted in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.disocclusion import fill_disocclusions, match_colours

H, W = 60, 90
Picture = Callable[..., Tensor]
SKY, ROOF, WALL = (0.9, 0.85, 0.8), (0.1, 0.1, 0.12), (0.5, 0.4, 0.3)
PAINT = {SKY: (0.9, 0.4, 0.1), ROOF: (0.0, 0.2, 0.3), WALL: (0.3, 0.5, 0.2)}


def plain(colour: tuple[float, ...]) -> Tensor:
    return torch.tensor(colour).view(3, 1, 1).expand(3, H, W)


def scene(columns: list[tuple[float, ...]]) -> tuple[Tensor, Tensor]:
    """A source of upright stripes and the same painted, each (3, H, W)."""
    share = W // len(columns)
    source, painted = torch.empty(3, H, W), torch.empty(3, H, W)
    for i, colour in enumerate(columns):
        source[:, :, i * share :] = plain(colour)[:, :, i * share :]
        painted[:, :, i * share :] = plain(PAINT[colour])[:, :, i * share :]
    return source, painted


def trusted_but(*hidden: slice) -> Tensor:
    mask = torch.ones(1, H, W)
    mask[(slice(None), *hidden)] = 0
    return mask


@pytest.mark.parametrize("colour", PAINT)
def test_what_comes_into_view_in_dark_surroundings_is_painted_like_what_it_looks_like(
    colour: tuple[float, ...],
) -> None:
    source, painted = scene([SKY, WALL, ROOF])
    region = slice(20, 40), slice(70, 80)  # in the middle of the roof
    source[(slice(None), *region)] = torch.tensor(colour).view(3, 1, 1)
    painted[(slice(None), *region)] = 0.5  # nothing may be taken from there
    filled = fill_disocclusions(source, painted, trusted_but(*region))
    wanted = torch.tensor(PAINT[colour]).view(3, 1, 1)
    assert (filled[(slice(None), *region)] - wanted).abs().max() < 0.05


def test_what_is_trusted_stays_and_with_nothing_to_fill_it_is_the_same(picture: Picture) -> None:
    source, painted = picture(H, W, 1), picture(H, W, 2)
    trusted = torch.rand(1, H, W, generator=torch.Generator().manual_seed(0)).round() * 0.3
    filled = fill_disocclusions(source, painted, trusted)
    assert torch.equal(filled.where(trusted > 0, 0), painted.where(trusted > 0, 0))
    assert not torch.equal(filled, painted)
    assert 0 <= float(filled.min()) <= float(filled.max()) <= 1
    assert torch.equal(fill_disocclusions(source, painted, torch.ones(1, H, W)), painted)


def test_of_two_that_look_alike_the_nearer_one_counts() -> None:
    source, painted = plain(WALL).clone(), plain(PAINT[WALL]).clone()
    painted[:, :, : W // 2] = plain(PAINT[SKY])[:, :, : W // 2]
    left, right = (slice(20, 40), slice(0, 8)), (slice(20, 40), slice(82, 90))
    filled = fill_disocclusions(source, painted, trusted_but(*left) * trusted_but(*right))
    means = [filled[(slice(None), *region)].mean((1, 2)) for region in (left, right)]
    distances = [
        [float((mean - torch.tensor(PAINT[c])).abs().sum()) for c in (SKY, WALL)] for mean in means
    ]
    assert distances[0][0] < distances[0][1]
    assert distances[1][1] < distances[1][0]


def test_what_is_filled_keeps_the_edges_of_the_source() -> None:
    source, painted = scene([SKY, WALL, ROOF])
    source[:, 20:40, 70:75], source[:, 20:40, 75:80] = (
        plain(WALL)[:, 20:40, :5],
        plain(WALL)[:, 20:40, :5] * 1.4,
    )
    filled = fill_disocclusions(source, painted, trusted_but(slice(20, 40), slice(70, 80)))
    dark, bright = filled[:, 22:38, 72].mean(), filled[:, 22:38, 77].mean()
    assert bright > 1.15 * dark


def test_what_is_brighter_than_all_there_is_becomes_brighter_but_keeps_the_hue_of_the_paint() -> (
    None
):
    source, painted = plain(ROOF).clone(), plain((0.05, 0.2, 0.3)).clone()
    region = slice(20, 40), slice(60, 80)
    source[(slice(None), *region)] = 0.95
    filled = fill_disocclusions(source, painted, trusted_but(*region))[(slice(None), *region)]
    assert torch.allclose(
        filled, torch.tensor((0.1, 0.4, 0.6)).view(3, 1, 1).expand_as(filled), atol=1e-4
    )
    painted *= 2.5  # and where it would be full
    filled = fill_disocclusions(source, painted, trusted_but(*region))[(slice(None), *region)]
    assert torch.allclose(
        filled, torch.tensor((1 / 6, 2 / 3, 1.0)).view(3, 1, 1).expand_as(filled), atol=1e-4
    )


def test_one_trusted_pixel_is_enough_and_the_order_of_the_work_changes_nothing(
    picture: Picture,
) -> None:
    source, painted, trusted = picture(H, W, 1), picture(H, W, 2), torch.zeros(1, H, W)
    trusted[0, 7, 11] = 0.01
    filled = fill_disocclusions(source, painted, trusted)
    assert bool(filled.isfinite().all())
    assert torch.equal(filled[:, 7, 11], painted[:, 7, 11])
    trusted[0, :30] = 1
    whole = fill_disocclusions(source, painted, trusted)
    pieces = fill_disocclusions(source, painted, trusted, max_pixels=100)
    assert (pieces - whole).abs().max() < 1e-5


def test_matched_colours_have_the_mean_and_the_contrast_of_the_other(picture: Picture) -> None:
    image, reference = 0.3 + 0.4 * picture(H, W, 1), 0.2 + 0.3 * picture(H, W, 2)
    matched = match_colours(image, reference)
    for channel in range(3):
        assert float(matched[channel].mean()) == pytest.approx(
            float(reference[channel].mean()), abs=0.01
        )
        assert float(matched[channel].std()) == pytest.approx(
            float(reference[channel].std()), rel=0.1
        )
    assert torch.allclose(match_colours(image, image), image, atol=1e-6)
