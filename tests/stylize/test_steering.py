"""Every choice of how the style is steered does what it says to a picture that is optimised from
beginning to end.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.stylize.optimising import build_stylizer
from vidstyle.config.settings import RenderConfig
from vidstyle.features import extractor
from vidstyle.frames import Frame, FrameStyle, Motion
from vidstyle.rendering.engines import optimiser_settings, style_settings
from vidstyle.rendering.models import load_network
from vidstyle.stylize import oklab
from vidstyle.stylize.engine import State
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.photoreal.matting import MattingLaplacian, matting_loss
from vidstyle.stylize.resample import fit_style_image
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets
from vidstyle.stylize.style.term import registered_style_terms

H, W = 64, 96
Picture = Callable[..., Tensor]
Settings = Callable[..., RenderConfig]
TERMS = registered_style_terms()


@pytest.fixture(scope="module")
def lite() -> extractor.Network:
    return load_network("lite")


@pytest.mark.parametrize(
    "chosen",
    [
        *({"style_terms": name} for name in TERMS if name != "gram"),
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
        own = optimiser_settings(settings(**few, **given))
        stylizer = build_stylizer(own, lite, [painting], (H, W))
        first = stylizer.step(State(), Frame(0, frame), None)
        moved = Frame(0, frame.roll((1, 1), (1, 2)))
        return first.image, stylizer.step(first.state, moved, motion).image

    first, second = rendered(**chosen)
    assert all(torch.equal(a, b) for a, b in zip(rendered(**chosen), (first, second), strict=True))
    assert (first - rendered()[0]).abs().mean() > 1e-3
    assert (first - frame).abs().mean() > 1e-3
    assert second.isfinite().all()


def test_a_larger_style_scale_shows_the_painting_larger(picture: Picture) -> None:
    painting = picture(100, 200, 1)
    sizes = [
        fit_style_image(painting, (100, 200), 1.0, scale).shape[1:]
        for scale in (0.5, 1.0, 1.5, 3.0)
    ]
    assert [tuple(size) for size in sizes] == [(50, 100), (100, 200), (150, 300), (200, 400)]


def test_luminance_keeps_the_sources_hue_and_chroma_and_paints_its_lightness(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    frame = 0.3 + 0.4 * picture(H, W, 2)
    config = settings(keep_colors="luminance", first_iterations=20, first_scales=1)
    stylizer = build_stylizer(optimiser_settings(config), lite, [picture(H, W, 1)], (H, W))
    image = stylizer.step(State(), Frame(0, frame), None).image
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
        stylizer = build_stylizer(optimiser_settings(config), lite, [picture(H, W, 1)], (H, W))
        image = stylizer.step(State(), Frame(0, frame), None).image
        found.append(float(matting_loss(image, MattingLaplacian(frame))))
    assert found[1] < 0.2 * found[0]


def test_a_small_painting_still_has_patches(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    config = settings(style_terms="mrf", style_scale=0.3, first_iterations=6, first_scales=3)
    stylizer = build_stylizer(optimiser_settings(config), lite, [picture(20, 20, 1)], (H, W))
    image = stylizer.step(State(), Frame(0, picture(H, W, 2)), None).image
    assert image.isfinite().all()


def test_a_tileable_texture_goes_on_where_it_ends(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> None:
    jumps = []
    for tileable in (True, False):
        config = settings(
            texture=True, tileable=tileable, style=None, first_iterations=40, tv_weight=3
        )
        stylizer = build_stylizer(optimiser_settings(config), lite, [picture(H, W, 1)], (H, W))
        image = stylizer.step(State(), Frame(0, picture(H, W, 1)), None).image
        inside = (image[:, :, 1:] - image[:, :, :-1]).abs().mean()
        jumps.append(float((image[:, :, 0] - image[:, :, -1]).abs().mean() / inside))
    assert jumps[0] < 0.6 * jumps[1]


@pytest.mark.parametrize("name", TERMS)
def test_of_two_styles_a_picture_comes_as_near_to_each_as_it_counts(
    lite: extractor.Network,
    picture: Picture,
    settings: Settings,
    name: str,
) -> None:
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    stripes = torch.stack([(x % 8 < 4).float(), 0.5 * (y % 16 < 8), 0.1 * torch.ones(H, W)])
    paintings, frame = [0.5 * picture(H, W, 1), stripes], picture(H, W, 3)
    config = settings(
        style_terms=name,
        style_weight=5,
        first_iterations=40,
        first_scales=2,
        content_weight=0.01,
        tv_weight=0,
    )
    s = build_stylizer(optimiser_settings(config), lite, paintings, (H, W))
    away = [
        Objective(
            lite,
            StyleTargets([StyleImageTargets(lite, p[None], style_settings(config), None)]).terms(),
        )
        for p in paintings
    ]

    def distances(*shares: float) -> list[float]:
        image = s.step(State(), Frame(0, frame, None, FrameStyle(shares)), None).image
        return [float(of(image[None])) for of in away]

    first, mixed, second = distances(1, 0), distances(0.7, 0.3), distances(0, 1)
    assert first[0] < mixed[0] < second[0]
    assert second[1] < mixed[1] < first[1]


@pytest.mark.parametrize("name", TERMS)
def test_each_region_takes_the_style_of_its_own_whatever_is_compared(
    lite: extractor.Network, picture: Picture, settings: Settings, name: str
) -> None:
    """A painting that is dark on the left and light on the right: which half becomes light follows
    the regions.
    """
    painting = picture(H, W, 1) * 0.3
    painting[:, :, W // 2 :] += 0.7
    left = torch.zeros(2, H, W)
    left[0, :, : W // 2], left[1, :, W // 2 :] = 1, 1
    config = settings(
        style_terms=name,
        style_weight=5,
        content_weight=0,
        first_iterations=40,
        first_scales=2,
        style_layers="relu1_1,relu3_1",
    )
    s = build_stylizer(optimiser_settings(config), lite, [painting], (H, W), style_masks=left)
    found = []
    for regions in (left, left.flip(0)):
        frame = Frame(0, 0.35 + 0.3 * picture(H, W, 3), regions)
        image = s.step(State(), frame, None).image
        found.append(float(image[:, :, W // 2 :].mean() - image[:, :, : W // 2].mean()))
    assert found[0] > 0.02 > -0.02 > found[1]
