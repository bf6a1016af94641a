"""What decoding a film once has told, and where it is found again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.renders import quick_settings, run
from vidstyle.config.settings import RenderConfig, build
from vidstyle.events import Scanning
from vidstyle.rendering import survey
from vidstyle.rendering.plan import plan_render
from vidstyle.rendering.preview import preview
from vidstyle.rendering.survey import survey_film
from vidstyle.storage.record import state_folder
from vidstyle.video import ffmpeg
from vidstyle.video.probe import probe


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of a test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(survey, "cache_folder", lambda: folder)
    return folder


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded from now on."""
    seen: list[Path] = []
    real = survey.scan

    def count(source: Any, look: Any) -> Any:
        seen.append(source.path)
        return real(source, look)

    monkeypatch.setattr(survey, "scan", count)
    return seen


@pytest.mark.parametrize("name", ["cut.mp4", "balloon.mp4"])
def test_a_film_is_decoded_once_and_recalled_the_same(
    name: str, samples: Path, decodes: list[Path]
) -> None:
    source = probe(samples / name)
    first = survey_film(source)
    assert first == survey_film(source) == survey_film(probe(samples / name))
    assert len(decodes) == 1
    assert first == survey_film(source, is_cached=False)
    assert len(decodes) == 2


def rewrite(film: Path) -> None:
    data = bytearray(film.read_bytes())
    data[len(data) // 2] ^= 1
    stat = film.stat()
    film.write_bytes(data)
    os.utime(film, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def lengthen(film: Path) -> None:
    stat = film.stat()
    with film.open("ab") as file:
        file.write(b"\0" * 8)
    os.utime(film, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def touch(film: Path) -> None:
    os.utime(film, ns=(0, 0))


@pytest.mark.parametrize("change", [rewrite, lengthen, touch])
def test_a_file_that_changed_is_decoded_again(
    change: Callable[[Path], None], samples: Path, tmp_path: Path, decodes: list[Path]
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes((samples / "cut.mp4").read_bytes())
    before = probe(film)
    survey_film(before)
    change(film)
    survey_film(before)
    assert len(decodes) == 2


@pytest.mark.parametrize("damage", [b"", b"not gzip", None, "flip"])
def test_what_was_kept_and_is_damaged_is_made_again(
    damage: bytes | str | None, samples: Path, cache: Path, decodes: list[Path]
) -> None:
    source = probe(samples / "cut.mp4")
    wanted = survey_film(source)
    [kept] = (cache / "films").iterdir()
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 0x55
    kept.write_bytes(data if damage == "flip" else data[:-40] if damage is None else damage)
    assert survey_film(source) == wanted
    assert survey_film(source) == wanted
    assert len(decodes) == 2


def test_colours_are_looked_at_when_somebody_asks(samples: Path, decodes: list[Path]) -> None:
    source = probe(samples / "cut.mp4")
    assert survey_film(source).statistics is None
    first, again = (survey_film(source, needs_colours=True).statistics for _ in range(2))
    assert first is not None
    assert again is not None
    assert torch.equal(first.mean, again.mean)
    assert torch.equal(first.covariance, again.covariance)
    assert survey_film(source).statistics is not None
    assert len(decodes) == 2


def test_the_cache_is_bounded_and_what_was_asked_for_lately_stays(
    samples: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [tmp_path / f"{i}.mp4" for i in range(3)]
    for i, film in enumerate(films):
        film.write_bytes((samples / "cut.mp4").read_bytes() + bytes(i))
        survey_film(probe(film))
        for kept in (cache / "films").iterdir():
            stat = kept.stat()
            os.utime(kept, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10**9))
    sizes = [kept.stat().st_size for kept in (cache / "films").iterdir()]
    assert len(sizes) == 3
    survey_film(probe(films[0]))
    monkeypatch.setattr(survey, "MOST_CACHED_BYTES", max(sizes) * 5 // 2)
    new = tmp_path / "new.mp4"
    new.write_bytes((samples / "cut.mp4").read_bytes() + bytes(9))
    survey_film(probe(new))
    kept_paths = {survey.survey_path(probe(film)) for film in (films[0], new)}
    assert set((cache / "films").iterdir()) == kept_paths


def test_a_cache_that_cannot_be_written_stops_nothing(
    samples: Path, cache: Path, decodes: list[Path]
) -> None:
    cache.write_text("no folder")
    source = probe(samples / "cut.mp4")
    assert survey_film(source) == survey_film(source)
    assert len(decodes) == 2


def test_a_scan_reports_how_far_it_has_come(samples: Path) -> None:
    events: list[Any] = []
    survey_film(probe(samples / "cut.mp4"), report=events.append)
    assert [(event.done, event.total) for event in events] == [(25, 48)]
    assert all(isinstance(event, Scanning) for event in events)


def test_a_plan_of_a_long_film_decodes_nothing_and_knows_what_was_seen_before(
    samples: Path, decodes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"input": samples / "cut.mp4", "style": samples / "mosaic.jpg"}
    config = build({**files, "output": tmp_path / "out.mp4"})
    exact = plan_render(config)
    assert len(decodes) == 1
    again = build({**files, "output": tmp_path / "out.mp4", "no_cache": True})
    monkeypatch.setattr(survey, "LONG_FILM_PIXELS", 1)
    glanced = plan_render(again)
    assert len(decodes) == 1
    assert glanced.shots is None
    assert "shots not looked for yet" in glanced.text()
    assert replace(glanced, shots=exact.shots, disk_free=exact.disk_free) == exact
    assert replace(plan_render(config), disk_free=exact.disk_free) == exact
    assert len(decodes) == 1


@pytest.fixture
def long_film(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film that counts as long, with a key frame every seven frames; nobody may decode it all."""
    film = tmp_path / "long.mp4"
    given = ["-y", "-i", ffmpeg.local(samples / "cut.mp4"), "-g", "7", "-bf", "2"]
    ffmpeg.run([*given, "-s", "96x72", ffmpeg.local(film)], "cannot make the film")
    return film


def quick(film: Path, samples: Path, output: Path, **changes: Any) -> RenderConfig:
    style = samples / "strokes.jpg"
    return quick_settings(film, style, output, keep_frames=True, **changes)


def pixels_of(built: RenderConfig) -> list[Any]:
    assert built.output is not None
    files = sorted((state_folder(built.output) / "frames").iterdir())
    return [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]


@pytest.mark.parametrize("part", [{"start": 0.4, "duration": 0.8}, {"duration": 0.5}])
def test_a_part_of_a_long_film_is_the_same_and_costs_no_scan(
    part: dict[str, float],
    long_film: Path,
    samples: Path,
    tmp_path: Path,
    decodes: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = quick(long_film, samples, tmp_path / "exact.mkv", **part)
    run(exact)
    assert len(decodes) == 1
    monkeypatch.setattr(survey, "LONG_FILM_PIXELS", 1)
    partly = quick(long_film, samples, tmp_path / "partly.mkv", **part)
    run(partly)
    assert len(decodes) == 1
    pairs = zip(pixels_of(partly), pixels_of(exact), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)
    # A continued one sees the same, although the whole was seen before.
    assert run(partly.model_copy(update={"overwrite": True})).frames == []


def test_a_preview_of_a_long_film_looks_at_its_place_alone(
    long_film: Path,
    samples: Path,
    tmp_path: Path,
    decodes: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(survey, "LONG_FILM_PIXELS", 1)
    made = preview(quick(long_film, samples, tmp_path / "out.mkv", duration=0.3))
    assert made.output.exists()
    assert made.full_frames == 48
    assert decodes == []
    known = survey.glance_at_long_film(probe(long_film))
    assert known is not None
    cuts = survey.sample_cuts(probe(long_film), known)
    assert any(20 <= cut <= 28 for cut in cuts)


def test_a_film_that_did_not_decode_whole_is_looked_at_again(
    samples: Path, tmp_path: Path, decodes: list[Path]
) -> None:
    cut_off = tmp_path / "cut-off.ts"
    ffmpeg.run(["-y", "-i", ffmpeg.local(samples / "cut.mp4"), ffmpeg.local(cut_off)], "no film")
    cut_off.write_bytes(cut_off.read_bytes()[: cut_off.stat().st_size * 2 // 3 + 50])
    source = probe(cut_off)
    first = survey_film(source)
    survey_film(source)
    assert len(decodes) == (2 if first.scanned.missing else 1)
