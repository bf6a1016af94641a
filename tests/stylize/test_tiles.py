"""What is computed tile by tile is what is computed at once."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
import torch
from torch import Tensor

from tests.stylize.optimising import build_stylizer, optimiser
from vidstyle.features import extractor
from vidstyle.features.extractor import CONTENT_LAYERS, STRIDE, STYLE_LAYERS, position_count, stride
from vidstyle.features.vgg19 import VGG19
from vidstyle.frames import Frame, Motion
from vidstyle.rendering.models import load_network
from vidstyle.stylize.engine import State
from vidstyle.stylize.objective import Objective, compute_maps
from vidstyle.stylize.optimise.terms import ContentTerm, TemporalTerm, TotalVariationTerm
from vidstyle.stylize.resample import CANVAS_MARGIN
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets
from vidstyle.stylize.tiles import divide_into_tiles

Picture = Callable[..., Tensor]
SIZES = [(64, 96, 32), (75, 131, 48), (33, 200, 16), (128, 128, 64), (17, 19, 16), (40, 41, 512)]
"""Height, width, and side of the tiles."""


class Seen:
    """A network that notes the sizes of what it is shown."""

    def __init__(self, network: extractor.Network) -> None:
        self.network, self.digest, self.halo = network, network.digest, network.halo
        self.sizes: set[tuple[int, int]] = set()

    def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        self.sizes.add((image.shape[2], image.shape[3]))
        return self.network(image, layers)


@pytest.fixture(scope="module", params=["lite", "vgg19"])
def network(request: pytest.FixtureRequest) -> extractor.Network:
    if request.param == "lite":
        return load_network("lite")
    torch.manual_seed(0)  # the reference's shape; its weights are not at hand everywhere
    return extractor.Network(VGG19(), "random", torch.device("cpu"), "fp32")


def objective(
    network: extractor.Network, picture: Picture, h: int, w: int, side: int | None
) -> Objective:
    """Every term at once, with its features in tiles of `side`."""
    over = None if side is None else divide_into_tiles((h, w), side, network.halo)
    painting, frame = picture(h, w, 1)[None], picture(h, w, 2)[None]
    style = StyleTargets([StyleImageTargets(network, painting, StyleSettings(), over)])
    mask = torch.rand(1, h, w, generator=torch.Generator().manual_seed(4))
    terms = (
        *style.terms(),
        ContentTerm(0.06, compute_maps(network, frame, CONTENT_LAYERS, over)),
        TotalVariationTerm(0.3),
        TemporalTerm(1.0, picture(h, w, 5), mask),
    )
    return Objective(network, terms, over)


@pytest.mark.parametrize(("h", "w", "side"), SIZES)
def test_the_loss_and_its_gradient_are_those_of_the_whole_picture(
    network: extractor.Network, picture: Picture, h: int, w: int, side: int
) -> None:
    found = []
    for divided in (None, side):
        noise = torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(7))
        x = (0.7 * picture(h, w, 3)[None] + 0.3 * noise).requires_grad_()
        loss = objective(network, picture, h, w, divided)(x)
        found.append((loss.detach(), *torch.autograd.grad(loss, x)))
    (loss, gradient), (tiled_loss, tiled_gradient) = found
    assert torch.allclose(tiled_loss, loss, rtol=1e-5)
    assert (tiled_gradient - gradient).norm() < 1e-4 * gradient.norm()
    assert (tiled_gradient - gradient).abs().max() < 1e-3 * gradient.abs().max(), "no seam either"


@pytest.mark.parametrize(("h", "w", "side"), [*SIZES, (376, 656, 100), (16, 16, 16), (97, 45, 33)])
def test_every_position_of_every_map_belongs_to_one_tile(h: int, w: int, side: int) -> None:
    for name in STYLE_LAYERS:
        size = [n // stride(name) for n in (h, w)]
        assert size[0] * size[1] == position_count(name, (h, w))
        counted = torch.zeros(size)
        for tile in divide_into_tiles((h, w), side, 32):
            tile.place(counted, name).add_(1)
            seen = tile.crop(torch.zeros(1, 3, h, w))
            inside = tile.core(torch.zeros([n // stride(name) for n in seen.shape[2:]]), name)
            assert inside.shape == tile.place(counted, name).shape
        assert bool((counted == 1).all())


def test_no_more_than_a_tile_and_its_overlap_is_computed_at_once(
    picture: Picture,
) -> None:
    spy, side, (h, w) = Seen(load_network("lite")), 48, (96, 412)
    settings = optimiser(first_iterations=2, iterations=1, first_scales=1)
    whole, divided = (
        build_stylizer(settings, spy, [picture(h, w, 9)], (h, w), tile=t) for t in (0, side)
    )
    images = []
    for s in (divided, whole):
        spy.sizes.clear()
        state = s.step(State(), Frame(0, picture(h, w, 1)), None).state
        motion = Motion(torch.full((2, h, w), 0.5), torch.ones(1, h, w))
        images.append(s.step(state, Frame(0, picture(h, w, 2)), motion).image)
        largest = max(max(size) for size in spy.sizes)
        assert (
            largest <= side + STRIDE + 2 * spy.halo
            if s is divided
            else largest == w + 2 * CANVAS_MARGIN
        )
    assert (images[0] - images[1]).abs().mean() < 0.2 / 255
