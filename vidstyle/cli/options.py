"""The settings of a render as flags of a command, each made from its field in the config."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from vidstyle.config import settings as configs

METAVARS = {
    int: "N",
    float: "X",
    Path: "FILE",
    str: "NAME",
    bool: "",
    tuple[Path, Path]: "IMAGE IMAGE",
}
"""What stands for a value of each type in the help."""


def option_for(name: str) -> inspect.Parameter:
    """The flag of one setting, from its field in the config: None unless given, so that presets and
    files can speak.
    """
    field = configs.RenderConfig.model_fields[name]
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    flags = [
        f"--{name.replace('_', '-')}",
        *map(str, extra["flags"] if isinstance(extra["flags"], list) else []),
    ]
    kind: Any = field.annotation
    if get_origin(kind) not in (Literal, tuple):
        kind = next((t for t in get_args(kind) if t is not type(None)), kind)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    sentences = [str(field.description)]
    sentences += [f"One of {', '.join(choices)}."] if choices else []
    sentences += (
        [f"Default: {field.default}."]
        if field.default is not None and field.default is not False
        else []
    )
    option = typer.Option(
        *flags,
        metavar="DIR" if name.endswith("_dir") else "NAME" if choices else METAVARS[kind],
        help=" ".join(sentences),
        rich_help_panel=str(extra["group"]),
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def with_settings(*, without: Collection[str] = ()) -> Callable[[Any], Any]:
    """Gives `command(input, ..., **settings)` one option for each setting of the config, but for
    those it has written out itself, and those it goes `without`.
    """

    def decorated(command: Any) -> Any:
        parameters = inspect.signature(command, eval_str=True).parameters
        written = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = [
            n
            for n in configs.RenderConfig.model_fields
            if configs.group_of(n) and n not in (*parameters, *without)
        ]
        options = [*written, *map(option_for, names)]
        command.__signature__ = inspect.Signature(options)
        command.__annotations__ = {p.name: p.annotation for p in options}
        return command

    return decorated
