"""`vidstyle evaluate`: flags -> the score card, and where it goes.

stdout carries the table, or with `--json -` the JSON; progress and notes go to stderr.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from vidstyle.cli.display import report_to
from vidstyle.cli.options import (
    CommandWithPages,
    ProgressOption,
    VerboseOption,
    WeightsDirOption,
    flag,
    with_options,
)
from vidstyle.cli.streams import print_answer
from vidstyle.errors import Interrupted, OutputError
from vidstyle.machine.allocator import keep_memory

STDOUT = Path("-")
"""The name that stands for stdout where a file could be named."""


class EvaluateCommand(CommandWithPages):
    """The command that measures a result."""

    usage = ("[OPTIONS]", "RESULT", "--source", "IN")


@with_options(settings=False)
def evaluate_command(
    context: typer.Context,
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT",
            help="What is measured: a video, a GIF, an image, or the folder OUTPUT.vidstyle that "
            "--keep-frames left.",
            show_default=False,
        ),
    ],
    source: Annotated[
        Path, flag("--source", metavar="IN", text="Video or image that it was made of.")
    ],
    style: Annotated[
        Path | None,
        flag("--style", "-s", metavar="IMAGE", text="Painting: adds the style distance."),
    ] = None,
    baseline: Annotated[
        Path | None,
        flag(
            "--baseline",
            metavar="PER_FRAME",
            text="The same rendered with --per-frame: adds D, how much flicker is gone.",
        ),
    ] = None,
    start: Annotated[
        float | None, flag("--start", metavar="X", text="The --start of the render.")
    ] = None,
    flow: Annotated[
        Literal["dis", "raft-small", "raft-large"] | None,
        flag(
            "--flow",
            metavar="NAME",
            text="Optical flow of the source. One of dis, raft-small, raft-large. Default: "
            "raft-small where its weights are, else dis.",
        ),
    ] = None,
    features: Annotated[
        Literal["lite", "vgg19"] | None,
        flag(
            "--features",
            metavar="NAME",
            text="Network that measures style and content. One of lite, vgg19. Default: vgg19 "
            "where its weights are, else lite.",
        ),
    ] = None,
    json: Annotated[
        Path | None,
        flag(
            "--json",
            metavar="FILE",
            text="Write every figure, curve and definition there; - is stdout.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        flag("--plot", metavar="FILE.png", text="Draw the curves there; needs the extra 'plot'."),
    ] = None,
    overwrite: Annotated[bool, flag("--overwrite", "-f", text="Replace existing files.")] = False,
    device: Annotated[
        str, flag("--device", metavar="NAME", text="auto, cpu, cuda, cuda:N or mps. Default: auto.")
    ] = "auto",
    weights_dir: WeightsDirOption = None,
    progress: ProgressOption = "auto",
    quiet: Annotated[
        bool, flag("--quiet", "-q", text="Only warnings and errors besides the figures.")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Measure a result: flicker, drift, ghosts, sharpness, and how near it is to the painting and
    to the video.

    vidstyle evaluate out.mp4.vidstyle --source in.mp4 --style munch.jpg --baseline
    base.mp4.vidstyle
    """
    targets = [path for path in (json if json != STDOUT else None, plot) if path is not None]
    check_targets(
        targets,
        [path for path in (result, source, style, baseline) if path is not None],
        plot,
        overwrite,
    )
    # torch and OpenCV come in only here.
    from vidstyle.evaluation import plots
    from vidstyle.evaluation.evaluate import evaluate
    from vidstyle.machine.plotting import require_matplotlib
    from vidstyle.storage import atomic

    if plot is not None:
        require_matplotlib()
    keep_memory()
    signals = context.obj
    try:
        with report_to(progress, signals.watch, quiet=quiet) as report:
            card = evaluate(
                result,
                source,
                style,
                baseline,
                start=start,
                flow=flow,
                features=features,
                weights_dir=weights_dir,
                device=device,
                report=report,
                stop=signals.stop_requested,
            )
            picture = plots.draw_score_card(card) if plot is not None else b""
    except Interrupted as e:
        # A signal's own words are those of a render.
        raise Interrupted(
            e.what, "nothing was written", "the same command measures again", e.exit_code
        ) from e
    # First: a full disk must not cost the figures.
    print_answer(card.to_json() if json == STDOUT else card.text())
    if json is not None and json != STDOUT:
        atomic.write_atomically(json, f"{card.to_json()}\n".encode())
    if plot is not None:
        atomic.write_atomically(plot, picture)


def check_targets(
    targets: list[Path], inputs: list[Path], plot: Path | None, overwrite: bool
) -> None:
    """Raise OutputError where a file cannot be written, or should not be, before anything is
    measured.
    """
    if len({path.resolve() for path in targets}) < len(targets):
        raise OutputError(
            f"{targets[0]} is given twice", "it would be replaced at once", "name two files"
        )
    for path in targets:
        if any(path.resolve() == given.resolve() for given in inputs):
            raise OutputError(f"{path} would be replaced", "it is measured", "name another file")
        if path.is_dir():
            raise OutputError(f"cannot write {path}", "it is a directory", "name a file in it")
        if path == plot and path.suffix.lower() != ".png":
            raise OutputError(
                f"cannot draw {path}", "the curves are drawn as a PNG", f"name it {path.stem}.png"
            )
        if path.exists() and not overwrite:
            raise OutputError(
                f"{path} exists",
                "it would be replaced",
                "use -f to replace it, or name another file",
            )
        if not os.access(path.parent, os.W_OK):
            why = "it cannot be written to" if path.parent.exists() else "there is no such folder"
            raise OutputError(
                f"cannot write {path}", f"{path.parent}: {why}", "make it, or name another file"
            )
