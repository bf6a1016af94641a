"""The record of a render is read whatever became of it, and under the present names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vidstyle.errors import OutputError
from vidstyle.storage.record import (
    FileIdentity,
    count_frame_files,
    is_own_output,
    output_exists_error,
    read_record,
    read_started_parts,
    state_folder,
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "out.mp4"
    state_folder(path).mkdir()
    return path


def write(output: Path, record: object) -> None:
    (state_folder(output) / "render.json").write_text(json.dumps(record), encoding="utf-8")


def lay(output: Path, *names: str) -> None:
    for name in names:
        path = state_folder(output) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "data", [None, b"", b"[1]", b"7", b"null", b'{"a": 1', b"\xff\xfe", b"\x00" * 40]
)
def test_a_record_that_is_missing_or_torn_is_empty(output: Path, data: bytes | None) -> None:
    if data is not None:
        (state_folder(output) / "render.json").write_bytes(data)
    assert read_record(state_folder(output)) == {}
    assert read_started_parts(output) is None
    assert not is_own_output(output)


@pytest.mark.parametrize(
    ("stored", "parts"),
    [
        ({"start": 3, "duration": 9}, {"first_frame": 3, "frame_count": 9}),
        ({"first_frame": 3, "frame_count": 9}, {"first_frame": 3, "frame_count": 9}),
        ({"size": None, "style": [["a", 1.0, None]]}, {"size": None, "style": [["a", 1.0, None]]}),
        ({}, {}),
    ],
)
def test_parts_have_their_present_names_whatever_version_wrote_them(
    output: Path, stored: dict[str, Any], parts: dict[str, Any]
) -> None:
    record = {"fingerprint": "f", "parts": stored, "versions": {"torch": "2"}}
    write(output, record)
    assert read_record(state_folder(output)) == {**record, "parts": parts}


def test_parts_that_are_none_stay_as_they_are(output: Path) -> None:
    write(output, {"parts": None})
    assert read_record(state_folder(output)) == {"parts": None}
    lay(output, "frames/000000.png")
    assert read_started_parts(output) is None


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"parts": 7}, "parts"),
        ({"parts": "text"}, "parts"),
        ({"parts": []}, "parts"),
        ({"parts": {"tile": "large"}}, "parts.tile"),
        ({"versions": [1]}, "versions"),
        ({"encoder": 12}, "encoder"),
        ({"encoder": {"pid": "12", "temporary": "a"}}, "encoder.pid"),
        ({"encoder": {"pid": 12}}, "encoder.temporary"),
        ({"delivered": "yes"}, "delivered"),
        ({"trace": True}, "trace"),
    ],
)
def test_a_record_that_somebody_has_changed_is_refused(
    output: Path, record: dict[str, Any], named: str
) -> None:
    write(output, record)
    with pytest.raises(OutputError) as caught:
        read_record(state_folder(output))
    assert f"{named} in its render.json" in caught.value.why
    assert str(state_folder(output)) in caught.value.hint


@pytest.mark.parametrize(
    ("names", "started", "count"),
    [
        ([], False, 0),
        (["frames/000000.part"], False, 0),
        (["source/000000.png"], False, 1),
        (["frames/000000.png", "frames/000001.png"], True, 2),
        (["frames.1/000000.png"], True, 1),
        (["frames.12/000000.png", "source/000000.png", "frames/000003.png"], True, 3),
        (["trace/000000.png", "pairs/000001.png", "cells/a.png"], False, 0),
    ],
)
def test_frames_of_every_pass_are_work_to_continue(
    output: Path, names: list[str], started: bool, count: int
) -> None:
    write(output, {"parts": {"start": 4}})
    lay(output, *names)
    assert read_started_parts(output) == ({"first_frame": 4} if started else None)
    assert count_frame_files(output) == count


def test_a_file_is_recognised_after_a_rename_and_not_after_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert FileIdentity.of(path) is None
    path.write_bytes(b"film")
    identity = FileIdentity.of(path)
    assert FileIdentity.of(path.rename(tmp_path / "b")) == identity
    (tmp_path / "b").write_bytes(b"a longer film")
    assert FileIdentity.of(tmp_path / "b") != identity


def test_an_output_is_refused_by_its_name() -> None:
    error = output_exists_error(Path("out.mp4"))
    assert error.what == "out.mp4 exists"
    assert "-f" in error.hint
