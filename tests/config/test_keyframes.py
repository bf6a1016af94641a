"""A keyframe is `frame=path` or `seconds=path`, and there is one for a frame."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.config.values import FILES
from vidstyle.config.keyframes import Keyframe, parse_keyframe, parse_keyframes
from vidstyle.config.settings import build
from vidstyle.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "keyframe", "same"),
    [
        ("120=fixed.png", Keyframe(Path("fixed.png"), frame=120), "120=fixed.png"),
        (" 007 =a.png", Keyframe(Path("a.png"), frame=7), "7=a.png"),
        ("0=a=b.png", Keyframe(Path("a=b.png"), frame=0), "0=a=b.png"),
        ("4.80s=fixed.png", Keyframe(Path("fixed.png"), seconds=4.8), "4.8s=fixed.png"),
        ("0s=my own.png", Keyframe(Path("my own.png"), seconds=0.0), "0s=my own.png"),
        ("1e-7S=C:/a.png", Keyframe(Path("C:/a.png"), seconds=1e-7), "1e-07s=C:/a.png"),
    ],
)
def test_a_keyframe_is_read_and_written_in_one_way(
    text: str, keyframe: Keyframe, same: str
) -> None:
    assert parse_keyframe(text) == keyframe
    assert str(keyframe) == same
    assert parse_keyframe(same) == keyframe


@pytest.mark.parametrize(
    "given", ["3=a.png", ["3=a.png"], Keyframe(Path("a.png"), 3), (Keyframe(Path("a.png"), 3),)]
)
def test_one_keyframe_is_a_list_of_one(given: Any) -> None:
    assert build(FILES, {"keyframes": given}).keyframes == (Keyframe(Path("a.png"), 3),)


def test_none_is_no_keyframe() -> None:
    assert parse_keyframes(None) == parse_keyframes([]) == build(FILES).keyframes == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("fixed.png", "'fixed.png' names no frame and its picture: write 120=fixed.png"),
        ("120", "names no frame and its picture"),
        ("120=", "names no picture"),
        ("120= ", "names no picture"),
        ("=fixed.png", "'' is neither a frame nor a time"),
        ("-1=fixed.png", "'-1' is neither a frame nor a time"),
        ("4.8=fixed.png", "'4.8' is neither a frame nor a time"),
        ("4.8 s=fixed.png", "'4.8 s' is neither a frame nor a time"),
        ("1:20=fixed.png", "or 4.8s=fixed.png for a time"),
        ("1e999s=fixed.png", "no frame of a video is at infs"),
        (7, "7 is no keyframe"),
        ([7], "[7] is no keyframe"),
        (["3=a.png", "03=b.png"], "3=a.png and 3=b.png are for the same frame"),
        (["1s=a.png", "5=c.png", "1.0s=b.png"], "1s=a.png and 1s=b.png are for the same frame"),
        (["3=a.png", "3=a.png"], "for the same frame: leave one of them out"),
    ],
)
def test_what_is_no_keyframe_is_refused_with_what_to_write(given: Any, words: str) -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, {"keyframes": given})
    assert words in e.value.why
    assert e.value.why.count("keyframes:") == 1


@pytest.mark.parametrize(
    "place", [{}, {"frame": 1, "seconds": 1.0}, {"frame": -1}, {"seconds": -1}]
)
def test_a_keyframe_has_a_frame_or_a_time(place: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"write 120=fixed\.png"):
        Keyframe(Path("a.png"), **place)


def test_no_output_may_replace_the_picture_of_a_keyframe() -> None:
    given = build(FILES, {"keyframes": ["3=a.png", "1s=b.png"]})
    assert {Path("a.png"), Path("b.png")} < set(given.protected_files)
    assert pickle.loads(pickle.dumps(given)) == given
