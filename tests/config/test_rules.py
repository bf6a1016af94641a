"""Settings that contradict each other, or change nothing, are refused in words."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.values import FILES, other_value
from vidstyle.config import toml
from vidstyle.config.settings import RenderConfig, build, facts_of, reconstruction_settings
from vidstyle.errors import ConfigError
from vidstyle.machine.device import choose_device
from vidstyle.rendering.engines import create_engine


def test_a_render_with_nothing_to_match_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to optimise"):
        build(
            {
                "input": "in.mp4",
                "style": "s.jpg",
                "content_weight": 0,
                "style_weight": 0,
                "tv_weight": 0,
            },
        )


def test_polish_is_refused_where_no_features_are_matched() -> None:
    weights = {"content_weight": 0, "style_weight": 0}
    with pytest.raises(
        ConfigError, match=r"polish = 3 changes nothing where content_weight and style_weight are 0"
    ):
        build(FILES, weights, {"polish": 3})
    assert build(FILES, weights).polish == 0
    for name in weights:
        assert build(FILES, weights, {"polish": 3, name: 0.1}).polish == 3


def test_polish_is_refused_where_it_would_do_nothing() -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, toml.preset_values("reference"), {"polish": 3})
    assert e.value.why == (
        "polish = 3 changes nothing where features = vgg19 does every iteration on VGG-19: "
        "set polish = 0, or features = lite"
    )
    assert build(FILES, toml.preset_values("reference"), {"polish": 0}).features == "vgg19"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            {"per_frame": True, "long_term": 2},
            "per_frame cuts the links between frames that long_term = 2 is there for",
        ),
        (
            {"per_frame": True, "passes": 3},
            "per_frame cuts the links between frames that passes = 3 is there for",
        ),
        (
            {"rest": "follow", "passes": 3},
            "rest = follow changes nothing where passes = 3 let everything follow",
        ),
        (
            {"budget": "fixed", "passes": 3},
            "budget = fixed changes nothing where passes = 3 give every frame as many",
        ),
        ({"long_term": 4, "passes": 3}, "leaves long_term = 4 nothing to do: set only one of them"),
        ({"blend": 0.75}, "blend = 0.75 changes nothing where there is one pass"),
        (
            {"temporal_from_pass": 2},
            "temporal_from_pass = 2 changes nothing where there is one pass",
        ),
        (
            {"passes": 3, "temporal_from_pass": 4},
            "temporal_from_pass = 4 never comes where there are 3 passes",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_what_to_do(
    values: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(FILES, values)
    assert why in caught.value.why
    assert ": set " in caught.value.why


@pytest.mark.parametrize("name", ["temporal_norm", "temporal_from_pass"])
def test_how_a_frame_is_held_needs_a_weight_to_hold_it(name: str) -> None:
    given = {"passes": 4} if name == "temporal_from_pass" else {}
    changed = {name: 2 if given else "smooth-l1"}
    build(FILES, given, changed)
    with pytest.raises(ConfigError, match=f"{name} = .* changes nothing where temporal_weight = 0"):
        build(FILES, given, changed, {"temporal_weight": 0})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"style_layers": "relu9_1"}, "features = lite knows no relu9_1"),
        ({"content_layers": "relu3_2"}, "features = lite knows no relu3_2"),
        ({"style_layers": "relu1_1=0"}, "must be above 0"),
        ({"style_layers": "relu1_1=-1"}, "must be above 0"),
        ({"style_layers": "relu1_1=nan"}, "must be above 0"),
        ({"style_layers": "relu1_1=inf"}, "must be above 0"),
        ({"style_layers": "relu1_1=much"}, "'much' is no weight of relu1_1"),
        ({"style_layers": "relu1_1,relu1_1=2"}, "named twice"),
        ({"style_layers": ","}, "nothing is named"),
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
            "style_scale changes nothing with style_weight = 0",
        ),
        ({"style_weight": 0, "keep_colors": "match"}, "keep_colors = match changes nothing"),
        ({"style_weight": 0, "style_crop": "off"}, "style_crop = off changes nothing"),
        (
            {"content_weight": 0, "content_layers": "relu3_1"},
            "changes nothing with content_weight = 0",
        ),
        (
            {"texture": True, "style": None, "content_layers": "relu3_1"},
            "changes nothing with texture",
        ),
    ],
)
def test_what_cannot_be_weighed_is_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, settings)
    assert words in e.value.why


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"style_terms": "gramm"},
            "style_terms knows no gramm: it has gram, histogram, mrf, swd, w2",
        ),
        ({"style_terms": "mrf", "style_layers": "relu1_1"}, "relu3_1 and relu4_1"),
        ({"style_terms": "swd", "tile": 512}, "tile = 512 cannot be"),
    ],
)
def test_style_terms_that_cannot_be_computed_are_refused_when_the_engine_is_made(
    settings: dict[str, Any], words: str
) -> None:
    config = build(FILES, settings)
    with pytest.raises(ConfigError, match="the settings do not fit") as e:
        create_engine(config, choose_device("cpu", "fp32"))
    assert words in e.value.why


@pytest.mark.parametrize("name", [n for n in RenderConfig.model_fields if facts_of(n).needs])
def test_a_setting_whose_need_is_not_met_is_refused_by_its_own_words(name: str) -> None:
    unmet: dict[str, Any] = {
        "style_weight": 0,
        "content_weight": 0,
        "temporal_weight": 0,
        "texture": name != "tileable",
        "features": "vgg19",
        "per_frame": True,
        "passes": 1 if name in ("blend", "temporal_from_pass") else 3,
        "style_terms": "gram",
        "engine": "optimise",
        "flow": "none",
        "keep_frames": True,
    }
    for need in facts_of(name).needs:
        value = need.values[0] if need.values else other_value(name)
        # The other needs of a setting are met.
        others: dict[str, Any] = {"passes": 50} if need.setting == "temporal_weight" else {}
        others |= {"style": None} if need.setting == "texture" else {}
        other = unmet[need.setting]
        with pytest.raises(ConfigError) as e:
            build(FILES, others, {need.setting: other, name: value})
        assert e.value.why == need.refusal.format(name=name, value=value, other=other)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"loop": True, "passes": 3}, "loop does not go with passes = 3"),
        ({"loop": True, "per_frame": True}, "loop does not go with per_frame"),
        ({"loop": True, "texture": True}, "loop does not go with texture"),
        ({"keyframes": "3=a.png", "passes": 3}, "keyframes do not go with passes = 3"),
        ({"keyframes": "3=a.png", "per_frame": True}, "keyframes do not go with per_frame"),
        ({"keyframes": "3=a.png", "texture": True}, "keyframes do not go with texture"),
        ({"keep_titles": True, "texture": True}, "keep_titles does not go with texture"),
        ({"opacity": 0.5, "texture": True}, "opacity does not go with texture"),
    ],
)
def test_what_is_for_linked_frames_or_painted_ones_is_refused_without_them(
    values: dict[str, Any], why: str
) -> None:
    files = FILES | {"style": None} if "texture" in values else FILES
    with pytest.raises(ConfigError) as e:
        build(files, values)
    assert why in e.value.why
    assert "only one of them" in e.value.why or "leave one of them out" in e.value.why


@pytest.mark.parametrize(
    "values",
    [
        {"loop": False, "passes": 3},
        {"loop": False, "per_frame": True},
        {"opacity": 1, "style": None, "texture": True},
        {"opacity": 0.5, "passes": 3},
        {"opacity": 0.5, "per_frame": True, "keep_titles": True},
        {"keep_titles": True, "passes": 3},
        {"loop": True, "keyframes": "3=a.png", "opacity": 0.5, "keep_titles": True},
    ],
)
def test_what_goes_together_is_allowed(values: dict[str, Any]) -> None:
    build(FILES, values)


def test_a_reconstruction_can_be_translucent() -> None:
    given = {"opacity": 0.5, "keep_titles": True}
    settings = reconstruction_settings("relu2_1", given)
    assert build({"input": "in.mp4"}, settings, given).opacity_at(Fraction(0)) < 1


@pytest.mark.parametrize(
    ("values", "input_loops", "closes"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"loop": True}, False, True),
        ({"loop": False}, True, False),
        ({"passes": 2}, True, False),
        ({"per_frame": True}, True, False),
    ],
)
def test_a_loop_is_closed_as_asked_or_where_the_input_loops_and_its_frames_are_linked(
    values: dict[str, Any], input_loops: bool, closes: bool
) -> None:
    assert build(FILES, values).closes_loop(input_loops=input_loops) == closes


def test_a_lone_value_can_have_a_need() -> None:
    without = {"style_weight": 0, "content_weight": 1}
    assert build(FILES, without, {"keep_colors": "luminance"}).keep_colors == "luminance"
    with pytest.raises(ConfigError, match="settings do not fit"):
        build(FILES, without, {"keep_colors": "match"})


def test_rules_are_checked_however_the_settings_are_made() -> None:
    with pytest.raises(ValidationError, match="tileable is for a texture"):
        RenderConfig(**FILES, tileable=True)  # type: ignore[arg-type]
