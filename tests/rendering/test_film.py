"""What of a film is looked at before its render, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.edited_films import (
    EditedFilm,
    dissolving,
    fading,
    flashing,
    pan,
    save_picture,
)
from tests.helpers.films import shifted, texture, video
from tests.helpers.renders import quick_settings
from vidstyle.config.keyframes import Keyframe
from vidstyle.errors import ConfigError, StyleError, VidstyleError
from vidstyle.motion.edit import Edit
from vidstyle.rendering.film import find_keyframes, note_loop, note_transitions
from vidstyle.rendering.job import Job
from vidstyle.rendering.layers import FrameRange, KeyframeImage
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.storage.atomic import sha256

STILL = EditedFilm(pan(1, 10), Edit((0,)))


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return save_picture(tmp_path / "given.png", texture(5, (32, 48)))


def keyframes_of(
    film: EditedFilm,
    keyframes: list[str],
    folder: Path,
    painting: Path,
    part: FrameRange | None = None,
) -> tuple[KeyframeImage, ...]:
    config = quick_settings(
        video(folder / "film.mkv", film.frames),
        painting,
        folder / "out.mkv",
        keyframes=keyframes,
    )
    inspect(config)
    timeline = prepare(inspect(config.model_copy(update={"keyframes": ()}))).timeline
    part = part or FrameRange(0, len(timeline))
    return find_keyframes(config.keyframes, timeline, film.edit, part)


@pytest.mark.parametrize(
    ("place", "expected"),
    [("0", 0), ("4", 4), ("9", 9), ("0s", 0), ("0.4s", 4), ("0.45s", 4), ("0.99s", 9)],
)
def test_a_keyframe_is_the_frame_of_its_number_or_that_is_shown_at_its_time(
    place: str, expected: int, given: Path, tmp_path: Path, painting: Path
) -> None:
    found = keyframes_of(STILL, [f"{place}={given}"], tmp_path, painting)
    assert found == (KeyframeImage(expected, given, sha256(given)),)


def test_keyframes_are_counted_from_the_first_frame_of_the_part_and_sorted(
    given: Path, tmp_path: Path, painting: Path
) -> None:
    places = [f"6={given}", f"0.3s={given}"]
    found = keyframes_of(STILL, places, tmp_path, painting, FrameRange(2, 8))
    assert [one.index for one in found] == [1, 4]


@pytest.mark.parametrize(
    ("film", "places", "part", "words"),
    [
        (STILL, ["10"], None, "not in the part"),
        (STILL, ["1.0s"], None, "not in the part"),
        (STILL, ["1"], FrameRange(2, 8), "frames 2 to 7 are rendered"),
        (STILL, ["8"], FrameRange(2, 8), "not in the part"),
        (STILL, ["4", "0.4s"], None, "names frame 4 again"),
        (dissolving(), ["4"], None, "in a dissolve, frames 4 to 7"),
        (dissolving(), ["7"], None, "paint frame 8, or 3"),
        (fading(comes_in=True), ["4"], None, "in a fade, frames 0 to 4"),
        (flashing(), ["5"], None, "in a flash, frames 4 to 5"),
    ],
)
def test_a_keyframe_that_is_no_frame_of_one_shot_alone_is_refused(
    film: EditedFilm,
    places: list[str],
    part: FrameRange | None,
    words: str,
    given: Path,
    tmp_path: Path,
    painting: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        keyframes_of(film, [f"{one}={given}" for one in places], tmp_path, painting, part)
    assert words in text_of(caught.value)


def text_of(error: VidstyleError) -> str:
    return f"{error}\n{error.why}\n{error.hint}"


def test_no_frame_before_the_first_one_is_proposed(
    given: Path, tmp_path: Path, painting: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        keyframes_of(fading(comes_in=True), [f"2={given}"], tmp_path, painting)
    assert "paint frame 5" in text_of(caught.value)
    assert "-1" not in caught.value.hint


def test_no_frame_after_the_last_one_is_proposed(
    given: Path, tmp_path: Path, painting: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        keyframes_of(fading(comes_in=False), [f"7={given}"], tmp_path, painting)
    assert "paint frame 4" in text_of(caught.value)
    assert "10" not in caught.value.hint


def test_a_picture_of_another_size_is_refused_with_both_sizes(
    tmp_path: Path, painting: Path
) -> None:
    small = save_picture(tmp_path / "small.png", texture(5, (30, 48)))
    with pytest.raises(StyleError) as caught:
        keyframes_of(STILL, [f"4={small}"], tmp_path, painting)
    assert "48x30" in text_of(caught.value)
    assert "48x32" in text_of(caught.value)


def job_of(film: EditedFilm, folder: Path, painting: Path, **changes: object) -> Job:
    path = video(folder / "film.mkv", film.frames)
    return prepare(inspect(quick_settings(path, painting, folder / "out.mkv", **changes)))


def test_a_loop_is_closed_where_it_is_wanted_and_both_ends_are_of_one_shot(
    tmp_path: Path, painting: Path
) -> None:
    smooth = shifted(texture(1, (32, 80), cell=16), 8, (1, 0), (32, 48))
    whole = replace(STILL, frames=[*smooth, *smooth[1:-1][::-1]])
    assert job_of(whole, tmp_path, painting, loop=True).is_loop
    assert not job_of(whole, tmp_path, painting).is_loop
    two = replace(STILL, frames=[*smooth[:5], *[1 - image for image in pan(2, 6)]])
    job = job_of(two, tmp_path, painting, loop=True)
    assert not job.is_loop
    assert any("the end stays open" in note.text for note in job.notes if note.warning)
    (note,) = note_loop(is_asked_for=True, is_loop=True)
    assert "leads into the first" in note.text
    assert not note.warning


def test_transitions_of_the_part_are_named() -> None:
    edit = dissolving().edit
    assert [note.text for note in note_transitions(edit, FrameRange(0, 12))] == [
        "1 dissolve: frames 4-7"
    ]
    assert note_transitions(edit, FrameRange(0, 4)) == note_transitions(edit, FrameRange(8, 12))
    assert note_transitions(edit, FrameRange(0, 4)) == []
    assert len(note_transitions(edit, FrameRange(7, 8))) == 1


def test_a_keyframe_is_written_as_it_is_read() -> None:
    assert str(Keyframe(Path("a.png"), frame=3)) == "3=a.png"


def test_a_keyframe_among_the_files_of_the_render_is_refused(
    tmp_path: Path, painting: Path
) -> None:
    film = video(tmp_path / "film.mkv", STILL.frames)
    inside = tmp_path / "out.mkv.vidstyle" / "frames" / "000004.png"
    inside.parent.mkdir(parents=True)
    save_picture(inside, texture(5, (32, 48)))
    config = quick_settings(film, painting, tmp_path / "out.mkv", keyframes=[f"4={inside}"])
    with pytest.raises(ConfigError) as e:
        inspect(config)
    assert "copy it to another folder" in e.value.hint
