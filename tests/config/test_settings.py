"""One model says what can be set; fingerprints, previews and reconstructions follow from it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.values import AS_BEFORE, FILES, NEEDS, SETTINGS, other_value
from vidstyle.config import settings as configs
from vidstyle.config.facts import ALWAYS, FRAME_AFFECTING, STEERING
from vidstyle.config.fingerprint import fingerprint, with_part_names
from vidstyle.config.settings import RenderConfig, build, facts_of, reconstruction_settings
from vidstyle.errors import ConfigError

GOLDEN = json.loads((Path(__file__).parent / "picture_settings.json").read_text())
"""Settings, and those of them that go into the fingerprint, as release 0.1 had them."""


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, {"size": 1, "flow": "horn", "tv_wait": 1, "device": "abacus"})
    for words in (
        "size: ",
        "not 1",
        "'horn'",
        "no setting tv_wait, did you mean tv_weight?",
        "'abacus' is none of auto",
    ):
        assert words in e.value.why
    assert "\n" not in e.value.why


def test_a_config_does_not_change() -> None:
    with pytest.raises(ValidationError):
        build(FILES).size = 5  # type: ignore[misc]


def test_later_layers_win() -> None:
    assert build(FILES, {"size": 100, "seed": 1}, {"size": 200}).model_dump(
        include={"size", "seed"}
    ) == {
        "size": 200,
        "seed": 1,
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_only_picture_settings_change_the_fingerprint(name: str) -> None:
    files = FILES | NEEDS.get(name, {})
    plain, changed = (
        build(FILES if name == "texture" else files),
        build(files, {name: other_value(name)}),
    )
    assert plain != changed
    digests = [
        fingerprint(with_part_names(config.picture_settings())) for config in (plain, changed)
    ]
    assert (digests[0] == digests[1]) == (facts_of(name).affects not in FRAME_AFFECTING)


NEUTRAL = {
    name: facts_of(name).neutral for name in SETTINGS if facts_of(name).neutral is not ALWAYS
}


def test_a_setting_at_its_neutral_value_is_no_part_of_the_fingerprint_and_any_other_is() -> None:
    others = {
        "temporal_norm",
        "long_term",
        "passes",
        "blend",
        "temporal_from_pass",
        "engine",
        "learn",
    }
    others |= {"bars", "deinterlace", "detail", "loop"}
    assert (
        others | {name for name in SETTINGS if facts_of(name).group == STEERING} == NEUTRAL.keys()
    )
    plain = build(FILES, AS_BEFORE)
    assert all(getattr(plain, name) == value for name, value in NEUTRAL.items())
    assert not NEUTRAL.keys() & plain.picture_settings().keys()
    for name in NEUTRAL:
        value = RenderConfig.model_fields[name].default if name in AS_BEFORE else other_value(name)
        changed = build(FILES, AS_BEFORE, NEEDS.get(name, {}), {name: value})
        assert changed.picture_settings()[name] == json.loads(json.dumps(value))
        assert set(changed.picture_settings()) - set(plain.picture_settings()) == {
            name,
            *NEEDS.get(name, {}),
        } - {*FILES}


def test_a_new_picture_setting_needs_a_neutral_value_or_every_half_finished_render_is_lost() -> (
    None
):
    """These are all that there were when RENDER_FORMAT became 7."""
    assert " ".join(sorted(build(FILES, AS_BEFORE).picture_settings())) == (
        "budget content_weight duration features first_iterations first_scales flow init "
        "iterations learning_rate mask optimizer per_frame polish pooling rest scales seed size "
        "start stop_tolerance style_weight temporal_weight tv_weight"
    )


@pytest.mark.parametrize(
    ("long_term", "distances"),
    [
        *((0, (1,)), (1, (1,)), (2, (1, 2)), (3, (1, 2)), (4, (1, 2, 4))),
        *((63, (1, 2, 4, 8, 16, 32)), (64, (1, 2, 4, 8, 16, 32, 64))),
    ],
)
def test_a_frame_is_held_to_those_1_2_4_8_before_it(
    long_term: int, distances: tuple[int, ...]
) -> None:
    assert build(FILES, {"long_term": long_term}).distances == distances


@pytest.mark.parametrize(
    ("passes", "asked", "first"), [(15, 0, 8), (2, 0, 2), (3, 0, 2), (10, 0, 6), (10, 3, 3)]
)
def test_the_temporal_loss_is_on_in_the_second_half_of_the_passes_or_as_asked(
    passes: int, asked: int, first: int
) -> None:
    assert (
        build(FILES, {"passes": passes, "temporal_from_pass": asked}).first_temporal_pass == first
    )


@pytest.mark.parametrize(("long_term", "same"), [(1, 0), (3, 2), (7, 4), (63, 32)])
def test_what_links_to_the_same_frames_has_the_same_fingerprint(long_term: int, same: int) -> None:
    configs = [build(FILES, {"long_term": value}) for value in (long_term, same)]
    assert configs[0].distances == configs[1].distances
    assert configs[0].picture_settings() == configs[1].picture_settings()


@pytest.mark.parametrize(
    ("first", "every", "frames"),
    [(200, 30, 6), (100, 12, 8), (400, 60, 6), (30, 30, 0), (9, 30, 0)],
)
def test_what_rests_is_optimised_until_it_has_had_as_much_as_a_first_frame(
    first: int, every: int, frames: int
) -> None:
    settling = build(FILES, {"first_iterations": first, "iterations": every}).frames_until_static
    assert settling == frames
    assert (settling + 1) * every >= first > (settling * every if settling else 0)


@pytest.mark.parametrize("name", sorted(configs.settings_that_affect("links")))
def test_what_only_links_frames_is_no_part_of_the_fingerprint_where_nothing_links_them(
    name: str,
) -> None:
    changed = {name: other_value(name)}
    assert build(FILES, changed).picture_settings() != build(FILES).picture_settings()
    alone = [build(FILES, {"per_frame": True}, more).picture_settings() for more in ({}, changed)]
    assert alone[0] == alone[1]


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
            reconstruction_settings("relu4_2", {name, "size"})
        assert name in e.value.why
    assert (
        reconstruction_settings("relu4_2", {"size", "content_weight"})["content_layers"]
        == "relu4_2"
    )


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: ",".join(row["settings"]) or "default")
def test_the_settings_in_a_fingerprint_never_change(row: dict[str, Any]) -> None:
    picture_settings = build(FILES, row["settings"]).picture_settings()
    assert json.loads(json.dumps(picture_settings)) == row["picture_settings"]


@pytest.mark.parametrize(
    ("iterations", "first", "polish", "expected"),
    [(16, 200, 0, (8, 100, 0)), (1, 1, 1, (1, 1, 1)), (3, 5, 3, (1, 2, 2)), (2, 9, 2, (1, 4, 1))],
)
def test_a_preview_has_half_the_iterations_and_at_least_one(
    iterations: int, first: int, polish: int, expected: tuple[int, ...]
) -> None:
    given = {"iterations": iterations, "first_iterations": first, "polish": polish}
    names = ("iterations", "first_iterations", "polish")
    assert build(FILES, given).reduce_for_preview() == dict(zip(names, expected, strict=True))


def test_settings_survive_pickling() -> None:
    given = build(FILES, {"passes": 3, "regions": ("a.png", "b.png")})
    assert pickle.loads(pickle.dumps(given)) == given
