"""Two processes never render the same output or the same shot, and no lock outlives its process."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.storage.locking import another_process_locks
from vidstyle.errors import LockedError, OutputError, VidstyleError
from vidstyle.storage.lock import (
    is_locked,
    lock_folder,
    lock_shot,
    refuse_locked,
    remove_idle_shot_locks,
)
from vidstyle.storage.record import state_folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


@pytest.fixture
def folder(output: Path) -> Path:
    path = state_folder(output)
    path.mkdir()
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def is_three_lines(error: VidstyleError) -> bool:
    lines = (error.what, error.why, error.hint)
    return all(line and "\n" not in line for line in lines)


# The output


def test_the_lock_tells_nobody_else_and_makes_nothing(output: Path) -> None:
    assert not is_locked(output)
    refuse_locked(output)
    assert not output.parent.joinpath("out.mp4.vidstyle").exists()


def test_a_lock_of_another_process_is_told_without_touching_anything(output: Path) -> None:
    with another_process_locks(output) as holder:
        before = names(output.parent) | names(state_folder(output))
        assert is_locked(output)
        with pytest.raises(LockedError, match=r"out\.mp4 is being rendered") as caught:
            refuse_locked(output)
        assert is_three_lines(caught.value)
        with pytest.raises(LockedError) as again, lock_folder(state_folder(output), output, bool):
            pytest.fail("both hold it")
        assert str(again.value) == str(caught.value)
        assert names(output.parent) | names(state_folder(output)) == before
        holder.kill()
        holder.wait()
        assert not is_locked(output)
        with lock_folder(state_folder(output), output, bool):
            assert is_locked(output)
    assert not is_locked(output)


@pytest.mark.parametrize("content", ["", "999999"])
def test_a_lock_file_that_nobody_holds_does_not_block(
    output: Path, folder: Path, content: str
) -> None:
    (folder / "lock").write_text(content)
    assert not is_locked(output)
    with lock_folder(folder, output, lambda: False):
        assert is_locked(output)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("others", [set(), {"render.json"}])
def test_an_empty_directory_goes_when_it_is_finished(
    output: Path, finished: bool, others: set[str]
) -> None:
    folder = state_folder(output)
    with lock_folder(folder, output, lambda: finished):
        for name in others:
            (folder / name).touch()
    if finished and not others:
        assert not folder.exists()
    else:
        assert names(folder) - {"lock"} == others
        assert not finished or "lock" not in names(folder)
    assert not is_locked(output)


def test_the_lock_is_released_whatever_happens(output: Path) -> None:
    def fail() -> bool:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(KeyError), lock_folder(state_folder(output), output, lambda: False):
        raise KeyError
    assert not is_locked(output)
    with pytest.raises(OSError, match="Input"), lock_folder(state_folder(output), output, fail):
        pass
    assert not is_locked(output)


def test_a_place_that_cannot_be_written_is_refused(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdir(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with (
        pytest.raises(OutputError, match=os.strerror(errno.EROFS)),
        lock_folder(state_folder(output), output, bool),
    ):
        pytest.fail("it was written")


# The shots


def test_a_shot_is_locked_while_it_is_rendered_and_leaves_nothing(folder: Path) -> None:
    with lock_shot(folder, 12):
        assert names(folder) == {"shot-000012.lock"}
        with pytest.raises(LockedError, match="frame 12 ") as caught, lock_shot(folder, 12):
            pytest.fail("it is locked twice")
        assert is_three_lines(caught.value)
        with lock_shot(folder, 0), lock_shot(folder, 1_000_000):
            assert len(names(folder)) == 3
    assert names(folder) == set()
    with pytest.raises(KeyError), lock_shot(folder, 12):
        raise KeyError
    assert names(folder) == set()


def test_shots_of_other_processes_are_refused_until_these_end(output: Path, folder: Path) -> None:
    with another_process_locks(output, 0, 7) as holder:
        for first_frame in (0, 7):
            with pytest.raises(LockedError), lock_shot(folder, first_frame):
                pytest.fail("both hold it")
        with lock_shot(folder, 3):
            pass
        remove_idle_shot_locks(folder)
        assert names(folder) == {"shot-000000.lock", "shot-000007.lock"}
        holder.kill()
        holder.wait()
        with lock_shot(folder, 7):
            assert names(folder) == {"shot-000000.lock", "shot-000007.lock"}
        remove_idle_shot_locks(folder)
        assert names(folder) == set()


def test_the_end_of_a_run_removes_locks_of_killed_ones_and_no_others(
    output: Path, folder: Path
) -> None:
    (folder / "shot-000004.lock").touch()
    with another_process_locks(output, 7), lock_folder(folder, output, lambda: True):
        pass
    assert names(folder) == {"shot-000007.lock"}
    with lock_folder(folder, output, lambda: True):
        pass
    assert not folder.exists()
