"""The README is true: its flags, files, names, numbers and messages are those of the program."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

import vidstyle
from vidstyle.cli.main import app
from vidstyle.config import settings as configs
from vidstyle.config import style_images, toml
from vidstyle.weights import registry

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    page: (ROOT / page).read_text(encoding="utf-8")
    for page in ("README.md", "docker/README.md", "docs/gallery.md")
}
README = PAGES["README.md"]
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "vidstyle").rglob("*.py"))

FENCES = re.findall(r"^```(\w*)\n(.*?)^```", "\n".join(PAGES.values()), re.MULTILINE | re.DOTALL)
SHELL = [line for language, text in FENCES if language == "sh" for line in text.splitlines()]
PYTHON = [text for language, text in FENCES if language == "python"]
CODE = re.findall(r"`([^`\n]+)`", "\n".join(PAGES.values()))
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/python -m pytest"
)

group: Any = typer.main.get_command(app)
FLAGS = {
    flag
    for command in group.commands.values()
    for p in command.params
    for flag in (*p.opts, *p.secondary_opts)
}
FOREIGN = {"--help", "--rm", "--user", "--gpus", "--network", "--build-arg", "--check", "--strict"}
"""Flags of docker, ruff and mypy, and the one that every program has."""


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading of the README, without its head."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def vidstyle_commands() -> list[list[str]]:
    """The arguments of every vidstyle call in the shell blocks, and in text that begins with
    `vidstyle `.
    """
    lines = [part for line in SHELL for part in line.split(" && ")]
    lines += [code for code in CODE if code.startswith("vidstyle ")]
    found = []
    for words in map(shlex.split, lines):
        at = [
            i
            for i, word in enumerate(words)
            if re.fullmatch(r"(\.venv/bin/)?vidstyle(:cuda)?", word)
        ]
        if (
            at
            and words[0] in ("vidstyle", ".venv/bin/vidstyle", "docker")
            and words[:2] != ["docker", "build"]
        ):
            found.append(words[at[-1] + 1 :])
    return found


def test_every_flag_in_the_pages_exists() -> None:
    text = "\n".join(PAGES.values())
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert len(named) > 20
    assert named - FLAGS - FOREIGN == set()


HELP_PAGES = [["--help"], ["--help-all"]]
"""Arguments that print a help page and end there."""


@pytest.mark.parametrize("arguments", HELP_PAGES, ids=" ".join)
def test_every_help_page_in_the_pages_is_printed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert arguments in vidstyle_commands()
    with pytest.raises(typer.Exit) as ended:
        group.commands["render"].make_context("render", arguments)
    assert ended.value.exit_code == 0
    assert "Usage: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [words for words in vidstyle_commands() if words not in HELP_PAGES], ids=" ".join
)
def test_every_command_in_the_pages_is_understood(arguments: list[str]) -> None:
    name = arguments[0] if arguments[0] in group.commands else "render"
    given = group.commands[name].make_context(name, arguments[name == arguments[0] :]).params
    if name == "weights":
        assert set(given["names"]) <= set(registry.REGISTRY)
    elif given.get("input"):
        fields = configs.RenderConfig.model_fields
        layer = given.get("reconstruct")
        inversion = configs.reconstruction_settings(layer) if layer else {}
        configs.build(inversion, {k: v for k, v in given.items() if k in fields and v is not None})


@pytest.mark.parametrize("page", PAGES)
def test_every_file_in_the_pages_exists(page: str) -> None:
    inside = (
        "configs",
        "docker",
        "docs",
        "sample_videos",
        "tests",
        "training",
        "benchmarks",
        "vidstyle",
        ".ci",
    )
    folders = tuple(f"{name}/" for name in inside)
    links = set(re.findall(r"\]\(([^)#:]+)\)", PAGES[page]))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
    words = {
        word
        for line in (*SHELL, *CODE)
        if line in PAGES[page]
        for word in re.split(r"[\s\"=]+", line)
    }
    named = {word for word in words if word.startswith(folders) or word in ("LICENSE", "NOTICE")}
    named = {
        str(style_images.parse_style_image(word).path) for word in named
    }  # without weights and times
    named.discard("sample_videos/balloon.strokes.mp4")  # what the sample command writes
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_sample_command_writes_what_the_page_says() -> None:
    [(source, style)] = re.findall(r"bin/vidstyle (\S+) --style (\S+)", README)
    assert f"`{Path(source).with_suffix('')}.{Path(style).stem}.mp4`" in README


@pytest.mark.parametrize("snippet", PYTHON)
def test_the_python_in_the_pages_names_what_exists(snippet: str) -> None:
    """Not run here, for it renders; its names, arguments and files must hold."""
    tree = ast.parse(snippet)
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_name(node.value, "vidstyle")
    }
    assert names
    assert names <= set(vidstyle.__all__)
    results = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_name(node.value, "result")
    }
    assert results <= set(vidstyle.Result.__dataclass_fields__)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        keywords = {k.arg: k.value for k in call.keywords if k.arg}
        if isinstance(call.func, ast.Attribute) and call.func.attr == "RenderConfig":
            built = configs.build(
                {name: ast.literal_eval(value) for name, value in keywords.items()}
            )
            assert (ROOT / built.input).is_file()
            assert all((ROOT / path).is_file() for path in built.style_files)
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "render":
            assert keywords.keys() <= inspect.signature(vidstyle.render).parameters.keys()


def is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


@pytest.mark.parametrize("row", table("Presets"), ids=lambda row: row[0])
def test_the_table_of_presets_is_right(row: list[str]) -> None:
    defaults = {name: field.default for name, field in configs.RenderConfig.model_fields.items()}
    values = defaults | toml.preset_values(row[0].strip("`"))
    shown = [int(re.findall(r"\d+", cell)[0]) for cell in row[2:4]]
    assert shown == [values["first_iterations"], values["iterations"]]
    plain = [cell.lower().replace("-", "").replace(" ", "") for cell in row[4:]]
    assert plain == [values["features"], values["flow"].replace("-", "")]


@pytest.mark.parametrize(
    "row", [*table("Steer the look"), *table("Consistency")], ids=lambda row: row[0]
)
def test_the_tables_of_flags_give_the_real_defaults(row: list[str]) -> None:
    name = row[0].strip("`").split()[0].removeprefix("--").replace("-", "_")
    default = configs.RenderConfig.model_fields[name].default
    if default is None:
        assert not row[1][0].isdigit()
    else:
        assert type(default)(row[1]) == default


def test_the_table_of_weights_is_right() -> None:
    rows = {row[0]: row for row in table("Weights")}
    assert rows.keys() == registry.REGISTRY.keys()
    for name, file in registry.REGISTRY.items():
        digits = 0 if file.size >= 500_000 else 1
        assert f"{file.size / 1e6:.{digits}f} MB" in rows[name][2]


@pytest.mark.parametrize(
    "row", [row for row in table("Troubleshooting") if "`" in row[0]], ids=lambda row: row[0]
)
def test_every_message_in_the_troubleshooting_is_a_real_one(row: list[str]) -> None:
    """The words around `...` and around a quoted example stand in the sources."""
    for words in re.split(r"\.\.\.|'[^']*'|\b(?:vgg19|cuda)\b", row[0].strip("`")):
        assert words.strip() in SOURCES


def test_ci_runs_the_test_command_of_the_page() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [pattern] = re.findall(r"grep '(.*)' README\.md", script)
    found = subprocess.run(
        ["grep", pattern, "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [TEST_COMMAND]


def test_the_pictures_are_small_enough_to_load_at_once() -> None:
    shown = re.findall(r"!\[.*\]\((docs/.*)\)", README)
    assert shown == ["docs/hero.jpg", "docs/fast.jpg", "docs/film.jpg", "docs/lite.jpg"]
    assert all((ROOT / path).stat().st_size <= 400_000 for path in shown)
