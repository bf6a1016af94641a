"""Killed at any moment and run again, a render ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.commands import Process, started
from vidstyle.storage.record import read_record, state_folder
from vidstyle.video import ffmpeg

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc"
    ),
]

COUNT = 30
KILLS = 16
LONG = 60.0
"""Seconds after which something that should happen has not."""


@dataclass(frozen=True)
class Command:
    """`vidstyle` in a process of its own, always with the same arguments.

    It is a fork of a process that has everything loaded, or a fresh interpreter where that is asked
    for.
    """

    output: Path
    arguments: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return self.output.parent

    @property
    def frames(self) -> list[Path]:
        return self.frames_in("frames")

    def frames_in(self, folder: str) -> list[Path]:
        return sorted((state_folder(self.output) / folder).glob("*.png"))

    def started(self, *more: str, fresh: bool = False) -> AbstractContextManager[Process]:
        return started([*self.arguments, "-o", self.output, *more], fresh=fresh)

    def finish(self, *more: str, fresh: bool = False) -> None:
        with self.started(*more, fresh=fresh) as process:
            out, err = process.communicate()
            code = process.returncode
        assert code == 0, err
        assert out == f"{self.output}\n"

    def offspring(self) -> list[bytes]:
        """Command lines of the ffmpeg processes that work on this render, whoever their parent is
        now.
        """
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes()
                if os.fsencode(self.folder) in line and b"-nostdin" in line:
                    found.append(line)
        return found


def until(happened: Callable[[], bool], process: Process | None = None) -> bool:
    """Polls until it happened; False when the process ended first."""
    deadline = time.monotonic() + LONG
    while not happened():
        if process is not None and process.poll() is not None:
            return happened()
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)
    return True


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "film.mp4"
    source = ["-f", "lavfi", "-i", f"testsrc2=size=48x32:rate=10,trim=end_frame={COUNT}"]
    sound = ["-f", "lavfi", "-i", f"sine=duration={COUNT / 10}"]
    ffmpeg.run(["-y", *source, *sound, ffmpeg.local(path)], "cannot make the film")
    return path


@pytest.fixture(scope="module")
def arguments(long_film: Path, painting: Path) -> tuple[str, ...]:
    quick = "--first-iterations 3 --first-scales 1 --iterations 1 --device cpu --progress json"
    return (str(long_film), "--style", str(painting), *quick.split())


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...]
) -> tuple[dict[str, bytes], bytes]:
    """Frames and film of a render that nobody disturbed, in a fresh interpreter."""
    command = Command(tmp_path_factory.mktemp("reference") / "out.mp4", arguments)
    command.finish("--keep-frames", fresh=True)
    frames = {p.name: p.read_bytes() for p in command.frames}
    assert len(frames) == COUNT
    return frames, command.output.read_bytes()


@pytest.fixture
def command(tmp_path: Path, arguments: tuple[str, ...]) -> Command:
    return Command(tmp_path / "out.mp4", arguments)


def encoding(command: Command) -> bool:
    return any(command.folder.glob(".out.mp4.*.tmp.mp4"))


def delivered(command: Command) -> bool:
    return bool(read_record(state_folder(command.output)).get("delivered"))


def moments(rng: random.Random) -> list[tuple[str, Callable[[Command], bool], float]]:
    """(name, what to wait for, seconds to wait after it) of each kill, in the order of a render."""

    def frames(least: int) -> Callable[[Command], bool]:
        return lambda c: len(c.frames) >= least

    return [
        ("the state directory", lambda c: state_folder(c.output).exists(), rng.uniform(0, 0.05)),
        *(
            (f"frame {n}", frames(n), rng.uniform(0, 0.03))
            for n in sorted(rng.sample(range(1, COUNT), 8))
        ),
        ("the last frame", frames(COUNT), 0.0),
        *(
            ("the encoder", encoding, delay)
            for delay in (0.0, *(rng.uniform(0, 0.3) for _ in range(3)))
        ),
        ("the record of the delivery", delivered, 0.0),
        ("the output", lambda c: c.output.exists(), 0.0),
    ]


def test_a_render_that_is_killed_again_and_again_ends_in_the_same_bytes(
    command: Command, reference: tuple[dict[str, bytes], bytes]
) -> None:
    frames, film = reference
    rng = random.Random(7)
    kills, seen, while_encoding = 0, set(), 0
    todo = moments(rng)
    while kills < KILLS:
        # A kill that came too late has let the render end; then another one begins, and dies while
        # encoding.
        name, happened, delay = (
            todo.pop(0) if todo else ("the encoder", encoding, rng.uniform(0, 0.1))
        )
        # The first and the last but one are fresh interpreters, as a user starts them.
        fresh = kills in (0, KILLS - 1)
        with command.started(fresh=fresh) as process:
            if until(lambda happened=happened: happened(command), process):  # type: ignore[misc]
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(delay)
            process.kill()
            _, err = process.communicate()
            code = process.returncode
        if code == 0:
            assert command.output.read_bytes() == film, f"finished while waiting for {name}"
            command.output.unlink()
            continue
        assert code == -signal.SIGKILL, f"waiting for {name}: {err}"
        kills += 1
        while_encoding += encoding(command)
        for path in command.frames:  # also those that the next run will not look at again
            assert path.read_bytes() == frames[path.name], f"{path.name} after a kill at {name}"
            seen.add(path.name)
        if command.output.exists():
            assert command.output.read_bytes() == film
    assert seen == set(frames)
    assert while_encoding >= 2
    command.finish()
    assert command.output.read_bytes() == film
    assert [p.name for p in command.folder.iterdir()] == ["out.mp4"]
    until(lambda: not command.offspring())


@pytest.mark.parametrize("more", [("--passes", "3"), ("--long-term", "4")], ids=" ".join)
def test_a_render_of_linked_passes_or_frames_that_is_killed_ends_in_the_same_bytes(
    tmp_path: Path, arguments: tuple[str, ...], more: tuple[str, ...]
) -> None:
    whole = Command(tmp_path / "whole" / "out.mp4", (*arguments, *more))
    whole.folder.mkdir()
    whole.finish()
    command = Command(tmp_path / "killed" / "out.mp4", (*arguments, *more))
    command.folder.mkdir()
    folders = (
        ("frames.1.000000", "frames.2.000000", "frames") if "--passes" in more else ("frames",)
    )
    kills = [(name, least) for name in folders for least in (1, COUNT // 2, COUNT)]
    for name, least in kills:
        with command.started() as process:
            until(lambda name=name, least=least: len(command.frames_in(name)) >= least, process)  # type: ignore[misc]
            process.kill()
            _, err = process.communicate()
            code = process.returncode
        assert code == -signal.SIGKILL, f"waiting for {least} of {name}: {err}"
    command.finish()
    assert command.output.read_bytes() == whole.output.read_bytes()
    assert [p.name for p in command.folder.iterdir()] == ["out.mp4"]
    until(lambda: not command.offspring())


STOPS = [
    ("after 3 frames", lambda c: len(c.frames) >= 3, [signal.SIGINT], 130),
    ("after 9 frames", lambda c: len(c.frames) >= 9, [signal.SIGTERM], 143),
    ("after 16 frames", lambda c: len(c.frames) >= 16, [signal.SIGINT, signal.SIGINT], 130),
    ("encoding", encoding, [signal.SIGINT], 130),
    ("encoding", encoding, [signal.SIGTERM], 143),
]
"""When, what to wait for, what is sent then, and the exit code."""


def test_a_render_that_is_asked_to_stop_keeps_its_frames_tidies_up_and_continues(
    command: Command, reference: tuple[dict[str, bytes], bytes]
) -> None:
    frames, film = reference
    done = 0
    for when, happened, sent, code in STOPS:
        with command.started() as process:
            assert until(lambda happened=happened: happened(command), process), when  # type: ignore[misc]
            for number in sent:
                process.send_signal(number)
            out, err = process.communicate()
            assert process.returncode == code, f"{when}: {err}"
        assert out == ""
        assert "Traceback" not in err
        assert err.splitlines()[-1] == "  try: the same command continues"
        assert not command.offspring(), when
        assert [p.name for p in command.folder.iterdir()] == ["out.mp4.vidstyle"], when
        kept = {p.name: p.read_bytes() for p in command.frames}
        assert len(kept) >= max(done, 3)
        assert kept == {name: frames[name] for name in kept}
        done = len(kept)
    command.finish()
    assert command.output.read_bytes() == film
    assert [p.name for p in command.folder.iterdir()] == ["out.mp4"]
