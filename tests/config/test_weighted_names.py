"""Layers and terms are named with weights, and what leaves another setting nothing to do is refused
in words.
"""

from __future__ import annotations

from typing import Any

import pytest

from vidstyle.config import weighted_names
from vidstyle.config.settings import build, reconstruction
from vidstyle.errors import ConfigError

FILES = {"input": "in.mp4", "style": "munch.jpg"}


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_the_layers_that_settings_know_are_the_networks(name: str) -> None:
    from vidstyle.features import lite, vgg19

    assert (
        tuple(lite.RANKS if name == "lite" else vgg19.VGG19_LAYERS) == weighted_names.LAYERS[name]
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"style_layers": "relu9_1"}, "features = lite knows no relu9_1"),
        ({"content_layers": "relu3_2"}, "features = lite knows no relu3_2"),
        ({"style_terms": "gramm"}, "style_terms knows no gramm: it has gram, w2"),
        ({"style_layers": "relu1_1=0"}, "must be above 0"),
        ({"style_layers": "relu1_1=-1"}, "must be above 0"),
        ({"style_layers": "relu1_1=nan"}, "must be above 0"),
        ({"style_layers": "relu1_1=inf"}, "must be above 0"),
        ({"style_layers": "relu1_1=much"}, "'much' is no weight of relu1_1"),
        ({"style_layers": "relu1_1,relu1_1=2"}, "named twice"),
        ({"style_layers": ","}, "nothing is named"),
        ({"style_terms": "mrf", "style_layers": "relu1_1"}, "relu3_1 and relu4_1"),
        ({"mrf_coherence": 0.1}, "mrf_coherence changes nothing"),
        ({"mrf_bidirectional": True}, "mrf_bidirectional changes nothing"),
        ({"style": None}, "style is missing"),
        ({"style": None, "style_weight": 0, "init": "style"}, "style is missing"),
        ({"texture": True}, "leave style out"),
        ({"tileable": True}, "tileable is for a texture"),
        ({"texture": True, "style": None, "keep_colors": "match"}, "made of the style alone"),
        ({"texture": True, "style": None, "tileable": True, "tile": 512}, "computed whole"),
        (
            {"style_weight": 0, "style_scale": 2},
            "style_scale changes nothing beside style_weight = 0",
        ),
        ({"style_weight": 0, "keep_colors": "match"}, "keep_colors = match changes nothing"),
        (
            {"content_weight": 0, "content_layers": "relu3_1"},
            "changes nothing beside content_weight = 0",
        ),
        (
            {"texture": True, "style": None, "content_layers": "relu3_1"},
            "changes nothing beside texture",
        ),
        ({"style_terms": "swd", "tile": 512}, "tile = 512 cannot be"),
    ],
)
def test_what_cannot_be_weighed_is_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, settings)
    assert words in e.value.why


def test_what_contradicts_a_reconstruction_is_refused() -> None:
    for name in (
        "style",
        "content_layers",
        "keep_colors",
        "photorealism",
        "regions",
        "style_terms",
        "texture",
    ):
        with pytest.raises(ConfigError) as e:
            reconstruction("relu4_2", {name, "size"})
        assert name in e.value.why
    assert reconstruction("relu4_2", {"size", "content_weight"})["content_layers"] == "relu4_2"
