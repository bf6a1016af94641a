"""Patches are matched with the most similar ones, and the MRF loss is the distance to these."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.style.mrf import (
    MAX_SIMILARITIES,
    StylePatches,
    assign_patches,
    extract_patches,
)

DOUBLE = torch.float64


def match_patches(style: StylePatches, f: Tensor) -> Tensor:
    """Return the style image's patch for each of the picture's, (n,)."""
    return style.search(f).patch


def match_and_measure(style: StylePatches, f: Tensor) -> Tensor:
    """Return the matching loss with the matches of the same map."""
    return style.matching_loss(f, match_patches(style, f))


def both(style: StylePatches, f: Tensor, max_similarities: int = MAX_SIMILARITIES) -> Tensor:
    """Return the loss with which nothing of the style image may be missing either."""
    matches = style.search(f, max_similarities=max_similarities)
    there = style.matching_loss(f, matches.patch)
    return (there + style.completeness_loss(f, matches.back)) / 2


LOSSES: dict[str, Callable[[StylePatches, Tensor], Tensor]] = {
    "matching": match_and_measure,
    "both ways": both,
}


def maps(c: int = 5, h: int = 8, w: int = 9, seed: int = 0, dtype: torch.dtype = DOUBLE) -> Tensor:
    drawn = torch.rand(1, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    return drawn.to(dtype).contiguous(memory_format=torch.channels_last)


def chosen(style: Tensor, match: Tensor) -> Tensor:
    """The painting's patches for each of the image's, (n, 9 c)."""
    return extract_patches(style)[match]


def runs(match: Tensor, width: int, style_width: int) -> float:
    """Share of horizontal neighbours whose matches are neighbours too."""
    grid = match.view(-1, width - 2)
    inside = grid[:, :-1] % (style_width - 2) < style_width - 3
    return float(((grid.diff() == 1) & inside).double().mean())


def test_patches_are_the_nine_cells_around_each_inner_one() -> None:
    f = maps(c=2, h=4, w=5)
    every = extract_patches(f)
    assert every.shape == (2 * 3, 9 * 2)
    for name in range(6):
        y, x = divmod(name, 3)
        assert torch.equal(every[name], f[0, :, y : y + 3, x : x + 3].permute(1, 2, 0).flatten())
    assert torch.equal(extract_patches(f, 2), every[[0, 2]])


def test_a_match_is_the_patch_of_the_highest_normalised_cross_correlation() -> None:
    f, s = maps(seed=1), maps(h=6, w=7)
    correlation = (
        torch.nn.functional.normalize(extract_patches(f))
        @ torch.nn.functional.normalize(extract_patches(s)).T
    )
    assert torch.equal(match_patches(StylePatches(s), f), correlation.argmax(1))
    assert torch.equal(
        match_patches(StylePatches(s), 3 * f), match_patches(StylePatches(5 * s), f)
    ), "whatever the contrast"


@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("coherence", [0.0, 0.1])
def test_a_map_matches_itself_cell_by_cell_and_is_at_no_distance(
    dtype: torch.dtype, coherence: float
) -> None:
    f = maps(dtype=dtype).requires_grad_()
    own = StylePatches(f, coherence=coherence)
    assert torch.equal(match_patches(own, f), torch.arange(6 * 7))
    for value in (match_and_measure(own, f), both(own, f)):
        assert float(value.detach()) == 0
        assert not torch.autograd.grad(value, f)[0].any()


def test_the_loss_is_the_mean_distance_to_the_match_relative_to_the_paintings_patches() -> None:
    f, s = maps(seed=1), maps(h=6, w=7)
    found = StylePatches(s, stride=2)
    expected = (extract_patches(f) - chosen(s, match_patches(found, f))).square().sum(
        1
    ).mean() / extract_patches(s).square().sum(1).mean()
    assert float(match_and_measure(found, f)) == pytest.approx(float(expected))
    given = torch.arange(6 * 7) % 20
    assert float(found.matching_loss(f, given)) == pytest.approx(
        float(
            (extract_patches(f) - chosen(s, given)).square().sum(1).mean()
            / extract_patches(s).square().sum(1).mean()
        )
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_the_other_direction_is_the_mean_distance_of_the_paintings_patches_to_the_images(
    stride: int,
) -> None:
    f, s = maps(seed=1), maps(h=6, w=7)
    found = StylePatches(s, stride)
    searched = extract_patches(s, stride)
    correlation = (
        torch.nn.functional.normalize(searched)
        @ torch.nn.functional.normalize(extract_patches(f)).T
    )
    missed = (searched - extract_patches(f)[correlation.argmax(1)]).square().sum(
        1
    ).mean() / extract_patches(s).square().sum(1).mean()
    assert float(both(found, f)) == pytest.approx(float((match_and_measure(found, f) + missed) / 2))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("coherence", [0.0, 0.05])
def test_the_gradient_agrees_with_finite_differences(name: str, coherence: float) -> None:
    """The matches of these maps do not change within the small step."""
    found = StylePatches(maps(2, 5, 6), coherence=coherence)
    f = maps(2, 4, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: LOSSES[name](found, f), f, eps=1e-6, atol=1e-7)


def test_the_gradient_pulls_every_cell_to_the_mean_of_what_its_patches_are_matched_with() -> None:
    f, s = maps(3, 3, 3, seed=1).requires_grad_(), maps(3)
    found = StylePatches(s)
    (gradient,) = torch.autograd.grad(match_and_measure(found, f), f)
    wanted = chosen(s, match_patches(found, f)).view(3, 3, 3).permute(2, 0, 1)[None]
    energy = extract_patches(s).square().sum(1).mean()
    assert torch.allclose(gradient, 2 * (f.detach() - wanted) / energy, rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_means_the_same_at_every_scale_of_the_values_and_at_every_size(name: str) -> None:
    f, s = maps(3, 4, 4, seed=1), maps(3, 4, 4)

    def value(scale: float, times: int) -> float:
        # Two cells more than the period: every patch of it is there equally often.
        tiled = [
            scale * m.repeat(1, 1, times + 1, times + 1)[..., : 4 * times + 2, : 4 * times + 2]
            for m in (f, s)
        ]
        return float(LOSSES[name](StylePatches(tiled[1]), tiled[0]))

    once = pytest.approx(value(1, 1), rel=1e-9)
    assert value(10, 1) == once
    assert value(1, 2) == once


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_maps_are_measured_in_single_precision(
    dtype: torch.dtype, name: str
) -> None:
    f, s = maps(seed=1, dtype=dtype).requires_grad_(), maps(dtype=dtype)
    value = LOSSES[name](StylePatches(s), f)
    assert value.dtype == torch.float32
    exact = LOSSES[name](StylePatches(s.to(DOUBLE)), f.detach().to(DOUBLE))
    assert float(value.detach()) == pytest.approx(float(exact), rel=1e-4)
    (gradient,) = torch.autograd.grad(1000 * value, f)
    assert gradient.dtype == dtype
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("at_once", [1, 9 * 5 * 14])
@pytest.mark.parametrize("coherence", [0.0, 0.05])
def test_searching_some_rows_at_a_time_changes_nothing(at_once: int, coherence: float) -> None:
    f = maps(seed=1)
    style = StylePatches(maps(h=7, w=6), coherence=coherence)
    whole = style.search(f)
    again = style.search(f, max_similarities=at_once)
    assert torch.allclose(again.similarity, whole.similarity)
    for a, b in ((again.patch, whole.patch), (again.back, whole.back)):
        assert torch.equal(a, b)
    assert torch.equal(both(style, f, at_once), both(style, f))


def noisy(size: int = 20) -> tuple[Tensor, Tensor]:
    """A painting, and an image that is a part of it under noise."""
    s = maps(4, size, size)
    return s[..., 3:, 2:] + 1.5 * (maps(4, size - 3, size - 2, seed=1) - 0.5), s


@pytest.mark.parametrize("stride", [1, 2])
def test_coherent_matches_continue_one_another(stride: int) -> None:
    f, s = noisy()
    plain, coherent = (
        runs(match_patches(StylePatches(s, stride, bonus), f), 18, 20) for bonus in (0.0, 0.05)
    )
    assert coherent > 0.95 > plain + 0.15


def test_what_continues_a_neighbours_match_need_not_be_among_the_searched_patches() -> None:
    s = maps(4, 20, 20)
    plain, coherent = StylePatches(s, stride=2), StylePatches(s, stride=2, coherence=0.02)
    there = torch.arange(18 * 18)
    assert int((match_patches(plain, s) == there).sum()) == 81
    assert torch.equal(match_patches(coherent, s), there)


def test_a_bonus_is_not_paid_for_with_more_similarity_than_it_is_worth() -> None:
    f, s = maps(4, 12, 13, seed=1), maps(4, 11, 12)

    def similarity(match: Tensor) -> Tensor:
        return torch.cosine_similarity(extract_patches(f), chosen(s, match), dim=1)

    plain = similarity(match_patches(StylePatches(s), f))
    lost = [
        float((plain - similarity(match_patches(StylePatches(s, 1, b), f))).max())
        for b in (1e-9, 0.01, 0.05)
    ]
    for bonus, loss in zip((1e-9, 0.01, 0.05), lost, strict=True):
        assert loss <= 4 * bonus + 1e-12, "of four neighbours"
    assert lost[0] < lost[1] < lost[2]


@pytest.mark.parametrize(("h", "w"), [(3, 3), (3, 4), (4, 3), (5, 8)])
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_the_smallest_maps_have_matches_too(h: int, w: int, stride: int) -> None:
    f = maps(h=h, w=w, seed=1)
    for style in (maps(), maps(h=3, w=3)):
        match = match_patches(StylePatches(style, stride, coherence=0.1), f)
        assert match.shape == ((h - 2) * (w - 2),)
        assert int(match.max()) < (style.shape[2] - 2) * (style.shape[3] - 2)


def test_the_same_maps_give_the_same_bits() -> None:
    f, s = maps(seed=1, dtype=torch.float32), maps(dtype=torch.float32)
    for loss in LOSSES.values():
        once, again = (loss(StylePatches(s.clone(), 1, 0.1), f.clone()) for _ in range(2))
        assert torch.equal(once, again)


def test_a_map_of_zeros_gives_finite_losses() -> None:
    zero = torch.zeros(1, 3, 5, 5).requires_grad_()
    for value in (
        both(StylePatches(maps(3, dtype=torch.float32), 1, 0.1), zero),
        both(StylePatches(zero), zero),
    ):
        assert bool(value.isfinite())
        assert bool(torch.autograd.grad(value, zero)[0].isfinite().all())


def test_as_many_patches_belong_to_each_painting_as_its_share_where_it_fits_best() -> None:
    similarities = [torch.tensor([0.9, 0.1, 0.5, 0.8]), torch.tensor([0.2, 0.3, 0.4, 0.9])]
    first, second = assign_patches([0.5, 0.5], similarities)
    assert first is not None
    assert second is not None
    assert first.tolist() == [1, 0, 1, 0]
    assert second.tolist() == [0, 1, 0, 1]
    thirds = assign_patches([0.25, 0.25, 0.5], [*similarities, torch.zeros(4)])
    assert [int(own.sum()) for own in thirds if own is not None] == [1, 1, 2]
    assert torch.equal(
        torch.stack([own for own in thirds if own is not None]).sum(0), torch.ones(4)
    )
    assert assign_patches([1.0], similarities[:1]) == [None]
