"""The command line: flags -> config, one error -> three lines and an exit code.

stdout carries only the output's path (or JSON); everything else goes to stderr.
"""

from __future__ import annotations

import difflib
import io
import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from vidstyle.cli import evaluate, grid
from vidstyle.cli.display import displayed
from vidstyle.cli.flags import AsJson, ConfigFile, Preset, Progress, Quiet, flag
from vidstyle.cli.options import with_settings
from vidstyle.cli.signals import Signals
from vidstyle.config import settings as configs
from vidstyle.config import toml
from vidstyle.errors import ConfigError, DiskFullError, RenderError, VidstyleError
from vidstyle.events import Note
from vidstyle.machine.allocator import keep_memory, share_cores
from vidstyle.storage.atomic import is_disk_full

DEFAULT = "render"

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Insufficient memory")
"""How CUDA and MPS, torch on a CPU, and OpenCV put it; their exceptions have no common class."""

signals = Signals()


class DefaultCommand(typer.core.TyperGroup):
    """Subcommands beside a default one: a first word that is no subcommand goes to the render,
    options before the file included.

    A file that has a subcommand's name is written ./weights.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        word = args[0] if args else ""
        known = [name for name in self.commands if name != DEFAULT]
        # An option, or the name of a file that is missing, is no mistyped command.
        near = (
            []
            if word.startswith("-") or Path(word).suffix
            else difflib.get_close_matches(word, known, n=1)
        )
        if near and word not in self.commands and not Path(word).exists():
            hint = f"did you mean vidstyle {near[0]}?"
            raise ConfigError(f"no file and no command {word}", "there is none of this name", hint)
        if not args or args[0] not in self.commands:
            args = [DEFAULT, *(args or ["--help"])]
        result: list[str] = super().parse_args(ctx, args)
        return result


class RenderContext(typer.Context):
    """The default command is called by the program's name alone."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent else "vidstyle"


class GridCommand(typer.core.TyperCommand):
    """A command with the usage line that a person would write."""

    pieces: tuple[str, ...] = ("[OPTIONS]", "INPUT", "--style", "PAINTING", "--vary", "NAME=A,B")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*self.pieces]

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""  # a flag has no value to show
        return option


class RenderCommand(GridCommand):
    """The render."""

    context_class = RenderContext
    pieces = GridCommand.pieces[:4]


app = typer.Typer(cls=DefaultCommand, add_completion=False, pretty_exceptions_enable=False)


@app.command(
    DEFAULT,
    cls=RenderCommand,
    epilog="Other commands: vidstyle grid INPUT --style PAINTING --vary NAME=A,B compares settings; "
    "vidstyle evaluate RESULT --source IN measures a result; "
    "vidstyle weights [NAME...] lists and fetches weight files.",
)
@with_settings()
def render(
    input: Annotated[
        Path | None, typer.Argument(metavar="INPUT", help="Video, GIF or image.")
    ] = None,
    *,
    style: Annotated[
        list[str] | None,
        flag(
            "--style",
            "-s",
            metavar="IMAGE",
            text="Painting whose style is taken. Again for more of them, with weights or with times between which the "
            "style moves: a.jpg:0.7, b.jpg@4s.",
        ),
    ] = None,
    preset: Preset = "standard",
    config: ConfigFile = None,
    preview: Annotated[
        bool,
        flag("--preview", text="Render a short, small clip and tell what the whole will take."),
    ] = False,
    dry_run: Annotated[
        bool, flag("--dry-run", text="Check everything and say what would be done.")
    ] = False,
    print_config: Annotated[
        bool, flag("--print-config", text="Print the settings as TOML and exit.")
    ] = False,
    reconstruct: Annotated[
        str | None,
        flag(
            "--reconstruct",
            metavar="LAYER",
            text="What a layer sees: the input from its features there, without a painting.",
        ),
    ] = None,
    progress: Progress = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, flag("--verbose", "-v", text="Say every setting; show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, flag("--version", text="Show the version and what was found on this machine.")
    ] = False,
    **settings: Any,
) -> None:
    """Turn a video and a painting into a stylised video that does not flicker:

    vidstyle in.mp4 --style munch.jpg

    An interrupted render continues when the same command runs again.
    """
    if version:
        from vidstyle.cli.version import describe

        print(describe(settings["weights_dir"]))
        return
    given = {
        name: value for name, value in settings.items() if value is not None and value is not False
    }
    given |= {name: path for name, path in (("input", input), ("style", style)) if path}
    if reconstruct is not None:
        given = configs.reconstruction(reconstruct, given) | given
    layers = [toml.preset_values(preset), toml.read_toml(config) if config else {}, given]
    named = {name: value for layer in layers for name, value in layer.items()}
    styleless = bool(named.get("texture")) or named.get("style_weight") == 0
    if print_config:
        files = {"input": "-", "style": None if styleless else "-"}
        print(toml.to_toml(configs.build(files, *layers)), end="")
        return
    for name, hint in (
        ("input", "vidstyle in.mp4 --style munch.jpg"),
        ("style", "add --style PAINTING.jpg"),
    ):
        if name not in named and not (name == "style" and styleless):
            raise ConfigError(f"no {name} given", "a render needs a video and a painting", hint)
    built = configs.build(*layers)
    if preview and built.trace:
        why = "a preview's frames are others, with half the iterations"
        raise ConfigError("a preview has no trace", why, "leave --trace or --preview out")
    if verbose:
        print(toml.to_toml(built), end="", file=sys.stderr)
    run(built, preview=preview, dry_run=dry_run, progress=progress, as_json=as_json, quiet=quiet)


