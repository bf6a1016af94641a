"""Flags win over files and files over presets; the help shows what matters, and all when asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.cli.commands import Command, help_text
from vidstyle.cli.main import app
from vidstyle.config.settings import RenderConfig, facts_of

LONG_FLAGS = {"keyframes": "--keyframe"}
"""The flags that have other names than their settings."""

GROUP: Any = typer.main.get_command(app)
OPTIONS = {option.name: option for option in GROUP.commands["render"].params}

MODEL = """
    --style a.jpg -s a.jpg --preset draft --config a.toml -c a.toml --output a.png -o a.png
    --size 64 --start 1 --features vgg19 --pooling max --polish 2 --optimizer adam
    --learning-rate 0.1 --first-iterations 3 --first-scales 2 --init noise --content-weight 0.1
    --style-weight 2 --tv-weight 0.1 --stop-tolerance 0.1 --seed 3 --style-layers relu1_1
    --content-layers relu2_1 --style-terms mrf --mrf-bidirectional --mrf-coherence 0.1 --texture
    --tileable --style-scale 2 --style-crop off --keep-colors match --photorealism 100
    --precision fp32 --device cpu --max-memory 3 --tile 512 --overwrite -f --keep-frames
    --restart --force --weights-dir w --bars paint --progress json --json --quiet -q --verbose -v
