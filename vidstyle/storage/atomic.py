"""Files that are written whole or not at all, disk errors in the user's words, and digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from vidstyle.errors import DiskFullError, OutputError, RenderError

HASHED_BLOCK_BYTES = 1 << 20

FULL_DISK_NUMBERS = (errno.ENOSPC, errno.EDQUOT)

FULL_DISK_TEXTS = ("No space left on device", "Disk quota exceeded")
"""The system's words for the same errors, as other programs print them."""


def sha256(path: Path) -> str:
    """Return the digest of a file, computed once per process as long as its size and time of change
    stay.
    """
    stat = path.stat()
    return _hash_once(path, stat.st_size, stat.st_mtime_ns)


@lru_cache
def _hash_once(path: Path, _size: int, _mtime_ns: int) -> str:
    return hash_file(path)


def hash_file(path: Path) -> str:
    """Compute the digest of a file as it is now."""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while block := f.read(HASHED_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write all of `data` under `path`, or nothing: next to it, flushed to the disk, then renamed.

    Raises OSError.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush_to_disk(path: Path) -> None:
    """Force a file to disk before it is renamed, or a power cut may leave the final name on an
    empty one.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())


def is_disk_full(error: BaseException) -> bool:
    """Tell a full disk, or a used-up quota, from other errors."""
    return isinstance(error, OSError) and error.errno in FULL_DISK_NUMBERS


def mentions_full_disk(text: str) -> bool:
    """Tell whether another program's error text speaks of a full disk."""
    return any(words in text for words in FULL_DISK_TEXTS)


@contextlib.contextmanager
def disk_errors(folder: Path, *, begun: bool = True) -> Iterator[None]:
    """Say what to do when the disk is full, broken or read-only.

    Args:
        folder: the place that is written to.
        begun: whether frames may be there already.

    Raises:
        DiskFullError: there is no space left.
        RenderError: any other OSError of the block, where frames may be there.
        OutputError: the same, where none are.
    """
    try:
        yield
    except OSError as e:
        if is_disk_full(e):
            raise DiskFullError(
                "the disk is full",
                f"no space left for {folder}; all finished frames are kept",
                "make room, then run the same command again: it continues",
            ) from e
        what = f"cannot write to {folder}"
        why = e.strerror or str(e)
        if begun:
            raise RenderError(
                what, why, "mend the disk, then run the same command again: it continues"
            ) from e
        raise OutputError(what, why, "choose another place with -o") from e
