"""Styles are named `path[:weight][@time]`, mixed in relation to one another, and move between their times."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vidstyle import mixture, presets
from vidstyle.config import build
from vidstyle.errors import ConfigError, VidstyleError
from vidstyle.mixture import Painting

PAINTINGS = [
    ("a.jpg", Painting(Path("a.jpg"))),
    ("a.jpg:0.7", Painting(Path("a.jpg"), 0.7)),
    ("a.jpg@4s", Painting(Path("a.jpg"), 1.0, 4.0)),
    ("a.jpg@1.5", Painting(Path("a.jpg"), 1.0, 1.5)),
    ("a.jpg:3@.5s", Painting(Path("a.jpg"), 3.0, 0.5)),
    ("me@home.jpg", Painting(Path("me@home.jpg"))),
    ("C:/a.jpg:2", Painting(Path("C:/a.jpg"), 2.0)),
    ("a@2:b.jpg@0s", Painting(Path("a@2:b.jpg"), 1.0, 0.0)),
]


@pytest.mark.parametrize(("text", "found"), PAINTINGS)
def test_suffixes_are_read_from_the_right_as_far_as_they_are_such(text: str, found: Painting) -> None:
    assert mixture.painting(text) == found
    assert mixture.painting(str(found)) == found


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a:2", "a:2", Painting(Path("a:2"))),
        ("a@3", "a@3@4s", Painting(Path("a@3"), 1.0, 4.0)),
        ("a:2", "a:2:5", Painting(Path("a:2"), 5.0)),
        ("a:2@3", "a:2@3", Painting(Path("a:2@3"))),
    ],
)
def test_a_file_of_that_very_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, found: Painting
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert mixture.painting(text) == found


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        (["a.jpg:0"], "must be above 0"),
        (["a.jpg:2"], "nothing that it counts in relation to"),
        (["a.jpg@0s", "b.jpg:2@4s"], "nothing that it counts in relation to"),
        (["a.jpg@0s", "b.jpg"], "b.jpg has no time and a.jpg has one"),
        (["a.jpg@3s", "b.jpg@3s"], "3 s is the only time"),
        ([3], "neither a painting's path"),
        (7, "neither a painting's path"),
    ],
)
def test_what_changes_nothing_is_refused_in_words(styles: Any, words: str) -> None:
    with pytest.raises(ConfigError) as e:
        build({"input": "in.mp4", "style": styles})
    assert words in e.value.why


def test_regions_are_of_one_painting() -> None:
    with pytest.raises(ConfigError, match="settings do not fit") as e:
        build({"input": "in.mp4", "style": ["a.jpg", "b.jpg"], "regions": ("a.png", "b.png")})
    assert "regions are of one painting" in e.value.why


@pytest.mark.parametrize("styles", ["a.jpg", ["a.jpg:0.7", "b.jpg:0.3"], ["a.jpg@0s", "b.jpg:2@4s", "c.jpg@4s"]])
def test_styles_come_back_from_toml_and_name_the_output(tmp_path: Path, styles: Any) -> None:
    given = build({"input": "in.mp4", "style": styles})
    written = json.dumps([str(one) for one in given.style])
    (tmp_path / "some.toml").write_text(f"style = {written}\n", encoding="utf-8")
    assert build({"input": "in.mp4"}, presets.read_toml(tmp_path / "some.toml")) == given
    assert given.named_after.stem == "-".join(path.stem for path in given.paintings)


def test_the_mixture_rests_before_its_first_time_and_after_its_last_and_moves_evenly_between() -> None:
    styles = mixture.paintings(["a.jpg@1s", "b.jpg:3@2s", "c.jpg@2s", "a.jpg@4s"])
    known = {0: (1, 0, 0), 1: (1, 0, 0), 2: (0, 0.75, 0.25), 4: (1, 0, 0), 9: (1, 0, 0)}
    known |= {Fraction(3, 2): (0.5, 0.375, 0.125), 3: (0.5, 0.375, 0.125)}
    for time, expected in known.items():
        assert mixture.shares(styles, Fraction(time)) == pytest.approx(expected)
    constant = mixture.paintings(["a.jpg:7", "b.jpg:3"])
    assert mixture.shares(constant, Fraction(5)) == pytest.approx((0.7, 0.3))
    assert mixture.shares((), Fraction(5)) == ()


def test_what_mixes_alike_is_the_same_render() -> None:
    digests = ["1", "2"]
    same = [mixture.identity(mixture.paintings(styles), digests) for styles in (["a:3", "b:1"], ["a:0.75", "b:0.25"])]
    assert same[0] == same[1]
    assert mixture.identity(mixture.paintings("a"), ["1"]) == "1"
    assert mixture.identity(mixture.paintings(["a", "b"]), digests) != same[0]


def test_an_image_has_no_time(painting: Path, tmp_path: Path) -> None:
    from vidstyle import pipeline

    styles = [f"{painting}@0s", f"{painting}@1s"]
    with pytest.raises(VidstyleError, match="an image has no time"):
        pipeline.prepare(build({"input": painting, "style": styles, "output": tmp_path / "out.png"}))
