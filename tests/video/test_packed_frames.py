"""Blocks of packed frames, by themselves."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidstyle.errors import RenderError
from vidstyle.storage import png16
from vidstyle.video.packed_frames import PIXEL_FORMATS, PackedFrames

SIZE = (38, 22)


def make_files(folder: Path, count: int) -> tuple[list[Path], list[Any]]:
    """Write frames of noise, with black and white in them."""
    numbers = np.random.default_rng(1)
    files, pictures = [], []
    for i in range(count):
        picture = numbers.integers(0, 65536, (SIZE[1], SIZE[0], 3), np.uint16)
        picture[:2] = 0
        picture[2:4] = 65535
        files.append(folder / f"a%03d's {i}.png")
        files[-1].write_bytes(png16.encode_frame(picture, "label", i))
        pictures.append(picture)
    return files, pictures


@pytest.mark.parametrize("bits", PIXEL_FORMATS)
def test_frames_come_back_rounded_to_their_depth(tmp_path: Path, bits: int) -> None:
    files, pictures = make_files(tmp_path, 7)
    packed = PackedFrames(tmp_path / "packed", SIZE, bits)
    packed.write(240, files, [f"label {i}" for i in range(7)])
    assert packed.is_whole(240)
    assert [packed.label_of(i) for i in (239, 240, 246, 247)] == ["", "label 0", "label 6", ""]
    levels = 2**bits - 1
    for i, picture in enumerate(pictures):
        kept = np.rint(picture.astype(np.float64) * levels / 65535)
        assert np.array_equal(packed.load(240 + i), np.rint(kept * 65535 / levels))
    decoded = list(packed.decode(240, 3))
    assert len(decoded) == 4
    assert np.array_equal(decoded[0], packed.load(243))
    again = PackedFrames.read_folder(packed.folder)
    assert (again.size, again.blocks()) == (SIZE, [240])
    assert np.array_equal(again.load(243), packed.load(243))


def test_a_block_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _ = make_files(tmp_path, 3)
    packed = PackedFrames(tmp_path / "packed", SIZE)
    packed.write(0, files, ["a", "b", "c"])
    kept = packed.path(0).read_bytes()
    with pytest.raises(RenderError):
        packed.write(0, [*files[:2], tmp_path / "gone.png"], ["d", "e", "f"])
    monkeypatch.setattr(PackedFrames, "_checksums", lambda *given: [b"0"] * 3)
    with pytest.raises(RenderError, match="decode"):
        packed.write(0, files, ["d", "e", "f"])
    assert packed.path(0).read_bytes() == kept
    assert packed.label_of(2) == "c"
    assert sorted(path.name for path in packed.folder.iterdir()) == ["000000.json", "000000.mkv"]


def test_a_block_of_another_size_is_not_there_and_one_of_another_depth_is(tmp_path: Path) -> None:
    files, _ = make_files(tmp_path, 2)
    folder = tmp_path / "packed"
    PackedFrames(folder, SIZE).write(0, files, ["a", "b"])
    assert PackedFrames(folder, SIZE).label_of(1) == "b"
    assert PackedFrames(folder, (SIZE[0], 20)).label_of(1) == ""
    assert PackedFrames(folder, SIZE, 12).label_of(1) == "b"


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "60", "240"])
def test_frames_are_found_at_any_rate(tmp_path: Path, rate: str) -> None:
    files, pictures = make_files(tmp_path, 9)
    packed = PackedFrames(tmp_path / "packed", SIZE, 16, Fraction(rate))
    packed.write(0, files, ["label"] * 9)
    for i, picture in enumerate(pictures):
        assert np.array_equal(packed.load(i), picture)


def test_a_block_that_is_damaged_is_removed_when_it_is_read(tmp_path: Path) -> None:
    files, _ = make_files(tmp_path, 3)
    packed = PackedFrames(tmp_path / "packed", SIZE)
    packed.write(0, files, ["a", "b", "c"])
    data = bytearray(packed.path(0).read_bytes())
    data[len(data) // 2] ^= 4
    packed.path(0).write_bytes(data)
    with pytest.raises(RenderError, match="damaged"):
        packed.load(1)
    assert packed.blocks() == []


def test_a_block_takes_a_quarter_of_its_files_where_frames_are_painted(tmp_path: Path) -> None:
    """Noise in the last bits of a smooth picture is what a 16-bit file is full of."""
    y, x = np.mgrid[:90, :160]
    numbers = np.random.default_rng(2)
    files = []
    for i in range(4):
        smooth = 30000 + 20000 * np.sin(x / 9 + i)[..., None] * np.cos(y / 7)[..., None]
        picture = (smooth + numbers.normal(0, 400, (90, 160, 3))).clip(0, 65535).astype(np.uint16)
        files.append(tmp_path / f"{i}.png")
        files[-1].write_bytes(png16.encode_frame(picture, "label", i))
    packed = PackedFrames(tmp_path / "packed", (160, 90))
    packed.write(0, files, ["label"] * 4)
    whole = sum(file.stat().st_size for file in files)
    assert packed.path(0).stat().st_size < whole / 4
