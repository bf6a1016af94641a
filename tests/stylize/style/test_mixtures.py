"""Several paintings together: a picture lies between what each of them alone makes of it, in every
kind of term.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.config.settings import RenderConfig
from vidstyle.config.weighted_names import TERMS
from vidstyle.features import extractor
from vidstyle.frames import Frame
from vidstyle.rendering.models import load_network
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.optimise.engine import State, Stylizer
from vidstyle.stylize.style.kinds import (
    ADDITIVE,
    Matched,
    allotted,
    energy,
    itself,
    mixed,
    of_map,
    of_patches,
    regional,
    scaled,
    whole,
)
from vidstyle.stylize.style.targets import Mixture, Painting

H, W = 64, 96
Picture = Callable[..., Tensor]
Settings = Callable[..., RenderConfig]


@pytest.fixture(scope="module")
def lite() -> extractor.Network:
    return load_network("lite", precision="fp32")


@pytest.fixture
def known(
    lite: extractor.Network, picture: Picture, settings: Settings
) -> Callable[..., list[Painting]]:
    """Two paintings of different sizes, as one kind of term knows them."""

    def make(kind: str) -> list[Painting]:
        config = settings(style_terms=kind)
        return [
            Painting(lite, picture(h, w, seed)[None], config, None)
            for h, w, seed in ((H, W, 1), (W, H, 2))
        ]

    return make


@pytest.mark.parametrize("kind", TERMS)
def test_a_painting_that_counts_alone_is_alone(
    lite: extractor.Network, picture: Picture, known: Callable[..., list[Painting]], kind: str
) -> None:
    both, image = known(kind), picture(H, W, 3)[None]
    for i, shares in enumerate(((1.0, 0.0), (0.0, 1.0))):
        alone = Objective(lite, Mixture([both[i]]).terms())(image)
        assert torch.equal(Objective(lite, Mixture(both).terms(shares=shares))(image), alone)


@pytest.mark.parametrize("kind", TERMS)
def test_of_two_styles_a_picture_comes_as_near_to_each_as_it_counts(
    lite: extractor.Network,
    picture: Picture,
    settings: Settings,
    known: Callable[..., list[Painting]],
    kind: str,
) -> None:
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    stripes = torch.stack([(x % 8 < 4).float(), 0.5 * (y % 16 < 8), 0.1 * torch.ones(H, W)])
    paintings, frame = [0.5 * picture(H, W, 1), stripes], picture(H, W, 3)
    config = settings(
        style_terms=kind,
        style_weight=5,
        first_iterations=40,
        first_scales=2,
        content_weight=0.01,
        tv_weight=0,
    )
    s = Stylizer(lite, paintings, (H, W), config, torch.device("cpu"))
    away = [
        Objective(lite, Mixture([Painting(lite, p[None], config, None)]).terms()) for p in paintings
    ]

    def distances(*shares: float) -> list[float]:
        _, image, _ = s.step(State(), Frame(0, frame, None, shares), None)
        return [float(of(image[None])) for of in away]

    first, mixed, second = distances(1, 0), distances(0.7, 0.3), distances(0, 1)
    assert first[0] < mixed[0] < second[0]
    assert second[1] < mixed[1] < first[1]


@pytest.mark.parametrize("kind", TERMS)
def test_each_region_takes_the_style_of_its_own_whatever_is_compared(
    lite: extractor.Network, picture: Picture, settings: Settings, kind: str
) -> None:
    """A painting that is dark on the left and light on the right: which half becomes light follows
    the regions.
    """
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


def halves(side: int) -> Tensor:
    """Two regions (2, side, side) with a soft border between them."""
    left = (
        (torch.arange(side, dtype=torch.float64) < 0.45 * side).double().expand(side, side).clone()
    )
    left[:, round(0.45 * side)] = 0.6
    return torch.stack([left, 1 - left])


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("kind", TERMS)
def test_the_gradient_of_every_kind_agrees_with_finite_differences_in_regions_and_mixtures(
    kind: str, regions: bool
) -> None:
    generator = torch.Generator().manual_seed(3)
    f, *paintings = (
        torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    masks = halves(32) if regions else None
    shares = (1.0,) if regions else (0.7, 0.3)
    if kind == "mrf":
        patches = [
            (share, of_patches(p, 0.0, masks)) for share, p in zip(shares, paintings, strict=False)
        ]
        measure, distance = Matched(patches, bidirectional=True, regions=masks), itself
    else:
        targets = [
            (share, of_map(kind, 0, p, masks)) for share, p in zip(shares, paintings, strict=False)
        ]
        target = mixed(kind, targets)
        measure, distance = (
            whole(kind, 0, target) if masks is None else regional(kind, 0, target, masks)
        )
    assert torch.autograd.gradcheck(
        lambda x: distance(measure(x, 64)).double(), f.requires_grad_(), rtol=1e-4
    )


def test_a_mixture_has_an_energy_between_and_counts_a_faint_painting_as_much() -> None:
    generator = torch.Generator().manual_seed(3)
    strong, other = (
        torch.rand(1, 4, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    faint = 0.1 * other
    for kind in ("gram", "w2", "swd", "histogram"):
        first, second, as_strong = (of_map(kind, 0, p, None) for p in (strong, faint, other))
        middle = mixed(kind, [(0.5, first), (0.5, second)])
        amplitudes = [float(energy(kind, target).sqrt()) for target in (first, middle, second)]
        # Of two shapes of distributions the mean has a little less than either.
        tolerance = 1e-6 if kind in ADDITIVE else 0.05
        assert amplitudes[1] == pytest.approx((amplitudes[0] + amplitudes[2]) / 2, rel=tolerance)
        unscaled = mixed(kind, [(0.5, first), (0.5, as_strong)])
        factor = (energy(kind, middle) / energy(kind, unscaled)).sqrt()
        assert torch.allclose(scaled(kind, unscaled, factor), middle)


def test_as_many_patches_belong_to_each_painting_as_its_share_where_it_fits_best() -> None:
    similarities = [torch.tensor([0.9, 0.1, 0.5, 0.8]), torch.tensor([0.2, 0.3, 0.4, 0.9])]
    first, second = allotted([0.5, 0.5], similarities)
    assert first is not None
    assert second is not None
    assert first.tolist() == [1, 0, 1, 0]
    assert second.tolist() == [0, 1, 0, 1]
    thirds = allotted([0.25, 0.25, 0.5], [*similarities, torch.zeros(4)])
    assert [int(own.sum()) for own in thirds if own is not None] == [1, 1, 2]
    assert torch.equal(
        torch.stack([own for own in thirds if own is not None]).sum(0), torch.ones(4)
    )
    assert allotted([1.0], similarities[:1]) == [None]
