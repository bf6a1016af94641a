"""Whether an animation repeats, as GIF, WebP and PNG say it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vidstyle.video.loops import is_looping
from vidstyle.video.probe import probe


def animation(path: Path, loop: int | None) -> Path:
    """An animation of three frames with this number of repetitions; None: it has none."""
    frames = [Image.new("RGB", (32, 24), (80 * i, 40, 200 - 60 * i)) for i in range(3)]
    given: dict[str, Any] = {} if loop is None else {"loop": loop}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, **given)
    return path


@pytest.mark.parametrize(
    ("name", "loop", "expected"),
    [
        ("a.gif", 0, True),
        ("a.gif", 3, True),
        ("a.gif", None, False),
        ("a.webp", 0, True),
        ("a.webp", 4, True),
        ("a.webp", 1, False),
        ("a.png", 0, True),
        ("a.png", 5, True),
        ("a.png", 1, False),
    ],
)
def test_an_animation_loops_where_its_file_says_so(
    name: str, loop: int | None, expected: bool, tmp_path: Path
) -> None:
    source = probe(animation(tmp_path / name, loop))
    assert source.kind == "animation"
    assert is_looping(source) == expected


def test_a_large_chunk_does_not_hide_the_repetitions(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.png", 4)
    data = path.read_bytes()
    body = b"teSt" + bytes(100_000)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])  # behind the header
    assert is_looping(probe(path))


def test_a_video_and_a_still_do_not_loop(film: Path, painting: Path) -> None:
    assert not is_looping(probe(film))
    assert not is_looping(probe(painting))
