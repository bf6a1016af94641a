"""Each term is the loss that it is named after, with its own targets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers.features import TinyFeatures
from vidstyle.stylize import losses
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.optimise.terms import (
    ContentTerm,
    FineColourTerm,
    PhotorealismTerm,
    TemporalTerm,
    TotalVariationTerm,
)
from vidstyle.stylize.photoreal.matting import MattingLaplacian, matting_loss

Picture = Callable[..., Tensor]


@pytest.mark.parametrize("weights", [None, {"relu1_1": 1.0, "relu4_2": 3.0}])
def test_content_is_the_weighted_mean_over_layers(
    tiny: TinyFeatures, picture: Picture, weights: dict[str, float] | None
) -> None:
    layers = ("relu1_1", "relu4_2")
    target = tiny(picture(6, 8, 1)[None], layers)
    image = picture(6, 8, 2)[None]
    found = Objective(tiny, [ContentTerm(1.0, target, weights)])(image)
    maps = tiny(image, layers)
    shares = dict.fromkeys(layers, 0.5) if weights is None else {"relu1_1": 0.25, "relu4_2": 0.75}
    expected = sum(shares[name] * losses.content(maps[name], target[name]) for name in layers)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_under_a_detail_map_content_is_held_where_it_matters_and_as_strongly_whatever_else_does(
    tiny: TinyFeatures, picture: Picture
) -> None:
    layers = ("relu1_1", "relu4_2")
    target = tiny(picture(16, 32, 1)[None], layers)
    image = picture(16, 32, 2)[None]

    def loss(detail: Tensor | None) -> float:
        return float(Objective(tiny, [ContentTerm(1.0, target, None, detail)])(image))

    everywhere = torch.ones(1, 16, 32)
    left = everywhere.clone()
    left[:, :, 16:] = 0
    assert loss(everywhere) == pytest.approx(loss(None), rel=1e-5)
    assert loss(0 * everywhere) == 0
    assert loss(0.3 * everywhere) == pytest.approx(0.3 * loss(None), rel=1e-5)
    assert loss(left) + loss(1 - left) == pytest.approx(loss(None), rel=1e-5)


def test_grain_is_the_finest_octave_of_colour_alone(picture: Picture) -> None:
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    checks = 0.1 * (2 * ((x + y) % 2) - 1).float()
    grey = torch.full((1, 3, 32, 32), 0.5)
    red = torch.tensor([1.0, -0.5, -0.5]).view(1, 3, 1, 1)
    broad = 0.1 * torch.sin(x / 8)
    found = {
        name: float(losses.fine_colour_energy(grey + change))
        for name, change in (("grey", checks), ("grain", red * checks), ("broad", red * broad))
    }
    assert found["grain"] > 100 * max(found["grey"], found["broad"])
    term = FineColourTerm(2.0, found["grain"])
    assert 0.99 < float(term(grey + red * checks, ())) < 1
    assert term.layers == ()


def test_terms_of_pixels_look_at_no_features(picture: Picture) -> None:
    image, source = picture(6, 8, 1)[None], picture(6, 8, 2)
    mask = torch.rand(1, 6, 8, generator=torch.Generator().manual_seed(0))
    laplacian = MattingLaplacian(source)
    for term, expected in (
        (TotalVariationTerm(1.0), losses.total_variation(image)),
        (TemporalTerm(1.0, source, mask), losses.temporal(image, source, mask)),
        (
            TemporalTerm(1.0, source, mask, "smooth-l1"),
            losses.temporal_smooth_l1(image, source, mask),
        ),
        (PhotorealismTerm(1.0, laplacian), matting_loss(image, laplacian)),
    ):
        assert term.layers == ()
        assert torch.equal(term(image, ()), expected)
