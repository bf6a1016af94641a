"""The fingerprint: which parts it has, and that renders of earlier versions keep theirs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.values import AS_BEFORE
from vidstyle.config import fingerprint as fingerprints
from vidstyle.config import toml
from vidstyle.config.fingerprint import ASKED_BY, fingerprint, hash_values, with_part_names
from vidstyle.config.settings import RenderConfig, build

FILES = {"input": "in.mp4", "style": "munch.jpg"}

KNOWN_RENDER_FORMAT = 7
"""The render format of the digests below."""

KNOWN_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({}, "62ee511e2716aa78"),
    ({"size": 640}, "3ef761b0855c6a95"),
    ({"start": 1.5, "duration": 2.0}, "62ee511e2716aa78"),
    ({"features": "vgg19", "pooling": "max"}, "db4b6cdd1bd0d9cc"),
    ({"polish": 3}, "3d441f90222809b9"),
    ({"flow": "raft-large", "mask": "plain"}, "3387af2c222650bf"),
    ({"rest": "follow", "budget": "fixed"}, "0de1b3ee4d19edb2"),
    ({"optimizer": "adam", "learning_rate": 0.05}, "8a3f528665eb3302"),
    ({"first_iterations": 7, "iterations": 3, "first_scales": 2, "scales": 2}, "40da6b4facabea01"),
    ({"init": "noise", "seed": 11}, "6886a2b5e407ff45"),
    ({"init": "style", "content_weight": 0.5}, "a758f1b0621eb5bb"),
    ({"style_weight": 2.0, "tv_weight": 0.0, "temporal_weight": 50.0}, "bab114b9ef375ee5"),
    ({"temporal_norm": "smooth-l1"}, "4e5a925a943c6330"),
    ({"long_term": 4}, "71b7f2bace4783f1"),
    ({"long_term": 7}, "71b7f2bace4783f1"),
    ({"passes": 3}, "48d983e3a3c945d2"),
    ({"passes": 5, "blend": 0.7, "temporal_from_pass": 2}, "da5a19e473d1caba"),
    ({"stop_tolerance": 0.01}, "65dca2340b1d80cc"),
    ({"per_frame": True}, "4b2f15513b194e60"),
    ({"per_frame": True, "flow": "raft-small"}, "4b2f15513b194e60"),
    ({"style_layers": "relu1_1,relu3_1=2"}, "32f232c7f96f068a"),
    ({"content_layers": "relu3_1"}, "b9dcc48d861a86c2"),
    ({"style_terms": "gram=0.5,mrf"}, "8ccb64ed54fb3143"),
    ({"style_terms": "mrf", "mrf_bidirectional": True, "mrf_coherence": 0.5}, "e46c8cab290679da"),
    ({"style_terms": "swd"}, "cd740b57a8b4b61d"),
    ({"style_scale": 0.5}, "e4f4d72bc8133c82"),
    ({"keep_colors": "luminance"}, "5250c60865eea6af"),
    ({"keep_colors": "match"}, "26b7fd62b1671e52"),
    ({"photorealism": 100.0}, "504da1daf6ae250f"),
    ({"style": None, "texture": True}, "fb1877561b947e05"),
    ({"style": None, "texture": True, "tileable": True}, "d6cb5e9402c18444"),
    ({"regions": ("a.png", "b.png")}, "1db2c2ec30e74590"),
    (
        {
            "precision": "fp32",
            "device": "cpu",
            "crf": 30,
            "codec": "hevc",
            "overwrite": True,
            "tile": 96,
            "max_memory": 2.0,
        },
        "62ee511e2716aa78",
    ),
]
"""Settings, and the digest that the first version with this render format gave them."""

KNOWN_PRESETS = [
    ("draft", "e64c29c727672e69"),
    ("standard", "62ee511e2716aa78"),
    ("reference", "6e36657afc72537d"),
]


def parts_of(config: RenderConfig) -> dict[str, Any]:
    """The parts of a render of 24 frames with these settings and made-up files."""
    settings = config.picture_settings()
    return {
        **{name: value for name, value in settings.items() if name not in ASKED_BY.values()},
        "input": "a" * 64,
        "style": "b" * 64,
        "first_frame": 12,
        "frame_count": 24,
        "weights": "c" * 64,
        "polish_weights": None,
        "flow_weights": "",
        "precision": "fp32",
        "device": "cpu",
    }


@pytest.mark.skipif(
    fingerprints.RENDER_FORMAT != KNOWN_RENDER_FORMAT, reason="the render format was raised"
)
@pytest.mark.parametrize(("settings", "digest"), KNOWN_SETTINGS)
def test_settings_have_the_fingerprint_that_they_always_had(
    settings: dict[str, Any], digest: str
) -> None:
    assert fingerprint(parts_of(build(FILES, AS_BEFORE, settings))) == digest


@pytest.mark.skipif(
    fingerprints.RENDER_FORMAT != KNOWN_RENDER_FORMAT, reason="the render format was raised"
)
@pytest.mark.parametrize(("preset", "digest"), KNOWN_PRESETS)
def test_presets_have_the_fingerprint_that_they_always_had(preset: str, digest: str) -> None:
    assert fingerprint(parts_of(build(FILES, AS_BEFORE, toml.preset_values(preset)))) == digest


def test_the_range_of_frames_is_hashed_under_the_names_of_its_settings() -> None:
    asked = {"start": 3, "duration": 9, "size": 64}
    assert fingerprint(with_part_names(asked)) == hash_values(asked)
    assert with_part_names(asked) == {"first_frame": 3, "frame_count": 9, "size": 64}
    assert with_part_names(with_part_names(asked)) == with_part_names(asked)


@pytest.mark.parametrize("name", ["start", "duration"])
def test_seconds_are_no_part_of_a_fingerprint(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        fingerprint({name: 1.5, "first_frame": 1})


def test_every_part_counts_and_a_digest_is_sixteen_hex_digits() -> None:
    parts = parts_of(build(FILES))
    plain = fingerprint(parts)
    assert len(plain) == 16
    assert int(plain, 16) >= 0
    assert all(fingerprint({**parts, name: "other"}) != plain for name in parts)
    assert fingerprint({**parts, "more": 1}) != plain


def test_a_fingerprint_does_not_depend_on_order_but_on_the_render_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (
        fingerprint({"a": 1, "b": 0.1})
        == fingerprint({"b": 0.1, "a": 1})
        != fingerprint({"a": 1, "b": 0.2})
    )
    before = fingerprint({"a": 1})
    monkeypatch.setattr(fingerprints, "RENDER_FORMAT", fingerprints.RENDER_FORMAT + 1)
    assert fingerprint({"a": 1}) != before
