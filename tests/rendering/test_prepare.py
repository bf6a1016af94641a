"""Refusals that need neither the decoded input nor a network come before both."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.helpers.renders import Uninterrupted
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import (
    ConfigError,
    DecodeError,
    DiskSpaceError,
    InputError,
    LockedError,
    MemoryLimitError,
    OutputError,
    Refusal,
    SettingsChangedError,
    StyleError,
)
from vidstyle.frames import Timeline
from vidstyle.machine.device import choose_device
from vidstyle.rendering import models, pipeline, prepare
from vidstyle.rendering.fingerprint_parts import known_early
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.prepare import choose_part
from vidstyle.storage.lock import OUTPUT_LOCK
from vidstyle.storage.record import state_folder
from vidstyle.video import ffmpeg

Settings = Callable[..., RenderConfig]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was called of the decoder of the whole input, and of the loader of networks."""
    calls: list[str] = []

    def spy(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, called)

    for owner, name in (
        (prepare, "survey_film"),
        (models, "fetch_weights"),
        (models, "load_weights"),
        (models, "build_network"),
    ):
        spy(owner, name)
    return calls


def refused(built: RenderConfig, error: type[Refusal]) -> Refusal:
    """The refusal of a render, which leaves no trace of its own."""
    assert built.output is not None
    before = {p: p.stat().st_mtime_ns for p in built.output.parent.rglob("*")}
    with pytest.raises(error) as caught:
        pipeline.render(built)
    assert {p: p.stat().st_mtime_ns for p in built.output.parent.rglob("*")} == before
    assert caught.value.exit_code == 2
    return caught.value


@pytest.fixture
def begun(settings: Settings, uninterrupted: Uninterrupted) -> Callable[..., RenderConfig]:
    """begun(**changes): settings whose output has frames of a render with the quick settings."""

    def make(**changes: Any) -> RenderConfig:
        built = settings(keep_frames=True, **changes)
        assert built.output is not None
        if not built.output.exists():
            shutil.copytree(uninterrupted.folder, built.output.parent, dirs_exist_ok=True)
        return built

    return make


def test_the_spies_see_a_render(settings: Settings, spied: list[str]) -> None:
    pipeline.render(settings())
    assert set(spied) == {"survey_film", "fetch_weights", "load_weights", "build_network"}


def test_too_little_memory(settings: Settings, spied: list[str]) -> None:
    refused(settings(max_memory=0.1), MemoryLimitError)
    assert spied == []


@pytest.mark.parametrize("changes", [{}, {"passes": 2}, {"duration": 0.5}], ids=str)
def test_too_small_a_disk(
    settings: Settings, spied: list[str], monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 5))
    refused(settings(**changes), DiskSpaceError)
    assert spied == []


def test_a_lock(settings: Settings, spied: list[str]) -> None:
    from filelock import FileLock

    built = settings()
    assert built.output is not None
    folder = state_folder(built.output)
    folder.mkdir()
    with FileLock(folder / OUTPUT_LOCK):
        refused(built, LockedError)
    assert spied == []


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": 2},
        {"size": 40},
        {"long_term": 4},  # a setting that the older frames did not have
        {"style_terms": "w2", "content_weight": 0.1},
        {"precision": "another"},
        {"tile": 16},
    ],
    ids=str,
)
def test_changed_settings(begun: Settings, spied: list[str], changes: dict[str, Any]) -> None:
    if "precision" in changes:
        usual = choose_device("cpu", "auto").precision
        changes = {"precision": "bf16" if usual == "fp32" else "fp32"}
    error = refused(begun(**changes), SettingsChangedError)
    assert isinstance(error, SettingsChangedError)
    assert set(error.differences) >= set(changes)
    assert spied == []


def test_a_changed_part_before_any_network(begun: Settings, spied: list[str]) -> None:
    """Which frames these are is known only once the input is decoded."""
    error = refused(begun(duration=0.5), SettingsChangedError)
    assert isinstance(error, SettingsChangedError)
    assert set(error.differences) == {"duration"}
    assert set(spied) == {"survey_film"}


def test_files_that_are_missing_or_in_the_way(
    settings: Settings, spied: list[str], painting: Path, tmp_path: Path
) -> None:
    labels = (tmp_path / "none.png", painting)
    cases: tuple[tuple[dict[str, Any], type[Refusal]], ...] = (
        ({"input": tmp_path / "none.mp4"}, InputError),
        ({"style": tmp_path / "none.jpg"}, StyleError),
        ({"output": tmp_path / "none" / "out.mp4"}, OutputError),
        ({"regions": labels}, InputError),
    )
    for changes, error in cases:
        with pytest.raises(error):
            pipeline.render(settings(**changes))
    built = settings()
    assert built.output is not None
    built.output.write_bytes(b"the user's own film")
    refused(built, OutputError)
    assert spied == []


