"""`vidstyle live --style munch.style`: a camera, or a film as it plays, painted at once.

The pictures go to stdout as YUV4MPEG2 (`--output -`), else to a local address for a browser; what
is said goes to stderr.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vidstyle.cli.options import WeightsDirOption, flag
from vidstyle.errors import ConfigError

LIVE_SIZE = 426
"""Pixels of the longer side where none is given."""


def live_command(
    context: typer.Context,
    style: Annotated[
        Path | None, flag("--style", "-s", metavar="STYLE", text="Learned style, or a painting.")
    ] = None,
    camera: Annotated[
        int | None,
        flag("--camera", metavar="N", text="Camera to take pictures from. Default: 0.", min=0),
    ] = None,
    film: Annotated[
        Path | None, flag("--input", metavar="FILE", text="Film to play instead of a camera.")
    ] = None,
    output: Annotated[
        str | None,
        flag("--output", "-o", metavar="-", text="- writes YUV4MPEG2 to stdout. Default: a page."),
    ] = None,
    port: Annotated[
        int,
        flag(
            "--port",
            metavar="N",
            text="Port of the page. Default: any that is free.",
            min=0,
            max=65535,
        ),
    ] = 0,
    size: Annotated[
        int,
        flag(
            "--size",
            metavar="N",
            text=f"Long side in pixels. Default: {LIVE_SIZE}.",
            min=16,
            max=4096,
        ),
    ] = LIVE_SIZE,
    device: Annotated[
        str, flag("--device", metavar="NAME", text="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    weights_dir: WeightsDirOption = None,
) -> None:
    """Paint a camera or a playing film at once:

    vidstyle live --style munch.style --input clip.mp4 --output - | ffplay -
    """
    if style is None:
        hint = "vidstyle live --style munch.style"
        raise ConfigError("no style given", "live pictures are painted in one", hint)
    if camera is not None and film is not None:
        why = "--camera and --input are both given"
        raise ConfigError("there is one source at a time", why, "leave one of them out")
    if output not in (None, "-"):
        why = "live pictures go to a pipe or a page, and nowhere else"
        raise ConfigError(f"--output {output} is no place for them", why, "--output -, or none")
    from vidstyle.live.player import play
    from vidstyle.live.session import build_painter
    from vidstyle.live.sinks import BrowserSink, PipeSink, Sink
    from vidstyle.live.sources import LatestFrame, camera_pictures, film_pictures

    painter = build_painter(style, size, device, weights_dir)
    pictures, rate = film_pictures(film, size) if film else camera_pictures(camera or 0, size)
    sink: Sink
    if output == "-":
        sink = PipeSink(sys.stdout.buffer, rate)
    else:
        page = BrowserSink(port)
        print(f"open {page.address} in a browser; Ctrl-C ends it", file=sys.stderr, flush=True)
        sink = page
    try:
        # The first Ctrl-C ends it in order.
        context.obj.rendering = True
        stop = context.obj.stop_requested
        with LatestFrame(pictures) as latest:
            report = play(latest.take(stop), painter, sink, stop)
    finally:
        sink.close()
        if output == "-":
            forget_stdout()
    print(report.text(), file=sys.stderr)


def forget_stdout() -> None:
    """Lead what is still on its way to stdout nowhere, where its reader has gone: at the end of the
    process it would fail again.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
