"""Style images as terms of the objective: each term brings its own distance, weighted by layers and
terms, of one style image or a mixture, of the whole picture or by regions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from vidstyle.features import extractor
from vidstyle.features.extractor import STYLE_LAYERS
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.style.mrf import SEARCH_INTERVAL, Matches, StylePatches
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets, choose_seeds
from vidstyle.stylize.style.term import create_style_terms, registered_style_terms
from vidstyle.stylize.tiles import divide_into_tiles

H, W = 64, 96
Picture = Callable[..., Tensor]

TERMS = registered_style_terms()
ADDITIVE = [
    name
    for name, term in create_style_terms(StyleSettings(terms=dict.fromkeys(TERMS, 1.0))).items()
    if term.additive
]


@pytest.fixture(scope="module")
def lite() -> extractor.Network:
    return load_network("lite", precision="fp32")


def choose_terms(**weights: float) -> StyleSettings:
    return StyleSettings(terms=weights)


def choose_layers(name: str = "gram", **weights: float) -> StyleSettings:
    return StyleSettings(terms={name: 1.0}, layers=weights)


def build_objective(
    network: extractor.Network, style_image: Tensor, settings: StyleSettings, side: int = 0
) -> Objective:
    """Build the objective of one style image (3, h, w), for pictures of the same size."""
    over = divide_into_tiles(style_image.shape[1:], side, network.halo) if side else None
    targets = StyleImageTargets(network, style_image[None], settings, over)
    return Objective(network, StyleTargets([targets]).terms(), over)


def test_the_default_is_the_mean_of_the_relative_gram_losses_to_the_last_bit(
    lite: extractor.Network, picture: Picture
) -> None:
    painting = picture(H, W, 1)
    image = picture(H, W, 2)[None]
    targets = lite(painting[None], STYLE_LAYERS)
    distances = [
        losses.style(losses.gram(f), losses.gram(targets[name]))
        for name, f in lite(image, STYLE_LAYERS).items()
    ]
    own = build_objective(lite, painting, StyleSettings())
    assert torch.equal(own(image), torch.stack(distances).mean())


@pytest.mark.parametrize("name", TERMS)
def test_a_style_image_is_at_no_distance_from_itself_and_another_picture_is(
    lite: extractor.Network, picture: Picture, name: str
) -> None:
    painting = picture(H, W, 1)
    own = build_objective(lite, painting, choose_terms(**{name: 1.0}))(painting[None])
    other = build_objective(lite, painting, choose_terms(**{name: 1.0}))(picture(H, W, 2)[None])
    assert float(own) == pytest.approx(0, abs=1e-4)
    assert float(other) > 0.02


@pytest.mark.parametrize("name", TERMS)
def test_it_does_not_matter_in_which_order_layers_are_named(
    lite: extractor.Network, picture: Picture, name: str
) -> None:
    painting = picture(H, W, 1)
    image = picture(H, W, 2)[None]
    layers = ["relu1_1", "relu3_1", "relu4_1"]

    def measure(x: Tensor, order: list[str]) -> float:
        settings = choose_layers(name, **dict.fromkeys(order, 1.0))
        return float(build_objective(lite, painting, settings)(x))

    assert measure(painting[None], layers[::-1]) == pytest.approx(0, abs=1e-4)
    assert measure(image, layers[::-1]) == pytest.approx(measure(image, layers), rel=1e-4)


def test_a_layer_has_the_same_seed_in_whatever_order_the_layers_are_named() -> None:
    layers = {"relu4_1": 1.0, "relu1_1": 1.0, "relu3_1": 1.0}
    for name, seeds in (
        ("swd", {"relu4_1": 2, "relu1_1": 0, "relu3_1": 1}),
        ("mrf", {"relu4_1": 1, "relu3_1": 0}),
    ):
        settings = choose_layers(name, **layers)
        assert list(choose_seeds(create_style_terms(settings)[name], settings).items()) == list(
            seeds.items()
        )


@pytest.mark.parametrize("name", ADDITIVE)
def test_terms_of_sums_do_not_notice_tiles(
    lite: extractor.Network, picture: Picture, name: str
) -> None:
    painting = picture(H, W, 1)
    x = picture(H, W, 2)[None].requires_grad_()
    results = []
    for side in (0, 32):
        loss = build_objective(lite, painting, choose_terms(**{name: 1.0}), side)(x)
        results.append((loss.detach(), *torch.autograd.grad(loss, x)))
    (loss, gradient), (tiled_loss, tiled_gradient) = results
    assert torch.allclose(tiled_loss, loss, rtol=1e-4)
    assert (tiled_gradient - gradient).norm() < 1e-3 * gradient.norm()


def test_weights_are_in_relation_to_one_another(lite: extractor.Network, picture: Picture) -> None:
    painting = picture(H, W, 1)
    image = picture(H, W, 2)[None]

    def measure(settings: StyleSettings) -> float:
        return float(build_objective(lite, painting, settings)(image))

    first = measure(choose_layers(relu1_1=1))
    second = measure(choose_layers(relu3_1=1))
    mean = pytest.approx((first + 3 * second) / 4, rel=1e-5)
    assert measure(choose_layers(relu1_1=1, relu3_1=3)) == mean
    assert measure(choose_layers(relu1_1=2, relu3_1=6)) == mean
    gram = measure(choose_terms(gram=1))
    normal = measure(choose_terms(w2=1))
    assert measure(choose_terms(gram=0.5, w2=2)) == pytest.approx(0.5 * gram + 2 * normal, rel=1e-5)
    assert measure(StyleSettings(weight=3)) == pytest.approx(3 * gram, rel=1e-5)


def test_a_term_is_called_by_its_name_where_there_are_others_and_has_its_strength(
    lite: extractor.Network, picture: Picture
) -> None:
    for weights, shown in (
        ({"mrf": 2.0}, {"style": 0.4}),
        ({"gram": 0.5, "mrf": 2.0}, {"gram": 0.5, "mrf": 0.4}),
    ):
        targets = StyleImageTargets(lite, picture(H, W, 1)[None], choose_terms(**weights), None)
        terms = StyleTargets([targets]).terms()
        assert {term.name: term.weight for term in terms} == pytest.approx(shown)


def test_matches_of_patches_stay_for_some_evaluations_and_are_each_pictures_own(
    lite: extractor.Network, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = 0
    search = StylePatches.search

    def count_searches(self: StylePatches, features: Tensor, labels: Tensor | None) -> Matches:
        nonlocal searches
        searches += 1
        return search(self, features, labels)

    monkeypatch.setattr(StylePatches, "search", count_searches)
    settings = choose_layers("mrf", relu4_1=1)
    targets = StyleTargets([StyleImageTargets(lite, picture(H, W, 1)[None], settings, None)])
    for _ in range(2):
        objective = Objective(lite, targets.terms())
        for _ in range(SEARCH_INTERVAL + 1):
            objective(picture(H, W, 2)[None])
    assert searches == 4


def test_a_region_that_is_smaller_than_a_position_takes_the_whole_style_image(
    lite: extractor.Network, picture: Picture
) -> None:
    painting = picture(47, 87, 1)
    image = picture(64, 64, 2)
    strip = torch.zeros(2, 47, 87)
    strip[0, :35] = 1
    strip[1, 35:] = 1
    targets = StyleTargets([StyleImageTargets(lite, painting[None], StyleSettings(), None, strip)])
    half = torch.zeros(2, 64, 64)
    half[0, :32] = 1
    half[1, 32:] = 1
    assert float(Objective(lite, targets.terms(half))(image[None])) < 5


@pytest.mark.parametrize("name", TERMS)
def test_a_style_image_with_the_whole_share_is_as_if_it_were_alone(
    lite: extractor.Network, picture: Picture, name: str
) -> None:
    settings = choose_terms(**{name: 1.0})
    both = [
        StyleImageTargets(lite, picture(h, w, seed)[None], settings, None)
        for h, w, seed in ((H, W, 1), (W, H, 2))
    ]
    image = picture(H, W, 3)[None]
    for own, mixture in zip(both, ((1.0, 0.0), (0.0, 1.0)), strict=True):
        alone = Objective(lite, StyleTargets([own]).terms())(image)
        mixed = Objective(lite, StyleTargets(both).terms(mixture=mixture))(image)
        assert torch.equal(mixed, alone)


def test_without_shares_all_style_images_have_the_same(
    lite: extractor.Network, picture: Picture
) -> None:
    both = StyleTargets(
        [
            StyleImageTargets(lite, picture(H, W, seed)[None], StyleSettings(), None)
            for seed in (1, 2)
        ]
    )
    image = picture(H, W, 3)[None]
    values = [
        Objective(lite, both.terms(mixture=mixture))(image)
        for mixture in ((), (0.5, 0.5), (0.9, 0.1), (0.5, 0.5))
    ]
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[1], values[3]), "whatever was asked for in between"
    assert not torch.equal(values[1], values[2])


def halves(side: int) -> Tensor:
    """Return two regions (2, side, side) with a soft border between them."""
    inside = torch.arange(side, dtype=torch.float64) < 0.45 * side
    left = inside.double().expand(side, side).clone()
    left[:, round(0.45 * side)] = 0.6
    return torch.stack([left, 1 - left])


class FixedMaps:
    """Features that are given: the picture is the map of `relu3_1`."""

    digest = "fixed"
    halo = 0

    def __call__(self, image: Tensor, layers: object) -> Mapping[str, Tensor]:
        return {"relu3_1": image}


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("name", TERMS)
def test_the_gradient_of_every_term_agrees_with_finite_differences_in_regions_and_mixtures(
    name: str, regions: bool
) -> None:
    generator = torch.Generator().manual_seed(3)
    f, *paintings = (
        torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    masks = halves(32) if regions else None
    settings = StyleSettings(terms={name: 1.0}, layers={"relu3_1": 1.0}, mrf_bidirectional=True)
    count = 1 if regions else 2
    # The masks are brought to the size of a style image, which is that of its map here.
    targets = [
        StyleImageTargets(FixedMaps(), painting, settings, None, masks)  # type: ignore[arg-type]
        for painting in paintings[:count]
    ]
    (term,) = StyleTargets(targets).terms(masks, () if regions else (0.7, 0.3))
    objective = Objective(FixedMaps(), [term])  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(lambda x: objective(x).double(), f.requires_grad_(), rtol=1e-4)
