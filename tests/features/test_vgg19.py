"""VGG-19 as a feature extractor, against torchvision's own network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vidstyle.features.vgg19 import VGG19, VGG19_LAYERS
from vidstyle.weights import fetch, registry

RELUS = dict(zip(VGG19_LAYERS, (1, 3, 6, 8, 11, 13, 15, 17, 20, 22, 24, 26, 29, 31), strict=True))
"""Where torchvision's `features` give each layer."""
CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Random weights that neither fade nor explode on their way down."""
    generator = torch.Generator().manual_seed(0)
    random = {}
    for key, shape in registry.vgg19_shapes().items():
        fan_in = 9 * shape[1] if len(shape) == 4 else 1
        random[key] = (
            torch.randn(shape, generator=generator)
            * (2 / fan_in) ** 0.5
            * (1 if len(shape) == 4 else 0.1)
        )
    return random


def network(state: dict[str, Tensor], pooling: str = "average") -> VGG19:
    module = VGG19(pooling).eval().requires_grad_(False)
    module.load_state_dict(state)
    return module


def image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_away_from_the_edge_every_layer_equals_torchvision(
    state: dict[str, Tensor], pooling: str
) -> None:
    from torchvision.models import vgg19
    from torchvision.transforms.functional import normalize

    with torch.device("meta"):
        reference = vgg19().features[: RELUS["relu5_2"] + 1]
    reference.load_state_dict(
        {key.removeprefix("features."): x for key, x in state.items()}, assign=True
    )
    x = image(256, 272)
    maps = network(state, pooling)(x, VGG19_LAYERS)
    x = normalize(x, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    layer_at = {index: layer for layer, index in RELUS.items()}
    with torch.no_grad():
        for index, module in enumerate(reference):
            if isinstance(module, torch.nn.ReLU):
                module.inplace = False
            if isinstance(module, torch.nn.MaxPool2d) and pooling == "average":
                module = torch.nn.AvgPool2d(2)  # noqa: PLW2901
            x = module(x)
            if layer := layer_at.get(index):
                # What the zeros at the edge reach: at most the half of the receptive field (82 px
                # at relu5_2).
                rim = -(-88 // 2 ** (int(layer[4]) - 1))
                got, expected = maps[layer][..., rim:-rim, rim:-rim], x[..., rim:-rim, rim:-rim]
                assert got.shape == expected.shape
                assert got.numel() > 0
                torch.testing.assert_close(
                    got, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max())
                )
                assert not torch.allclose(maps[layer], x, rtol=1e-2)  # at the edge they must differ


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (16, 16)])
def test_every_stage_halves_the_image_and_has_its_channels(
    state: dict[str, Tensor], size: tuple[int, int]
) -> None:
    maps = network(state)(image(*size), VGG19_LAYERS)
    assert set(maps) == set(VGG19_LAYERS)
    for layer, x in maps.items():
        stage = int(layer[4])
        assert x.shape == (1, CHANNELS[stage], size[0] >> (stage - 1), size[1] >> (stage - 1))


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_a_constant_image_has_no_rim(state: dict[str, Tensor], pooling: str) -> None:
    flat = torch.tensor([0.8, 0.3, 0.1]).view(1, 3, 1, 1).expand(1, 3, 48, 64)
    for x in network(state, pooling)(flat, VGG19_LAYERS).values():
        torch.testing.assert_close(x, x[..., :1, :1].expand_as(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layers", "convolutions"), [(["relu1_1"], 1), (["relu4_2", "relu1_2"], 10), ([], 0)]
)
def test_it_computes_no_deeper_than_it_is_asked(
    layers: list[str], convolutions: int, state: dict[str, Tensor]
) -> None:
    module = network(state)
    calls: list[object] = []
    for convolution in module.features.values():
        convolution.register_forward_hook(lambda m, _args, _out: calls.append(m))
    assert set(module(image(32, 32), layers)) == set(layers)
    assert len(calls) == convolutions


def test_an_unknown_layer_is_named(state: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="relu6_1"):
        network(state)(image(32, 32), ["relu1_1", "relu6_1"])


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_every_pixel_gets_a_gradient_and_no_weight_does(
    state: dict[str, Tensor], pooling: str
) -> None:
    module = network(state, pooling)
    x = image(32, 48).requires_grad_()
    sum(m.square().sum() for m in module(x, ["relu2_1", "relu5_1"]).values()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert (x.grad.abs().sum(dim=1) > 0).float().mean() > 0.99
    assert all(p.grad is None for p in module.parameters())


def test_the_maps_are_those_of_before_when_a_deeper_layer_is_asked_for(
    state: dict[str, Tensor],
) -> None:
    module = network(state)
    alone, together = (
        module(image(32, 32), ["relu2_1"]),
        module(image(32, 32), ["relu2_1", "relu3_1"]),
    )
    assert torch.equal(alone["relu2_1"], together["relu2_1"])


def test_the_weights_at_hand_load_and_give_finite_features(shared: Path) -> None:
    state, digest = fetch.load_weights("vgg19", shared / "weights")
    maps = network(state)(image(64, 64), VGG19_LAYERS)
    assert len(digest) == 64
    assert all(
        torch.isfinite(x).all() and 0.001 < (x > 0).float().mean() < 1 for x in maps.values()
    )
