"""The command line's promises: what goes where, what wins over what, and file names of every
kind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import help_text
from vidstyle import __version__
from vidstyle.config.settings import RenderConfig, group_of

QUICK = (
    "--size",
    "48",
    "--first-iterations",
    "1",
    "--first-scales",
    "1",
    "--iterations",
    "1",
    "--duration",
    "0.2",
)

Command = Callable[..., Any]


@pytest.fixture
def line(film: Path, painting: Path, tmp_path: Path) -> list[object]:
    """Two frames, to tmp_path/out.mp4."""
    return [film, "--style", painting, "-o", tmp_path / "out.mp4", *QUICK]


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
    assert {f"{n} = " for n in RenderConfig.model_fields if group_of(n)} - set(
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
        ),  # without a value
        *(
            "overwrite = ",
            "keep_frames = ",
            "restart = ",
            "force = ",
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
            "passes    4: 9 iterations of every frame by itself, then 5 in each of 3 more; held to its",
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


def test_help_names_the_settings_of_consistency(command: Command) -> None:
    told = command("--help").out
    for name in ("--temporal-norm", "--long-term", "--passes", "--blend", "--temporal-from-pass"):
        assert name in told


def printed(command: Command, *args: object) -> dict[str, str]:
    got = command("--print-config", *args)
    assert (got.code, got.err) == (0, "")
    return dict(text.split(" = ", 1) for text in got.out.splitlines() if " = " in text)


def test_flags_win_over_a_file_and_a_file_over_a_preset(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("first_iterations = 7\ntv_weight = 0.5\nkeep_frames = true\n")
    got = printed(command, "--preset", "draft", "-c", file, "--tv-weight", "0.9")
    of_preset = printed(command, "--preset", "draft")
    assert (got["tv_weight"], got["first_iterations"], got["keep_frames"]) == ("0.9", "7", "true")
    assert got["iterations"] == of_preset["iterations"] != printed(command)["iterations"]


def test_the_printed_settings_are_a_settings_file(command: Command, tmp_path: Path) -> None:
    odd = tmp_path / 'a "b" \\ é.mp4'
    first = command(
        "--print-config", "--size", "99", "--crf", "3", "--init", "noise", "--per-frame", "-o", odd
    ).out
    (tmp_path / "mine.toml").write_text(first, encoding="utf-8")
    assert command("--print-config", "-c", tmp_path / "mine.toml").out == first
    assert "size = 99" in first


def test_a_file_may_name_the_input_and_the_style(
    command: Command, line: list[object], tmp_path: Path
) -> None:
    (tmp_path / "all.toml").write_text(
        f"input = {json.dumps(str(line[0]))}\nstyle = {json.dumps(str(line[2]))}\n"
    )
    assert command("-c", tmp_path / "all.toml", "--dry-run", "-o", tmp_path / "out.mp4").code == 0


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


def test_options_may_come_before_the_file(command: Command, line: list[object]) -> None:
    film, *options = line
    assert (
        command(*options, "--dry-run", film).out == command(film, *options, "--dry-run").out != ""
    )


def test_weights_lists_every_file_and_tells_where_one_lies(command: Command) -> None:
    listed = command("weights")
    assert listed.code == 0
    assert re.findall(r"^([\w-]+): ", listed.out, re.M) == [
        "lite",
        "vgg19",
        "raft-small",
        "raft-large",
    ]
    assert "CC BY 4.0" in listed.out
    lite = command("weights", "lite")
    assert Path(lite.out.strip()).name == "lite.safetensors"
    assert Path(lite.out.strip()).is_file()


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


def test_the_version_lists_what_was_found_and_why(command: Command) -> None:
    got = command("--version")
    found = dict(re.split(r"  +", text, maxsplit=1) for text in got.out.splitlines())
    assert found["vidstyle"] == __version__
    assert "CUDA" in found["torch"]
    assert re.match(r"\d+\.\d+", found["opencv"])
    assert re.search(r"ffmpeg.*: \S", found["ffmpeg"])  # the path and the reason
    assert {
        "weights lite",
        "weights vgg19",
        "weights raft-small",
        "weights raft-large",
        "device",
    } <= set(found)


def test_help_is_light_and_mentions_every_setting() -> None:
    text = help_text("--help")
    assert "HEAVY []" in text
    assert "Usage: vidstyle [OPTIONS] INPUT --style PAINTING" in text
    for name, field in RenderConfig.model_fields.items():
        if group_of(name):
            assert f"--{name.replace('_', '-')} " in text
            assert str(field.description).split(". ")[0] in text
    assert "<bool>" not in text
    assert "Default: 200." in text
    assert "vidstyle weights" in text
    assert "vidstyle evaluate" in text


def test_the_help_of_a_measurement_is_light_too() -> None:
    text = help_text("evaluate", "--help")
    assert "HEAVY []" in text
    assert "--baseline" in text


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
