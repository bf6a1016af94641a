"""`vidstyle weights`: the weight files, where they are, and fetching them.

stdout carries the list, or the paths of what was fetched; progress goes to stderr.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidstyle.cli.display import report_to
from vidstyle.cli.options import WeightsDirOption
from vidstyle.cli.signals import Signals
from vidstyle.cli.streams import print_answer, print_output
from vidstyle.errors import ConfigError
from vidstyle.events import Download
from vidstyle.weights.locate import status_table
from vidstyle.weights.registry import REGISTRY


def weights_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Weights to fetch; none: only list them.", show_default=False
        ),
    ] = None,
    weights_dir: WeightsDirOption = None,
) -> None:
    """List the weight files, where they are and their licences; fetch the ones named."""
    for name in names or []:
        if name not in REGISTRY:
            raise ConfigError(
                f"no weights called {name!r}",
                f"there are {', '.join(REGISTRY)}",
                "vidstyle weights lists them",
            )
        print_output(str(fetch_with_progress(name, weights_dir, context.obj)))
    if not names:
        print_table(weights_dir)


def fetch_with_progress(name: str, weights_dir: Path | None, signals: Signals) -> Path:
    """Fetch weights with progress on stderr; return where they are."""
    from vidstyle.weights.fetch import fetch_weights

    with report_to("auto", signals.watch, quiet=False) as report:

        def report_download(done: int, total: int) -> None:
            report(Download(name, done, total))

        return fetch_weights(name, weights_dir, progress=report_download).path


def print_table(weights_dir: Path | None) -> None:
    """Print a line for each weight file, and one for each place where it is or is looked for."""
    for row in status_table(weights_dir):
        file = row.file
        digits = 0 if file.size >= 500_000 else 1
        megabytes = f"{file.size / 1e6:.{digits}f} MB"
        print_answer(f"{file.name}: {row.status}, {megabytes}, {file.licence}, by {file.author}")
        for place in row.places:
            looked_for = f"looked for {' or '.join(file.names)} in "
            print_answer(f"  {looked_for if row.status == 'absent' else ''}{place}")
