"""The output: its frames, their times, and the sound beside them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from vidstyle.errors import EncodeError
from vidstyle.frames import Timeline
from vidstyle.video import ffmpeg, write
from vidstyle.video.containers import Track
from vidstyle.video.delivery import (
    CODECS,
    DeliveryRequest,
    plan_delivery,
    plan_plain_mp4,
)
from vidstyle.video.probe import probe

if TYPE_CHECKING:
    from tests.helpers.clips import Clips
from tests.helpers.writing import (
    MILLISECOND,
    STYLE,
    packets,
    pictures,
    render,
    report,
    sound_at,
    start,
    variable,
)

CASES = [
    *[(".mp4", codec) for codec in ("h264", "hevc", "vp9", "av1")],
    (".m4v", "h264"),
    *[(".mov", codec) for codec in ("h264", "hevc", "prores")],
    *[(".mkv", codec) for codec in CODECS],
    *[(".webm", codec) for codec in ("vp9", "av1")],
    *[(".avi", codec) for codec in ("h264", "ffv1")],
    *[(".ts", codec) for codec in ("h264", "hevc")],
]


@pytest.mark.parametrize(("extension", "codec"), CASES)
def test_every_codec_in_every_container_keeps_frames_times_tags_and_shape(
    clips: Clips, extension: str, codec: str
) -> None:
    clip = clips.pattern("in.mp4", rate="24000/1001", frames=12, size=(65, 49))
    sar = Fraction(128, 117)
    path, _, timeline = render(clip, clips.folder / f"out{extension}", codec, sar=sar)
    shown = packets(path, "v", decode=True)
    begin = start(path)
    assert len(shown) == 12
    for got, want in zip(shown, timeline.pts, strict=True):
        assert abs(got[0] - begin - want) <= MILLISECOND
    assert abs(shown[-1][1] - timeline.last_duration) <= MILLISECOND
    described = report(path)
    assert "65x49" in described
    assert "23.98 fps" in described
    if (extension, codec) != (".avi", "ffv1"):  # neither of the two has a place for it
        assert re.search(r"\(tv, bt709(, progressive)?\)", described)
    # Matroska stores the shape as whole pixels.
    assert f"SAR {sar.numerator}:{sar.denominator}" in described or extension in (".mkv", ".webm")


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_variable_rate_a_late_video_and_the_sound_keep_their_times(
    clips: Clips, extension: str
) -> None:
    clip = variable(clips, "in.mp4", 28_890)
    path, source, timeline = render(clip, clips.folder / f"out{extension}")
    assert timeline.rate is None
    assert timeline.pts[0] == 28_890
    begin = start(path)
    shown = packets(path, "v", decode=True)
    assert (
        max(abs(got[0] - begin - want) for got, want in zip(shown, timeline.pts, strict=True))
        <= MILLISECOND
    )
    assert abs(shown[-1][1] - timeline.last_duration) <= MILLISECOND
    assert sound_at(path) == pytest.approx(
        [ms + 1000 * begin / 90_000 for ms in range(0, 2600, 500)], abs=1
    )
    if extension != ".webm":  # which does not take AAC
        sound = [packet[2] for packet in packets(path, "a", decode=False)]
        assert sound == [packet[2] for packet in packets(source.path, "a", decode=False)]


def test_the_last_frame_of_a_variable_rate_lasts_as_long_as_the_sources(clips: Clips) -> None:
    clip = clips.timed("in.mp4", "N*N*900", "-c:v", "ffv1", "-f", "matroska", last=20_000)
    source = probe(clip)
    timeline = Timeline((0, 900, 3600, 8100), 45_000, None, Fraction(10))
    frames = pictures(clips.folder / "frames", 4, (64, 48))
    for extension in (".mp4", ".mkv", ".webm"):
        request = DeliveryRequest(STYLE, clips.folder / f"out{extension}")
        film = write.FinishedFilm(frames, timeline, plan_delivery(source, request), source)
        path = write.encode_film(film, clips.folder, lambda *_: None)
        path = path.replace(film.delivery.path)
        assert abs(packets(path, "v", decode=True)[-1][1] - 45_000) <= MILLISECOND
        duration = re.search(r"Duration: 00:00:([\d.]+)", report(path))
        assert duration
        assert float(duration[1]) == pytest.approx(0.59, abs=0.011)


@pytest.mark.parametrize(
    ("codec", "field", "most"), [("h264", "level_idc", 21), ("hevc", "general_level_idc", 63)]
)
@pytest.mark.parametrize("kind", ["constant", "variable"])
def test_the_level_is_that_of_the_picture_and_not_of_the_ticks(
    clips: Clips, codec: str, field: str, most: int, kind: str
) -> None:
    clip = clips.pattern("in.mp4") if kind == "constant" else variable(clips, "in.mp4", 0)
    path, _, _ = render(clip, clips.folder / "out.mp4", codec)
    args = [
        "-i",
        ffmpeg.local(path),
        "-map",
        "0:v",
        "-c",
        "copy",
        "-bsf:v",
        "trace_headers",
        "-f",
        "null",
        "-",
    ]
    _, trace = ffmpeg.run(args, "no headers", level="info")
    levels = [int(level) for level in re.findall(rf" {field}\b.*= (\d+)", trace)]
    assert levels
    assert max(levels) <= most


def test_a_matroska_file_of_variable_rate_declares_no_ninety_thousand_frames_per_second(
    clips: Clips,
) -> None:
    path, _, _ = render(variable(clips, "in.mp4", 0), clips.folder / "out.mkv")
    declared = re.search(r"Video:.*?, (\S+) fps", report(path))
    assert declared is None or 10 < float(declared[1]) < 61


@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".webm", ".mov"])
@pytest.mark.parametrize("begin", [Fraction(3, 5), Fraction(0), Fraction(11, 10)])
def test_a_part_counts_from_its_begin_with_sound_and_subtitles(
    clips: Clips, extension: str, begin: Fraction
) -> None:
    words = clips.folder / "words.srt"
    words.write_text(
        "1\n00:00:00,500 --> 00:00:01,000\nhello\n\n2\n00:00:01,500 --> 00:00:02,200\nworld\n\n"
    )
    chapters = clips.folder / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\ntitle=my film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1300\ntitle=one\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1300\nEND=2600\ntitle=two\n"
    )
    both = [
        "-i",
        str(words),
        "-i",
        str(chapters),
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-map",
        "2:s",
        "-map_metadata",
        "3",
    ]
    clip = variable(clips, "in.mp4", 28_890, *both, "-c:s", "mov_text")
    path, _, timeline = render(
        clip, clips.folder / f"out{extension}", trim=(begin, Fraction(9, 10))
    )
    shown = packets(path, "v", decode=True)
    assert (
        max(abs(g[0] - w + begin * 90_000) for g, w in zip(shown, timeline.pts, strict=True))
        <= MILLISECOND
    )
    clicks = [
        ms for ms in sound_at(path) if 15 < ms < 880
    ]  # the decoder's first packet is faded in
    assert clicks == pytest.approx(
        [ms for ms in (500 - 1000 * begin + 500 * i for i in range(5)) if 15 < ms < 880], abs=1
    )
    out, _ = ffmpeg.run(
        ["-copyts", "-i", ffmpeg.local(path), "-map", "0:s", "-f", "srt", "pipe:1"], "no subtitles"
    )
    said = re.findall(r"00:00:(\d\d),(\d\d\d) --> 00:00:(\d\d),(\d\d\d)\n(\w+)", out.decode())
    expected = [
        (max(0, first - 1000 * begin), last - 1000 * begin, text)
        for first, last, text in ((500, 1000, "hello"), (1500, 2200, "world"))
        if last > 1000 * begin and first < 1000 * begin + 900
    ]
    assert [text for *_, text in said] == [text for *_, text in expected]
    for (s1, ms1, s2, ms2, _), (first, last, _) in zip(said, expected, strict=True):
        assert [int(s1 + ms1), int(s2 + ms2)] == pytest.approx([float(first), float(last)], abs=1)
    out, _ = ffmpeg.run(["-i", ffmpeg.local(path), "-f", "ffmetadata", "pipe:1"], "no metadata")
    assert b"title=my film" in out
    assert b"title=two" in out or begin < Fraction(2, 5)


def test_a_transport_stream_keeps_the_offset_although_its_clock_begins_anywhere(
    clips: Clips,
) -> None:
    clip = variable(
        clips, "in.ts", 1890, "-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-c:a", "mp2"
    )
    path, _, timeline = render(clip, clips.folder / "out.mp4")
    begin = start(path)
    assert timeline.pts[0] > 0
    for got, want in zip(packets(path, "v", decode=True), timeline.pts, strict=True):
        assert abs(got[0] - begin - want) <= MILLISECOND
    shift = sound_at(path)[0] - sound_at(clip)[0] + 1000 * (start(clip) - begin) / 90_000
    assert shift == pytest.approx(0, abs=1)


def test_streams_the_container_does_not_take_are_converted(clips: Clips) -> None:
    sound = [
        "-f",
        "lavfi",
        "-i",
        "anoisesrc=d=1",
        "-af",
        "pan=5.1(side)|c0=c0|c1=c0",
        "-c:a",
        "ac3",
    ]
    clip = clips.make("in.mkv", "-f", "lavfi", "-i", "testsrc=s=64x48:d=1", *sound)
    path, _, _ = render(clip, clips.folder / "out.webm")
    assert re.search(r"Audio: opus.*5\.1", report(path))


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_sound_that_is_converted_keeps_its_times_next_to_a_constant_rate(
    clips: Clips, codec: str
) -> None:
    """The encoders of sound must not count in frames of the film."""
    clicks = ["-f", "lavfi", "-i", "aevalsrc=0.9*lt(mod(t\\,0.5)\\,0.01):s=48000:d=2"]
    film = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2"]
    clip = clips.make("in.mp4", *film, *clicks, "-c:a", "aac")
    path, _, _ = render(clip, clips.folder / "out.webm", codec)
    assert sound_at(path) == pytest.approx(list(range(0, 2000, 500)), abs=15)
    times = [packet[0] for packet in packets(path, "a", decode=False)]
    # In Matroska's milliseconds.
    assert np.diff(times) == pytest.approx(20, abs=1)


def test_rotation_is_not_applied_twice(clips: Clips) -> None:
    upright = clips.pattern("upright.mp4", size=(64, 48), frames=3)
    clip = clips.make("in.mp4", "-display_rotation", "90", "-i", str(upright), "-c", "copy")
    path, source, _ = render(clip, clips.folder / "out.mp4")
    assert (source.width, source.height) == (48, 64)
    described = report(path)
    assert "48x64" in described
    assert "Display Matrix" not in described


COLOURS = np.array(
    [
        (1, 1, 1),
        (0, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (0.5, 0.5, 0.5),
        (0.2, 0.6, 0.9),
        (0.9, 0.7, 0.1),
    ]
)


@pytest.mark.parametrize(
    ("name", "codec", "crf"),
    [
        ("a.mp4", "h264", 4),
        ("b.mp4", "hevc", 6),
        ("c.mov", "prores", None),
        ("d.mkv", "ffv1", None),
        ("e.webm", "vp9", 4),
    ],
)
def test_colours_survive(clips: Clips, name: str, codec: str, crf: int | None) -> None:
    clip = clips.pattern("in.mp4", size=(256, 32), frames=3)
    frame = clips.folder / "patches.png"
    row = np.repeat(COLOURS, 32, axis=0)[:, ::-1]
    cv2.imwrite(str(frame), np.rint(np.tile(row, (32, 1, 1)) * 65535).astype(np.uint16))
    path, _, _ = render(clip, clips.folder / name, codec, crf=crf, frames=[frame] * 3)
    # By the tags of the file, in an equation of our own.
    form, kind, unit = ("yuv444p", "u1", 1) if crf else ("yuv444p16le", "<u2", 256)
    args = [
        "-i",
        ffmpeg.local(path),
        "-vf",
        f"scale=flags=neighbor,format={form}",
        "-f",
        "rawvideo",
        "pipe:1",
    ]
    raw = (
        np.frombuffer(ffmpeg.run(args, "no picture")[0], kind).reshape(-1, 3, 32, 256).astype(float)
        / unit
    )
    centres = np.stack([raw[1, :, 8:24, x + 8 : x + 24].mean((1, 2)) for x in range(0, 256, 32)], 1)
    y, cb, cr = (centres[0] - 16) / 219, (centres[1] - 128) / 224, (centres[2] - 128) / 224
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    assert np.abs(np.stack([red, green, blue], 1) - COLOURS).max() * 255 < 1


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "h264"),
        ("a.mkv", "hevc"),
        ("a.webm", "vp9"),
        ("a.mp4", "av1"),
        ("a.mkv", "ffv1"),
        ("a.gif", None),
    ],
)
def test_the_same_frames_give_the_same_bytes(clips: Clips, name: str, codec: str | None) -> None:
    clip = clips.pattern("in.mp4", audio=1.0)
    digests = set()
    for again in ("x", "y"):
        path, _, _ = render(clip, clips.folder / f"{again}{name}", codec)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.slow
def test_real_clips_keep_their_frames_times_and_sound(shared: Path, tmp_path: Path) -> None:
    for given in sorted((shared / "clips").iterdir()):
        clip = tmp_path / given.name
        clip.symlink_to(given)
        path, source, timeline = render(clip, tmp_path / f"out{given.suffix}", size=(64, 48))
        begin = start(path)
        shown = packets(path, "v", decode=True)
        assert len(shown) == len(timeline), given.name
        off = max(abs(got[0] - begin - want) for got, want in zip(shown, timeline.pts, strict=True))
        assert off <= MILLISECOND, given.name
        if any(stream.kind == "audio" for stream in source.streams):
            copied = [packet[2] for packet in packets(path, "a:0", decode=False)]
            assert copied == [packet[2] for packet in packets(given, "a:0", decode=False)], (
                given.name
            )
            at = [packets(file, "a:0", decode=True)[0][0] - start(file) for file in (path, given)]
            assert abs(at[0] - at[1]) <= MILLISECOND, given.name


@pytest.mark.parametrize(
    ("complaint", "index"),
    [
        ("Could not find tag for codec eac3 in stream #1, codec not currently supported", 3),
        ("Error initializing output stream 0:2 -- ", 5),
        ("Error while decoding stream #1:5: Invalid data found", 5),
        ("Error submitting a packet to the muxer: Invalid argument", None),
        ("Could not find tag for codec png in stream #0", None),
    ],
)
def test_a_failed_delivery_names_the_track(
    tmp_path: Path, complaint: str, index: int | None
) -> None:
    plain = plan_plain_mp4(tmp_path / "out.mp4")
    tracks = (Track(3, "audio"), Track(5, "subtitle", "mov_text"))
    found = write.find_failed_track(complaint, replace(plain, tracks=tracks))
    assert (found and found.index) == index


def test_a_delivery_that_fails_says_how_to_leave_the_track_out(
    clips: Clips, tmp_path: Path
) -> None:
    sound = ["-f", "lavfi", "-i", "sine=d=1:r=11025"]
    picture = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=1"]
    clip = clips.make("low.mkv", *picture, *sound, "-c:a", "libmp3lame", "-ar", "11025")
    with pytest.raises(EncodeError) as caught:
        render(clip, tmp_path / "out.mp4")
    assert "--audio none" in caught.value.hint
    assert "audio stream 1" in caught.value.why
