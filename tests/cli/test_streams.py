"""What happens to the standard streams never undoes a render that is complete."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.commands import QUICK
from vidstyle.video.probe import probe
from vidstyle.video.scan import scan

needs_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="there is no device that is always full"
)

Shell = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def shell(film: Path, painting: Path, tmp_path: Path) -> Shell:
    """Run a quick render by a shell, with these words after it."""

    def run(
        redirection: str, *words: str, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["-m", "vidstyle", str(film), "--style", str(painting), *QUICK]
        command += ["--no-cache", *words]
        return subprocess.run(
            ["sh", "-c", f'"$@" {redirection}', "sh", sys.executable, *command],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )

    return run


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[str]:
    """The name of a pipe whose reader goes as soon as it is opened."""
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["sh", "-c", "exec < pipe"], cwd=tmp_path)
    yield "pipe"
    reader.wait()


def output_frames(path: Path) -> int:
    return len(scan(probe(path)).timeline)


@pytest.mark.parametrize(
    "redirection",
    [
        "<&- >&-",
        "<&- >&- 2>&-",
        pytest.param(">/dev/full", marks=needs_full_device),
    ],
)
def test_a_render_is_complete_whatever_its_streams_are(
    shell: Shell, tmp_path: Path, redirection: str
) -> None:
    ran = shell(redirection, "-o", "out.mp4")
    assert ran.returncode == 0, ran.stderr
    assert output_frames(tmp_path / "out.mp4") == 2


def test_a_render_is_complete_though_the_reader_of_its_name_is_gone(
    shell: Shell, unread: str, tmp_path: Path
) -> None:
    ran = shell(f"> {unread}", "-o", "out.mp4")
    assert (ran.returncode, b"Exception" in ran.stderr) == (0, False), ran.stderr
    assert output_frames(tmp_path / "out.mp4") == 2


@pytest.mark.parametrize("progress", ["json", "bar"])
def test_progress_that_nobody_reads_stops_nothing(
    shell: Shell, unread: str, tmp_path: Path, progress: str
) -> None:
    ran = shell(f"2> {unread}", "-o", "out.mp4", "--progress", progress)
    assert ran.returncode == 0
    assert ran.stdout == b"out.mp4\n"
    assert output_frames(tmp_path / "out.mp4") == 2


def test_a_name_that_the_encoding_of_stdout_lacks_is_printed_as_the_file_system_has_it(
    shell: Shell,
) -> None:
    ran = shell("", "-o", "日本é.mp4", PYTHONIOENCODING="latin-1")
    assert (ran.returncode, ran.stdout) == (0, "日本é.mp4\n".encode()), ran.stderr


@needs_full_device
def test_an_answer_that_cannot_be_written_is_an_error(shell: Shell) -> None:
    ran = shell(">/dev/full", "--dry-run")
    assert ran.returncode == 1
    assert ran.stderr.count(b"\n  ") == 2


def test_a_reader_that_has_seen_enough_of_an_answer_is_no_error(shell: Shell, unread: str) -> None:
    ran = shell(f"> {unread}", "--dry-run")
    assert (ran.returncode, b"Exception" in ran.stderr) == (0, False), ran.stderr
