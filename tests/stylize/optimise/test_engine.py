"""The engine says what it needs before anything is loaded, and builds its stylizer from that."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers.features import TinyFeatures
from tests.stylize.optimising import optimiser
from vidstyle.features import extractor
from vidstyle.frames import Frame
from vidstyle.stylize.engine import Engine, State
from vidstyle.stylize.optimise.engine import OptimisingEngine
from vidstyle.stylize.resample import CANVAS_MARGIN

Picture = Callable[..., Tensor]


def engine(**values: object) -> OptimisingEngine:
    return OptimisingEngine(optimiser(**values), "fp32", "cpu")


class Networks:
    """Gives tiny features under every name, and records what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def network(self, name: str, pooling: str = "average") -> TinyFeatures:
        self.asked.append((name, pooling))
        return TinyFeatures()


def test_it_is_picklable_and_the_copy_is_equal() -> None:
    one: Engine = engine(refinement_iterations=3, style_terms={"gram": 0.5, "mrf": 0.5})
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("values", "networks", "parts"),
    [
        ({}, ("lite",), {"weights": "1", "polish_weights": None}),
        ({"features": "vgg19"}, ("vgg19",), {"weights": "2", "polish_weights": None}),
        (
            {"refinement_iterations": 2},
            ("lite", "vgg19"),
            {"weights": "1", "polish_weights": "2"},
        ),
        (
            {"photorealism_weight": 100.0},
            ("lite",),
            {"weights": "1", "polish_weights": None, "recolouring": "guided filter"},
        ),
    ],
)
def test_the_fingerprint_has_the_digests_of_its_networks(
    values: dict[str, object], networks: tuple[str, ...], parts: dict[str, object]
) -> None:
    one = engine(**values)
    assert one.networks == networks
    assert one.fingerprint_parts({"lite": "1", "vgg19": "2"}) == parts


@pytest.mark.parametrize(
    ("values", "tileable"),
    [
        ({}, True),
        ({"style_terms": {"gram": 1.0, "w2": 1.0}}, True),
        ({"style_terms": {"gram": 1.0, "swd": 1.0}}, False),
        ({"style_terms": {"mrf": 1.0}}, False),
        ({"texture": True}, True),
        ({"texture": True, "tileable_texture": True}, False),
    ],
)
def test_there_are_no_tiles_where_something_looks_at_whole_maps(
    values: dict[str, object], tileable: bool
) -> None:
    assert engine(**values).tileable is tileable


@pytest.mark.parametrize("reach", [0, 1, 8])
def test_only_linked_frames_need_motion(reach: int) -> None:
    assert engine(reach=reach).needs_motion is (reach > 0)


SIZE = (1000, 500)
PIXELS = 1000 * 500
CANVAS = (1000 + 2 * CANVAS_MARGIN) * (500 + 2 * CANVAS_MARGIN)
DEFAULT = 1050 * CANVAS + (380 + 100 + 230) * PIXELS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, DEFAULT),
        ({"method": "adam"}, DEFAULT - 100 * PIXELS),
        ({"reach": 0}, DEFAULT - 230 * PIXELS),
        ({"reach": 4}, DEFAULT + 200 * PIXELS),
        ({"photorealism_weight": 1.0}, DEFAULT + 120 * PIXELS),
        ({"style_terms": {"swd": 1.0}, "style_image_count": 3}, DEFAULT + 600 * PIXELS),
        ({"refinement_iterations": 1}, DEFAULT + (4000 - 1050) * CANVAS),
        ({"style_scale": 2.0}, DEFAULT + 1050 * (2 * PIXELS - CANVAS)),
    ],
)
def test_the_memory_is_the_sum_of_its_parts(values: dict[str, object], expected: int) -> None:
    assert engine(**values).memory(SIZE) == expected


def test_tiles_take_less_memory() -> None:
    largest = 256 + extractor.STRIDE + 2 * extractor.network_halo("lite")
    canvas = largest * min(largest, 500 + 2 * CANVAS_MARGIN)
    expected = 1050 * canvas + (380 + 100 + 230 - 150) * PIXELS
    assert engine().memory(SIZE, 256) == expected
    assert OptimisingEngine(optimiser(), "fp32", "cuda").memory(SIZE, 256) == (
        expected + (300 - 380 + 150) * PIXELS
    )


def test_it_builds_a_stylizer_with_the_networks_that_it_names(picture: Picture) -> None:
    networks = Networks()
    one = engine(refinement_iterations=1, pooling="max", first_iterations=2)
    stylizer = one.build(networks, [picture(20, 30, 9)], (48, 32), torch.device("cpu"))
    assert networks.asked == [("lite", "max"), ("vgg19", "max")]
    step = stylizer.step(State(), Frame(0, picture(32, 48, 1)), None)
    assert step.image.shape == (3, 32, 48)
    assert step.iterations == one.work((48, 32), first=True).iterations == 2
