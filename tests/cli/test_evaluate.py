"""`vidstyle evaluate` keeps the command line's promises: what goes where, and what is refused
before it is measured.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.films import folder, texture, video
from vidstyle.evaluation import comparison, measure

Command = Callable[..., Any]


@pytest.fixture
def line(tmp_path: Path, painting: Path) -> list[object]:
    """Three frames, their baseline, and how they are measured."""
    source = video(tmp_path / "in.mkv", [texture(0)] * 3)
    kept = [folder(tmp_path / f"{i}.mp4", [texture(i + t) for t in range(3)]) for i in (1, 2)]
    named = ["--source", source, "-s", painting, "--baseline", kept[1]]
    return ["evaluate", kept[0], *named, "--flow", "dis", "--features", "lite", "--device", "cpu"]


def test_the_table_goes_to_stdout_and_the_files_where_they_are_wished(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    got = command(*line, "--json", tmp_path / "card.json", "--plot", tmp_path / "card.png")
    assert got.code == 0, got.err
    for words in (
        "warping error (t, t-1)",
        "style distance",
        "ghosting",
        "D = ",
        "dis flow, lite features",
    ):
        assert words in got.out
    assert "measured 3/3" in got.err
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["inputs"]["style"]["sha256"]
    assert card["means"]["result"]["warping_error_long"] is None  # three frames are no long pair


def test_the_json_can_go_to_stdout_and_is_the_same_each_time(
    command: Command, line: list[object]
) -> None:
    first, again = (command(*line, "--json", "-", "--progress", "json") for _ in range(2))
    assert first.out == again.out
    assert {"definitions", "means", "per_frame", "versions", "setup"} <= {*json.loads(first.out)}
    events = [json.loads(text) for text in first.err.splitlines()]
    assert events == [{"event": "Measured", "done": done, "total": 3} for done in range(4)]


def test_quiet_leaves_only_the_figures(command: Command, line: list[object]) -> None:
    got = command(*line, "-q")
    assert (got.code, got.err) == (0, "")
    assert got.out


def test_existing_files_are_replaced_only_when_asked(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    for flag in ("--json", "--plot"):
        file = tmp_path / f"{flag.strip('-')}.png"
        file.write_text("precious")
        assert command(*line, flag, file).code == 2
        assert file.read_text() == "precious"
        assert command(*line, flag, file, "-f").code == 0
        assert file.read_bytes() != b"precious"


WRONG: dict[str, Callable[[list[Any], Path], tuple[list[Any], str]]] = {
    "no result": lambda a, p: ([a[0], p / "none.mp4", *a[2:]], "none.mp4"),
    "no source": lambda a, p: ([*a, "--source", p / "none.mp4"], "none.mp4"),
    "no baseline": lambda a, p: ([*a, "--baseline", p / "none.mp4"], "none.mp4"),
    "no painting": lambda a, p: ([*a, "-s", p / "none.png"], "none.png"),
    "a folder of something else": lambda a, p: ([a[0], p, *a[2:]], "render.json"),
    "another size": lambda a, p: (
        [*a, "--baseline", folder(p / "small.mp4", [texture(1, (32, 48))] * 3)],
        "it is 48x32, and",
    ),
    "a baseline too short": lambda a, p: (
        [*a, "--baseline", folder(p / "short.mp4", [texture(1)] * 2)],
        "shorter",
    ),
    "a result too long": lambda a, p: (
        [a[0], folder(p / "long.mp4", [texture(1)] * 4), *a[2:]],
        "longer",
    ),
    "a start too late": lambda a, p: ([*a, "--start", "0.2"], "longer than its source"),
    "a start after the end": lambda a, p: ([*a, "--start", "9"], "--start"),
    "a file for two": lambda a, p: ([*a, "--json", p / "x", "--plot", p / "x"], "twice"),
    "an input as the output": lambda a, p: ([*a, "--json", p / "in.mkv", "-f"], "it is measured"),
    "curves in a file for something else": lambda a, p: (
        [*a, "--plot", p / "curves.jpg"],
        "curves.png",
    ),
    "a directory as the output": lambda a, p: ([*a, "--plot", p, "-f"], "directory"),
    "no such folder": lambda a, p: ([*a, "--json", p / "none" / "card.json"], "no such folder"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_measured_is_refused_in_three_lines(
    kind: str, command: Command, line: list[object], tmp_path: Path
) -> None:
    arguments, words = WRONG[kind](line, tmp_path)
    got = command(*arguments, "-q")
    assert (got.code, got.out) == (2, "")
    assert words in got.err
    assert [text.split(":")[0] for text in got.err.splitlines()] == ["vidstyle", "  why", "  try"]


@pytest.mark.parametrize("harm", ["gone", "cut short", "another's", "empty"])
def test_frames_with_a_gap_are_refused(harm: str, command: Command, line: list[Any]) -> None:
    frame = line[1] / "frames" / "000001.png"
    data, other = frame.read_bytes(), frame.with_name("000002.png").read_bytes()
    if harm == "gone":
        frame.unlink()
    else:
        frame.write_bytes({"cut short": data[:-20], "another's": other, "empty": b""}[harm])
    got = command(*line, "-q")
    assert got.code == 2
    assert "frame 1 of 3 is missing or damaged" in got.err


def test_without_matplotlib_curves_are_refused_before_anything_is_measured(
    command: Command, line: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object, **__: object) -> None:
        raise AssertionError("it was begun")

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr("vidstyle.evaluation.evaluate.evaluate", measured)
    got = command(*line, "--plot", tmp_path / "card.png")
    assert got.code == 2
    assert "pip install 'vidstyle[plot]'" in got.err


@pytest.mark.parametrize("moment", ["before the first frame", "at a frame"])
def test_ctrl_c_writes_nothing(
    moment: str,
    command: Command,
    line: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner, name = (
        (comparison, "open_clip") if moment == "before the first frame" else (measure.Meter, "add")
    )
    usual = getattr(owner, name)
    rest = iter([True])

    def interrupted(*args: Any) -> Any:
        if next(rest, False):
            signal.raise_signal(signal.SIGINT)
        return usual(*args)

    monkeypatch.setattr(owner, name, interrupted)
    got = command(*line, "--json", tmp_path / "card.json")
    assert (got.code, got.out) == (130, "")
    assert "nothing was written" in got.err
    assert not (tmp_path / "card.json").exists()
