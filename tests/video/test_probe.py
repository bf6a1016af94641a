from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from vidstyle.errors import InputError
from vidstyle.video import ffmpeg
from vidstyle.video.probe import probe

if TYPE_CHECKING:
    from tests.helpers.clips import Clips

SHARED = {
    # name: (shown size, pixel aspect, start, matrix, range, bits)
    "alpha.webm": ((200, 200), "1", "0", "bt470bg", "tv", 8),
    "av1_640x360.mkv": ((640, 360), "1", "0", "bt709", "tv", 8),
    "bedroom_960x540.mp4": ((960, 540), "1", "0", "bt470bg", "tv", 8),
    "bikes_640x272_six_shots.mp4": ((640, 272), "1", "0", "smpte170m", "tv", 8),
    "bt2020_pq_10bit_320x240.mp4": ((320, 240), "1", "0", "bt2020nc", "tv", 10),
    "bt709_full_range_1280x720.mp4": ((1280, 720), "1", "0", "bt709", "pc", 8),
    "bunny_1280x720_1s_audio.webm": ((1280, 720), "1", "0", "bt470bg", "tv", 8),
    "carphone_176x144_sar128-117.mp4": ((176, 144), "128/117", "0", "smpte170m", "tv", 8),
    "cups_1280x720_audio.mp4": ((1280, 720), "1", "0", "bt709", "tv", 8),
    "edit_list_start_5s_320x240.mp4": ((320, 240), "1", "5", "smpte170m", "tv", 8),
    "nasa_320x180_two_video_streams_audio.mp4": ((320, 180), "1", "0", "bt709", "tv", 8),
    "nasa_rotated90_480x270.mp4": ((270, 480), "1", "0", "bt709", "tv", 8),
    "odd_321x241_444.mp4": ((321, 241), "1", "0", "smpte170m", "tv", 8),
    "odd_321x241_vp9.mp4": ((321, 241), "1", "0", "smpte170m", "tv", 8),
    "start_at_8s_200x112.mp4": ((200, 112), "224/225", "8.333008", "smpte170m", "tv", 8),
    "wolf_512x512.mp4": ((512, 512), "1", "0", "smpte170m", "tv", 8),
}


@pytest.mark.parametrize("name", SHARED)
def test_real_clips_are_described_rightly(name: str, shared: Path) -> None:
    source = probe(shared / "clips" / name)
    size, sar, start, matrix, color_range, bits = SHARED[name]
    assert (source.width, source.height) == size
    assert source.sar == Fraction(sar)
    assert source.start == Fraction(start)
    assert (source.matrix, source.color_range, source.bits) == (matrix, color_range, bits)
    assert source.kind == "video"


def test_the_streams_are_listed_in_order_and_a_second_video_stream_is_warned_of(
    shared: Path,
) -> None:
    source = probe(shared / "clips" / "nasa_320x180_two_video_streams_audio.mp4")
    assert [stream.kind for stream in source.streams] == ["video", "audio", "subtitle"] * 2
    assert [stream.index for stream in source.streams] == list(range(6))
    assert source.video_stream == 0
    assert any("2 video streams" in warning for warning in source.warnings)


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        ((64, 48), "smpte170m"),
        ((720, 576), "bt470bg"),
        ((1280, 64), "bt709"),
        ((1000, 720), "bt709"),
        ((720, 1280), "bt709"),
    ],
)
def test_the_matrix_of_an_untagged_clip_follows_from_its_size(
    size: tuple[int, int], matrix: str, clips: Clips
) -> None:
    options = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
    source = probe(clips.pattern("untagged.mp4", *options, size=size, frames=1))
    assert (source.matrix, source.color_range, source.rgb) == (matrix, "tv", False)


