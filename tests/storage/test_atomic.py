"""Files are written whole or not at all, and a full disk is recognised in one place."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from vidstyle.errors import DiskFullError, OutputError, RenderError
from vidstyle.storage import atomic


def test_a_failed_write_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.png"
    path.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidstyle.storage.atomic.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        atomic.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("data", [b"", b"new", bytes(3_000_000)])
def test_a_write_replaces_the_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    atomic.write_atomically(path, data)
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "whatever language"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EROFS, "Read-only file system"), False),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (OSError("No space left on device"), False),
        (ValueError("No space left on device"), False),
    ],
)
def test_a_full_disk_is_known_by_its_number(error: Exception, full: bool) -> None:
    assert atomic.is_disk_full(error) == full


@pytest.mark.parametrize(
    ("text", "full"),
    [
        (f"av_interleaved_write_frame(): {os.strerror(errno.ENOSPC)}", True),
        (f"out.mp4: {os.strerror(errno.EDQUOT)}\nConversion failed!", True),
        ("out.mp4: Permission denied", False),
        ("", False),
    ],
)
def test_a_full_disk_is_known_in_another_programs_words(text: str, full: bool) -> None:
    assert atomic.mentions_full_disk(text) == full


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_an_error_of_the_disk_says_what_to_do(number: int, begun: bool) -> None:
    cause = OSError(number, os.strerror(number))
    is_full = number in (errno.ENOSPC, errno.EDQUOT)
    expected = DiskFullError if is_full else RenderError if begun else OutputError
    with pytest.raises(expected) as caught, atomic.disk_errors(Path("place"), begun=begun):
        raise cause
    assert caught.value.__cause__ is cause
    assert "place" in caught.value.what + caught.value.why
    assert all("\n" not in line for line in (caught.value.what, caught.value.why))
    assert ("the same command" in caught.value.hint) == (begun or is_full)


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="another"), atomic.disk_errors(Path("place")):
        raise ValueError("another")


@pytest.mark.parametrize("size", [0, 1, atomic.HASHED_BLOCK_BYTES, atomic.HASHED_BLOCK_BYTES + 1])
def test_a_digest_is_that_of_the_whole_file_and_follows_a_change(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"
    for number, data in enumerate((b"a" * size, b"b" * size + b"c")):
        path.write_bytes(data)
        os.utime(path, (number, number))
        assert atomic.sha256(path) == hashlib.sha256(data).hexdigest()
