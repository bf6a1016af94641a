"""A frame file holds its pixels exactly, and nothing that is not that frame passes for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vidstyle.errors import RenderError
from vidstyle.storage import atomic, png16

PRINT = "0123456789abcdef"
SIZE = (13, 7)
INDEX = 42


def picture(size: tuple[int, int] = SIZE) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 65536, (size[1], size[0], 3), dtype=np.uint16)


def whole() -> bytes:
    return png16.encode_frame(picture(), PRINT, INDEX)


def sound(path: Path) -> bool:
    return png16.is_sound(path, PRINT, INDEX, SIZE)


def test_a_frame_comes_back_exactly_with_its_channels_in_order(tmp_path: Path) -> None:
    path = tmp_path / "000042.png"
    atomic.write_atomically(path, whole())
    assert sound(path)
    assert png16.decode_frame(path).dtype == np.uint16
    np.testing.assert_array_equal(png16.decode_frame(path), picture())


def test_the_file_is_a_png_that_other_programs_read_alike(tmp_path: Path) -> None:
    red = np.zeros((4, 5, 3), np.uint16)
    red[..., 0] = 65535
    path = tmp_path / "red.png"
    path.write_bytes(png16.encode_frame(red, PRINT, 0))
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[0, 0].tolist() == [
        0,
        0,
        65535,
    ]  # OpenCV's order: blue first


def test_a_truncated_file_is_never_sound(tmp_path: Path) -> None:
    path, data = tmp_path / "f.png", whole()
    passed = []
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if sound(path):
            passed.append(length)
    assert not passed


def test_a_file_with_one_wrong_byte_is_never_sound(tmp_path: Path) -> None:
    path, data = tmp_path / "f.png", whole()
    passed = []
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :])
        if sound(path):
            passed.append(at)
    assert not passed


@pytest.mark.parametrize("hole", [1, 512, 4096])
def test_a_file_whose_blocks_never_reached_the_disk_is_not_sound(tmp_path: Path, hole: int) -> None:
    data = png16.encode_frame(picture((90, 60)), PRINT, INDEX)
    middle = len(data) // 2
    (tmp_path / "f.png").write_bytes(data[:middle] + bytes(hole) + data[middle + hole :])
    assert not png16.is_sound(tmp_path / "f.png", PRINT, INDEX, (90, 60))


def eight_bit() -> bytes:
    return cv2.imencode(".png", (picture() // 257).astype(np.uint8))[1].tobytes()


def labelled(png: bytes) -> bytes:
    """`png` with the right label put in, so that only its picture is wrong."""
    at = png16.HEADER_END
    return png[:at] + png16.make_chunk(b"tEXt", png16.label_chunk_data(PRINT, INDEX)) + png[at:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: b"", id="zero length"),
        pytest.param(lambda: b"\0" * 500, id="zeros"),
        pytest.param(lambda: png16.PNG_SIGNATURE, id="signature alone"),
        pytest.param(
            lambda: b"not a picture at all, though longer than a PNG's header is", id="text"
        ),
        pytest.param(
            lambda: png16.encode_frame(picture((7, 13)), PRINT, INDEX), id="sides swapped"
        ),
        pytest.param(lambda: png16.encode_frame(picture((13, 8)), PRINT, INDEX), id="one row more"),
        pytest.param(
            lambda: png16.encode_frame(picture(), PRINT[::-1], INDEX), id="other fingerprint"
        ),
        pytest.param(lambda: png16.encode_frame(picture(), PRINT, INDEX + 1), id="other index"),
        pytest.param(
            lambda: png16.encode_frame(picture(), PRINT, 4),
            id="index that the right one begins with",
        ),
        pytest.param(
            cv2.imencode(".png", picture())[1].tobytes, id="foreign PNG of the right kind"
        ),
        pytest.param(lambda: labelled(eight_bit()), id="8 bit"),
        pytest.param(
            lambda: labelled(cv2.imencode(".png", picture()[..., 0])[1].tobytes()), id="grey"
        ),
        pytest.param(
            lambda: labelled(
                cv2.imencode(".png", np.dstack([picture(), picture()[..., :1]]))[1].tobytes()
            ),
            id="alpha",
        ),
        pytest.param(lambda: whole() + b"\0", id="something after the end"),
        pytest.param(lambda: whole() + whole(), id="twice"),
        pytest.param(
            cv2.imencode(".jpg", (picture() // 257).astype(np.uint8))[1].tobytes, id="JPEG"
        ),
    ],
)
def test_what_is_not_this_frame_is_not_sound(tmp_path: Path, data: Callable[[], bytes]) -> None:
    path = tmp_path / "f.png"
    path.write_bytes(data())
    assert not sound(path)


def test_a_missing_file_or_a_directory_is_not_sound(tmp_path: Path) -> None:
    assert not sound(tmp_path / "absent.png")
    assert not sound(tmp_path)


def test_a_picture_that_cannot_be_read_back_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "f.png").write_bytes(eight_bit())
    with pytest.raises(RenderError, match=r"f\.png"):
        png16.decode_frame(tmp_path / "f.png")


def test_the_label_tells_our_pictures_from_others(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.png", tmp_path / "theirs.png"
    ours.write_bytes(png16.encode_frame(picture(), "preview", 0))
    theirs.write_bytes(eight_bit())
    assert png16.has_label(ours, "preview")
    assert not png16.has_label(ours, "preview", 1)
    assert not png16.has_label(theirs, "preview")
    assert not png16.has_label(tmp_path / "absent.png", "preview")
    labels = [png16.label_of(path) for path in (ours, theirs, tmp_path / "absent.png")]
    assert labels == ["preview 0", "", ""]