@pytest.mark.parametrize(
    ("pixels", "codec", "expected"),
    [  # (rgb, alpha, bits, range)
        ("yuvj420p", "mjpeg", (False, False, 8, "pc")),
        ("yuv420p10le", "ffv1", (False, False, 10, "tv")),
        ("yuv422p12le", "ffv1", (False, False, 12, "tv")),
        ("yuva444p10le", "prores_ks", (False, True, 10, "tv")),
        ("gray", "ffv1", (False, False, 8, "pc")),
        ("gray16le", "ffv1", (False, False, 16, "pc")),
        ("bgr0", "ffv1", (True, False, 8, "pc")),
        ("bgra", "ffv1", (True, True, 8, "pc")),
        ("rgb24", "png", (True, False, 8, "pc")),
        ("rgba", "png", (True, True, 8, "pc")),
        ("rgb48be", "png", (True, False, 16, "pc")),
        ("gbrp", "ffv1", (True, False, 8, "pc")),
        ("gbrp12le", "ffv1", (True, False, 12, "pc")),
        ("gbrap10le", "ffv1", (True, True, 10, "pc")),
    ],
)
def test_pixel_formats_are_understood(
    pixels: str, codec: str, expected: tuple[bool, bool, int, str], clips: Clips
) -> None:
    source = probe(
        clips.pattern(
            "clip.mov" if codec != "ffv1" else "clip.mkv",
            "-c:v",
            codec,
            "-pix_fmt",
            pixels,
            frames=1,
        )
    )
    # prores carries alpha at 16 bit, and is decoded at the depth that ffmpeg's version decodes it
    # at.
    bits = source.bits if codec == "prores_ks" else expected[2]
    assert (source.rgb, source.has_alpha, source.bits, source.color_range) == (
        *expected[:2],
        bits,
        expected[3],
    )
    assert any("transparency" in warning for warning in source.warnings) is expected[1]


@pytest.mark.parametrize(
    ("transfer", "name"),
    [("smpte2084", "PQ"), ("arib-std-b67", "HLG"), ("bt709", None), ("bt2020-10", None)],
)
def test_hdr_is_warned_of(transfer: str, name: str | None, clips: Clips) -> None:
    tags = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
    tags += (
        "-vf",
        f"format=yuv420p10le,setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc",
    )
    source = probe(clips.pattern("hdr.mkv", "-c:v", "ffv1", *tags))
    assert source.hdr is (name is not None)
    assert [warning for warning in source.warnings if "HDR" in warning] == (
        [f"the video is HDR ({name}): it is tone-mapped to standard range"] if name else []
    )


@pytest.mark.parametrize(
    ("turn", "size"), [(0, (64, 48)), (90, (48, 64)), (180, (64, 48)), (270, (48, 64))]
)
def test_the_size_and_the_pixel_aspect_are_those_after_rotation(
    turn: int, size: tuple[int, int], clips: Clips
) -> None:
    upright = clips.pattern("upright.mp4", "-vf", "setsar=4/3")
    turned = clips.turned(upright, turn)
    source = probe(turned)
    assert (source.width, source.height) == size
    assert source.sar == (Fraction(4, 3) if turn % 180 == 0 else Fraction(3, 4))


def test_an_unusable_pixel_aspect_counts_as_square(clips: Clips) -> None:
    assert probe(clips.pattern("flat.mkv", "-vf", "setsar=200/1", "-c:v", "ffv1")).sar == 1


def test_the_start_is_that_of_the_earliest_stream(clips: Clips) -> None:
    late = clips.pattern(
        "late.mkv", "-c:v", "ffv1", "-c:a", "flac", before=("-itsoffset", "0.5"), audio=1.0
    )
    shifted = clips.make(
        "shifted.mkv", "-i", ffmpeg.local(late), "-c", "copy", "-output_ts_offset", "3"
    )
    assert probe(late).start == 0
    assert probe(shifted).start == 3


def test_the_declared_rate_is_exact(clips: Clips) -> None:
    assert probe(clips.pattern(rate="30000/1001")).nominal_rate == Fraction(30000, 1001)


