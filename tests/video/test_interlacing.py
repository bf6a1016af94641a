"""Interlaced film becomes whole frames, the same ones wherever decoding begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from vidstyle.video import read as reading
from vidstyle.video.interlacing import find_fields
from vidstyle.video.probe import Source, probe
from vidstyle.video.read import read
from vidstyle.video.scan import scan, scan_part

if TYPE_CHECKING:
    from tests.helpers.clips import Clips

INTERLACED = ["-flags", "+ildct+ilme"]
KINDS = {
    "h264.mp4": ["-c:v", "libx264", *INTERLACED, "-x264-params", "tff=1:keyint=8:scenecut=0"],
    "h264.mkv": ["-c:v", "libx264", *INTERLACED, "-x264-params", "tff=1:keyint=8:bframes=2"],
    "mpeg2.ts": ["-c:v", "mpeg2video", *INTERLACED, "-g", "8", "-q:v", "2"],
    "prores.mov": ["-c:v", "prores_ks", *INTERLACED],
}
FRAMES = 24


def interlaced(clips: Clips, name: str, *, first: str = "top") -> Path:
    """A bar that moves 4 pixels a field over a plain ground, 25 frames a second."""
    bar = "color=gray:s=96x64:r=50:d=0.96,format=yuv420p"
    bar += ",geq=lum='if(between(mod(X-4*N,96),0,20),235,60)':cb=128:cr=128"
    other = {"top": "interleave_top", "bottom": "interleave_bottom"}[first]
    order = {"top": "tff", "bottom": "bff"}[first]
    filters = f"{bar},tinterlace={other},setfield={order}"
    options = [word.replace("tff", order) for word in KINDS[name]]
    return clips.make(name, "-f", "lavfi", "-i", filters, *options)


def combs(image: Tensor) -> float:
    """How much rows differ from the rows around them, the edge rows apart."""
    inner = image[:, 2:-2]
    around = (image[:, 1:-3] + image[:, 3:-1]) / 2
    return float((inner - around).abs().mean())


def images(source: Source) -> list[Tensor]:
    return [frame.image for frame in read(source, None)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("first", ["top", "bottom"])
def test_fields_become_whole_frames_as_many_and_at_the_same_times(
    clips: Clips, name: str, first: str
) -> None:
    source = probe(interlaced(clips, name, first=first))
    assert source.fields
    as_it_is = replace(source, fields="")
    whole = images(source)
    combed = images(as_it_is)
    assert len(whole) == len(combed) == FRAMES
    assert max(map(combs, whole[1:-1])) < 0.25 * min(map(combs, combed[1:-1]))
    assert scan(source).timeline == scan(as_it_is).timeline


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_the_same_wherever_decoding_begins(
    clips: Clips, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = probe(interlaced(clips, name))
    index = scan(source).seek_index
    assert len(index.key_frames) > 2
    whole = images(source)

    def refuse(*_: object) -> None:
        raise AssertionError("decoding began at the start")

    for first in (0, 1, 7, 8, 9, 15, 16, 17, 23):
        if reading.find_entry(source, index, first):
            monkeypatch.setattr(reading, "_read_from_start", refuse)
        part = list(read(source, None, first, min(first + 3, FRAMES), index))
        monkeypatch.undo()
        assert [frame.index for frame in part] == list(range(first, min(first + 3, FRAMES)))
        assert all(torch.equal(frame.image, whole[frame.index]) for frame in part)


@pytest.mark.parametrize("name", KINDS)
def test_a_part_is_seen_as_the_whole_is(clips: Clips, name: str) -> None:
    source = probe(interlaced(clips, name))
    index = scan(source).seek_index
    for first, stop in ((0, 4), (8, 12), (13, FRAMES)):
        unknown = replace(index, checksums=tuple(-1 - i for i in range(FRAMES)))
        part = scan_part(source, unknown, first, stop, lambda thumbnail: None)
        assert part is not None
        assert part.checksums[first:stop] == index.checksums[first:stop]


def test_progressive_film_is_left_alone(clips: Clips) -> None:
    assert probe(clips.pattern()).fields == ""


@pytest.mark.parametrize(
    ("codec", "description", "first_frame", "fields"),
    [
        ("h264", "yuv420p(progressive)", "P", ""),
        ("h264", "yuv420p(top first)", "T", "auto"),
        ("h264", "yuv420p(tv, bt709, top first)", "P", "auto"),
        ("v210", "yuv422p10le(bottom first)", "P", "bff"),
        ("v210", "yuv422p10le(tv, top coded first (swapped))", "P", "bff"),
        ("rawvideo", "yuyv422", "P", ""),
        ("ffv1", "yuv420p", "B", "auto"),
    ],
)
def test_the_first_frame_or_the_container_tells_the_fields(
    codec: str, description: str, first_frame: str, fields: str
) -> None:
    assert find_fields(codec, description, first_frame) == fields


def test_a_recording_with_the_top_field_first_loses_its_combs(shared: Path) -> None:
    source = probe(shared / "inputs/interlaced_tff.mp4")
    assert source.fields == "auto"
    whole = images(source)
    combed = images(replace(source, fields=""))
    assert len(whole) == len(combed) == 25
    assert sum(map(combs, whole)) < 0.8 * sum(map(combs, combed))
