"""The times that packets tell are those of the frames, or not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import Clips
from vidstyle.errors import Refusal, RenderError
from vidstyle.video.glance import glance
from vidstyle.video.probe import probe
from vidstyle.video.scan import scan


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
    assert glance(source) == scan(source).timeline


def test_animations_and_stills_are_not_glanced_at(tmp_path: Path) -> None:
    clips = Clips(tmp_path)
    assert glance(probe(clips.pattern("a.gif", frames=5))) is None


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
            assert found == exact.timeline, path.name
    assert told >= 10
