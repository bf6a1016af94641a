"""Terms are known by a registry, and settings that they cannot do are refused in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from vidstyle.errors import ConfigError
from vidstyle.stylize.style.regions import Segmentation
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.term import (
    LayerLoss,
    StyleTerm,
    check_style_settings,
    create_style_terms,
    needs_whole_maps,
    register_style_term,
    registered_style_terms,
    select_layers,
    smallest_style_side,
    unregister_style_term,
)

OURS = ("gram", "histogram", "mrf", "swd", "w2")


def choose(*names: str, layers: tuple[str, ...] = ("relu1_1", "relu3_1")) -> StyleSettings:
    return StyleSettings(
        terms=dict.fromkeys(names, 1.0),
        layers=dict.fromkeys(layers, 1.0),
        mrf_bidirectional=True,
        mrf_coherence=0.25,
    )


class NoLoss(LayerLoss):
    def measure(self, features: Tensor, positions: int) -> Tensor:
        return features.sum() * 0


class Nothing(StyleTerm):
    """A term that is made outside of the package, and compares nothing."""

    name = "nothing"
    layers = ("relu2_1",)
    smallest_side = 40

    def target(
        self, features: Tensor, positions: int, masks: Segmentation | None, seed: int
    ) -> Any:
        return None

    def mix(self, targets: Any) -> Any:
        return None

    def loss(self, target: Any, masks: Segmentation | None, seed: int) -> LayerLoss:
        return NoLoss()


@pytest.fixture
def nothing() -> Iterator[str]:
    register_style_term("nothing", lambda settings: Nothing())
    yield "nothing"
    unregister_style_term("nothing")


def test_every_term_of_the_folder_registers_itself() -> None:
    assert registered_style_terms() == OURS
    terms = create_style_terms(choose(*OURS[::-1]))
    assert list(terms) == list(OURS[::-1]), "in the order of the settings"
    assert all(term.name == name for name, term in terms.items())


def test_a_term_takes_its_own_settings() -> None:
    term: Any = create_style_terms(choose("mrf"))["mrf"]
    assert (term.bidirectional, term.coherence) == (True, 0.25)


def test_a_term_from_elsewhere_is_known_until_it_is_taken_out(nothing: str) -> None:
    assert nothing in registered_style_terms()
    settings = choose("gram", nothing, layers=("relu2_1",))
    assert isinstance(create_style_terms(settings)[nothing], Nothing)
    assert smallest_style_side(settings) == 40
    with pytest.raises(ValueError, match="there is a style term nothing already"):
        register_style_term(nothing, lambda settings: Nothing())


@pytest.mark.parametrize(
    ("names", "whole", "side"),
    [
        (("gram",), False, 16),
        (("gram", "w2"), False, 16),
        (("swd",), True, 16),
        (("gram", "histogram"), True, 16),
        (("gram", "mrf"), True, 24),
    ],
)
def test_what_terms_need_of_maps_and_style_images(
    names: tuple[str, ...], whole: bool, side: int
) -> None:
    assert needs_whole_maps(choose(*names)) == whole
    assert smallest_style_side(choose(*names)) == side


def test_a_term_looks_at_the_layers_that_it_can_compare_in_their_order() -> None:
    terms = create_style_terms(choose("gram", "mrf"))
    layers = ("relu4_1", "relu1_1", "relu3_1")
    assert select_layers(terms["gram"], layers) == layers
    assert select_layers(terms["mrf"], layers) == ("relu4_1", "relu3_1")


@pytest.mark.parametrize(
    ("settings", "tile", "words"),
    [
        (choose("gramm"), 0, "style_terms knows no gramm: it has gram, histogram, mrf, swd, w2"),
        (choose("mrf", layers=("relu1_1",)), 0, "style_terms = mrf compares relu3_1 and relu4_1"),
        (choose("swd"), 512, "tile = 512 cannot be where style_terms has swd, which look at the"),
        (choose("gram", "mrf"), 64, "set tile = 0, or style_terms = gram or w2"),
    ],
)
def test_what_terms_cannot_do_is_refused_in_words(
    settings: StyleSettings, tile: int, words: str
) -> None:
    with pytest.raises(ConfigError) as e:
        check_style_settings(settings, tile)
    assert e.value.what == "the settings do not fit"
    assert words in e.value.why


@pytest.mark.parametrize(
    ("settings", "tile"),
    [(choose("gram", "w2"), 512), (choose(*OURS), 0), (StyleSettings(), 64)],
)
def test_what_fits_is_not_refused(settings: StyleSettings, tile: int) -> None:
    check_style_settings(settings, tile)


def test_what_is_measured_is_the_distance_unless_a_term_says_otherwise() -> None:
    loss = NoLoss()
    assert float(loss.distance(loss.measure(torch.ones(1, 2, 3, 3), 9))) == 0
