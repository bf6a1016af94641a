"""The state directory: what it takes for done, what it refuses, who may hold it, and a disk that
runs full.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.storage.locking import another_process_locks
from vidstyle.errors import DiskFullError, LockedError, OutputError, SettingsChangedError
from vidstyle.frames import quantise
from vidstyle.storage import checkpoint, png16
from vidstyle.storage import record as record_module
from vidstyle.storage.checkpoint import Checkpoint, refuse_changed_settings
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.lock import lock_shot

PARTS: dict[str, Any] = {
    "input": "a" * 64,
    "style": "b" * 64,
    "weights": "c" * 64,
    "iterations": 30,
    "size": None,
}
VERSIONS = {"vidstyle": "1", "torch": "2"}
SIZE = (6, 4)
COUNT = 5


def store_of(output: Path, **changed: Any) -> Checkpoint:
    return Checkpoint(output, {**PARTS, **changed}, SIZE, COUNT)


def image(seed: int) -> torch.Tensor:
    return torch.rand((3, SIZE[1], SIZE[0]), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


@pytest.fixture
def full(output: Path) -> Checkpoint:
    """All frames done, nothing delivered, nobody holding it."""
    store = store_of(output)
    with checkpoint.lock_output(output):
        store.begin(VERSIONS, restart=False)
        for i in range(COUNT):
            store.final.save(i, image(i))
    return store


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder but the lock, which whoever asks may touch."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "lock"
    }


# What counts as done


def test_a_frame_comes_back_as_the_renderer_goes_on_with_it(full: Checkpoint) -> None:
    assert full.final.missing_frames(range(full.count)) == []
    for i in range(COUNT):
        assert torch.equal(full.load(i), quantise(image(i)))


def test_scan_finds_exactly_the_frames_that_are_not_whole_and_ours(full: Checkpoint) -> None:
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint16)
    sound = full.frame_path(0).read_bytes()
    damages = {
        "torn": sound[:-20],
        "empty": b"",
        "other render": png16.encode_frame(pixels, "f" * 16, 1),
        "other frame": png16.encode_frame(pixels, full.fingerprint, 3),
        "other size": png16.encode_frame(pixels[:, 1:], full.fingerprint, 1),
    }
    for what, data in damages.items():
        full.frame_path(1).write_bytes(data)
        assert full.final.missing_frames(range(full.count)) == [1], what
    full.frame_path(4).unlink()
    full.frame_path(0).rename(full.frame_path(COUNT))
    assert full.final.missing_frames(range(full.count)) == [0, 1, 4]


def layer_store(store: Checkpoint, name: str) -> FrameStore:
    """The frames in a folder of a single layer."""
    return FrameStore(store.folder / name, store.fingerprint, SIZE)


def test_all_that_finished_frames_were_made_from_is_counted_and_removed(full: Checkpoint) -> None:
    names = ("paint.000000", "source.000002", "hold.000000", "frames.1.000002", "frames.11.000002")
    for name in names:
        layer_store(full, name).open()
        layer_store(full, name).save(2, image(2))
    assert record_module.count_frame_files(full.output) == COUNT + len(names)
    full.delete_layers()
    assert {p.name for p in full.folder.iterdir() if p.is_dir()} == {"frames"}
    assert full.final.missing_frames(range(COUNT)) == []


@pytest.mark.parametrize("name", ["frames.1.000000", "paint.000000"])
def test_frames_that_are_not_finished_are_work_too(output: Path, name: str) -> None:
    store = store_of(output)
    with checkpoint.lock_output(output):
        store.begin(VERSIONS, restart=False)
        layer_store(store, name).open()
        layer_store(store, name).save(0, image(0))
    assert store.has_frames()
    parts = record_module.read_started_parts(output)
    assert parts is not None
    assert parts["iterations"] == PARTS["iterations"]
    with pytest.raises(SettingsChangedError):
        store_of(output, iterations=31).begin(VERSIONS, restart=False)
    again = store_of(output, iterations=31)
    again.begin(VERSIONS, restart=True)
    assert not again.has_frames()


def test_what_a_killed_run_was_writing_is_swept_up_but_not_what_another_process_writes(
    full: Checkpoint,
) -> None:
    halves = []
    layers = (layer_store(full, name) for name in ("source.000000", "paint.000000"))
    for kind in (*layers, full.final):
        kind.open()
        halves.append(kind.path / "000001.png.tmp")
        halves[-1].write_bytes(b"half")
    with lock_shot(full.folder, 0):
        store_of(full.output).begin(VERSIONS, restart=False)
        assert all(half.exists() for half in halves)
    store_of(full.output).begin(VERSIONS, restart=False)
    assert not any(half.exists() for half in halves)


def test_frames_are_not_thrown_away_while_another_process_makes_some(full: Checkpoint) -> None:
    with lock_shot(full.folder, 0):
        for store in (store_of(full.output), store_of(full.output, iterations=31)):
            with pytest.raises(LockedError, match="shots of"):
                store.begin(VERSIONS, restart=True)
    assert full.final.missing_frames(range(COUNT)) == []


def test_a_state_directory_stays_while_another_process_begins_a_shot(output: Path) -> None:
    with checkpoint.lock_output(output, keep_empty=True):
        store = store_of(output)
        store.begin(VERSIONS, restart=False)
    with lock_shot(store.folder, 0):
        with checkpoint.lock_output(output):
            pass  # refused for another reason
        store.final.save(0, image(0))
    assert store.final.missing_frames([0]) == []


# Whose it is


def test_unchanged_settings_take_up_the_frames_and_sweep_up_what_was_half_written(
    full: Checkpoint,
) -> None:
    (full.final.path / "000004.png.tmp").write_bytes(b"half")
    again = store_of(full.output)
    assert again.begin(VERSIONS, restart=False) == []
    assert again.final.missing_frames(range(again.count)) == []
    assert not list(full.final.path.glob("*.tmp"))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("iterations", 31, "iterations: 30 -> 31"),
        ("size", 320, "size: None -> 320"),
        ("input", "d" * 64, "input: aaaaaaaaaaaa -> dddddddddddd"),
        ("style", "d" * 64, "style: bbbbbbbbbbbb -> dddddddddddd"),
        ("weights", "d" * 64, "weights: cccccccccccc -> dddddddddddd"),
        ("invented", True, "invented: None -> True"),
    ],
)
def test_a_changed_part_is_refused_by_name_and_nothing_is_touched(
    full: Checkpoint, name: str, value: object, told: str
) -> None:
    before = contents(full.folder)
    changed = store_of(full.output, **{name: value})
    with (
        pytest.raises(SettingsChangedError, match=re.escape(told)) as caught,
        checkpoint.lock_output(full.output),
    ):
        changed.begin(VERSIONS, restart=False)
    assert caught.value.differences == {name: (PARTS.get(name), value)}
    assert "--restart" in caught.value.hint
    assert contents(full.folder) == before


def test_frames_of_an_older_render_format_are_refused_and_not_silently_redone(
    full: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidstyle.config.fingerprint.RENDER_FORMAT", 1000)
    monkeypatch.setattr("vidstyle.storage.checkpoint.RENDER_FORMAT", 1000)
    with pytest.raises(SettingsChangedError, match=r"render_format: \d+ -> 1000"):
        store_of(full.output).begin(VERSIONS, restart=False)


def test_all_changed_parts_are_named(full: Checkpoint) -> None:
    with pytest.raises(SettingsChangedError) as caught:
        store_of(full.output, iterations=1, size=64).begin(VERSIONS, restart=False)
    assert set(caught.value.differences) == {"iterations", "size"}


def test_restart_throws_the_old_frames_away(full: Checkpoint) -> None:
    again = store_of(full.output, iterations=31)
    assert again.begin(VERSIONS, restart=True) == []
    assert again.final.missing_frames(range(again.count)) == list(range(COUNT))
    assert not list(full.final.path.iterdir())


def test_other_settings_may_take_over_where_no_frame_was_finished(full: Checkpoint) -> None:
    for i in range(COUNT):
        full.frame_path(i).unlink()
    assert store_of(full.output, iterations=31).begin(VERSIONS, restart=False) == []


def test_a_lost_or_torn_record_does_not_cost_the_frames(full: Checkpoint) -> None:
    record = full.folder / "render.json"
    for data in (record.read_bytes()[:40], b"", b"[1]", b"\xff\xfe"):
        record.write_bytes(data)
        again = store_of(full.output)
        assert again.begin(VERSIONS, restart=False) == []
        assert again.final.missing_frames(range(again.count)) == []
        assert json.loads(record.read_text())["fingerprint"] == again.fingerprint


def test_other_library_versions_are_said_once_and_cost_nothing(full: Checkpoint) -> None:
    newer = {**VERSIONS, "torch": "3"}
    again = store_of(full.output)
    (warning,) = again.begin(newer, restart=False)
    assert "torch 2 -> 3" in warning
    assert again.final.missing_frames(range(again.count)) == []
    assert store_of(full.output).begin(newer, restart=False) == []


# As far as the parts are known before the render begins


@pytest.mark.parametrize(
    ("known", "changed"),
    [
        ({}, set()),
        (PARTS, set()),
        ({"iterations": 30}, set()),
        ({"invented": None}, set()),
        ({"iterations": 31}, {"iterations"}),
        ({"iterations": 31, "size": 320, "input": "a" * 64}, {"iterations", "size"}),
        ({"style": None}, {"style"}),
        ({"invented": True}, {"invented"}),
    ],
)
def test_parts_that_are_known_to_differ_are_refused_early_and_like_later(
    full: Checkpoint, known: dict[str, Any], changed: set[str]
) -> None:
    before = contents(full.folder)
    refuse_changed_settings(full.output, known, restart=True)
    if not changed:
        refuse_changed_settings(full.output, known)
        return
    with pytest.raises(SettingsChangedError) as early:
        refuse_changed_settings(full.output, known)
    assert early.value.differences.keys() == changed
    with pytest.raises(SettingsChangedError) as late:
        store_of(full.output, **known).begin(VERSIONS, restart=False)
    assert str(early.value) == str(late.value)
    assert contents(full.folder) == before


def test_an_older_render_format_is_refused_early_too(
    full: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidstyle.storage.checkpoint.RENDER_FORMAT", 1000)
    with pytest.raises(SettingsChangedError, match=r"render_format: \d+ -> 1000"):
        refuse_changed_settings(full.output, {})


def test_nothing_is_refused_early_where_no_frame_would_be_lost(
    full: Checkpoint, tmp_path: Path
) -> None:
    refuse_changed_settings(tmp_path / "never begun.mp4", {"iterations": 31})
    assert not list(tmp_path.glob("never*"))
    (full.folder / "render.json").rename(full.folder / "aside")
    refuse_changed_settings(full.output, {"iterations": 31})
    (full.folder / "aside").rename(full.folder / "render.json")
    for index in range(COUNT):
        full.frame_path(index).unlink()
    refuse_changed_settings(full.output, {"iterations": 31})


def test_another_range_of_frames_is_told_under_the_names_of_its_flags(output: Path) -> None:
    store = Checkpoint(output, {"first_frame": 2, "frame_count": 9}, SIZE, COUNT)
    store.begin(VERSIONS, restart=False)
    store.final.save(0, image(0))
    with pytest.raises(SettingsChangedError, match="duration: 9 -> 5; start: 2 -> 4") as caught:
        Checkpoint(output, {"first_frame": 4, "frame_count": 5}, SIZE, COUNT).begin(
            VERSIONS, restart=False
        )
    assert caught.value.differences == {"start": (2, 4), "duration": (9, 5)}


# The lock


def test_a_second_process_is_refused_while_the_first_lives_and_not_after_it_was_killed(
    full: Checkpoint,
) -> None:
    before = contents(full.folder)
    with another_process_locks(full.output) as holder:
        with (
            pytest.raises(LockedError, match=r"out\.mp4 is being rendered"),
            checkpoint.lock_output(full.output),
        ):
            pytest.fail("both hold it")
        assert contents(full.folder) == before
        holder.kill()
        holder.wait()
        with checkpoint.lock_output(full.output):
            again = store_of(full.output)
            assert again.final.missing_frames(range(again.count)) == []


def test_a_lock_file_that_nobody_holds_does_not_block(full: Checkpoint) -> None:
    (full.folder / "lock").write_text("999999")
    with checkpoint.lock_output(full.output):
        assert full.final.missing_frames(range(full.count)) == []


def test_tidying_up_removes_what_renders_leave_and_no_more(full: Checkpoint) -> None:
    for name in ("trace", "pairs", "source", "frames.2", "mine"):
        (full.folder / name).mkdir()
    for name in ("shot-000003.lock", "log.txt", "notes.txt"):
        (full.folder / name).touch()
    full.remove()
    assert {path.name for path in full.folder.iterdir()} == {"lock", "mine", "notes.txt"}


def test_nothing_is_left_of_a_render_that_ended_before_its_first_frame(output: Path) -> None:
    store = store_of(output)
    with contextlib.suppress(KeyError), checkpoint.lock_output(output):
        store.begin(VERSIONS, restart=False)
        store.log("refused for some reason")
        raise KeyError
    assert not store.folder.exists()


# A disk that is full or cannot be written


def test_a_full_disk_keeps_the_frames_and_the_render_continues_when_there_is_room(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(output)
    real = os.fsync
    room = 3  # frames; the record has been written by then

    def fsync(descriptor: int) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    def work() -> None:
        with checkpoint.lock_output(output):
            store.begin(VERSIONS, restart=False)
            monkeypatch.setattr("vidstyle.storage.atomic.os.fsync", fsync)
            for i in range(COUNT):
                store.final.save(i, image(i))

    with pytest.raises(DiskFullError) as caught:
        work()
    assert caught.value.exit_code == 1
    assert "kept" in caught.value.why
    assert "the same command" in caught.value.hint
    monkeypatch.undo()
    again = store_of(output)
    with checkpoint.lock_output(output):
        assert again.begin(VERSIONS, restart=False) == []
        assert again.final.missing_frames(range(again.count)) == [3, 4]
        assert not list(again.folder.rglob("*.tmp"))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_place_that_cannot_be_written_is_a_refusal_that_says_why(
    output: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def mkdir(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with (
        pytest.raises(OutputError, match=os.strerror(number)),
        checkpoint.lock_output(output),
    ):
        pytest.fail("it was written")


# The end


def test_an_output_is_known_for_ours_by_the_record_until_it_is_changed(
    full: Checkpoint, tmp_path: Path
) -> None:
    assert not record_module.is_own_output(full.output)
    full.output.write_bytes(b"foreign")
    assert not record_module.is_own_output(full.output)
    full.begin(VERSIONS, restart=False)
    encoded = tmp_path / "encoded"
    encoded.write_bytes(b"the film")
    full.deliver(encoded, {"crf": 17}, overwrite=True)
    assert full.output.read_bytes() == b"the film"
    assert record_module.is_own_output(full.output)
    assert full.is_delivered({"crf": 17})
    assert not full.is_delivered({"crf": 18})
    full.output.write_bytes(b"the user's own film")
    assert not record_module.is_own_output(full.output)


@pytest.mark.parametrize("restart", [False, True])
def test_what_encoders_of_killed_runs_wrote_is_removed_and_nothing_else(
    full: Checkpoint, restart: bool
) -> None:
    ours = [full.output.with_name(f".out.mp4.{pid}.tmp.mp4") for pid in (1, 4711)]
    others = [
        full.output.with_name(name)
        for name in ("out.mp4.1.tmp.mp4", ".out.mp4.mp4.7.tmp.mp4", ".xout.mp4.1.tmp")
    ]
    for path in (*ours, *others):
        path.write_bytes(b"")
    full.begin(VERSIONS, restart=restart)
    full.end_orphan()
    assert not [p for p in ours if p.exists()]
    assert [p for p in others if p.exists()] == others
    for path in others:
        path.unlink()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("restart", [False, True])
def test_an_encoder_that_outlived_its_render_is_ended_but_never_a_process_that_got_its_number(
    full: Checkpoint, restart: bool
) -> None:
    temporary = full.output.with_name(".out.mp4.1.tmp.mp4")
    sleeper = "import sys; print('here', flush=True); sys.stdin.read()"

    def start(*args: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", sleeper, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        return child

    with start(str(temporary)) as orphan, start("something else") as innocent:
        for child, code in ((innocent, 0), (orphan, -9)):
            full.begin(VERSIONS, restart=False)
            full.save_record(encoder={"pid": child.pid, "temporary": str(temporary)})
            again = store_of(full.output)
            again.begin(VERSIONS, restart=restart)
            again.end_orphan()
            assert not again.record["encoder"]
            child.communicate("")  # lets it end by itself if it still can
            assert child.returncode == code


def test_an_output_that_appears_during_the_render_is_not_replaced(
    full: Checkpoint, tmp_path: Path
) -> None:
    full.begin(VERSIONS, restart=False)
    full.output.write_bytes(b"precious")
    encoded = tmp_path / "encoded"
    encoded.write_bytes(b"the film")
    with pytest.raises(OutputError, match="appeared"):
        full.deliver(encoded, {"crf": 17})
    assert full.output.read_bytes() == b"precious"
    assert not encoded.exists()


def test_an_output_of_other_settings_is_no_own_output(full: Checkpoint, tmp_path: Path) -> None:
    full.begin(VERSIONS, restart=False)
    encoded = tmp_path / "encoded"
    encoded.write_bytes(b"the film")
    full.deliver(encoded, {"crf": 17})
    full.begin(VERSIONS, restart=False, overwrite=False)
    full.save_record(fingerprint="another")
    for path in full.final.path.glob("*.png"):
        path.unlink()
    with pytest.raises(OutputError, match="exists"):
        full.begin(VERSIONS, restart=False, overwrite=False)
    full.begin(VERSIONS, restart=False, overwrite=True)
