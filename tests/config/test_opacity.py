"""The opacity of the painting is one value, or moves between several."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import pytest

from tests.config.values import FILES
from vidstyle.config.opacity import OpacityKey, opacity_at, parse_opacities, parse_opacity
from vidstyle.config.settings import build
from vidstyle.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "key", "same"),
    [
        ("0.6", OpacityKey(0.6), "0.6"),
        (" 1 ", OpacityKey(1.0), "1"),
        (".5@0", OpacityKey(0.5, 0.0), "0.5@0s"),
        ("1@3s", OpacityKey(1.0, 3.0), "1@3s"),
        ("1e-7@4.25S", OpacityKey(1e-7, 4.25), "1e-07@4.25s"),
    ],
)
def test_a_key_is_read_and_written_in_one_way(text: str, key: OpacityKey, same: str) -> None:
    assert parse_opacity(text) == key
    assert str(key) == same
    assert parse_opacity(same) == key


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (None, ()),
        ([], ()),
        (1, ()),
        ("1.0", ()),
        (0.6, (OpacityKey(0.6),)),
        ("0.6", (OpacityKey(0.6),)),
        (OpacityKey(0.6), (OpacityKey(0.6),)),
        (["1@3s", "0@0s"], (OpacityKey(0, 0), OpacityKey(1, 3))),
    ],
)
def test_an_opacity_has_one_canonical_form(given: Any, keys: tuple[OpacityKey, ...]) -> None:
    assert parse_opacities(given) == keys
    assert build(FILES, {"opacity": given}).opacity == keys
    assert parse_opacities([str(key) for key in keys]) == keys


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("60%", "'60%' is none: write 0.6, or 0.6@3s"),
        ("0,6", "'0,6' is none"),
        ("-0.5", "'-0.5' is none"),
        ("nan", "'nan' is none"),
        ("0.6@", "is none"),
        ("0.6@1m", "is none"),
        (True, "True is none"),
        ({"at": 3}, "is none"),
        ("1.5", "1.5 is not from 0 to 1"),
        (-0.5, "-0.5 is not from 0 to 1"),
        (float("nan"), "nan is not from 0 to 1"),
        (["0.5@1e999", "1@0s"], "no time that can be"),
        ([OpacityKey(0.5, -1.0), "1@0s"], "no time that can be"),
        (0, "opacity is 0 throughout"),
        (["0@0s", "0@3s"], "opacity is 0 throughout"),
        (["0.5", "1@3s"], "opacity 0.5 has no time and is not the only one"),
        (["0.5", "0.6"], "as in 0.5@3s"),
        ("0.5@3s", "opacity 0.5@3s has the only time, which changes nothing"),
        (["0@3s", "1@3.0s", "0@5s"], "given twice for 3 s"),
        (["0.5@0s", "0.5@3s"], "the same at all times"),
        (["1@0s", "1@3s"], "the same at all times"),
        ("1@3s", "has the only time, which changes nothing"),
    ],
)
def test_what_is_no_opacity_or_changes_nothing_is_refused_in_words(given: Any, words: str) -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, {"opacity": given})
    assert words in e.value.why
    assert e.value.why.startswith("opacity")
    assert e.value.why.count("opacity:") <= 1


def test_an_opacity_is_exact_at_its_times_and_moves_evenly_between_them() -> None:
    keys = parse_opacities(["0.3@1s", "0.9@3s", "0.9@5s", "0@6s"])
    known = {0: 0.3, 1: 0.3, 3: 0.9, 5: 0.9, 6: 0.0, 99: 0.0}
    assert {time: opacity_at(keys, Fraction(time)) for time in known} == known
    assert opacity_at(keys, Fraction(2)) == pytest.approx(0.6)
    assert opacity_at(keys, Fraction(11, 2)) == pytest.approx(0.45)
    assert {opacity_at(keys, Fraction(i, 300)) for i in range(900, 1500)} == {0.9}
    assert all(0 <= opacity_at(keys, Fraction(i, 97)) <= 0.9 for i in range(600))


def test_an_opacity_without_times_is_the_same_throughout() -> None:
    for given, value in ((None, 1.0), (0.25, 0.25)):
        keys = parse_opacities(given)
        assert {opacity_at(keys, Fraction(time)) for time in (0, 1, 99)} == {value}


def test_the_painting_covers_what_its_opacity_and_the_source_in_the_style_leave() -> None:
    styles = {"style": ["original@0s", "munch.jpg@4s"]}
    plain = build(FILES)
    translucent = build(FILES, {"opacity": 0.5})
    fading = build(FILES, styles)
    both = build(FILES, styles, {"opacity": ["1@0s", "0.5@4s"]})
    times = [Fraction(i) for i in range(5)]
    assert [plain.opacity_at(at) for at in times] == [1.0] * 5
    assert [translucent.opacity_at(at) for at in times] == [0.5] * 5
    assert [fading.opacity_at(at) for at in times] == [0, 0.25, 0.5, 0.75, 1]
    assert [both.opacity_at(at) for at in times] == [0, 0.25 * 0.875, 0.375, 0.75 * 0.625, 0.5]


def test_an_opacity_survives_pickling() -> None:
    given = build(FILES, {"opacity": ["0@0s", "1@3s"]})
    assert pickle.loads(pickle.dumps(given)) == given
