"""What a detail map does to a picture: it is closer to its source where that matters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.stylize.optimising import build_stylizer, optimiser
from vidstyle.frames import Frame
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses
from vidstyle.stylize.engine import State

Picture = Callable[..., Tensor]

H = 64
W = 128


@pytest.mark.parametrize("tile", [0, 32])
def test_a_picture_is_closer_to_its_source_where_that_matters_and_not_elsewhere(
    picture: Picture, tile: int
) -> None:
    lite = load_network("lite")
    settings = optimiser(first_iterations=40, first_scales=2, detail_weight=0.5)
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


def test_no_gradient_of_a_pixel_term_runs_through_a_padding() -> None:
    """On CUDA that of a padding is not deterministic, and is refused there."""
    image = torch.rand(1, 3, 12, 16, requires_grad=True)
    waiting = [losses.fine_colour_energy(image).grad_fn]
    names = set()
    while waiting:
        node = waiting.pop()
        if node is not None:
            names.add(node.name())
            waiting += [before for before, _ in node.next_functions]
    assert not [name for name in names if "Pad" in name]
    assert "ConvolutionBackward0" in names
