"""GIFs, images, awkward names, and what a failure leaves."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vidstyle.errors import DiskFullError, EncodeError
from vidstyle.video import write

if TYPE_CHECKING:
    from tests.helpers.clips import Clips
from tests.helpers.writing import packets, pictures, render


def gif_delays(path: Path) -> list[int]:
    """Centiseconds of each frame, from the file's graphic control blocks."""
    return [
        int.from_bytes(delay, "little")
        for delay in re.findall(rb"!\xf9\x04.(..).\0[,!]", path.read_bytes(), re.DOTALL)
    ]


@pytest.mark.parametrize(("loop", "expected"), [("0", b"\0\0"), ("3", b"\3\0"), ("-1", None)])
def test_a_gif_keeps_its_delays_and_loops(clips: Clips, loop: str, expected: bytes | None) -> None:
    times = [
        "-vf",
        "settb=1/100,setpts='4*N+10*gt(N,4)'",
        "-enc_time_base",
        "1/100",
        "-fps_mode",
        "passthrough",
    ]
    clip = clips.pattern("in.gif", *times, "-final_delay", "50", "-loop", loop)
    path, _, _ = render(clip, clips.folder / "out.gif")
    assert gif_delays(path) == gif_delays(clip)
    assert gif_delays(path)[-1] == 50
    marker = path.read_bytes().partition(b"NETSCAPE2.0\x03\x01")
    assert (marker[2][:2] if marker[1] else None) == expected
    assert len(packets(path, "v", decode=True)) == 10


@pytest.mark.parametrize(
    ("name", "bits", "tolerance"),
    [("o.png", 16, 0), ("o.tif", 16, 0), ("o.jpg", 8, 12), ("o.webp", 8, 12)],
)
@pytest.mark.parametrize("deep", [False, True])
def test_an_image_is_written_at_the_depth_that_fits(
    tmp_path: Path, name: str, bits: int, tolerance: int, deep: bool
) -> None:
    picture = np.full((32, 48, 3), 30_000, np.uint16)
    picture[:, :24, 0] = 10_000
    given = tmp_path / "in.png"
    cv2.imwrite(str(given), picture if deep else (picture // 257).astype(np.uint8))
    frame = tmp_path / "frame.png"
    cv2.imwrite(str(frame), picture)
    path, _, _ = render(given, tmp_path / name, frames=[frame])
    written: NDArray[Any] | None = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert written is not None
    assert written.dtype.itemsize * 8 == (bits if deep else 8)
    wanted = picture if written.dtype == np.uint16 else np.rint(picture / 257)
    assert np.abs(written.astype(int) - wanted)[:, 4:20].max() <= tolerance


AWKWARD = [
    "-dash.mp4",
    "co:lon.mp4",
    "100%03d.mp4",
    'it\'s "quoted".mp4',
    "spåce ünï 映画.mp4",
    "a?b#c*[d].mp4",
    "back\\slash.mp4",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_any_name_works_for_input_output_and_frames(clips: Clips, name: str) -> None:
    folder = clips.folder / f"in {name}"
    folder.mkdir()
    clips.pattern("plain.mp4", frames=3, audio=0.3).rename(folder / name)
    path, _, _ = render(folder / name, folder / f"out{name}")
    assert len(packets(path, "v", decode=True)) == 3


def attempt(clips: Clips, **more: Any) -> None:
    render(clips.pattern("in.mp4", frames=60, size=(320, 240)), clips.folder / "out.mp4", **more)


def leftovers(folder: Path) -> list[str]:
    return [
        path.name for path in folder.iterdir() if ".tmp" in path.name or path.name.startswith("out")
    ]


def test_progress_is_told_and_the_process_is_named_while_it_runs(clips: Clips) -> None:
    seen: list[int] = []
    started: list[tuple[int, Path]] = []

    def on_start(pid: int, path: Path) -> None:
        os.kill(pid, 0)
        started.append((pid, path))

    attempt(clips, on_start=on_start, on_frame=seen.append)
    assert len(started) == 1
    assert started[0][1].parent == clips.folder
    assert seen == sorted(seen)
    assert seen[-1] == 60


class StopError(Exception):
    pass


@pytest.mark.parametrize("where", ["on_start", "on_frame"])
def test_the_callers_exception_ends_the_encoder_and_removes_the_file(
    clips: Clips, where: str
) -> None:
    pids: list[int] = []

    def stop(*_: object) -> NoReturn:
        raise StopError

    calls: dict[str, Callable[..., None]] = {"on_start": lambda pid, path: pids.append(pid)}
    if where == "on_start":
        calls = {"on_start": lambda pid, path: (pids.append(pid), stop())[1]}
    else:
        calls["on_frame"] = stop
    with pytest.raises(StopError):
        attempt(clips, **calls)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert leftovers(clips.folder) == []


def test_a_damaged_frame_fails_with_a_reason_and_leaves_nothing(clips: Clips) -> None:
    frames = pictures(clips.folder / "frames", 60, (320, 240))
    frames[30].write_bytes(frames[30].read_bytes()[:60])
    with pytest.raises(EncodeError) as caught:
        attempt(clips, frames=frames)
    assert "out.mp4" in caught.value.what
    assert caught.value.why
    assert leftovers(clips.folder) == []


def test_a_killed_encoder_is_an_error(clips: Clips) -> None:
    with pytest.raises(EncodeError, match="signal 9"):
        attempt(clips, on_start=lambda pid, path: os.kill(pid, 9))
    assert leftovers(clips.folder) == []


def test_a_file_with_too_few_frames_is_an_error(
    clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = write.concat_script
    monkeypatch.setattr(write, "concat_script", lambda frames, times: real(frames[:-1], times))
    with pytest.raises(EncodeError, match=r"5\d frames instead of 60"):
        attempt(clips)
    assert leftovers(clips.folder) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(clips: Clips, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(descriptor: int) -> NoReturn:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError) as caught:
        attempt(clips)
    assert caught.value.why == os.strerror(code)
    assert leftovers(clips.folder) == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root may mount a small file system",
)
def test_a_disk_that_fills_while_encoding_is_named(clips: Clips) -> None:
    small = clips.folder / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        clip = clips.pattern("in.mp4", frames=60, size=(320, 240))
        with pytest.raises(DiskFullError):
            render(clip, small / "out.mkv", "ffv1")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
