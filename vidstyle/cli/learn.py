"""`vidstyle learn PAINTING`: teach the network a painting, and keep it in a style file.

stdout carries only the file's path; progress and notes go to stderr.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

import typer

from vidstyle.cli.display import report_to
from vidstyle.cli.options import (
    CommandWithPages,
    ConfigFileOption,
    PresetOption,
    ProgressOption,
    QuietOption,
    collect_given,
    flag,
    layer_settings,
    with_options,
)
from vidstyle.cli.streams import print_output
from vidstyle.config import settings as configs
from vidstyle.config.engines import OPTIMISER_SETTINGS
from vidstyle.config.settings import settings_that_affect
from vidstyle.errors import ConfigError
from vidstyle.events import Note
from vidstyle.machine.allocator import keep_memory

UNUSED_SETTINGS = (
    *settings_that_affect("composition", "film", "video"),
    *OPTIMISER_SETTINGS,
    "engine",
    "flow",
    "mask",
    "rest",
    "start",
    "keep_frames",
    "restart",
    "max_memory",
    "keyframes",
    "keep_colors",
    "tileable",
    "force",
)
"""The settings that are about renders, and not about what is learned."""


class LearnCommand(CommandWithPages):
    """The command that teaches the network a painting."""

    usage = ("[OPTIONS]", "PAINTING", "-o", "OUT.style")


@with_options(without=UNUSED_SETTINGS)
def learn_command(
    context: typer.Context,
    painting: Annotated[
        Path | None, typer.Argument(metavar="PAINTING", help="Painting to learn.")
    ] = None,
    *,
    film: Annotated[
        Path | None,
        flag("--from", metavar="INPUT", text="Video or image that it will be used on."),
    ] = None,
    onnx: Annotated[
        Path | None,
        flag(
            "--onnx",
            metavar="FILE",
            text="Write the network as an ONNX model, too. Sides of frames are multiples of 8.",
        ),
    ] = None,
    preset: PresetOption = "standard",
    config: ConfigFileOption = None,
    progress: ProgressOption = "auto",
    quiet: QuietOption = False,
    **settings: Any,
) -> None:
    """Teach the network a painting, for --engine fast and balanced:

    vidstyle learn munch.jpg -o munch.style
    """
    if painting is None:
        hint = "vidstyle learn munch.jpg -o munch.style"
        raise ConfigError("no painting given", "there is nothing to learn", hint)
    if onnx is not None and importlib.util.find_spec("onnx") is None:
        hint = "pip install 'vidstyle[onnx]'"
        raise ConfigError("--onnx needs the package onnx", "it is not installed", hint)
    given = collect_given(settings)
    output = Path(given.pop("output", None) or painting.with_suffix(".style").name)
    named = {"input": film or painting, "style": [painting], "engine": "fast"}
    *layers, given = layer_settings(preset, config, given)
    # What a preset or a file says of the optimiser is for renders.
    layers = [{k: v for k, v in one.items() if k not in OPTIMISER_SETTINGS} for one in layers]
    built = configs.build(*layers, given, named)
    keep_memory()
    from vidstyle.rendering.learned_files import learn_painting

    with report_to(progress, context.obj.watch, quiet=quiet) as report:
        learned = learn_painting(built, film, output, report, context.obj.stop_requested, onnx=onnx)
        report(Note(learned.text()))
    print_output(str(learned.path))
