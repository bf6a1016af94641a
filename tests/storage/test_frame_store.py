"""A folder of frames gives back what was saved, and knows what is missing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from vidstyle.errors import DiskFullError
from vidstyle.frames import quantise
from vidstyle.storage.frame_store import FrameStore

SIZE = (6, 4)


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    made = FrameStore(tmp_path / "state" / "frames", "a" * 16, SIZE)
    made.open()
    return made


def image(seed: int) -> torch.Tensor:
    return torch.rand((3, SIZE[1], SIZE[0]), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("indices", [[], [0], [2, 0, 5], list(range(7)), [1_000_000]])
def test_what_was_saved_comes_back_and_the_rest_is_missing(
    store: FrameStore, indices: list[int]
) -> None:
    for index in indices:
        store.save(index, image(index))
    wanted = [*range(7), 1_000_000]
    assert store.missing_frames(wanted) == [index for index in wanted if index not in indices]
    assert {store.frame_path(index) for index in indices} == set(store.path.glob("*.png"))
    for index in indices:
        assert torch.equal(store.load(index), quantise(image(index)))


def test_files_that_are_not_whole_are_listed_and_missing(store: FrameStore) -> None:
    store.save(0, image(0))
    store.frame_path(0).write_bytes(store.frame_path(0).read_bytes()[:-1])
    assert list(store.path.glob("*.png")) == [store.frame_path(0)]
    assert store.missing_frames([0]) == [0]


def test_a_store_of_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "absent", "a" * 16, SIZE)
    assert list(store.path.glob("*.png")) == []
    assert store.missing_frames(range(3)) == [0, 1, 2]
    store.delete()
    assert not store.path.exists()


def test_deleting_leaves_what_lies_next_to_it(store: FrameStore) -> None:
    store.save(0, image(0))
    (store.path.parent / "render.json").write_text("{}")
    store.delete()
    assert [path.name for path in store.path.parent.iterdir()] == ["render.json"]


def test_a_full_disk_leaves_no_half_frame(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vidstyle.storage.atomic.os.fsync", full)
    with pytest.raises(DiskFullError):
        store.save(0, image(0))
    assert list(store.path.iterdir()) == []
