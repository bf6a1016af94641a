"""`vidstyle IN --style PAINTING`, the default command: flags -> config -> a render, a preview or a
look at what would be done.

stdout carries only the output's path (or JSON); progress and notes go to stderr.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from vidstyle.cli.display import report_to
from vidstyle.cli.options import (
    CommandWithPages,
    ConfigFileOption,
    JsonOption,
    PresetOption,
    ProgressOption,
    QuietOption,
    collect_given,
    flag,
    layer_settings,
    merge_layers,
    with_options,
)
from vidstyle.cli.signals import Signals
from vidstyle.cli.streams import print_answer, print_output, tell
from vidstyle.config import settings as configs
from vidstyle.config import toml
from vidstyle.errors import ConfigError
from vidstyle.events import Note
from vidstyle.machine.allocator import keep_memory


class RenderContext(typer.Context):
    """The context of the default command, which is called by the program's name alone."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent else "vidstyle"


class RenderCommand(CommandWithPages):
    """The default command."""

    context_class = RenderContext
    usage = ("[OPTIONS]", "INPUT", "--style", "PAINTING")


EPILOG = (
    "Other commands: vidstyle grid INPUT --style PAINTING --vary NAME=A,B compares settings; "
    "vidstyle evaluate RESULT --source IN measures a result; "
    "vidstyle weights [NAME...] lists and fetches weight files."
)


@dataclass(frozen=True)
class Wishes:
    """The wishes of a user about a render that are no settings of it."""

    preview: bool
    dry_run: bool
    progress: str
    as_json: bool
    quiet: bool


@with_options()
def render_command(
    context: typer.Context,
    input: Annotated[  # noqa: A002
        Path | None, typer.Argument(metavar="INPUT", help="Video, GIF or image.")
    ] = None,
    *,
    style: Annotated[
        list[str] | None,
        flag(
            "--style",
            "-s",
            metavar="IMAGE",
            text="Painting whose style is taken. Again for more of them, with weights or with "
            "times between which the style moves: a.jpg:0.7, b.jpg@4s. The input itself is "
            "`original`: original@0s, a.jpg@3s.",
        ),
    ] = None,
    preset: PresetOption = "standard",
    config: ConfigFileOption = None,
    preview: Annotated[
        bool,
        flag("--preview", text="Render a short, small clip and tell what the whole will take."),
    ] = False,
    dry_run: Annotated[
        bool, flag("--dry-run", text="Check all, and say what would be done.")
    ] = False,
    list_shots: Annotated[
        bool,
        flag(
            "--list-shots",
            text="List the shots of the input, its dissolves, fades and flashes, and exit.",
            everyday=False,
        ),
    ] = False,
    print_config: Annotated[
        bool, flag("--print-config", text="Print the settings as TOML and exit.", everyday=False)
    ] = False,
    reconstruct: Annotated[
        str | None,
        flag(
            "--reconstruct",
            metavar="LAYER",
            text="What a layer sees: the input from its features there, without a painting.",
            everyday=False,
        ),
    ] = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: Annotated[
        bool,
        flag(
            "--verbose",
            "-v",
            text="Say every setting; show the traceback of an error.",
            everyday=False,
        ),
    ] = False,
    version: Annotated[
        bool, flag("--version", text="Show the version and what was found.")
    ] = False,
    **settings: Any,
) -> None:
    """Turn a video and a painting into a stylised video that does not flicker:

    vidstyle in.mp4 --style munch.jpg

    An interrupted render continues when the same command runs again.
    """
    if version:
        from vidstyle.cli.version import report_version

        print_answer(report_version(settings["weights_dir"]))
        return
    given = collect_given(settings)
    given |= {name: path for name, path in (("input", input), ("style", style)) if path}
    if reconstruct is not None:
        given = configs.reconstruction_settings(reconstruct, given) | given
    layers = layer_settings(preset, config, given)
    named = merge_layers(layers)
    styleless = bool(named.get("texture")) or named.get("style_weight") == 0
    if print_config:
        from vidstyle.rendering.engines import check_engine_settings

        files = {"input": "-", "style": None if styleless else "-"}
        shown = configs.build(files, *layers)
        check_engine_settings(shown)
        print_answer(toml.to_toml(shown).rstrip("\n"))
        return
    check_files_named(named, styleless=styleless or list_shots)
    if list_shots:
        print_shots(named["input"], as_json=as_json)
        return
    built = configs.build(*layers)
    if preview and built.trace:
        why = "a preview's frames are others, with half the iterations"
        raise ConfigError("a preview has no trace", why, "leave --trace or --preview out")
    if verbose:
        tell(toml.to_toml(built).rstrip("\n"))
    run_render(built, Wishes(preview, dry_run, progress, as_json, quiet), context.obj)


def print_shots(path: Path, *, as_json: bool) -> None:
    """Print the shots of an input and its transitions."""
    from vidstyle.rendering.shot_list import list_shots

    shots = list_shots(Path(path))
    for warning in shots.warnings:
        tell(f"warning: {warning}")
    print_answer(json.dumps(asdict(shots)) if as_json else shots.text())


def check_files_named(named: dict[str, Any], *, styleless: bool) -> None:
    """Raise ConfigError where there is no input, or no style although one is asked for."""
    hints = {"input": "vidstyle in.mp4 --style munch.jpg", "style": "add --style PAINTING.jpg"}
    for name, hint in hints.items():
        if name not in named and not (name == "style" and styleless):
            raise ConfigError(f"no {name} given", "a render needs a video and a painting", hint)


def run_render(config: configs.RenderConfig, wishes: Wishes, signals: Signals) -> None:
    """Render, preview or only look, with progress on stderr and the result on stdout."""
    # torch and OpenCV come in only here.
    from vidstyle.rendering.pipeline import render
    from vidstyle.rendering.plan import plan_render
    from vidstyle.rendering.preview import preview

    if wishes.dry_run:
        with report_to(wishes.progress, signals.watch, quiet=wishes.quiet) as report:
            planned = plan_render(config, report)
        print_answer(json.dumps(asdict(planned)) if wishes.as_json else planned.text())
        return
    keep_memory()
    with report_to(wishes.progress, signals.watch, quiet=wishes.quiet) as report:
        result: Any
        if wishes.preview:
            result = preview(config, report, signals.stop_requested)
            report(Note(result.text()))
        else:
            result = render(config, report, signals.stop_requested)
    as_text = json.dumps(asdict(result), default=str) if wishes.as_json else str(result.output)
    print_output(as_text)
