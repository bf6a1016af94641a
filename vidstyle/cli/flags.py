"""What the commands' flags have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def flag(*names: str, text: str, metavar: str = "") -> Any:
    """An option; its default is told by its text or by nothing."""
    return typer.Option(*names, metavar=metavar, help=text, show_default=False)


Progress = Annotated[
    Literal["auto", "bar", "lines", "json"],
    flag(
        "--progress",
        metavar="NAME",
        text="How progress is shown on stderr. One of auto, bar, lines, json. Default: auto.",
    ),
]

Preset = Annotated[
    str,
    flag("--preset", metavar="NAME", text="One of draft, standard, reference. Default: standard."),
]
ConfigFile = Annotated[
    Path | None,
    flag("--config", "-c", metavar="FILE", text="TOML file with settings; flags win over it."),
]
AsJson = Annotated[bool, flag("--json", text="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, flag("--quiet", "-q", text="Only warnings and errors.")]
