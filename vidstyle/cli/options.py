"""Flags and help pages: the flags that commands share, those made from the settings of a render,
and a short help page next to the full one.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
import typer.core

from vidstyle.config import settings as configs
from vidstyle.config import toml

METAVARS = {
    int: "N",
    float: "X",
    Path: "FILE",
    str: "NAME",
    bool: "",
    tuple[Path, Path]: "IMAGE IMAGE",
    list[str]: "TEXT",
}
"""The placeholders for a value of each type in the help."""


def flag(
    *names: str, text: str, metavar: str = "", everyday: bool = True, **attributes: Any
) -> Any:
    """Make an option, whose default is in its text or nowhere.

    Args:
        everyday: whether `--help` shows it; `--help-all` does in any case.
    """
    return typer.Option(
        *names, metavar=metavar, help=text, show_default=False, hidden=not everyday, **attributes
    )


def show_all_help(context: typer.Context, asked: bool) -> None:
    """Print the full help page and exit, where that is asked for."""
    if asked and isinstance(context.command, CommandWithPages):
        typer.echo(context.command.get_full_help(context))
        raise typer.Exit()


HelpAllOption = Annotated[
    bool,
    flag(
        "--help-all",
        text="Show all options and exit.",
        is_eager=True,
        expose_value=False,
        callback=show_all_help,
    ),
]
PresetOption = Annotated[
    str,
    flag("--preset", metavar="NAME", text=f"One of {', '.join(toml.PRESETS)}. Default: standard."),
]
ConfigFileOption = Annotated[
    Path | None,
    flag("--config", "-c", metavar="FILE", text="TOML file with settings; flags win over it."),
]
WeightsDirOption = Annotated[
    Path | None,
    flag("--weights-dir", metavar="DIR", text="Where weight files are looked for first."),
]
ProgressOption = Annotated[
    Literal["auto", "bar", "lines", "json"],
    flag(
        "--progress",
        metavar="NAME",
        text="How progress is shown on stderr. One of auto, bar, lines, json. Default: auto.",
        everyday=False,
    ),
]
JsonOption = Annotated[
    bool, flag("--json", text="Print the result as JSON on stdout.", everyday=False)
]
QuietOption = Annotated[
    bool, flag("--quiet", "-q", text="Only warnings and errors.", everyday=False)
]
VerboseOption = Annotated[
    bool, flag("--verbose", "-v", text="Show the traceback of an error.", everyday=False)
]
"""`main` itself looks for this flag, when there is an error to show."""


class CommandWithPages(typer.core.TyperCommand):
    """A command with the usage line that a person would write, a short help page of its everyday
    options, and a full one.
    """

    usage: tuple[str, ...] = ()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line after the name of the command."""
        return [*self.usage] or super().collect_usage_pieces(ctx)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option `--help`."""
        option = super().get_help_option(ctx)
        if option is not None:
            # A flag has no value to show.
            option.metavar = ""
        return option

    def get_help(self, ctx: Any) -> str:
        """Return the short page: everyday options under one heading, each with the beginning of
        its text.
        """
        return self._get_page(ctx, summarise_option)

    def get_full_help(self, ctx: Any) -> str:
        """Return the full page: all options in their groups."""
        return self._get_page(ctx, unhide_option)

    def _get_page(self, ctx: Any, edit: Callable[[Any], Any]) -> str:
        page = copy.copy(self)
        page.params = [edit(param) for param in self.params]
        return str(typer.core.TyperCommand.get_help(page, ctx))


def summarise_option(option: Any) -> Any:
    """Return an option as the short help page shows it."""
    short = copy.copy(option)
    if isinstance(option, typer.core.TyperArgument):
        # The line of usage says enough.
        short.hidden = True
        return short
    short.rich_help_panel = None
    if len(values := (short.metavar or "").split()) > 1:
        short.metavar = f"{values[0]}S"
    if short.help:
        short.help = re.split(r"[.;:] ", short.help)[0].rstrip(".") + "."
    return short


def unhide_option(option: Any) -> Any:
    """Return an option as the full help page shows it."""
    shown = copy.copy(option)
    shown.hidden = False
    return shown


def long_flag(name: str) -> str:
    """Return the long flag of a setting, with that which turns it off where it has one."""
    shown = configs.facts_of(name).long_flag or f"--{name.replace('_', '-')}"
    return f"{shown}/--no-{shown.removeprefix('--')}" if can_be_undecided(name) else shown


def can_be_undecided(name: str) -> bool:
    """Tell whether a setting is a switch that is neither on nor off by default."""
    return configs.RenderConfig.model_fields[name].annotation == bool | None


def option_for(name: str) -> inspect.Parameter:
    """Make the flag of one setting from its field: None unless given, so that presets and files can
    set it.

    A list takes one flag for each of its values, as texts. A switch that is undecided by default
    has a second flag, which turns it off.
    """
    field = configs.RenderConfig.model_fields[name]
    facts = configs.facts_of(name)
    kind: Any = field.annotation
    if get_origin(kind) not in (Literal, tuple):
        kind = next((t for t in get_args(kind) if t is not type(None)), kind)
    if get_origin(kind) is tuple and Ellipsis in get_args(kind):
        kind = list[str]
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    sentences = [str(field.description)]
    if choices:
        sentences.append(f"One of {', '.join(choices)}.")
    if field.default is not None and field.default is not False and field.default != ():
        sentences.append(f"Default: {field.default}.")
    metavar = "DIR" if name.endswith("_dir") else "NAME" if choices else METAVARS[kind]
    option = flag(
        long_flag(name),
        *facts.flags,
        metavar=metavar if facts.metavar is None else facts.metavar,
        text=" ".join(sentences),
        everyday=facts.audience == "everyday",
        rich_help_panel=facts.group,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def with_options(
    *, settings: bool = True, without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--help-all` and one option for each setting of a render.

    Settings that the command has written out itself are left to it.

    Args:
        settings: whether the command takes settings of a render, as `**settings`.
        without: settings that the command does not take.
    """

    def add_options(command: Callable[..., None]) -> Callable[..., None]:
        """Wrap a command in one whose signature, which is what Typer reads, has all options."""
        parameters = inspect.signature(command, eval_str=True).parameters
        written = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = [
            name
            for name in configs.RenderConfig.model_fields
            if settings
            and configs.facts_of(name).group
            and configs.facts_of(name).on_command_line
            and name not in (*parameters, *without)
        ]
        help_all = inspect.Parameter(
            "help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=HelpAllOption
        )
        options = [*written, *map(option_for, names), help_all]

        @functools.wraps(command)
        def run_command(*, help_all: bool = False, **given: Any) -> None:
            command(**given)

        run_command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        run_command.__annotations__ = {p.name: p.annotation for p in options}
        return run_command

    return add_options


def collect_given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given on the command line: those with a value, and switches
    that are on, or turned off where they can be undecided.
    """
    return {
        name: value
        for name, value in settings.items()
        if value is not None and value != [] and (value is not False or can_be_undecided(name))
    }


def layer_settings(preset: str, file: Path | None, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the layers that make up the settings: of the preset, the file and the command line.

    Later ones win. Raises ConfigError.
    """
    return [toml.preset_values(preset), toml.read_toml(file) if file else {}, given]


def merge_layers(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge layers of settings into one, unchecked."""
    return {name: value for layer in layers for name, value in layer.items()}
