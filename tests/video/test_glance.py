"""The times that packets tell are those of the frames, or not told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clips import Clips
from vidstyle.errors import Refusal, RenderError
from vidstyle.video.glance import glance
from vidstyle.video.probe import probe
from vidstyle.video.scan import scan, scan_part


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ("-bf", "3")),
        ("a.mkv", ("-bf", "3", "-x264-params", "open-gop=1")),
        ("a.webm", ()),
        ("a.ts", ("-bf", "2")),
        ("a.avi", ()),
        ("a.mov", ("-c:v", "prores_ks")),
        ("a.mp4", ("-vf", "setpts=N*N*90/TB/3000", "-fps_mode", "vfr")),
    ],
)
def test_packets_tell_the_times_of_the_frames(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    source = probe(Clips(tmp_path).pattern(name, *options, frames=40))
    found = glance(source)
    exact = scan(source)
    assert found is not None
    assert found.timeline == exact.timeline
    assert found.seek.times == exact.seek_index.times
    assert found.seek.key_frames == exact.seek_index.key_frames
    seen: list[Any] = []
    for first, stop in ((0, 5), (13, 21), (30, 40)):
        part = scan_part(source, found.seek, first, stop, seen.append)
        # A transport stream has no index to seek in.
        assert part is not None or name.endswith(".ts")
        if part is not None:
            assert part.checksums[first:stop] == exact.seek_index.checksums[first:stop]
            assert not set(part.checksums[stop:]) & set(exact.seek_index.checksums)
    assert len(seen) == 23 or name.endswith(".ts")


def test_animations_and_stills_are_not_glanced_at(tmp_path: Path) -> None:
    clips = Clips(tmp_path)
    assert glance(probe(clips.pattern("a.gif", frames=5))) is None


def test_raw_pictures_without_times_are_not_glanced_at(tmp_path: Path) -> None:
    clips = Clips(tmp_path)
    source = probe(clips.pattern("a.mjpeg", "-f", "mjpeg", frames=12))
    assert source.kind == "video"
    assert glance(source) is None
    assert scan(source).seek_index.key_frames == ()


@pytest.mark.parametrize("folder", ["clips", "inputs"])
def test_real_files_are_told_rightly_or_not_at_all(shared: Path, folder: str) -> None:
    told = 0
    for path in sorted((shared / folder).iterdir()):
        try:
            source = probe(path)
            exact = scan(source)
        except (Refusal, RenderError):
            continue
        found = glance(source)
        if found is not None:
            told += 1
            assert found.timeline == exact.timeline, path.name
            middle = len(found.timeline) // 2
            part = scan_part(source, found.seek, middle, middle + 1, lambda small: None)
            if part is not None:
                assert part.checksums[middle] == exact.seek_index.checksums[middle], path.name
    assert told >= 10
