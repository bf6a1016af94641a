"""`vidstyle grid`: flags -> the settings of every cell -> one contact sheet.

stdout carries only the sheet's path (or JSON); progress and notes go to stderr.
"""

from __future__ import annotations

import json
from dataclasses import asdict
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
    VerboseOption,
    collect_given,
    flag,
    layer_settings,
    merge_layers,
    with_options,
)
from vidstyle.cli.streams import print_output
from vidstyle.config.facts import MOTION_AFFECTING
from vidstyle.config.settings import settings_that_affect
from vidstyle.errors import ConfigError
from vidstyle.grid import axes as vary
from vidstyle.machine.allocator import keep_memory

UNUSED_SETTINGS = settings_that_affect(*MOTION_AFFECTING, "film", "composition")
"""The settings that change nothing in a grid: it is of one frame, one picture comes out, and it
shows frames as they are painted.
"""


class GridCommand(CommandWithPages):
    """The command that compares settings."""

    usage = ("[OPTIONS]", "INPUT", "--style", "PAINTING", "--vary", "NAME=A,B")


@with_options(without=UNUSED_SETTINGS)
def grid_command(
    context: typer.Context,
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
            text="A setting and its values, one for each column; again for the rows. Values with "
            "commas in them are divided by semicolons. style=a.jpg,b.jpg varies the painting.",
        ),
    ] = None,
    preset: PresetOption = "standard",
    config: ConfigFileOption = None,
    output: Annotated[
        Path | None,
        flag(
            "--output", "-o", metavar="FILE", text="Result. Default: in.grid.png next to the input."
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
            text="Take the frame at this second. Default: the one in the middle of the longest "
            "shot.",
        ),
    ] = None,
    keep_frames: Annotated[
        bool,
        flag(
            "--keep-frames",
            text="Keep the cells as files of their own in OUTPUT.vidstyle/ after success.",
        ),
    ] = False,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    **settings: Any,
) -> None:
    """Compare settings: one picture for each value, or each pair of values, on one contact sheet.

    vidstyle grid photo.jpg --style munch.jpg --vary content_weight=0.01,0.1 --vary style_scale=1,2

    An interrupted grid continues when the same command runs again.
    """
    axes = vary.parse_axes(vary_ or [])
    settings |= {"input": input, "style": style, "output": output, "size": size, "start": start}
    settings |= {"keep_frames": keep_frames}
    given = collect_given(settings)
    for axis in axes:
        if axis.name in given:
            why = f"{axis.name} is given and varied"
            raise ConfigError(f"cannot vary {axis.name}", why, "leave one of the two out")
    merged = merge_layers(layer_settings(preset, config, given))
    if "input" not in merged:
        raise ConfigError(
            "no input given", "a grid needs a picture", f"vidstyle grid photo.jpg {vary.EXAMPLE}"
        )
    # torch and OpenCV come in only here.
    from vidstyle.grid.grid import render_grid

    keep_memory()
    signals = context.obj
    with report_to(progress, signals.watch, quiet=quiet) as report:
        result = render_grid(merged, axes, report, signals.stop_requested)
    print_output(json.dumps(asdict(result), default=str) if as_json else str(result.output))
