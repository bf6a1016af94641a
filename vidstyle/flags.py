"""What the commands' flags have in common."""

from __future__ import annotations

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