"""
"""The flags that a render and a grid have in common; `--regions` takes two files."""

FLAGS = {
    "render": MODEL
    + """
    --preview --dry-run --print-config --reconstruct relu2_1 --version --duration 2
    --flow raft-small --mask plain --rest follow --iterations 3 --budget fixed --scales 2
    --temporal-weight 3 --temporal-norm smooth-l1 --long-term 4 --passes 3 --blend 0.3
    --temporal-from-pass 2 --per-frame --loop --keep-titles
    --opacity 0.6 --keyframe 120=a.png --codec av1 --crf 3 --trace --allow-damaged
    """,
    "grid": MODEL + "--vary seed=1,2",
    "evaluate": """
    --source in.mp4 --style a.jpg -s a.jpg --baseline b.mp4 --start 1 --flow dis --features lite
    --json a.json --plot a.png --overwrite -f --device cpu --weights-dir w --progress lines
    --quiet -q --verbose -v
    """,
    "weights": "--weights-dir w",
}
"""The flags until release 0.1, each with a value where it takes one. None ever goes."""


def long_flag(name: str) -> str:
    return LONG_FLAGS.get(name, f"--{name.replace('_', '-')}")


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


def test_a_switch_that_is_undecided_can_be_turned_off(command: Command, tmp_path: Path) -> None:
    (tmp_path / "on.toml").write_text("loop = true\n")
    on = ("-c", tmp_path / "on.toml")
    assert "loop" not in printed(command)
    assert printed(command, "--loop")["loop"] == printed(command, *on)["loop"] == "true"
    assert printed(command, *on, "--no-loop")["loop"] == "false"
    assert OPTIONS["loop"].secondary_opts == ["--no-loop"]


def test_a_flag_of_a_list_is_given_again_for_each_value(command: Command) -> None:
    given = ("--keyframe", "120=a b.png", "--keyframe", "4.80s=c=d.png")
    got = printed(command, *given, "--opacity", "1@3s", "--opacity", "0@0")
    assert json.loads(got["keyframes"]) == ["120=a b.png", "4.8s=c=d.png"]
    assert json.loads(got["opacity"]) == ["0@0s", "1@3s"]
    assert json.loads(printed(command, "--opacity", "0.60")["opacity"]) == ["0.6"]
    assert not {"keyframes", "opacity"} & printed(command, "--opacity", "1").keys()


def test_the_printed_settings_are_a_settings_file(command: Command, tmp_path: Path) -> None:
    odd = tmp_path / 'a "b" \\ é.mp4'
    first = command(
        "--print-config",
        "--size",
        "99",
        "--crf",
        "3",
        "--init",
        "noise",
        "--long-term",
        "4",
        "--bars",
        "paint",
        "--no-loop",
        "--keep-titles",
        "--keyframe",
        '3=a "b" é.png',
        "--opacity",
        "0.5@0",
        "--opacity",
        "1@.5",
        "-o",
        odd,
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


@pytest.mark.parametrize("name", FLAGS)
def test_every_flag_is_still_understood(name: str) -> None:
    command = GROUP.commands[name]
    options = {flag: param for param in command.params for flag in param.opts}
    regions = " --regions a.png b.png" if name in ("render", "grid") else ""
    calls = re.findall(r"(--?[a-z][\w-]*)((?: (?!-)\S+)*)", " ".join(FLAGS[name].split()) + regions)
    assert len(calls) == {"render": 78, "grid": 52, "evaluate": 18, "weights": 1}[name]
    needed = {"evaluate": ["out.mp4", "--source", "in.mp4"], "weights": ["lite"]}
    for flag, values in calls:
        words = [*needed.get(name, ["in.mp4"]), flag, *values.split()]
        given = command.make_context(name, words).params[options[flag].name]
        assert given == (True if not values else given)
        assert given not in (None, False, [])


def test_the_full_help_is_light_and_mentions_every_setting() -> None:
    text = help_text("--help-all")
    assert "HEAVY []" in text
    assert "Usage: vidstyle [OPTIONS] INPUT --style PAINTING" in text
    for name, field in RenderConfig.model_fields.items():
        if facts_of(name).group:
            assert (f"{long_flag(name)} " in text) == facts_of(name).on_command_line
            assert (str(field.description).split(". ")[0] in text) == facts_of(name).on_command_line
    for heading in ("Options", "Picture", "Steering the style", "Delivery", "Run"):
        assert f"─ {heading} ─" in text
    assert "<bool>" not in text
    assert "Default: 200." in text
    assert "vidstyle weights" in text
    assert "vidstyle evaluate" in text


@pytest.mark.parametrize("words", [(), ("grid",), ("evaluate",)], ids=" ".join)
def test_the_help_fits_a_terminal_and_leads_to_the_rest(words: tuple[str, ...]) -> None:
    text = help_text(*words, "--help", columns=80)
    assert "HEAVY []" in text
    lines = text.splitlines()[:-1]
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 80
    assert "--help-all" in text
    assert len(help_text(*words, "--help-all", columns=80).splitlines()) > len(lines)


def test_the_help_shows_the_settings_of_every_day_and_the_other_commands() -> None:
    text = help_text("--help")
    for name in RenderConfig.model_fields:
        if facts_of(name).group:
            shown = f"{long_flag(name)} " in text
            assert shown == (facts_of(name).audience == "everyday")
    for words in ("--style", "--preset", "--preview", "--dry-run", "--help-all", "--regions"):
        assert words in text
    for words in ("vidstyle grid", "vidstyle evaluate", "vidstyle weights"):
        assert words in text


def test_the_full_help_of_a_measurement_names_every_flag() -> None:
    text = help_text("evaluate", "--help-all")
    assert "HEAVY []" in text
    for words in ("--baseline", "--progress", "One of dis, raft-small, raft-large."):
        assert words in text


@pytest.mark.parametrize(
    ("name", "flags", "metavar", "words"),
    [
        ("output", ["--output", "-o"], "FILE", "Result. Default: in.STYLE.mp4 next to the input."),
        ("crf", ["--crf"], "N", "lower is better. Default: 17 for h264."),
        ("tv_weight", ["--tv-weight"], "X", "Default: 0.3."),
        ("flow", ["--flow"], "NAME", "One of dis, raft-small, raft-large, none. Default: dis."),
        ("weights_dir", ["--weights-dir"], "DIR", "looked for first"),
        ("regions", ["--regions"], "IMAGE IMAGE", "Two label images"),
        ("force", ["--force"], "", "Start although"),
        ("keyframes", ["--keyframe"], "N=FILE", "Finished picture of a frame"),
        ("opacity", ["--opacity"], "X", "Default: 1."),
        ("loop", ["--loop"], "", "Default: for a GIF"),
    ],
)
def test_a_flag_follows_from_its_setting(
    name: str, flags: list[str], metavar: str, words: str
) -> None:
    option = OPTIONS[name]
    assert option.opts == flags
    assert option.metavar == metavar
    assert words in option.help
    assert option.rich_help_panel == facts_of(name).group
    assert "Default: False" not in option.help
