"""TODO storage.atomic."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import DiskFullError, OutputError, RenderError
from vidstyle.weights.download import CHUNK

if TYPE_CHECKING:
    pass


def sha256(path: Path) -> str:
    """The digest of a file, computed once per process as long as its size and time of change
    stay.
    """
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while block := f.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """All of `data` under `path`, or nothing: written beside it, flushed to the disk, renamed."""
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


@contextlib.contextmanager
def disk_errors(folder: Path, *, begun: bool = True) -> Iterator[None]:
    """Says what to do when the disk is full, broken or read-only; `begun` when frames may be there
    already.
    """
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                "the disk is full",
                f"no space left for {folder}; all finished frames are kept",
                "make room, then run the same command again: it continues",
            ) from e
        what, why = f"cannot write to {folder}", e.strerror or str(e)
        if begun:
            raise RenderError(
                what, why, "mend the disk, then run the same command again: it continues"
            ) from e
        raise OutputError(what, why, "choose another place with -o") from e
