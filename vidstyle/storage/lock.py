"""Locks that keep processes away from the output, or the shot, that another one renders.

A lock of a dead process does not block: the system released it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from vidstyle.errors import LockedError
from vidstyle.storage.atomic import disk_errors
from vidstyle.storage.record import state_folder

OUTPUT_LOCK = "lock"
"""The name of the lock of an output, in its state directory."""

SHOT_LOCKS = "shot-*.lock"
"""The names of the locks of single shots, next to it."""


SHOT_WAIT_SECONDS = 0.5
"""How long the lock of a shot is waited for: whoever tidies up holds it for a moment."""


@contextlib.contextmanager
def lock_folder(
    folder: Path, output: Path, is_finished: Callable[[], bool], wait_seconds: float = 0.0
) -> Iterator[None]:
    """Make a state directory and keep other processes away from it until the block ends.

    Args:
        folder: the state directory.
        output: the file that is made, for the user.
        is_finished: asked at the end, under the lock. Where it says True, the lock's file goes, and
            with it the directory if that is empty.
        wait_seconds: how long another process is waited for.

    Raises:
        LockedError: another process holds the lock.
        OutputError: the directory cannot be written.
    """
    path = folder / OUTPUT_LOCK
    with disk_errors(folder, begun=False):
        folder.mkdir(parents=True, exist_ok=True)
        lock = _acquire_lock(path, wait_seconds)
    if lock is None:
        raise _output_locked_error(output)
    finished = False
    try:
        yield
    finally:
        try:
            remove_idle_shot_locks(folder)
            finished = is_finished()
        finally:
            _release_lock(lock, path, remove=finished)
        if finished:
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def lock_shot(folder: Path, first_frame: int) -> Iterator[None]:
    """Keep other processes away from one shot of a render until the block ends.

    Args:
        folder: the state directory, which exists.
        first_frame: the shot's first frame, counted from 0 in the part that is rendered.

    Raises:
        LockedError: another process renders this shot.
    """
    path = folder / f"shot-{first_frame:06d}.lock"
    with disk_errors(folder):
        lock = _acquire_lock(path, SHOT_WAIT_SECONDS)
    if lock is None:
        raise LockedError(
            f"the shot that begins with frame {first_frame} is being rendered",
            f"another process holds {path}",
            "wait for it, or render another shot",
        )
    try:
        yield
    finally:
        _release_lock(lock, path, remove=True)


def is_locked(output: Path) -> bool:
    """Tell whether another process renders `output`, without making anything."""
    path = state_folder(output) / OUTPUT_LOCK
    if not path.exists():
        return False
    try:
        lock = _acquire_lock(path)
    except OSError:
        # The lock cannot be tried. Beginning the render will say why.
        return False
    if lock is None:
        return True
    lock.release()
    return False


def refuse_locked(output: Path) -> None:
    """Raise LockedError when another process renders `output`; makes nothing."""
    if is_locked(output):
        raise _output_locked_error(output)


def remove_idle_shot_locks(folder: Path) -> None:
    """Remove the lock files of shots that no process renders: those of killed ones."""
    for path in folder.glob(SHOT_LOCKS):
        with contextlib.suppress(OSError):
            lock = _acquire_lock(path)
            if lock is not None:
                _release_lock(lock, path, remove=True)


def refuse_locked_shots(output: Path) -> None:
    """Raise LockedError while another process renders a shot of `output`."""
    folder = state_folder(output)
    if is_shot_locked(folder):
        raise LockedError(
            f"shots of {output} are being rendered",
            f"other processes hold {folder / SHOT_LOCKS}",
            "wait for them, or choose another -o",
        )


def is_shot_locked(folder: Path) -> bool:
    """Tell whether a process renders a shot of this state directory."""
    remove_idle_shot_locks(folder)
    return any(folder.glob(SHOT_LOCKS))


def _acquire_lock(path: Path, wait_seconds: float = 0.0) -> FileLock | None:
    """Take the lock; None when another process holds it all the time. Raises OSError."""
    lock = FileLock(path, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        # An OSError as well, but no error of the disk.
        return None
    return lock


def _release_lock(lock: FileLock, path: Path, *, remove: bool) -> None:
    """Let a lock go, with its file where that is wanted."""
    # The file goes first: another run may lock it the moment it is released. Windows does not
    # remove open files.
    if remove and os.name != "nt":
        path.unlink(missing_ok=True)
    lock.release()
    if remove and os.name == "nt":
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _output_locked_error(output: Path) -> LockedError:
    return LockedError(
        f"{output} is being rendered",
        f"another process holds {state_folder(output) / OUTPUT_LOCK}",
        "wait for it, or choose another -o",
    )
