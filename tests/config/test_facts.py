"""The facts of the settings say which of them matter where."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from vidstyle.config.facts import (
    FRAME_AFFECTING,
    GROUPS,
    MOTION_AFFECTING,
    RESULT_AFFECTING,
    Affects,
    Audience,
)
from vidstyle.config.settings import RenderConfig, facts_of, settings_that_affect

LISTS: dict[tuple[Affects, ...], str] = {
    ("links",): "budget flow iterations mask rest scales temporal_norm temporal_weight",
    ("video",): "blend deinterlace duration long_term loop passes per_frame temporal_from_pass",
    ("composition",): "keep_titles keyframes opacity",
    ("film",): "allow_damaged audio codec crf keep trace",
    ("style",): "content_layers keep_colors mrf_bidirectional mrf_coherence photorealism regions "
    "style style_crop style_layers style_scale style_terms style_weight texture tileable",
    ("delivery",): "keep_frames output overwrite",
    ("run",): "device force max_memory no_cache precision restart tile weights_dir",
}


@pytest.mark.parametrize("kinds", LISTS, ids=" ".join)
def test_settings_are_listed_by_what_they_affect(kinds: tuple[Affects, ...]) -> None:
    assert " ".join(sorted(settings_that_affect(*kinds))) == LISTS[kinds]


def test_every_setting_has_one_reach_a_group_and_an_audience() -> None:
    names = [name for kind in get_args(Affects) for name in settings_that_affect(kind)]
    assert sorted(names) == sorted(RenderConfig.model_fields)
    assert MOTION_AFFECTING < FRAME_AFFECTING < RESULT_AFFECTING
    assert FRAME_AFFECTING | {"composition"} == RESULT_AFFECTING
    for name in names:
        facts = facts_of(name)
        assert (facts.group is None) == (name in ("input", "style"))
        assert facts.group in (None, *GROUPS)
        assert facts.audience in get_args(Audience)


def test_every_need_is_about_another_setting_and_its_default_is_met_or_its_text_says_how() -> None:
    for name in RenderConfig.model_fields:
        for need in facts_of(name).needs:
            assert need.setting in RenderConfig.model_fields
            assert need.setting != name
            text = need.refusal.format(name=name, value="VALUE", other="OTHER")
            assert text.startswith(name)
            assert ": " in text


def test_there_is_a_flag_for_every_setting_and_renders_are_optimised_as_before() -> None:
    assert facts_of("engine").neutral == RenderConfig.model_fields["engine"].default == "optimise"
    assert all(facts_of(name).on_command_line for name in RenderConfig.model_fields)


def test_the_facts_are_in_the_json_schema() -> None:
    schema = RenderConfig.model_json_schema(mode="serialization")
    size = json.loads(json.dumps(schema))["properties"]["size"]
    assert (size["affects"], size["audience"]) == ("frames", "everyday")
    assert schema["properties"]["passes"]["neutral"] == 1
    assert "neutral" not in size
