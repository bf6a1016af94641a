"""Every refusal reaches the user as what, why and what to do, one line each, with the right exit
code.
"""

from __future__ import annotations

import errno
import inspect
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from vidstyle import errors
from vidstyle.cli import main as cli
from vidstyle.errors import VidstyleError
from vidstyle.video import ffmpeg

QUICK = ("--size", "48", "--first-iterations", "1", "--first-scales", "1", "--iterations", "1")
THREE_LINES = re.compile(r"vidstyle: \S[^\n]*\n  why: \S[^\n]*\n  try: \S[^\n]*\n")

REFUSALS = {
    "a text file": ("text.mp4 -s s.png", 2, "text.mp4 is not a video or an image"),
    "an empty file": ("empty.mp4 -s s.png", 2, "the file is empty"),
    "a missing file": ("none.mp4 -s s.png", 2, "there is no such file"),
    "a directory": ("folder -s s.png", 2, "it is a directory"),
    "a video without its index": ("headless.mp4 -s s.png", 2, "cut short"),
    "an empty input": ("'' -s s.png", 2, "an argument is empty"),
    "a style without a name": ("in.mp4 -s ''", 2, "after -s"),
    "an empty output": ("in.mp4 -s s.png --output=", 2, "--output= is bare"),
    "an empty name in a file": ("in.mp4 -s s.png -c blank.toml", 2, "name a file, and is empty"),
    "a switch for a number": ("in.mp4 -s s.png -c switch.toml", 2, "scales: input should not"),
    "a video cut short": ("short.mp4 -s s.png", 2, "frames are missing"),
    "sound alone": ("sound.m4a -s s.png", 2, "there is only audio in it"),
    "no style": ("in.mp4", 2, "add --style"),
    "no input": ("-s s.png", 2, "no input given"),
    "a missing style": ("in.mp4 -s none.png", 2, "cannot read none.png"),
    "a style that is a directory": ("in.mp4 -s folder", 2, "it is a directory"),
    "a style that is text": ("in.mp4 -s broken.png", 2, "cannot read broken.png as an image"),
    "an empty style": ("in.mp4 -s empty.mp4", 2, "the file is empty"),
    "an output in no directory": ("in.mp4 -s s.png -o none/out.mp4", 2, "mkdir -p 'none'"),
    "an output under a file": (
        "in.mp4 -s s.png -o text.mp4/out.mp4",
        2,
        "cannot write text.mp4/out.mp4",
    ),
    "an output that is a directory": ("in.mp4 -s s.png -o folder.mp4", 2, "it is a directory"),
    "an output that exists": ("in.mp4 -s s.png -o text.mp4", 2, "use -f"),
    "the input as the output": ("in.mp4 -s s.png -o in.mp4", 2, "it is the input itself"),
    "the input as the output, with force": (
        "in.mp4 -s s.png -f -o ./in.mp4",
        2,
        "it is the input itself",
    ),
    "the style as the output": (
        "s.png -s s2.png -f -o s2.png",
        2,
        "is what the render is made from",
    ),
    "an unknown extension": ("in.mp4 -s s.png -o out.xyz", 2, ".xyz"),
    "a codec that the container does not take": (
        "in.mp4 -s s.png -o out.mp4 --codec prores",
        2,
        "mp4 takes",
    ),
    "a quality out of the codec's range": ("in.mp4 -s s.png --crf 60", 2, "from 0 (best) to 51"),
    "a quality out of every range": ("in.mp4 -s s.png --crf 64", 2, "crf: input should be less"),
    "a negative weight": ("in.mp4 -s s.png --tv-weight -1", 2, "tv_weight"),
    "a size too small": (
        "in.mp4 -s s.png --size 15",
        2,
        "size: input should be greater than or equal to 16, not 15",
    ),
    "a weight that is no number": ("in.mp4 -s s.png --style-weight nan", 2, "style_weight"),
    "pooling without VGG-19": (
        "in.mp4 -s s.png --pooling max",
        2,
        "pooling = max changes nothing where",
    ),
    "polish without a gain": (
        "in.mp4 -s s.png --features vgg19 --polish 3",
        2,
        "polish = 3 changes nothing where",
    ),
    "an unknown device": ("in.mp4 -s s.png --device gpu", 2, "device: 'gpu' is none of auto, cpu"),
    "a device that is not there": ("in.mp4 -s s.png --device cuda:99", 2, "no device 'cuda:99'"),
    "a part after the end": ("in.mp4 -s s.png --start 99", 2, "no frame lies in the part"),
    "an unknown preset": ("in.mp4 -s s.png --preset best", 2, "draft, standard, reference"),
    "a missing settings file": ("in.mp4 -s s.png -c none.toml", 2, "cannot read none.toml"),
    "broken TOML": ("in.mp4 -s s.png -c broken.toml", 2, "line 1"),
    "TOML that is not text": ("in.mp4 -s s.png -c binary.toml", 2, "cannot read binary.toml"),
    "an unknown setting": (
        "in.mp4 -s s.png -c unknown.toml",
        2,
        "no setting iteratons, did you mean iterations?",
    ),
    "a table of settings": ("in.mp4 -s s.png -c table.toml", 2, "there is no setting render"),
    "a foreign preview": (
        "in.mp4 -s s.png --preview -o taken.mp4",
        2,
        "taken.preview.png would be replaced",
    ),
    "unknown weights": ("weights none", 2, "there are lite, figures, painter, vgg19"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, film: Path, painting: Path) -> Path:
    """What can be wrong, in one folder."""
    folder = tmp_path_factory.mktemp("wrong")

    def make(name: str, *args: str) -> bytes:
        ffmpeg.run(["-y", *args, ffmpeg.local(folder / name)], f"cannot make {name}")
        return (folder / name).read_bytes()

    shutil.copy(film, folder / "in.mp4")
    for name in ("s.png", "s2.png"):
        shutil.copy(painting, folder / name)
    make("sound.m4a", "-f", "lavfi", "-i", "sine=duration=0.2")
    noise = (
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=10,trim=end_frame=20,noise=alls=40",
        "-g",
        "1",
    )
    whole = make("headless.mp4", *noise)
    (folder / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    whole = make("short.mp4", *noise, "-movflags", "+faststart")
    (folder / "short.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (folder / "folder").mkdir()
    (folder / "folder.mp4").mkdir()
    texts = {
        "text.mp4": "hello\n",
        "empty.mp4": "",
        "broken.png": "no picture\n",
        "taken.preview.png": "someone's\n",
        "broken.toml": "iterations = \n",
        "unknown.toml": "iteratons = 3\n",
        "switch.toml": "scales = true\n",
        "blank.toml": 'output = ""\n',
        "table.toml": "[render]\niterations = 3\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
    return folder


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*")}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_what_why_and_what_to_do_and_touches_nothing(
    case: str, folder: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    line, code, words = REFUSALS[case]
    before = listing(folder)
    got = command(
        *shlex.split(line), *(QUICK if "--size" not in line and "weights" not in line else ())
    )
    assert (got.code, got.out) == (code, "")
    assert THREE_LINES.fullmatch(got.err)
    assert words in got.err
    assert listing(folder) == before


@pytest.mark.parametrize(
    "line", ["in.mp4 --styel s.png", "in.mp4 other.mp4 -s s.png", "in.mp4 --seed 1.5"]
)
def test_a_misspelt_command_line_exits_2_and_points_to_the_help(
    line: str, command: Callable[..., Any]
) -> None:
    got = command(*shlex.split(line))
    assert (got.code, got.out) == (2, "")
    assert "Usage: vidstyle [OPTIONS] INPUT" in got.err
    assert "vidstyle --help" in got.err
    assert "Traceback" not in got.err


def test_changed_settings_are_refused_and_named(
    command: Callable[..., Any], film: Path, painting: Path, tmp_path: Path
) -> None:
    line = [film, "-s", painting, "-o", tmp_path / "out.mp4", "--duration", "0.2", *QUICK]
    assert command(*line, "--keep-frames").code == 0
    before = listing(tmp_path)
    got = command(*line, "-f", "--tv-weight", "0.7")
    assert got.code == 2
    assert THREE_LINES.search(got.err)
    assert "tv_weight: 0.3 -> 0.7" in got.err
    frames = {name: kept for name, kept in before.items() if name.endswith("png")}
    assert frames
    assert frames.items() <= listing(tmp_path).items()


def test_an_output_that_another_process_renders_is_refused(
    command: Callable[..., Any], film: Path, painting: Path, tmp_path: Path
) -> None:
    state = tmp_path / "out.mp4.vidstyle"
    state.mkdir()
    with FileLock(state / "lock"):
        got = command(film, "-s", painting, "-o", tmp_path / "out.mp4", *QUICK)
    assert got.code == 2
    assert THREE_LINES.search(got.err)
    assert "out.mp4 is being rendered" in got.err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out of memory",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "choose a smaller --size"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "some/file"), "some/file"),
        (ValueError("one line\nand another"), "ValueError: one line and another"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_that_no_module_expected_is_still_three_lines(
    error: Exception, words: str, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("vidstyle.cli.render.run_render", fails)
    got = command("in.mp4", "-s", "s.png")
    assert got.code == 1
    assert THREE_LINES.fullmatch(got.err)
    assert words in got.err
    assert "Traceback" in command("in.mp4", "-s", "s.png", "--verbose").err


def every_error() -> list[type[VidstyleError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, VidstyleError)
    ]


EXTRA: dict[str, dict[str, Any]] = {
    "SettingsChangedError": {"differences": {}},
    "DecodeError": {"missing": 3},
    "Interrupted": {"exit_code": 143},
}


@pytest.mark.parametrize("kind", every_error())
def test_an_error_prints_its_three_lines_and_exits_with_its_code(
    kind: type[VidstyleError], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["vidstyle"]
    )  # pytest's own -v would ask for the traceback too
    error = kind("what", "why", "hint", **EXTRA.get(kind.__name__, {}))
    with pytest.raises(SystemExit) as e:
        cli.fail(error)
    assert (
        e.value.code == error.exit_code == (143 if kind is errors.Interrupted else error.exit_code)
    )
    assert capsys.readouterr().err == "vidstyle: what\n  why: why\n  try: hint\n"


def test_refusals_exit_2_and_failures_1() -> None:
    codes = {
        kind.__name__: kind.exit_code for kind in every_error() if kind is not errors.Interrupted
    }
    assert codes == {
        k.__name__: 2 if issubclass(k, errors.Refusal) else 1
        for k in every_error()
        if k.__name__ in codes
    }


def test_the_tree_in_the_docstring_holds_every_error() -> None:
    drawn = re.findall(
        r"(?:VidstyleError|\w+Error|Refusal|Interrupted)\b(?= {2,})", errors.__doc__ or ""
    )
    assert sorted(drawn) == sorted(kind.__name__ for kind in every_error())
