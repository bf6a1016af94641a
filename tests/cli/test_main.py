"""File names of every kind reach the render, and mistyped commands do not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import QUICK, Command
from vidstyle.cli.main import main
from vidstyle.cli.signals import Signals
from vidstyle.machine import disk

NAMES = {
    "a flag": "--style",
    "a protocol": "file:a:b",
    "punctuation": """ it's "so"  `q` 100%03d [x]*?{1,2} [bold]#;&$!\\ """,
    "letters of the world": "naïve 日本 ж",
    "a subcommand": "weights",
}


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids most of these names")
@pytest.mark.parametrize("kind", NAMES)
def test_a_file_may_have_any_name(
    kind: str,
    command: Command,
    film: Path,
    painting: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    name = NAMES[kind]
    shutil.copy(film, f"{name}.mp4")
    shutil.copy(painting, f"{name}.png")
    got = command(*QUICK, "-s", f"{name}.png", "--", f"{name}.mp4")
    assert (got.code, got.out) == (0, f"{name}.{name}.mp4\n"), got.err
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{name}.mp4",
        f"{name}.png",
        f"{name}.{name}.mp4",
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf8_comes_out_as_it_went_in(
    film: Path, painting: Path, tmp_path: Path
) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    shutil.copy(film, tmp_path / name)
    args = [sys.executable, "-m", "vidstyle", name, "-s", painting, *QUICK]
    got = subprocess.run(args, cwd=tmp_path, capture_output=True, check=False)
    assert (got.returncode, got.stdout) == (0, b"caf\xe9.stripes.mp4\n"), got.stderr


def test_a_file_with_a_subcommands_name_is_written_with_a_dot(
    command: Command, film: Path, painting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(film, "weights")
    got = command("./weights", "-s", painting, *QUICK, "--dry-run")
    assert got.code == 0, got.err
    assert "weights.stripes.mp4" in got.out


def test_options_may_come_before_the_file(
    command: Command, line: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests write to the disk meanwhile.
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 10**12)
    film, *options = line
    assert (
        command(*options, "--dry-run", film).out == command(film, *options, "--dry-run").out != ""
    )


def test_a_first_call_without_arguments_shows_the_help(command: Command) -> None:
    got = command()
    assert (got.code, got.err) == (0, "")
    assert "Usage: vidstyle" in got.out


@pytest.mark.parametrize(
    "words", [["--weights-dir", "."], ["--version"], ["weights.mp4"], ["grid.png"]], ids=" ".join
)
def test_an_option_or_a_missing_file_is_no_mistyped_command(
    command: Command, words: list[str]
) -> None:
    assert "did you mean" not in command(*words).err


def test_a_mistyped_command_is_told_from_a_missing_file(command: Command) -> None:
    got = command("gird", "photo.jpg")
    assert got.code == 2
    assert "did you mean vidstyle grid?" in got.err


def test_a_run_takes_its_words_and_signals_from_its_caller(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(sys, "argv", ["vidstyle", "--version", "-v"])
    given = Signals()
    try:
        with pytest.raises(SystemExit) as e:
            main(["none.mp4", "--size", "0"], signals=given)
        assert signal.getsignal(signal.SIGINT) == given.handle
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert e.value.code == 2
    # No traceback: that -v is another caller's.
    assert len(capsys.readouterr().err.splitlines()) == 3
