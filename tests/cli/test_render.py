"""The command line's promises: what goes where, what is said, and what is left behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import pytest

from tests.cli.commands import Command
from vidstyle.config.settings import RenderConfig, facts_of


def test_stdout_carries_only_the_path_of_the_output(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    got = command(*line)
    assert (got.code, got.out) == (0, f"{tmp_path / 'out.mp4'}\n")
    assert "frame 2/2" in got.err
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]  # the state directory went


def test_an_existing_output_is_replaced_only_when_asked(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    (tmp_path / "out.mp4").write_text("precious")
    assert command(*line).code == 2
    assert (tmp_path / "out.mp4").read_text() == "precious"
    assert command(*line, "-f").code == 0
    assert (tmp_path / "out.mp4").read_bytes()[4:8] == b"ftyp"


def test_json_and_machine_readable_progress(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    got = command(*line, "--json", "--progress", "json")
    result = json.loads(got.out)
    assert (result["output"], result["frames"], result["rendered"]) == (
        str(tmp_path / "out.mp4"),
        2,
        2,
    )
    events = [json.loads(text) for text in got.err.splitlines()]
    assert [e["done"] for e in events if e["event"] == "FrameDone"] == [1, 2]
    assert events[0] == {"event": "Started", "total": 2, "done": 0, "width": 48, "height": 32}
    assert events[-1] == {"event": "Encoding", "done": 2, "total": 2}


def test_quiet_is_silent(command: Command, line: list[object], tmp_path: Path) -> None:
    assert command(*line, "-q") == (0, f"{tmp_path / 'out.mp4'}\n", "")


def test_verbose_says_every_setting(command: Command, line: list[object]) -> None:
    got = command(*line, "-v", "--dry-run")
    assert {f"{n} = " for n in RenderConfig.model_fields if facts_of(n).group} - set(
        re.findall(r"^\w+ = ", got.err, re.M)
    ) <= {
        *(
            "start = ",
            "codec = ",
            "crf = ",
            "weights_dir = ",
            "max_memory = ",
            "tile = ",
            "regions = ",
            "loop = ",
            "keyframes = ",
            "opacity = ",
        ),  # without a value
        *(
            "overwrite = ",
            "keep_frames = ",
            "restart = ",
            "force = ",
            "no_cache = ",
            "allow_damaged = ",
            "trace = ",
        ),  # switches that are off
    }


def test_a_dry_run_tells_and_touches_nothing(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    told = command(*line, "--dry-run")
    assert told.code == 0
    for words in ("2 frames", "0.20 s", "48x32", "h264", str(tmp_path / "out.mp4")):
        assert words in told.out
    plan = json.loads(command(*line, "--dry-run", "--json").out)
    assert (plan["frames"], plan["shots"], plan["width"], plan["height"]) == (2, [0], 48, 32)
    assert plan["disk_needed"] < plan["disk_free"]
    assert not list(tmp_path.iterdir())


def test_a_render_without_links_needs_no_weights_of_a_flow(
    command: Command, line: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDSTYLE_WEIGHTS", raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    flow = (*line, "--flow", "raft-large", "--dry-run")
    assert "raft-large: 21 MB of weights will be downloaded" in command(*flow).out
    assert "downloaded" not in command(*flow, "--per-frame").out


def test_a_dry_run_says_what_is_cut_off_a_painting(
    command: Command, line: list[object], painting: Path, tmp_path: Path
) -> None:
    image = cv2.resize(cv2.imread(str(painting)), (240, 200))
    bordered = tmp_path / "bordered.png"
    whole = cv2.copyMakeBorder(image, 0, 0, 10, 0, cv2.BORDER_CONSTANT, value=(255,) * 3)
    cv2.imwrite(str(bordered), whole)
    given = [bordered if one == painting else one for one in line]
    note = "bordered.png: its rim is left out (11 px left); --style-crop off keeps it"
    assert note in command(*given, "--dry-run").out
    assert "its rim" not in command(*given, "--dry-run", "--style-crop", "off").out


def test_a_dry_run_counts_in_words(command: Command, line: list[object]) -> None:
    assert "2 frames, 0.20 s, 1 shot\n" in command(*line, "--dry-run").out
    assert "1 frame, 0.10 s, 1 shot\n" in command(*line, "--dry-run", "--duration", "0.1").out


def test_a_dry_run_names_the_weights_that_polish_needs(
    command: Command, line: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDSTYLE_WEIGHTS", raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert "vgg19" not in command(*line, "--dry-run").out
    told = command(*line, "--dry-run", "--polish", "1").out
    assert "vgg19: 575 MB of weights will be downloaded" in told


@pytest.mark.parametrize(
    ("wishes", "counts", "said"),
    [
        (
            "--polish 100",
            (67, 30),
            "the last 67 iterations of a shot's first frame and the last 30 of every other one",
        ),
        (
            "--polish 100 --size 48",
            (100, 30),
            "last 100 iterations of a shot's first frame",
        ),  # too small for 3 scales
        ("--polish 5", (5, 5), "vgg19 in the last 5 iterations of every frame"),
        ("--polish 100 --per-frame", (67, 0), "vgg19 in the last 67 iterations of every frame"),
        (
            "--polish 100 --duration 0.1",
            (67, 0),
            "vgg19 in the last 67 iterations of every frame",
        ),  # there is only one
        ("--polish 0", (0, 0), "lite features in "),
    ],
)
def test_a_dry_run_says_how_many_iterations_are_polished(
    command: Command, line: list[object], wishes: str, counts: tuple[int, int], said: str
) -> None:
    usual = (
        "--size",
        "360",
        "--first-iterations",
        "200",
        "--first-scales",
        "3",
        "--iterations",
        "30",
    )
    wished = (*line, *usual, *wishes.split(), "--dry-run")
    assert said in command(*wished).out
    plan = json.loads(command(*wished, "--json").out)
    assert (plan["first_polish"], plan["polish"]) == counts


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (
            "--passes 4",
            "passes    4: 9 iterations of every frame by itself, then 5 in each of 3 more; "
            "held to its",
        ),
        ("--passes 4", "neighbour from pass 3 on"),
        ("--passes 4 --temporal-from-pass 2", "neighbour from pass 2 on"),
        ("--long-term 8", "links     each frame to those 1, 2, 4 and 8 before it"),
        (
            "--passes 3 --temporal-from-pass 1",
            "held to its neighbour from pass 2 on",
        ),  # the first has none
        ("--passes 3 --temporal-weight 0", "in each of 2 more; not held to its neighbour"),
        (
            "--long-term 2 --temporal-weight 0",
            "1 and 2 before it, to start from, without being held to them",
        ),
        ("--passes 2 --polish 3", "vgg19 in the last 3 iterations of every frame"),
        (
            "--passes 2 --polish 9",
            "the last 9 iterations of every frame in pass 1 and the last 5 in every later one",
        ),
    ],
)
def test_a_dry_run_says_how_the_frames_hang_together(
    command: Command, line: list[object], wishes: str, said: str
) -> None:
    wished = (*line, "--first-iterations", "9", "--iterations", "5", *wishes.split(), "--dry-run")
    assert said in command(*wished).out
    usual = command(*line, "--dry-run").out
    assert "passes" not in usual
    assert "links" not in usual
    plan = json.loads(command(*wished, "--json").out)
    assert (plan["first_iterations"], plan["iterations"]) == (9, 5)
    once = json.loads(command(*line, "--dry-run", "--json").out)
    assert (plan["disk_needed"] > 2 * once["disk_needed"]) == ("--passes" in wishes)


def test_a_render_in_passes_says_in_which_one_it_is(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    got = command(*line, "--passes", "3")
    assert (got.code, got.out) == (0, f"{tmp_path / 'out.mp4'}\n")
    for words in (
        "pass 1 of 3, every frame by itself",
        "pass 2 of 3, backward",
        "pass 3 of 3, forward",
        "frame 6/6",
    ):
        assert words in got.err
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_a_texture_and_an_inversion_need_no_painting(
    command: Command, painting: Path, tmp_path: Path
) -> None:
    few = ("--first-iterations", 3, "--size", 32, "-q", "-f")
    for words in (("--texture",), ("--texture", "--tileable"), ("--reconstruct", "relu2_1")):
        got = command(painting, *words, *few, "-o", tmp_path / "out.png")
        assert got.code == 0, got.err
    written = command("--texture", "--print-config")
    assert written.code == 0
    (tmp_path / "texture.toml").write_text(written.out, encoding="utf-8")
    assert (
        command(painting, "-c", tmp_path / "texture.toml", *few, "-o", tmp_path / "again.png").code
        == 0
    )
    planned = command(painting, "--reconstruct", "relu2_1", "--dry-run")
    assert f"{painting.stem}.relu2_1.png" in planned.out


def test_a_texture_of_a_film_is_refused(command: Command, film: Path, tmp_path: Path) -> None:
    got = command(film, "--texture", "-o", tmp_path / "out.png")
    assert got.code == 2
    assert "a texture is made from an image" in got.err


@pytest.mark.parametrize("kept", ["match", "luminance"])
def test_a_films_colours_can_be_kept(command: Command, line: list[object], kept: str) -> None:
    got = command(*line, "--keep-colors", kept, "--first-iterations", 3, "--iterations", 2, "-q")
    assert (got.code, got.err) == (0, "")
