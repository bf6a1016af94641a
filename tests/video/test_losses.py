"""What a file says of its film comes along, or its loss is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.writing import STYLE, packets, pictures, report
from vidstyle.video import ffmpeg, write
from vidstyle.video.delivery import Delivery, DeliveryRequest, plan_delivery
from vidstyle.video.description import read_description
from vidstyle.video.losses import list_lost_data
from vidstyle.video.probe import Source, Stream, probe
from vidstyle.video.scan import scan
from vidstyle.video.track_trial import try_delivery

if TYPE_CHECKING:
    from tests.helpers.clips import Clips

PHONE = {
    "com.apple.quicktime.location.ISO6709": "+48.1-011.5/",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 15",
    "com.apple.quicktime.creationdate": "2024-05-01T12:00:00+0200",
}


def planned(path: Path, extension: str, *, is_part: bool = False) -> tuple[Source, Delivery]:
    source = probe(path)
    request = DeliveryRequest(STYLE, path.with_name(f"out{extension}"), is_part=is_part)
    return source, try_delivery(plan_delivery(source, request), source)


def delivered(source: Source, delivery: Delivery, folder: Path) -> Path:
    timeline = scan(source).timeline
    size = (source.width, source.height)
    frames = pictures(folder / "frames", len(timeline), size)
    film = write.FinishedFilm(frames, timeline, delivery, source)
    return write.encode_film(film, folder, lambda pid, path: None).replace(delivery.path)


def phone_film(clips: Clips, name: str = "phone.mov") -> Path:
    tags = [word for key, value in PHONE.items() for word in ("-metadata", f"{key}={value}")]
    return clips.pattern(name, *tags, "-movflags", "use_metadata_tags", audio=1.0)


def with_cover(clips: Clips, name: str) -> Path:
    film = clips.pattern("plain.mp4", audio=1.0)
    cover = clips.make("cover.jpeg", "-f", "lavfi", "-i", "testsrc=s=32x32", "-frames:v", "1")
    inputs = ["-i", ffmpeg.local(film)]
    if name.endswith(".mkv"):
        attached = ["-attach", ffmpeg.local(cover), "-metadata:s:t", "mimetype=image/jpeg"]
        return clips.make(name, *inputs, "-map", "0", "-c", "copy", *attached)
    maps = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic"]
    return clips.make(name, *inputs, "-i", ffmpeg.local(cover), *maps)


def cover_bytes(path: Path) -> bytes:
    """The cover of a file, as it is stored."""
    index = next(stream.index for stream in probe(path).streams if stream.kind == "cover")
    out, _ = ffmpeg.run(
        [
            "-i",
            ffmpeg.local(path),
            "-map",
            f"0:{index}",
            "-c",
            "copy",
            "-f",
            "image2pipe",
            "pipe:1",
        ],
        "no cover",
    )
    return out


@pytest.mark.parametrize("extension", [".mov", ".mp4", ".mkv"])
def test_what_a_phone_writes_of_a_recording_is_kept(
    clips: Clips, tmp_path: Path, extension: str
) -> None:
    source, delivery = planned(phone_film(clips), extension)
    assert delivery.notes == ()
    said = report(delivered(source, delivery, tmp_path)).lower()
    for key, value in PHONE.items():
        assert re.search(rf"{re.escape(key.lower())} *: {re.escape(value.lower())}", said)


@pytest.mark.parametrize("extension", [".ts", ".avi"])
def test_metadata_without_a_place_is_named(clips: Clips, extension: str) -> None:
    source = probe(phone_film(clips))
    request = DeliveryRequest(STYLE, clips.folder / f"out{extension}")
    notes = plan_delivery(source, request).notes
    assert any("com.apple.quicktime.make" in note and "left out" in note for note in notes)


def test_other_metadata_is_written_as_before(clips: Clips) -> None:
    source = probe(clips.pattern("titled.mp4", "-metadata", "title=A film"))
    delivery = plan_delivery(source, DeliveryRequest(STYLE, clips.folder / "out.mp4"))
    assert "+use_metadata_tags" not in delivery.options
    assert delivery.notes == ()


@pytest.mark.parametrize("inside", ["film.mp4", "film.mkv"])
@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_a_cover_comes_along_bit_for_bit(
    clips: Clips, tmp_path: Path, inside: str, extension: str
) -> None:
    clip = with_cover(clips, inside)
    source, delivery = planned(clip, extension)
    assert delivery.notes == delivery.warnings == ()
    output = delivered(source, delivery, tmp_path)
    assert cover_bytes(output) == cover_bytes(clip)
    assert len(packets(output, "V:0", decode=True)) == 10
    sound = [one[2] for one in packets(output, "a", decode=False)]
    assert sound == [one[2] for one in packets(clip, "a", decode=False)]


def test_a_cover_that_does_not_fit_is_told(clips: Clips) -> None:
    source = probe(with_cover(clips, "film.mp4"))
    delivery = plan_delivery(source, DeliveryRequest(STYLE, clips.folder / "out.ts"))
    assert "cover stream 2 (mjpeg) is left out: ts does not take it" in delivery.notes


@pytest.mark.parametrize("extension", [".mov", ".mp4", ".mkv"])
def test_the_time_code_of_a_whole_film_is_kept(
    clips: Clips, tmp_path: Path, extension: str
) -> None:
    clip = clips.pattern("coded.mov", "-timecode", "01:02:03:04", rate="25")
    source, delivery = planned(clip, extension)
    assert source.description.time_code == "01:02:03:04"
    assert delivery.notes == ()
    output = delivered(source, delivery, tmp_path)
    assert probe(output).description.time_code == "01:02:03:04"
    assert len(packets(output, "V:0", decode=True)) == 10


@pytest.mark.parametrize(
    ("extension", "is_part", "why"),
    [(".mov", True, "only a part"), (".ts", False, "no place"), (".avi", False, "no place")],
)
def test_a_time_code_that_is_left_out_is_told(
    clips: Clips, extension: str, is_part: bool, why: str
) -> None:
    clip = clips.pattern("coded.mov", "-timecode", "01:02:03:04", rate="25")
    source = probe(clip)
    request = DeliveryRequest(STYLE, clips.folder / f"out{extension}", is_part=is_part)
    delivery = plan_delivery(source, request)
    assert delivery.time_code == ""
    assert any("time code 01:02:03:04" in note and why in note for note in delivery.notes)


def test_pictures_of_360_degrees_are_told(shared: Path, tmp_path: Path) -> None:
    source = probe(shared / "inputs/fate_spherical.mp4")
    delivery = plan_delivery(source, DeliveryRequest(STYLE, tmp_path / "out.mp4"))
    assert len(delivery.notes) == 1
    assert "equirectangular" in delivery.notes[0]


@pytest.mark.parametrize("name", ["tmcd.mov", "iphone_mdta_keys.mov", "mp4_cover_art.mp4"])
def test_files_of_cameras_and_shops_lose_nothing(shared: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / name
    copy.write_bytes((shared / "inputs" / name).read_bytes())
    source, delivery = planned(copy, copy.suffix)
    assert delivery.notes == delivery.warnings == ()
    output = probe(delivered(source, delivery, tmp_path))
    assert set(source.description.keys) <= set(output.description.keys)
    assert output.description.time_code == source.description.time_code
    kinds = sorted(stream.kind for stream in source.streams)
    assert sorted(stream.kind for stream in output.streams) == kinds


def test_data_is_named_by_what_it_means() -> None:
    streams = (
        Stream(0, "video", "h264"),
        Stream(1, "data", "none", tag="tmcd"),
        Stream(2, "data", "bin_data", tag="gpmd"),
        Stream(3, "data", "none", tag="mebx"),
        Stream(4, "data", "none", tag="mebx"),
        Stream(5, "data", "klv"),
        Stream(6, "data", "bin_data", tag="text"),
        Stream(7, "data", "bin_data"),
    )
    assert list_lost_data(streams) == [
        "data (gpmd), telemetry of the camera, is left out",
        "data (mebx x 2), timed metadata of the camera, are left out",
        "data (klv), telemetry, is left out",
        "data (bin_data) is left out",
    ]


def test_flat_pictures_are_no_stereo() -> None:
    header = (
        "Input #0, mov, from '':\n  Metadata:\n"
        "    major_brand     : qt\n    title           : A: B\n"
        "    odd key         : 1\n  Duration: 00:00:01.00, start: 0.000000, bitrate: 1 kb/s\n"
        "  Stream #0:0: Video: h264\n    Side data:\n      Stereo 3D: {}, view: packed\n"
    )
    flat = read_description(header.format("2D"))
    assert (flat.keys, flat.time_code, flat.side_data) == (("title", "odd key"), "", ())
    deep = read_description(header.format("side by side"))
    assert deep.side_data == ("Stereo 3D: side by side, view: packed",)
