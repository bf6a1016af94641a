"""Several paintings together: a picture lies between what each of them alone makes of it, in every kind of term."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.config import RenderConfig
from vidstyle.frames import Frame
from vidstyle.shares import TERMS
from vidstyle.stylize import features
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.step import State, Stylizer
from vidstyle.stylize.styles import Mixture, Painting

H, W = 64, 96
Picture = Callable[..., Tensor]
Settings = Callable[..., RenderConfig]


@pytest.fixture(scope="module")
def lite() -> features.Network:
    return features.load("lite", precision="fp32")


@pytest.fixture
def known(lite: features.Network, picture: Picture, settings: Settings) -> Callable[..., list[Painting]]:
    """Two paintings of different sizes, as one kind of term knows them."""

    def make(kind: str) -> list[Painting]:
        config = settings(style_terms=kind)
        return [Painting(lite, picture(h, w, seed)[None], config, None) for h, w, seed in ((H, W, 1), (W, H, 2))]

    return make


@pytest.mark.parametrize("kind", TERMS)
def test_a_painting_that_counts_alone_is_alone(
    lite: features.Network, picture: Picture, known: Callable[..., list[Painting]], kind: str
) -> None:
    both, image = known(kind), picture(H, W, 3)[None]
    for i, shares in enumerate(((1.0, 0.0), (0.0, 1.0))):
        alone = Objective(lite, Mixture([both[i]]).terms())(image)
        assert torch.equal(Objective(lite, Mixture(both).terms(shares=shares))(image), alone)


@pytest.mark.parametrize("kind", TERMS)
def test_of_two_styles_a_picture_comes_as_near_to_each_as_it_counts(
    lite: features.Network, picture: Picture, settings: Settings, known: Callable[..., list[Painting]], kind: str
) -> None:
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    stripes = torch.stack([(x % 8 < 4).float(), 0.5 * (y % 16 < 8), 0.1 * torch.ones(H, W)])
    paintings, frame = [0.5 * picture(H, W, 1), stripes], picture(H, W, 3)
    config = settings(
        style_terms=kind, style_weight=5, first_iterations=40, first_scales=2, content_weight=0.01, tv_weight=0
    )
    s = Stylizer(lite, paintings, (H, W), config, torch.device("cpu"))
    away = [Objective(lite, Mixture([Painting(lite, p[None], config, None)]).terms()) for p in paintings]

    def distances(*shares: float) -> list[float]:
        _, image, _ = s.step(State(), Frame(0, frame, None, shares), None)
        return [float(of(image[None])) for of in away]

    first, mixed, second = distances(1, 0), distances(0.7, 0.3), distances(0, 1)
    assert first[0] < mixed[0] < second[0]
    assert second[1] < mixed[1] < first[1]


@pytest.mark.parametrize("kind", TERMS)
def test_each_region_takes_the_style_of_its_own_whatever_is_compared(
    lite: features.Network, picture: Picture, settings: Settings, kind: str
) -> None:
    """A painting that is dark on the left and light on the right: which half becomes light follows the regions."""
    painting = picture(H, W, 1) * 0.3
    painting[:, :, W // 2 :] += 0.7
    left = torch.zeros(2, H, W)
    left[0, :, : W // 2], left[1, :, W // 2 :] = 1, 1
    config = settings(
        style_terms=kind,
        style_weight=5,
        content_weight=0,
        first_iterations=40,
        first_scales=2,
        style_layers="relu1_1,relu3_1",
    )
    s = Stylizer(lite, [painting], (H, W), config, torch.device("cpu"), regions=left)
    found = []
    for regions in (left, left.flip(0)):
        _, image, _ = s.step(State(), Frame(0, 0.35 + 0.3 * picture(H, W, 3), regions), None)
        found.append(float(image[:, :, W // 2 :].mean() - image[:, :, : W // 2].mean()))
    assert found[0] > 0.02 > -0.02 > found[1]
