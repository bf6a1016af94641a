"""Stills: as an input of one frame, and as a style."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from vidstyle.errors import InputError, Refusal, StyleError
from vidstyle.video import image_io
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image

if TYPE_CHECKING:
    from tests.helpers.clips import Clips


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp", "ppm"])
def test_a_still_is_read_as_it_was_written(kind: str, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if kind == "webp" else []
    path = tmp_path / f"a.{kind}"
    cv2.imwrite(str(path), picture[..., ::-1], options)
    image = read_image(path, StyleError)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    assert torch.equal(image, torch.from_numpy(picture).permute(2, 0, 1) / 255)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((20, 30, 3), 40_000, np.uint16),
        np.full((20, 30), 40_000, np.uint16),
        np.dstack([np.full((20, 30, 3), 40_000, np.uint16), np.zeros((20, 30), np.uint16)]),
    ],
    ids=["16 bit", "16 bit grey", "transparent"],
)
def test_deep_grey_and_transparent_pngs_become_three_channels(
    picture: np.ndarray, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    image = read_image(tmp_path / "a.png", StyleError)
    assert image.shape == (3, 20, 30)
    assert torch.allclose(image, torch.tensor(40_000 / 65535))


def test_a_photo_is_turned_as_its_exif_says_once(tmp_path: Path) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :30] = 255
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    # Orientation 6: turn clockwise
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    body = b"Exif\0\0" + tiff
    path = tmp_path / "phone.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:])
    source = probe(path)
    assert (source.kind, source.width, source.height) == ("image", 40, 60)
    image = next(read(source, None)).image
    assert image.shape == (3, 60, 40)
    assert image[0, :28, 22:].mean() > 0.95
    assert image[0, :28, :18].mean() < 0.05


def test_the_first_frame_of_a_gif_is_a_style(clips: Clips) -> None:
    path = clips.pattern("a.gif", frames=3)
    first = next(read(probe(path), None)).image
    assert (read_image(path, StyleError) - first).abs().max() < 1 / 255


@pytest.mark.parametrize("size", [(30, 20), (100, 60), (64, 48)])
def test_a_still_is_resized_like_a_frame(size: tuple[int, int], clips: Clips) -> None:
    frames = list(read(probe(clips.pattern("a.png", frames=1)), size))
    assert [(frame.index, frame.image.shape) for frame in frames] == [(0, (3, size[1], size[0]))]
    film = next(read(probe(clips.pattern("a.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0")), size)).image
    assert (frames[0].image - film).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("missing.png", None, "there is no such file"),
        ("empty.png", b"", "the file is empty"),
        ("text.png", b"no picture " * 50, "as an image"),
        ("torn.png", b"\x89PNG\r\n\x1a\n" + bytes(300), "damaged or cut short"),
        ("torn.jpg", b"\xff\xd8\xff\xe0" + bytes(300), "damaged or cut short"),
    ],
)
@pytest.mark.parametrize("error", [StyleError, InputError])
def test_a_broken_image_is_refused(
    name: str,
    content: bytes | None,
    line: str,
    error: type[Refusal],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error) as caught:
        read_image(path, error)
    assert line in str(caught.value)
    assert path.name in caught.value.what
    assert str(caught.value).count("\n") == 2
    assert capfd.readouterr().err == ""  # libraries keep quiet


@pytest.mark.parametrize("name", ["film.mp4", "folder"])
def test_a_film_or_a_folder_is_no_style(name: str, clips: Clips) -> None:
    path = clips.folder / name
    if name == "folder":
        path.mkdir()
    else:
        clips.pattern(name)
    with pytest.raises(StyleError, match=r"it is a (video|directory)"):
        read_image(path, StyleError)


def test_a_jpeg_with_data_behind_it_is_whole_and_one_cut_short_is_not() -> None:
    ok, data = cv2.imencode(".jpg", np.full((40, 50, 3), 120, np.uint8))
    assert ok
    jpeg = data.tobytes()
    assert image_io.decode_image(jpeg + b"ftypmp42" + b"\xff\xda" + bytes(100)) is not None
    assert image_io.decode_image(jpeg[:-2]) is None
