"""What files are, by their content: each kind, under any name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from vidstyle.errors import InputError, Refusal, StyleError
from vidstyle.video.file_kind import identify
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image

if TYPE_CHECKING:
    from tests.helpers.clips import Clips

SHARED = {
    # name: (kind, frames)
    "anim_bigchunk_before_actl.png": ("animation", 6),
    "icc_p3.jpg": ("image", 1),
    "img.tga": ("image", 1),
    "pug.heic": ("image", 1),
    "raw_mjpeg_stream.mjpeg": ("video", 25),
    "shot%03d.webp": ("animation", 6),
    "display_p3_video.mp4": ("video", 5),
}

NAMES = [None, "a%03d.webp", "100%.jpg", "no suffix", "*.png", "film.mp4"]


def colours(frames: int, size: tuple[int, int] = (64, 48)) -> list[Image.Image]:
    return [Image.new("RGB", size, (20 * n, 255 - 20 * n, 90)) for n in range(frames)]


def frames_of(path: Path) -> tuple[str, list[np.ndarray]]:
    """The kind of an input, and the colour in the middle of each of its frames, in levels."""
    source = probe(path)
    images = [frame.image for frame in read(source, None)]
    return source.kind, [image[:, 20, 20].numpy() * 255 for image in images]


@pytest.mark.parametrize("name", SHARED)
def test_real_files_are_what_they_are(name: str, shared: Path) -> None:
    source = probe(shared / "inputs" / name)
    count = sum(1 for _ in read(source, (64, 48)))
    assert (source.kind, count) == SHARED[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["webp", "png", "gif"])
def test_an_animation_is_one_under_any_name(suffix: str, name: str | None, tmp_path: Path) -> None:
    path = tmp_path / (name or f"a.{suffix}")
    pictures = colours(4)
    options = {"lossless": True} if suffix == "webp" else {}
    pictures[0].save(
        path, suffix, save_all=True, append_images=pictures[1:], duration=80, **options
    )
    kind, middles = frames_of(path)
    assert (kind, len(middles)) == ("animation", 4)
    for number, middle in enumerate(middles):
        assert np.abs(middle - (20 * number, 255 - 20 * number, 90)).max() < 8  # a GIF's palette
    image = read_image(path, StyleError)
    assert np.abs(image[:, 20, 20].numpy() * 255 - middles[0]).max() < 1


@pytest.mark.parametrize("size", [5_000, 2_000_000])
def test_a_large_chunk_does_not_hide_an_animation(size: int, tmp_path: Path) -> None:
    pictures = colours(3)
    path = tmp_path / "a.png"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80)
    data = path.read_bytes()
    body = b"teSt" + np.random.default_rng(0).bytes(size)
    chunk = struct.pack(">I", size) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])  # behind the header
    kind, middles = frames_of(path)
    assert (kind, len(middles)) == ("animation", 3)


@pytest.mark.parametrize("name", [None, "a.jpg", "a%03d.jpg", "film"])
def test_jpegs_one_after_another_are_a_film(name: str | None, clips: Clips) -> None:
    path = clips.pattern("a.mjpeg", "-f", "mjpeg", frames=7)
    path = path.rename(path.with_name(name)) if name else path
    kind, middles = frames_of(path)
    assert (kind, len(middles)) == ("video", 7)
    with pytest.raises(StyleError, match="it is a video"):
        read_image(path, StyleError)


@pytest.mark.parametrize("kind", ["film behind it", "index", "other size", "text behind it"])
def test_a_photo_with_more_in_its_file_is_a_photo(kind: str, clips: Clips) -> None:
    path = clips.folder / "photo.jpg"
    first, second = colours(2)
    first.save(path)
    if kind == "film behind it":
        extra = clips.pattern("film.mp4").read_bytes()
    elif kind == "text behind it":
        extra = b"more " * 50
    else:
        small = clips.folder / "small.jpg"
        second.resize((16, 16)).save(small)
        extra = small.read_bytes()
    path.write_bytes(path.read_bytes() + extra)
    if kind == "index":
        first.save(path, "MPO", save_all=True, append_images=[second])
    assert [len(frames_of(path)[1]), frames_of(path)[0]] == [1, "image"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "jp2", "avif", "heic"])
@pytest.mark.parametrize("name", NAMES)
def test_a_still_is_one_under_any_name(suffix: str, name: str | None, tmp_path: Path) -> None:
    path = tmp_path / f"plain.{suffix}"
    if suffix == "heic":
        pillow_heif.from_pillow(colours(1)[0]).save(path, quality=95)
    else:
        colours(1)[0].save(path)
    path = path.rename(tmp_path / name) if name else path
    kind, middles = frames_of(path)
    assert (kind, len(middles)) == ("image", 1)
    assert np.abs(middles[0] - (0, 255, 90)).max() < 6


@pytest.mark.parametrize("name", ["a.jxl", "a%03d.jxl", "photo.png"])
def test_jpeg_xl_is_read_or_refused(name: str, clips: Clips) -> None:
    from vidstyle.video import ffmpeg

    if "libjxl" not in ffmpeg.encoders():
        pytest.skip("this ffmpeg has no libjxl")
    path = clips.pattern("plain.jxl", frames=1)
    path = path.rename(path.with_name(name))
    kind, middles = frames_of(path)
    assert (kind, len(middles)) == ("image", 1)


def directory(entries: dict[int, tuple[int, int]], following: int = 0) -> bytes:
    """A directory of a TIFF in Intel's order: tag -> (type, value)."""
    body = struct.pack("<H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        body += struct.pack("<HHII", tag, kind, 1, value)
    return body + struct.pack("<I", following)


def raw_file(kind: str) -> bytes:
    """A file as cameras write it: first a thumbnail that any reader shows, then the sensor's values
    in a directory below.
    """
    if kind == "cr2":
        return b"II*\0\x10\0\0\0CR\x02\0" + bytes(4) + directory({256: (4, 64), 257: (4, 48)})
    if kind in ("raf", "rw2", "orf", "cr3"):
        beginnings = {"raf": b"FUJIFILMCCD-RAW 0201", "rw2": b"IIU\0", "orf": b"IIRO"}
        return beginnings.get(kind, b"\0\0\0\x18ftypcrx \0\0\0\1") + bytes(4000)
    width, height = 64, 48
    at = 8 + 2 + 12 * 11 + 4
    sensor = {262: (3, 32803)} if kind in ("nef", "dng") else {259: (3, 32767)}
    sub = directory({256: (4, 640), 257: (4, 480), **sensor})
    described = {254: (4, 1), 256: (4, width), 257: (4, height), 258: (3, 8), 259: (3, 1)}
    placed = {262: (3, 1), 273: (4, at + len(sub)), 277: (3, 1), 278: (4, height)}
    thumbnail = {**described, **placed, 279: (4, width * height), 330: (4, at)}
    first = directory(thumbnail)
    assert 8 + len(first) == at
    return b"II*\0\x08\0\0\0" + first + sub + bytes(range(256)) * (width * height // 256)


@pytest.mark.parametrize("kind", ["nef", "dng", "arw", "cr2", "cr3", "raf", "rw2", "orf"])
@pytest.mark.parametrize("suffix", [None, ".tif", ".jpg"])
def test_a_cameras_raw_file_is_refused(kind: str, suffix: str | None, tmp_path: Path) -> None:
    path = tmp_path / f"DSC_0001{suffix or '.' + kind}"
    path.write_bytes(raw_file(kind))
    for error in (InputError, StyleError):
        with pytest.raises(error, match="raw file") as caught:
            probe(path) if error is InputError else read_image(path, error)
        assert str(caught.value).count("\n") == 2
        assert "develop it" in caught.value.hint


def test_a_real_raw_file_is_refused(shared: Path) -> None:
    path = shared / "inputs" / "camera_raw_minimal.dng"
    with pytest.raises(InputError, match=r"raw file \(DNG\)"):
        probe(path)
    with pytest.raises(StyleError, match=r"raw file \(DNG\)"):
        read_image(path, StyleError)


@pytest.mark.parametrize("error", [InputError, StyleError])
def test_an_ordinary_tiff_is_no_raw_file(error: type[Refusal], tmp_path: Path) -> None:
    colours(1)[0].save(tmp_path / "a.tif", compression="tiff_lzw")
    assert identify(tmp_path / "a.tif", error).kind == "image"


@pytest.mark.parametrize("codec", ["mpeg2video", "h264", "mpeg1video"])
def test_streams_without_a_container_are_films_and_no_stills(codec: str, clips: Clips) -> None:
    # Their beginnings make sense as a TGA.
    options = {"mpeg2video": "vob", "h264": "h264", "mpeg1video": "mpeg"}
    path = clips.pattern("a.bin", "-f", options[codec], rate="25", frames=5)
    assert probe(path).kind == "video"


def test_a_still_that_ffmpeg_knows_by_its_name_is_no_series(tmp_path: Path) -> None:
    one, other = colours(2)
    other.save(tmp_path / "a001.pcx")
    one.save(tmp_path / "a%03d.pcx")
    kind, middles = frames_of(tmp_path / "a%03d.pcx")
    assert (kind, len(middles)) == ("image", 1)
    assert np.abs(middles[0] - (0, 255, 90)).max() < 1