def test_an_unknown_engine(settings: Settings, spied: list[str]) -> None:
    error = refused(settings(engine="none"), ConfigError)
    assert "optimise" in error.why
    assert spied == []


# Which part


def steady(count: int, rate: int, offset: int = 0) -> Timeline:
    """Frames that are shown for 1 / rate seconds each, from `offset` ticks on."""
    step = 90_000 // rate
    times = tuple(offset + i * step for i in range(count))
    return Timeline(times, step, Fraction(rate), Fraction(rate))


@pytest.mark.parametrize(
    ("timeline", "start", "duration", "expected"),
    [
        (steady(30, 10), None, None, (0, 30)),
        (steady(30, 10), 0.25, 0.3, (3, 6)),
        (steady(30, 10), 0.1, 0.1, (1, 2)),  # 0.1 as a float is a little more than a tenth
        (steady(30, 10), 0.7, 0.1, (7, 8)),
        (steady(30, 10), 1.1, 1.1, (11, 22)),
        (steady(30, 10), 2.5, None, (25, 30)),
        (steady(30, 10), None, 0.01, (0, 1)),
        (steady(30, 10), 2.9, 100.0, (29, 30)),
        (steady(90, 30), 1.0, 1 / 30, (30, 31)),
        (steady(90, 30), 1 / 3, 2 / 3, (10, 30)),
        (steady(10, 10, offset=45_000), None, 0.7, (0, 2)),
        (Timeline((0, 900, 45_000, 90_000), 900, None, Fraction(4)), 0.01, 0.5, (1, 3)),
    ],
)
def test_the_part_holds_the_frames_that_appear_in_it(
    timeline: Timeline,
    start: float | None,
    duration: float | None,
    expected: tuple[int, int],
) -> None:
    assert choose_part(timeline, start, duration) == FrameRange(*expected)


def test_a_part_without_a_frame_is_refused_with_the_times_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"from 0\.00 s to 2\.90 s"):
        choose_part(steady(30, 10), 2.95, None)


def test_tracks_are_tried_before_the_input_is_decoded(
    settings: Settings, spied: list[str], tmp_path: Path
) -> None:
    tones = "|".join(["sin(880*t)"] * 16)
    clip = tmp_path / "many.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=1"]
    sound = ["-f", "lavfi", "-i", f"aevalsrc={tones}:d=1", "-c:a", "pcm_s16le"]
    ffmpeg.run([*picture, *sound, ffmpeg.local(clip)], "cannot make a clip")
    request = prepare.inspect(settings(input=clip, output=tmp_path / "out.mp4"))
    assert spied == []
    assert any(note.warning and "mixed down to stereo" in note.text for note in request.notes)
    job = prepare.prepare(request)
    assert job.delivery == request.delivery
    assert job.delivery.tracks[0].encoder == "aac"


def test_interlaced_video_is_made_whole_or_left_as_it_is(
    settings: Settings, tmp_path: Path
) -> None:
    clip = tmp_path / "fields.mkv"
    film = "testsrc2=s=64x48:r=50:d=0.4,tinterlace=interleave_top,setfield=tff"
    coded = ["-c:v", "ffv1", "-flags", "+ildct+ilme"]
    ffmpeg.run(["-f", "lavfi", "-i", film, *coded, ffmpeg.local(clip)], "cannot make a clip")
    whole = prepare.inspect(settings(input=clip))
    assert whole.source.fields
    assert any("--deinterlace off" in note.text for note in whole.notes)
    left = prepare.inspect(settings(input=clip, deinterlace="off"))
    assert not left.source.fields
    assert not any("interlaced" in note.text for note in left.notes)
    assert known_early(whole)["deinterlaced"] == whole.source.fields
    assert known_early(left) == {
        name: part for name, part in known_early(whole).items() if name != "deinterlaced"
    }


def test_a_clock_that_goes_back_is_told_before_the_first_frame(
    settings: Settings, tmp_path: Path
) -> None:
    part = tmp_path / "part.ts"
    ffmpeg.run(["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.8", ffmpeg.local(part)], "no clip")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    given = {"input": joined, "output": tmp_path / "out.ts"}
    with pytest.raises(DecodeError) as caught:
        prepare.prepare(prepare.inspect(settings(**given)))
    assert "goes back after frame 19" in caught.value.why
    assert "-c copy" in caught.value.hint
    job = prepare.prepare(prepare.inspect(settings(**given, allow_damaged=True)))
    warned = [note.text for note in job.notes if note.warning]
    assert any("goes back after frame 19" in text and "-c copy" in text for text in warned)


def test_the_clock_of_a_joined_recording_is_told(
    settings: Settings, shared: Path, tmp_path: Path
) -> None:
    joined = shared / "inputs/ts_concatenated_timestamps_restart.ts"
    job = prepare.prepare(prepare.inspect(settings(input=joined, output=tmp_path / "out.ts")))
    assert any(note.warning and "goes back after frame" in note.text for note in job.notes)
