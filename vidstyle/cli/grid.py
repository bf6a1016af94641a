"""`vidstyle grid`: flags -> the settings of every cell -> one contact sheet.

stdout carries only the sheet's path (or JSON); progress and notes go to stderr.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vidstyle.cli.display import displayed
from vidstyle.cli.flags import AsJson, ConfigFile, Preset, Progress, Quiet, flag
from vidstyle.cli.options import with_settings
from vidstyle.config import toml
from vidstyle.errors import ConfigError
from vidstyle.grid import axes as vary
from vidstyle.machine.allocator import keep_memory

UNUSED = vary.MOTION_SETTINGS | {"codec", "crf", "allow_damaged", "trace"}
"""What a grid has no use for: it is of one frame, and one picture comes out."""


@with_settings(without=UNUSED)
def grid(
    input: Annotated[  # noqa: A002
        Path | None,
        typer.Argument(metavar="INPUT", help="Image, or a video or GIF for a frame of it."),
    ] = None,
    *,
    style: Annotated[
        list[str] | None,
        flag(
            "--style",
            "-s",
            metavar="IMAGE",
            text="Painting whose style is taken. Again for more of them: a.jpg:0.7.",
        ),
    ] = None,
    vary_: Annotated[
        list[str] | None,
        flag(
            "--vary",
            metavar="NAME=A,B",
            text="A setting and its values, one for each column; again for the rows. Values with commas in them are "
            "divided by semicolons. style=a.jpg,b.jpg varies the painting.",
        ),
    ] = None,
    preset: Preset = "standard",
    config: ConfigFile = None,
    output: Annotated[
        Path | None,
        flag(
            "--output", "-o", metavar="FILE", text="Result. Default: in.grid.png beside the input."
        ),
    ] = None,
    size: Annotated[
        int | None,
        flag(
            "--size",
            metavar="N",
            text="Long side of a cell in pixels, at most the input's. Default: 320.",
        ),
    ] = None,
    start: Annotated[
        float | None,
        flag(
            "--start",
            metavar="X",
            text="Take the frame at this second. Default: the one in the middle of the longest shot.",
        ),
    ] = None,
    keep_frames: Annotated[
        bool,
        flag(
            "--keep-frames",
            text="Keep the cells as files of their own in OUTPUT.vidstyle/ after success.",
        ),
    ] = False,
    progress: Progress = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, flag("--verbose", "-v", text="Show the traceback of an error.")
    ] = False,  # see cli.fail
    **settings: Any,
) -> None:
    """Compare settings: one picture for each value, or each pair of values, on one contact sheet.

    vidstyle grid photo.jpg --style munch.jpg --vary content_weight=0.01,0.1 --vary style_scale=1,2

    An interrupted grid continues when the same command runs again.
    """
    axes = vary.parse_axes(vary_ or [])
    settings |= {"input": input, "style": style, "output": output, "size": size, "start": start}
    settings |= {"keep_frames": keep_frames}
    given = {
        name: value
        for name, value in settings.items()
        if value is not None and value is not False and value != []
    }
    for axis in axes:
        if axis.name in given:
            why = f"{axis.name} is given and varied"
            raise ConfigError(f"cannot vary {axis.name}", why, "leave one of the two out")
    layers = [toml.preset_values(preset), toml.read_toml(config) if config else {}, given]
    merged = {name: value for layer in layers for name, value in layer.items()}
    if "input" not in merged:
        raise ConfigError(
            "no input given", "a grid needs a picture", f"vidstyle grid photo.jpg {vary.EXAMPLE}"
        )
    # torch and OpenCV come in only here.
    from vidstyle.cli import main as cli
    from vidstyle.grid.grid import render_grid

    keep_memory()
    with displayed(progress, cli.signals.watch, quiet=quiet) as report:
        made = render_grid(merged, axes, report, cli.signals.asked)
    print(json.dumps(asdict(made), default=str) if as_json else made.output)
