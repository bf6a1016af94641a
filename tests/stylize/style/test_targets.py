"""What of a painting is matched can be chosen, and each choice brings the picture nearer in its own
terms.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from vidstyle.stylize.style.kinds import SEARCH_EVERY

from vidstyle.config.settings import RenderConfig
from vidstyle.config.weighted_names import TERMS, WHOLE, parse_weights
from vidstyle.features import extractor
from vidstyle.features.extractor import STYLE_LAYERS
from vidstyle.frames import Frame, Motion
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses, oklab
from vidstyle.stylize.objective import Objective, Style
from vidstyle.stylize.optimise.engine import State, Stylizer, fitted
from vidstyle.stylize.photoreal.matting import Laplacian, affine
from vidstyle.stylize.style.mrf import Match, Patches
from vidstyle.stylize.style.targets import Mixture, Painting
from vidstyle.stylize.tiles import tiles

H, W = 64, 96
CPU = torch.device("cpu")
Picture = Callable[..., Tensor]
Settings = Callable[..., RenderConfig]


@pytest.fixture(scope="module")
def lite() -> extractor.Network:
    return load_network("lite")


def objective(
    network: extractor.Network, painting: Tensor, config: RenderConfig, side: int = 0
) -> Objective:
    over = tiles(painting.shape[1:], side, network.halo) if side else None
    return Objective(
        network, Mixture([Painting(network, painting[None], config, over)]).terms(), over
    )


def test_the_default_is_the_mean_of_the_relative_gram_losses_to_the_last_bit(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    painting, image = picture(H, W, 1), picture(H, W, 2)[None]
    grams = {name: losses.gram(f) for name, f in lite(painting[None], STYLE_LAYERS).items()}
    assert torch.equal(
        objective(lite, painting, settings())(image), Objective(lite, [Style(1.0, grams)])(image)
    )


@pytest.mark.parametrize("kind", TERMS)
def test_a_painting_is_at_no_distance_from_itself_and_another_picture_is(
    lite: extractor.Network, picture: Picture, settings: Settings, kind: str
) -> None:
    painting = picture(H, W, 1)
    config = settings(style_terms=kind)
    own = objective(lite, painting, config)(painting[None])
    other = objective(lite, painting, config)(picture(H, W, 2)[None])
    assert float(own) == pytest.approx(0, abs=1e-4)
    assert float(other) > 0.02


@pytest.mark.parametrize("kind", TERMS)
def test_it_does_not_matter_in_which_order_layers_are_named(
    lite: extractor.Network, picture: Picture, settings: Settings, kind: str
) -> None:
    painting, image = picture(H, W, 1), picture(H, W, 2)[None]
    layers = ["relu1_1", "relu3_1", "relu4_1"]

    def away(x: Tensor, order: list[str]) -> float:
        return float(
            objective(lite, painting, settings(style_terms=kind, style_layers=",".join(order)))(x)
        )

    assert away(painting[None], layers[::-1]) == pytest.approx(0, abs=1e-4)
    assert away(image, layers[::-1]) == pytest.approx(away(image, layers), rel=1e-4)


@pytest.mark.parametrize("kind", sorted(set(TERMS) - WHOLE))
def test_terms_of_sums_do_not_notice_tiles(
    lite: extractor.Network, picture: Picture, settings: Settings, kind: str
) -> None:
    painting, x = picture(H, W, 1), picture(H, W, 2)[None].requires_grad_()
    found = []
    for side in (0, 32):
        loss = objective(lite, painting, settings(style_terms=kind), side)(x)
        found.append((loss.detach(), *torch.autograd.grad(loss, x)))
    (loss, gradient), (tiled_loss, tiled_gradient) = found
    assert torch.allclose(tiled_loss, loss, rtol=1e-4)
    assert (tiled_gradient - gradient).norm() < 1e-3 * gradient.norm()


def test_weights_count_in_relation_to_one_another(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    painting, image = picture(H, W, 1), picture(H, W, 2)[None]

    def loss(**given: str) -> float:
        return float(objective(lite, painting, settings(**given))(image))

    first, second = loss(style_layers="relu1_1"), loss(style_layers="relu3_1")
    assert loss(style_layers="relu1_1,relu3_1=3") == pytest.approx(
        (first + 3 * second) / 4, rel=1e-5
    )
    assert loss(style_layers="relu1_1=2,relu3_1=6") == pytest.approx(
        (first + 3 * second) / 4, rel=1e-5
    )
    gram, moments = loss(style_terms="gram"), loss(style_terms="w2")
    assert loss(style_terms="gram=0.5,w2=2") == pytest.approx(0.5 * gram + 2 * moments, rel=1e-5)


def test_matches_of_patches_stay_for_some_evaluations_and_are_each_pictures_own(
    lite: extractor.Network, picture: Picture, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = 0
    search = Patches.search

    def counted(self: Patches, found: Tensor, labels: Tensor | None) -> Match:
        nonlocal searches
        searches += 1
        return search(self, found, labels)

    monkeypatch.setattr(Patches, "search", counted)
    config = settings(style_terms="mrf", style_layers="relu4_1")
    known = Mixture([Painting(lite, picture(H, W, 1)[None], config, None)])
    for _ in range(2):
        of = Objective(lite, known.terms())
        for _ in range(SEARCH_EVERY + 1):
            of(picture(H, W, 2)[None])
    assert searches == 4


@pytest.mark.parametrize(
    "chosen",
    [
        *({"style_terms": kind} for kind in TERMS if kind != "gram"),
        {"style_terms": "gram=0.5,mrf=0.5", "mrf_bidirectional": True, "mrf_coherence": 0.05},
        {"style_layers": "relu2_1,relu3_1=0.3", "content_layers": "relu3_1"},
        {"style_scale": 0.5},
        {"keep_colors": "luminance"},
        {"photorealism": 1000.0},
    ],
)
def test_every_choice_makes_another_picture_the_same_one_every_time_and_on_video_too(
    lite: extractor.Network, picture: Picture, settings: Settings, chosen: dict[str, object]
) -> None:
    painting, frame = picture(H, W, 1), picture(H, W, 2)
    few = {"first_iterations": 12, "first_scales": 1, "iterations": 6}
    motion = Motion(torch.ones(2, H, W), torch.ones(1, H, W))

    def rendered(**given: object) -> tuple[Tensor, Tensor]:
        stylizer = Stylizer(lite, [painting], (H, W), settings(**few, **given), CPU)
        state, image, _ = stylizer.step(State(), Frame(0, frame), None)
        return image, stylizer.step(state, Frame(0, frame.roll((1, 1), (1, 2))), motion)[1]

    first, second = rendered(**chosen)
    assert all(torch.equal(a, b) for a, b in zip(rendered(**chosen), (first, second), strict=True))
    assert (first - rendered()[0]).abs().mean() > 1e-3
    assert (first - frame).abs().mean() > 1e-3
    assert second.isfinite().all()


def test_a_larger_style_scale_shows_the_painting_larger(picture: Picture) -> None:
    painting = picture(100, 200, 1)
    sizes = [fitted(painting, (100, 200), 1.0, scale).shape[1:] for scale in (0.5, 1.0, 1.5, 3.0)]
    assert [tuple(size) for size in sizes] == [(50, 100), (100, 200), (150, 300), (200, 400)]


def test_luminance_keeps_the_sources_hue_and_chroma_and_paints_its_lightness(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    frame = 0.3 + 0.4 * picture(H, W, 2)
    config = settings(keep_colors="luminance", first_iterations=20, first_scales=1)
    _, image, _ = Stylizer(lite, [picture(H, W, 1)], (H, W), config, CPU).step(
        State(), Frame(0, frame), None
    )
    before, after = oklab.to_oklab(frame), oklab.to_oklab(image)
    assert (after[1:] - before[1:]).abs().mean() < 0.005
    assert (after[:1] - before[:1]).abs().mean() > 0.02


def test_photorealism_keeps_the_picture_a_locally_affine_recolouring(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    frame = picture(H, W, 2)
    found = []
    for weight in (0.0, 1e4):
        config = settings(photorealism=weight, first_iterations=20, first_scales=1)
        _, image, _ = Stylizer(lite, [picture(H, W, 1)], (H, W), config, CPU).step(
            State(), Frame(0, frame), None
        )
        found.append(float(affine(image, Laplacian(frame))))
    assert found[1] < 0.2 * found[0]


def test_the_statistics_of_many_images_are_those_of_all_their_pixels(picture: Picture) -> None:
    images = [picture(H, W, seed) * (0.5 + 0.1 * seed) for seed in range(3)]
    gathered = oklab.Gathered()
    for image in images:
        gathered.add(image)
    mean, covariance = gathered.statistics()
    whole = oklab.statistics(torch.cat(images, 1))
    assert torch.allclose(mean, whole.mean.double(), atol=1e-5)
    assert torch.allclose(covariance, whole.covariance.double(), atol=1e-5)


def test_every_term_is_known() -> None:
    assert all(parse_weights(kind) == {kind: 1.0} for kind in TERMS)


def test_a_region_that_is_smaller_than_a_cell_takes_the_whole_paintings_style(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    painting, image = picture(47, 87, 1), picture(64, 64, 2)
    strip = torch.zeros(2, 47, 87)
    strip[0, :35], strip[1, 35:] = 1, 1
    known = Mixture([Painting(lite, painting[None], settings(), None, strip)])
    half = torch.zeros(2, 64, 64)
    half[0, :32], half[1, 32:] = 1, 1
    assert float(Objective(lite, known.terms(half))(image[None])) < 5


def test_a_small_painting_still_has_patches(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    config = settings(style_terms="mrf", style_scale=0.3, first_iterations=6, first_scales=3)
    _, image, _ = Stylizer(lite, [picture(20, 20, 1)], (H, W), config, CPU).step(
        State(), Frame(0, picture(H, W, 2)), None
    )
    assert image.isfinite().all()


def test_a_tileable_texture_goes_on_where_it_ends(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    jumps = []
    for tileable in (True, False):
        config = settings(
            texture=True, tileable=tileable, style=None, first_iterations=40, tv_weight=3
        )
        _, image, _ = Stylizer(lite, [picture(H, W, 1)], (H, W), config, CPU).step(
            State(), Frame(0, picture(H, W, 1)), None
        )
        inside = (image[:, :, 1:] - image[:, :, :-1]).abs().mean()
        jumps.append(float((image[:, :, 0] - image[:, :, -1]).abs().mean() / inside))
    assert jumps[0] < 0.6 * jumps[1]