def run(
    built: configs.RenderConfig,
    *,
    preview: bool,
    dry_run: bool,
    progress: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Render, preview or only look, with progress on stderr and the result on stdout."""
    # torch and OpenCV come in only here.
    from vidstyle.rendering import pipeline, plan
    from vidstyle.rendering.preview import preview as render_preview

    if dry_run:
        planned = plan.plan_render(built)
        print(json.dumps(asdict(planned)) if as_json else planned.text())
        return
    keep_memory()
    with displayed(progress, signals.watch, quiet=quiet) as report:
        if preview:
            made = render_preview(built, report, signals.asked)
            report(Note(made.text()))
        result = made if preview else pipeline.render(built, report, signals.asked)
    print(json.dumps(asdict(result), default=str) if as_json else result.output)


app.command("evaluate")(evaluate.evaluate)
app.command("grid", cls=GridCommand)(grid.grid)


@app.command("weights")
def list_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Weights to fetch; none: only list them.", show_default=False
        ),
    ] = None,
    weights_dir: Annotated[
        Path | None,
        flag("--weights-dir", metavar="DIR", text="Where weight files are looked for first."),
    ] = None,
) -> None:
    """List the weight files, where they are and their licences; fetch the ones named."""
    from vidstyle.weights import fetch, locate, registry

    for name in names or []:
        if name not in registry.REGISTRY:
            raise ConfigError(
                f"no weights called {name!r}",
                f"there are {', '.join(registry.REGISTRY)}",
                "vidstyle weights lists them",
            )
        print(fetch.fetch_weights(name, weights_dir, progress=download_bar(name)).path)
    if not names:
        for row in locate.status_table(weights_dir):
            print(
                f"{row.file.name}: {row.status}, {row.file.size / 1e6:.0f} MB, {row.file.licence}, by {row.file.author}"
            )
            for place in row.places:
                wanted = " or ".join(row.file.names)
                print(
                    f"  {place}" if row.status != "absent" else f"  looked for {wanted} in {place}"
                )


def download_bar(name: str) -> Any:
    """Shows a download's progress on stderr, one line that is written over."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB",
                end="\n" if done == total else "",
                file=sys.stderr,
            )

    return show


def main() -> None:
    """The console script."""
    signals.install()
    share_cores()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="surrogateescape"
        )  # a path that is not UTF-8 comes out as it went in
    try:
        app(prog_name="vidstyle")
    except Exception as e:
        fail(e if isinstance(e, VidstyleError) else explained(e))


def explained(error: Exception) -> VidstyleError:
    """What to tell the user about an error that no module expected; it stays the cause, for
    `--verbose`.
    """
    text = str(error) or type(error).__name__
    if is_disk_full(error):
        told: VidstyleError = DiskFullError(
            "the disk is full", text, "make room, then run the same command again: it continues"
        )
    elif isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY):
        told = RenderError(
            "out of memory",
            text,
            "choose a smaller --size, or start over with --restart and a smaller --max-memory",
        )
    elif isinstance(error, OSError):
        told = RenderError(
            "a file could not be read or written", text, "check it, then run the same command again"
        )
    else:
        told = RenderError(
            "vidstyle failed",
            f"{type(error).__name__}: {text}",
            "run it with -v and report what it says",
        )
    told.__cause__ = error
    return told


def fail(error: VidstyleError) -> None:
    """What, why and what to do, one line each; the traceback only for those who ask."""
    if {"-v", "--verbose"} & set(sys.argv):
        traceback.print_exception(error, file=sys.stderr)
    what, why, hint = (" ".join(text.splitlines()) for text in (error.what, error.why, error.hint))
    print(f"vidstyle: {what}\n  why: {why}\n  try: {hint}", file=sys.stderr)
    sys.exit(error.exit_code)
