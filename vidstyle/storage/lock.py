"""TODO storage.lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from vidstyle.errors import LockedError
from vidstyle.storage.atomic import disk_errors

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def held(folder: Path, output: Path, finished: Callable[[], bool]) -> Iterator[None]:
    """Makes a state directory and keeps other processes away from it until the block ends. A lock
    of a dead process does not block: the system let it go.

    Args:
        finished: asked at the end, while the lock is held: whether the directory is done with. Then
            it goes.

    Raises LockedError.
    """
    with disk_errors(folder, begun=False):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    with disk_errors(folder, begun=False):
        try:
            lock.acquire()
        except Timeout as e:  # an OSError as well, which it should not be taken for
            raise LockedError(
                f"{output} is being rendered",
                f"another process holds {folder / 'lock'}",
                "wait for it, or choose another -o",
            ) from e
    try:
        yield
    finally:
        done = finished()
        if done and os.name != "nt":
            # While it is held: another run may take it the moment it is released. (Windows does not
            # unlink open files.)
            (folder / "lock").unlink(missing_ok=True)
        lock.release()
        if done:
            with contextlib.suppress(OSError):
                if os.name == "nt":
                    (folder / "lock").unlink(missing_ok=True)
                folder.rmdir()
