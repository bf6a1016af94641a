"""A grid shows what settings do side by side, refuses what makes no sense at once, and loses no
finished cell.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from tests.cli.commands import help_text
from vidstyle.errors import ConfigError, Interrupted
from vidstyle.events import Event, FrameDone, Note, Started
from vidstyle.frames import to_uint16
from vidstyle.grid import axes as vary
from vidstyle.grid import contact_sheet
from vidstyle.grid import grid as grids
from vidstyle.rendering import models, pipeline
from vidstyle.rendering.job import Job
from vidstyle.video.probe import probe
from vidstyle.video.read import read

QUICK = ("--device", "cpu", "--first-iterations", "4", "--first-scales", "1")
LAYERS = ("relu1_1", "relu1_1,relu2_1")
VARIED = ("--vary", "content_weight=1e-3,2", "--vary", f"style-layers={';'.join(LAYERS)}")

Command = Callable[..., Any]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """64x48, soft and coloured."""
    path = tmp_path / "photo.png"
    random = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(random, (64, 48), interpolation=cv2.INTER_CUBIC))
    return path


@pytest.fixture
def line(photo: Path, painting: Path) -> list[object]:
    """Two columns and two rows, but for `--vary`."""
    return ["grid", photo, "-s", painting, *QUICK]


@pytest.fixture
def settings(photo: Path, painting: Path) -> dict[str, Any]:
    return {
        "input": photo,
        "style": painting,
        "device": "cpu",
        "first_iterations": 2,
        "first_scales": 1,
    }


def picture(path: Path) -> NDArray[np.uint8]:
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


def where(part: NDArray[np.uint8], whole: NDArray[np.uint8]) -> tuple[int, int]:
    """(x, y) of the one place where the part stands in the whole, exactly."""
    differences = cv2.matchTemplate(
        whole.astype(np.float32), part.astype(np.float32), cv2.TM_SQDIFF
    )
    _, _, (x, y), _ = cv2.minMaxLoc(differences)
    height, width = part.shape[:2]
    np.testing.assert_array_equal(whole[y : y + height, x : x + width], part)
    return x, y


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_cell_is_the_render_of_its_settings_in_its_place(
    command: Command, line: list[object], photo: Path, painting: Path, tmp_path: Path
) -> None:
    got = command(*line, *VARIED)
    assert (got.code, got.out) == (0, f"{tmp_path / 'photo.grid.png'}\n"), got.err
    assert names(tmp_path) == {"photo.png", "photo.grid.png"}
    assert "cell 3 of 4: content_weight = 1e-3, style_layers = relu1_1,relu2_1" in got.err
    made, places = picture(tmp_path / "photo.grid.png"), {}
    for i, layers in enumerate(LAYERS):
        for j, weight in enumerate(("1e-3", "2")):
            wishes = ("--content-weight", weight, "--style-layers", layers)
            plain = command(
                photo, "-s", painting, *QUICK, *wishes, "-q", "-f", "-o", tmp_path / "plain.png"
            )
            assert plain.code == 0
            places[i, j] = where(picture(tmp_path / "plain.png"), made)
    for k in range(2):
        assert places[k, 0][0] + 64 < places[k, 1][0], "the first --vary varies over the columns"
        assert places[k, 0][1] == places[k, 1][1]
        assert places[0, k][1] + 48 < places[1, k][1], "the second one over the rows"
        assert places[0, k][0] == places[1, k][0]
    assert (made[:8] == 255).all()


def test_one_setting_makes_one_row(command: Command, line: list[object], tmp_path: Path) -> None:
    got = command(
        *line,
        "--vary",
        "init=content,style,noise",
        "--size",
        32,
        "--json",
        "-o",
        tmp_path / "row.jpg",
    )
    made = json.loads(got.out)
    assert (made["output"], made["columns"], made["rows"]) == (str(tmp_path / "row.jpg"), 3, 1)
    assert made["rendered"] == 3
    height, width, _ = picture(tmp_path / "row.jpg").shape
    assert 24 + 2 * contact_sheet.MARGIN_PIXELS < height < 3 * 24 + 2 * contact_sheet.MARGIN_PIXELS
    assert width > 3 * 32 + 2 * contact_sheet.GAP_PIXELS + 2 * contact_sheet.MARGIN_PIXELS


@pytest.mark.parametrize("along", ["columns", "rows"])
def test_paintings_can_be_varied_and_stand_at_their_cells(
    command: Command, photo: Path, painting: Path, tmp_path: Path, along: str
) -> None:
    other = tmp_path / "other.png"
    cv2.imwrite(str(other), 255 - picture(painting))
    varied = ["--vary", f"style={painting},{other}", "--vary", "seed=1"]
    varied = varied if along == "columns" else [*varied[2:], *varied[:2]]
    got = command("grid", photo, *QUICK, *varied)
    assert got.code == 0, got.err
    made = picture(tmp_path / "photo.grid.png")
    plain = []
    for path in (painting, other):
        assert (
            command(
                photo, "-s", path, *QUICK, "--seed", 1, "-q", "-f", "-o", tmp_path / "plain.png"
            ).code
            == 0
        )
        plain.append(where(picture(tmp_path / "plain.png"), made))
    axis = 0 if along == "columns" else 1
    assert plain[0][axis] < plain[1][axis]
    assert plain[0][1 - axis] == plain[1][1 - axis]


REFUSED = {
    "nothing": ([], "no --vary given"),
    "three": (["seed=1", "tv_weight=1", "polish=0"], "3 --vary given"),
    "no values": (["seed"], "no values are given"),
    "only commas": (["seed=,,"], "no values are given"),
    "no name": (["=1,2"], "there is no setting"),
    "a mistyped name": (["contnt_weight=1,2"], "did you mean content_weight?"),
    "a setting of the run": (["device=cpu,cuda"], "it does not change the picture"),
    "a setting of the delivery": (["codec=h264,av1"], "it does not change the picture"),
    "the input": (["input=a.png,b.png"], "it does not change the picture"),
    "the same name twice": (["tv_weight=0,1", "--tv-weight=2,3"], "tv_weight is varied twice"),
    "a value twice": (["tv_weight=0.1,0.2,1e-1"], "0.1 is given twice: 1e-1 is the same"),
    "a text twice": (["init=noise,noise"], "noise is given twice"),
    "a value that is no number": (["tv_weight=1,much"], "the cell tv_weight = much cannot be"),
    "a value out of range": (["seed=1,-1"], "the cell seed = -1 cannot be"),
    "a layer that is not there": (["style_layers=relu1_1;relu9_1"], "knows no relu9_1"),
    "two values that do not go together": (
        ["style_weight=1,0", "style_layers=relu1_1"],
        "the cell style_weight = 0, style_layers = relu1_1 cannot be",
    ),
    "a painting that is not there": (["style=none.png"], "cannot read none.png"),
    "the size": (["size=32,64"], "all cells of a grid are of one size"),
    "regions": (["regions=a.png,b.png"], "its value is two files"),
    **{
        name: ([f"{name}=1,2"], "still, and" if name != "duration" else "of one frame")
        for name in sorted(vary.MOTION_SETTINGS)
    },
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_varied_is_refused_in_three_lines_before_anything_is_rendered(
    kind: str,
    command: Command,
    photo: Path,
    painting: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grids, "render_job", lambda *_, **__: pytest.fail("it was begun"))
    varied, words = REFUSED[kind]
    style = [] if "style=" in "".join(varied) else ["-s", painting]
    got = command(
        "grid", photo, *style, *QUICK, *(word for text in varied for word in ("--vary", text))
    )
    assert (got.code, got.out) == (2, "")
    assert words in got.err
    assert [text.split(":")[0] for text in got.err.splitlines()] == ["vidstyle", "  why", "  try"]
    assert names(tmp_path) == {"photo.png"}


WRONG: dict[str, tuple[list[Any], str]] = {
    "given and varied": (["--tv-weight", 1], "tv_weight is given and varied"),
    "a film as the output": (["-o", "out.mp4"], "a grid is one picture"),
    "the input as the output": (["-o", "photo.png", "-f"], "it is the input itself"),
    "the painting as the output": (["-o", "painting.png", "-f"], "is what the render is made from"),
    "no folder": (["-o", "none/out.png"], "there is no directory"),
    "a time in an image": (["--start", 1], "an image has no time"),
    "a style with a time": (["-s", "painting.png@0", "-s", "other.png@4s"], "has a time"),
    "the input among the styles": (
        ["-s", "painting.png", "-s", "original:0.3"],
        "original is no painting",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_does_not_go_with_a_grid_is_refused(
    kind: str,
    command: Command,
    photo: Path,
    painting: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("painting.png", "other.png"):
        shutil.copy(painting, name)
    wishes, words = WRONG[kind]
    style = [] if "-s" in wishes else ["-s", "painting.png"]
    got = command("grid", "photo.png", *style, *QUICK, "--vary", "tv_weight=0,1", *wishes)
    assert got.code == 2
    assert words in got.err
    assert names(tmp_path) == {"photo.png", "painting.png", "other.png"}


def test_a_grid_needs_an_input_and_a_painting(command: Command, photo: Path) -> None:
    assert "no input given" in command("grid", "--vary", "seed=1").err
    assert "style is missing" in command("grid", photo, "--vary", "seed=1").err


def test_only_a_grid_of_the_same_settings_is_taken_as_done(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    made = tmp_path / "photo.grid.png"
    made.write_text("precious")
    assert f"{made} exists" in command(*line, "--vary", "seed=1").err
    assert made.read_text() == "precious"
    assert json.loads(command(*line, "--vary", "seed=1", "-f", "--json").out)["rendered"] == 1
    before = made.read_bytes()
    again = command(*line, "--vary", "seed=1", "--json")
    assert (again.code, json.loads(again.out)["rendered"]) == (0, 0)
    assert "is this very grid" in again.err
    other = command(*line, "--vary", "seed=2")
    assert (other.code, other.out) == (2, "")
    assert "another grid" in other.err
    assert made.read_bytes() == before
    assert json.loads(command(*line, "--vary", "seed=1", "-f", "--json").out)["rendered"] == 1
    assert made.read_bytes() == before
    assert names(tmp_path) == {"photo.png", "photo.grid.png"}


def test_an_interrupted_grid_continues_with_what_is_missing(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    events: list[Event] = []
    axes = vary.parse_axes(["content_weight=0.001,2", "tv_weight=0,1"])

    def done() -> list[int]:
        return [e.done for e in events if isinstance(e, FrameDone)]

    whole = grids.render_grid({**settings, "output": tmp_path / "whole.png"}, axes)
    assert whole.rendered == 4
    with pytest.raises(Interrupted, match="3 of 4 cells are done and kept"):
        grids.render_grid(settings, axes, events.append, lambda: len(done()) >= 3)
    cells = tmp_path / "photo.grid.png.vidstyle" / "cells"
    kept = {path: path.stat().st_mtime_ns for path in cells.iterdir()}
    assert (len(kept), done()) == (3, [1, 2, 3])
    torn = min(kept)
    torn.write_bytes(torn.read_bytes()[:100])
    events.clear()
    # A wish that was not there before continues the others just as well.
    more = grids.render_grid(
        {**settings, "keep_frames": True},
        vary.parse_axes(["content_weight=0.001,2", "tv_weight=0,1,2"]),
    )
    assert more.rendered == 4
    assert [path for path, time in kept.items() if path.stat().st_mtime_ns != time] == [torn]
    assert len(list(cells.iterdir())) == 6
    more.output.unlink()
    again = grids.render_grid(settings, axes, events.append)
    assert (again.rendered, done()) == (0, [])
    assert [(e.total, e.done) for e in events if isinstance(e, Started)] == [(4, 4)]
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert names(tmp_path) == {"photo.png", "whole.png", "photo.grid.png"}


def test_ctrl_c_finishes_the_cell_and_keeps_it(
    command: Command, line: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = grids.render_job
    calls = []

    def interrupted(job: Job, *rest: Any, **more: Any) -> pipeline.Result:
        calls.append(job)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return usual(job, *rest, **more)

    monkeypatch.setattr(grids, "render_job", interrupted)
    got = command(*line, *VARIED)
    assert (got.code, got.out, len(calls)) == (130, "", 2)
    assert "2 of 4 cells are done and kept" in got.err
    assert len(list((tmp_path / "photo.grid.png.vidstyle" / "cells").iterdir())) == 2
    assert command(*line, *VARIED).code == 0
    assert len(calls) == 4
    assert names(tmp_path) == {"photo.png", "photo.grid.png"}


def test_a_stop_before_the_first_cell_leaves_nothing(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(Interrupted, match="0 of 1 cells"):
        grids.render_grid(settings, vary.parse_axes(["seed=1"]), stop=lambda: True)
    assert names(tmp_path) == {"photo.png"}


def test_restart_renders_all_cells_again(settings: dict[str, Any]) -> None:
    axes = vary.parse_axes(["seed=1,2"])
    assert grids.render_grid({**settings, "keep_frames": True}, axes).rendered == 2
    assert (
        grids.render_grid({**settings, "keep_frames": True, "overwrite": True}, axes).rendered == 0
    )
    assert grids.render_grid({**settings, "overwrite": True, "restart": True}, axes).rendered == 2


def test_the_models_are_loaded_once(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, loaded = models.load_network, []

    def load(name: str, **more: Any) -> Any:
        loaded.append(name)
        return usual(name, **more)

    monkeypatch.setattr(models, "load_network", load)
    assert grids.render_grid(settings, vary.parse_axes(["seed=1,2,3"])).rendered == 3
    assert loaded == ["lite"]


@pytest.mark.parametrize(("start", "index"), [(None, 3), (0.9, 9)])
def test_of_a_video_one_frame_is_taken(
    start: float | None, index: int, settings: dict[str, Any], film: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    given = {
        **settings,
        "input": film,
        "start": start,
        "output": tmp_path / "out.png",
        "keep_frames": True,
    }
    axes = vary.parse_axes(["seed=1,2"])
    grids.render_grid(given, axes, events.append)
    frame = tmp_path / "out.png.vidstyle" / "frame.png"
    [expected] = read(probe(film), None, index, index + 1)
    taken = cv2.cvtColor(cv2.imread(str(frame), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(taken, to_uint16(expected.image))
    assert any(isinstance(e, Note) and f"the frame at {index / 10:.2f} s" in e.text for e in events)
    time = frame.stat().st_mtime_ns
    grids.render_grid({**given, "overwrite": True}, axes)
    assert frame.stat().st_mtime_ns == time, "it is looked for once"
    with pytest.raises(ConfigError, match="no frame is shown from 9 s on"):
        grids.render_grid({**given, "start": 9.0, "output": tmp_path / "late.png"}, axes)
    assert names(tmp_path) == {"photo.png", "out.png", "out.png.vidstyle"}


def test_settings_of_moving_pictures_in_a_file_are_no_hindrance(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(
        "passes = 4\nblend = 0.3\nflow = 'raft-large'\ncodec = 'av1'\nduration = 3\n"
    )
    got = command(*line, "-c", tmp_path / "mine.toml", "--vary", "seed=1")
    assert got.code == 0, got.err


def test_a_second_process_is_refused(command: Command, line: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "photo.grid.png.vidstyle"
    folder.mkdir()
    with FileLock(folder / "lock"):
        got = command(*line, "--vary", "seed=1")
    assert got.code == 2
    assert "is being rendered" in got.err


def test_the_frames_of_a_render_are_not_touched(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    folder = tmp_path / "photo.grid.png.vidstyle"
    folder.mkdir()
    (folder / "render.json").write_text("{}")
    got = command(*line, "--vary", "seed=1")
    assert got.code == 2
    assert "holds the frames of a render" in got.err
    assert names(folder) == {"render.json"}


def test_its_help_is_light_and_leaves_out_what_it_has_no_use_for() -> None:
    text = help_text("grid", "--help")
    assert "HEAVY []" in text
    flags = set(re.findall(r"--[a-z][a-z-]+", text))
    assert {"--vary", "--style", "--size", "--content-weight", "--keep-frames", "--output"} <= flags
    assert not {"--codec", "--passes", "--duration", "--iterations"} & flags
    assert "vidstyle grid" in help_text("--help")