def test_a_cover_picture_is_not_the_video(clips: Clips) -> None:
    cover = clips.pattern("cover.png", frames=1)
    film = clips.pattern("film.mp4", "-c:v", "libx264", size=(128, 96))
    both = clips.make(
        "both.mp4",
        *(
            "-i",
            ffmpeg.local(cover),
            "-i",
            ffmpeg.local(film),
            "-map",
            "0",
            "-map",
            "1",
            "-c",
            "copy",
        ),
        *("-disposition:v:0", "attached_pic"),
    )
    source = probe(both)
    assert (source.width, source.height) == (128, 96)
    assert source.streams[source.video_stream].codec == "h264"
    assert source.warnings == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(f"a.{name}", "animation") for name in ("gif", "apng")],
        *[(f"a.{name}", "image") for name in ("png", "jpg", "bmp", "tiff", "ppm", "webp")],
        *[(f"a.{name}", "video") for name in ("mkv", "mp4", "webm", "avi", "ts")],
    ],
)
@pytest.mark.parametrize("suffix", [None, ".mp4", ".png", ""])
def test_the_kind_is_told_by_content_and_not_by_name(
    name: str, kind: str, suffix: str | None, clips: Clips
) -> None:
    options = ("-c:v", "ffv1") if name.endswith("mkv") else ()
    path = clips.pattern(name, *options, frames=1 if kind == "image" else 3)
    path = path if suffix is None else path.rename(path.with_suffix(suffix))
    source = probe(path)
    assert (source.kind, source.width, source.height) == (kind, 64, 48)


@pytest.mark.parametrize(("opaque", "warns"), [(True, False), (False, True)])
@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.apng"])
def test_transparency_of_pictures_is_warned_of_only_where_something_shows_through(
    name: str, opaque: bool, warns: bool, clips: Clips
) -> None:
    holes = (
        "format=rgba"
        if opaque
        else "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,9),0,255)'"
    )
    if name == "a.gif":
        holes += ",split[a][b];[a]palettegen[p];[b][p]paletteuse"
    source = probe(clips.pattern(name, "-vf", holes, frames=1 if name == "a.png" else 3))
    assert source.has_alpha is warns
    assert bool(source.warnings) is warns


def test_a_sixteen_bit_png_keeps_its_depth(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((20, 30, 3), np.uint16))
    source = probe(tmp_path / "deep.png")
    assert (source.bits, source.width, source.height) == (16, 30, 20)


