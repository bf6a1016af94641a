"""What a detail map does to a picture: it is closer to its source where that matters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.stylize.optimising import build_stylizer, optimiser
from vidstyle.frames import Frame
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses
from vidstyle.stylize.engine import State

Picture = Callable[..., Tensor]

H = 64
W = 128


@pytest.mark.parametrize("tile", [0, 64])
def test_a_picture_is_closer_to_its_source_where_that_matters_and_not_elsewhere(
    picture: Picture, tile: int
) -> None:
    lite = load_network("lite")
    settings = optimiser(first_iterations=10, first_scales=1, detail_weight=0.5)
    stylizer = build_stylizer(settings, lite, [picture(H, W, 1)], (H, W), tile=tile)
    source = picture(H, W, 2)
    left = torch.zeros(1, H // 4, W // 4)
    left[:, :, : W // 8] = 1
    maps = {}
    for name, detail in (("free", None), ("left", left), ("nowhere", 0 * left)):
        image = stylizer.step(State(), Frame(0, source, detail=detail), None).image
        maps[name] = lite(image[None], ["relu3_1"])["relu3_1"]
    target = lite(source[None], ["relu3_1"])["relu3_1"]
    half = target.shape[3] // 2

    def distance(name: str, columns: slice) -> float:
        return float(losses.content(maps[name][..., columns], target[..., columns]))

    inside = slice(0, half - 2)
    outside = slice(half + 2, None)
    assert distance("left", inside) < 0.7 * distance("free", inside)
    assert distance("left", outside) > 0.8 * distance("free", outside)
    assert distance("nowhere", inside) == pytest.approx(distance("free", inside), rel=0.05)


@pytest.mark.parametrize("size", [(5, 5), (7, 12)])
def test_grain_is_what_a_binomial_filter_leaves_of_colour(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, *size, generator=generator, dtype=torch.float64)
    taps = torch.tensor([1, 4, 6, 4, 1], dtype=torch.float64) / 16
    filters = torch.outer(taps, taps).expand(3, 1, 5, 5)
    colour = image - image.mean(1, keepdim=True)
    octave = colour[:, :, 2:-2, 2:-2] - F.conv2d(colour, filters, groups=3)
    expected = float(octave.square().mean())
    assert float(losses.fine_colour_energy(image)) == pytest.approx(expected, rel=1e-12)
    image.requires_grad_()
    assert torch.autograd.gradcheck(losses.fine_colour_energy, image, eps=1e-6, atol=1e-9)
