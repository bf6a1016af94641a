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