AWKWARD = [
    "-dash.{}",
    "a:b.{}",
    "frame%03d.{}",
    "100%.{}",
    "it's.{}",
    'say "hi".{}',
    "two words.{}",
    "naïve 日本.{}",
]
AWKWARD += [
    "back\\slash.{}",
    "[0:1];x,y.{}",
    "line\nbreak.{}",
    "from 'x': Stream #0:7: Video: no.{}",
]


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("suffix", ["mp4", "gif", "png"])
def test_any_file_name_works(
    name: str, suffix: str, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = clips.pattern(f"plain.{suffix}", frames=1)
    path = plain.rename(plain.with_name(name.format(suffix)))
    monkeypatch.chdir(path.parent)
    source = probe(Path(path.name))
    assert (source.width, source.height, len(source.streams)) == (64, 48, 1)


def spoil(clips: Clips, how: str) -> Path:
    """An input that cannot be rendered."""
    path = clips.folder / how.replace(" ", "_")
    if how == "directory":
        path.mkdir()
    elif how == "empty.mp4":
        path.write_bytes(b"")
    elif how in ("text.txt", "text.mp4", "text"):
        path.write_text("To be, or not to be, that is the question.\n" * 40)
    elif how == "noise.mp4":
        path.write_bytes(np.random.default_rng(0).bytes(20_000))
    elif how == "audio.m4a":
        return clips.make("audio.m4a", "-f", "lavfi", "-i", "sine=duration=1")
    elif how == "cover.mp3":
        cover = clips.pattern("cover.png", frames=1)
        tone = (
            "-f",
            "lavfi",
            "-i",
            "sine=duration=1",
            "-i",
            ffmpeg.local(cover),
            "-map",
            "0",
            "-map",
            "1",
        )
        return clips.make("cover.mp3", *tone, "-c:v", "copy", "-disposition:v:0", "attached_pic")
    elif how == "headless.mp4":
        whole = clips.pattern("whole.mp4")
        path.write_bytes(
            whole.read_bytes()[: whole.stat().st_size // 2]
        )  # the index stands at the end
    elif how == "torn.png":
        path.write_bytes(clips.pattern("whole.png", frames=1).read_bytes()[:400])
    elif how == "torn.jpg":
        path.write_bytes(clips.pattern("whole.jpg", frames=1).read_bytes()[:-300])
    elif how == "small.mp4":
        return clips.pattern("small.mp4", size=(64, 14))
    elif how == "small.png":
        return clips.pattern("small.png", size=(8, 64), frames=1)
    elif how == "remote.m3u8":
        path.write_text(
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
        )
    return path


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("missing.mp4", "there is no such file"),
        ("directory", "it is a directory"),
        ("empty.mp4", "the file is empty"),
        ("text.txt", "is not a video or an image"),
        ("text.mp4", "is not a video or an image"),
        ("text", "is not a video or an image"),
        ("noise.mp4", "is not a video or an image"),
        ("audio.m4a", "there is only audio in it"),
        ("cover.mp3", "there is only audio in it"),
        ("headless.mp4", "the file is cut short"),
        ("torn.png", "damaged or cut short"),
        ("torn.jpg", "damaged or cut short"),
        ("small.mp4", "64x14"),
        ("small.png", "8x64"),
        ("remote.m3u8", "only local files are opened"),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_its_reason(
    how: str, line: str, clips: Clips
) -> None:
    path = spoil(clips, how)
    with pytest.raises(InputError) as caught:
        probe(path)
    error = caught.value
    assert line in f"{error.what}\n{error.why}"
    assert path.name in error.what
    assert all(text and "\n" not in text for text in (error.why, error.hint))


def test_an_ffmpeg_that_crashes_is_named(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.pattern()
    fake = clips.folder / "crashing"
    fake.write_text("#!/bin/sh\nkill -SEGV $$\n")
    fake.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "find", lambda: ffmpeg.Tool(str(fake), "7.0", ""))
    with pytest.raises(InputError, match=r"ffmpeg 7\.0 crashed on it \(signal 11\)"):
        probe(path)


def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "closed.mp4"
    path.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        probe(path)


def insert_box(data: bytes, path: tuple[bytes, ...], box: bytes) -> bytes:
    """An MP4 with a box more at the end of the box that the path names."""
    headers = {b"stsd": 8, b"avc1": 78, b"hvc1": 78}  # what stands in a box before others
    begin = 0
    end = len(data)
    sizes = []
    for name in path:
        at = begin
        while data[at + 4 : at + 8] != name:
            at += int.from_bytes(data[at : at + 4], "big")
            assert at < end, name
        sizes.append(at)
        begin = at + 8 + headers.get(name, 0)
        end = at + int.from_bytes(data[at : at + 4], "big")
    changed = bytearray(data[:end] + box + data[end:])
    for at in sizes:
        size = int.from_bytes(data[at : at + 4], "big") + len(box)
        changed[at : at + 4] = size.to_bytes(4, "big")
    return bytes(changed)


@pytest.mark.parametrize(("profile", "compatibility"), [(5, 0), (8, 1), (8, 4), (10, 0)])
def test_dolby_vision_without_a_picture_for_others_is_refused(
    profile: int, compatibility: int, clips: Clips
) -> None:
    # The index stands at the end, so that no offset changes.
    path = clips.pattern(
        "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "-faststart"
    )
    record = bytes([1, 0, profile << 1, (1 << 3) | 0b101, compatibility << 4]) + bytes(19)
    box = (8 + len(record)).to_bytes(4, "big") + b"dvcC" + record
    boxes = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")
    path.write_bytes(insert_box(path.read_bytes(), boxes, box))
    if profile == 8:
        assert probe(path).width == 64
        return
    with pytest.raises(InputError, match=f"Dolby Vision profile {profile}") as caught:
        probe(path)
    assert str(caught.value).count("\n") == 2
