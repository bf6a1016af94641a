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

KNOWN_RENDER_FORMAT = 8
"""The render format of the digests below."""

KNOWN_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({}, "bfb0724520ad300c"),
    ({"size": 640}, "5505410d84e22caf"),
    ({"start": 1.5, "duration": 2.0}, "bfb0724520ad300c"),
    ({"features": "vgg19", "pooling": "max"}, "d9a43ae8ea66af01"),
    ({"polish": 3}, "add8f56664fd460d"),
    ({"flow": "raft-large", "mask": "plain"}, "2d992eed2eb0dca3"),
    ({"rest": "follow", "budget": "fixed"}, "bec274a5878351a6"),
    ({"optimizer": "adam", "learning_rate": 0.05}, "a7cebe5b77d65c25"),
    ({"first_iterations": 7, "iterations": 3, "first_scales": 2, "scales": 2}, "8e7ab27991149e38"),
    ({"init": "noise", "seed": 11}, "db8fb3834f2d8d24"),
    ({"init": "style", "content_weight": 0.5}, "5210d9ad58814b76"),
    ({"style_weight": 2.0, "tv_weight": 0.0, "temporal_weight": 50.0}, "6dbe2fa0eb58f734"),
    ({"temporal_norm": "smooth-l1"}, "7bbe4f7403b53a92"),
    ({"long_term": 4}, "717fd7fde6b74f9b"),
    ({"long_term": 7}, "717fd7fde6b74f9b"),
    ({"passes": 3}, "94806c6169f86c8d"),
    ({"passes": 5, "blend": 0.7, "temporal_from_pass": 2}, "100ff6dbd580e8e1"),
    ({"stop_tolerance": 0.01}, "f18d7fb142b4c461"),
    ({"per_frame": True}, "63c7d476787e82bc"),
    ({"per_frame": True, "flow": "raft-small"}, "63c7d476787e82bc"),
    ({"style_layers": "relu1_1,relu3_1=2"}, "c18885175e95df16"),
    ({"content_layers": "relu3_1"}, "5f137e8b398e6005"),
    ({"style_terms": "gram=0.5,mrf"}, "e07c287b37360d67"),
    ({"style_terms": "mrf", "mrf_bidirectional": True, "mrf_coherence": 0.5}, "7eaddd324c568c0b"),
    ({"style_terms": "swd"}, "46e5fcd80ce457d6"),
    ({"style_scale": 0.5}, "cd22c7b909f3d6cc"),
    ({"keep_colors": "luminance"}, "3325ae4148acf45e"),
    ({"keep_colors": "match"}, "c5b8e939e7c60897"),
    ({"photorealism": 100.0}, "0893c66eba2c63d9"),
    ({"style": None, "texture": True}, "20a5d6a78b92122e"),
    ({"style": None, "texture": True, "tileable": True}, "63e78a3b598a301d"),
    ({"regions": ("a.png", "b.png")}, "4c62b0125ee3390b"),
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
        "bfb0724520ad300c",
    ),
]
"""Settings, and the digest that the first version with this render format gave them."""

KNOWN_PRESETS = [
    ("draft", "fec62a3c35019502"),
    ("standard", "bfb0724520ad300c"),
    ("reference", "f9f193767bb6e749"),
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
