"""Layers and terms are named with weights."""

from __future__ import annotations

import pytest

from tests.config.values import FILES
from vidstyle.config import weighted_names
from vidstyle.config.settings import build


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_the_layers_that_settings_know_are_the_networks(name: str) -> None:
    from vidstyle.features import lite, vgg19

    assert (
        tuple(lite.RANKS if name == "lite" else vgg19.VGG19_LAYERS)
        == weighted_names.NETWORK_LAYERS[name]
    )


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (" relu1_1 , relu3_1=2.0", "relu1_1,relu3_1=2"),
        ("relu4_1=1", "relu4_1"),
        ("relu4_1,", "relu4_1"),
    ],
)
def test_weights_are_written_in_one_way(text: str, same: str) -> None:
    assert build(FILES, {"style_layers": text}) == build(FILES, {"style_layers": same})
    assert build(FILES, {"style_layers": text}).style_layers == same


@pytest.mark.parametrize("text", ["a", "a,b", "a=0.5,b=2", "a=0.25,b,c=3"])
def test_weights_that_are_written_are_read_again(text: str) -> None:
    weights = weighted_names.parse_weights(text)
    assert weighted_names.format_weights(weights) == text
    assert weighted_names.parse_weights(weighted_names.format_weights(weights)) == weights


def test_a_name_that_is_not_known_is_refused_with_those_that_are() -> None:
    weighted_names.check_names("a,b=2", ("a", "b"), "the alphabet")
    with pytest.raises(ValueError, match="the alphabet knows no c, d: it has a, b"):
        weighted_names.check_names("a,c,d=2", ("a", "b"), "the alphabet")
