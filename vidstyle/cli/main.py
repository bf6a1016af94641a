"""The command line: the default command and the others, one error -> three lines and an exit code.

stdout carries only the output's path (or JSON); everything else goes to stderr.
"""

from __future__ import annotations

import difflib
import errno
import io
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import typer
import typer.core

from vidstyle.cli.evaluate import EvaluateCommand, evaluate_command
from vidstyle.cli.grid import GridCommand, grid_command
from vidstyle.cli.learn import LearnCommand, learn_command
from vidstyle.cli.live import live_command
from vidstyle.cli.render import EPILOG, RenderCommand, render_command
from vidstyle.cli.signals import Signals
from vidstyle.cli.streams import TolerantStream, open_standard_streams
from vidstyle.cli.styles import styles_command
from vidstyle.cli.weights import weights_command
from vidstyle.errors import ConfigError, DiskFullError, RenderError, VidstyleError
from vidstyle.machine.allocator import share_cores

DEFAULT_COMMAND = "render"

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Insufficient memory")
"""The words of CUDA and MPS, of torch on a CPU, and of OpenCV; their exceptions have no common
class.
"""


class CommandGroup(typer.core.TyperGroup):
    """Commands next to a default one: a first word that is no command goes to the render, options
    before the file included.

    A file that has a command's name is written ./weights.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the default command where none is named.

        Raises ConfigError where the first word looks like a mistyped command.
        """
        word = args[0] if args else ""
        known = [name for name in self.commands if name != DEFAULT_COMMAND]
        # An option, or the name of a file that is missing, is no mistyped command.
        near = (
            []
            if word.startswith("-") or Path(word).suffix
            else difflib.get_close_matches(word, known, n=1)
        )
        if near and word not in self.commands and not Path(word).exists():
            hint = f"did you mean vidstyle {near[0]}?"
            raise ConfigError(f"no file and no command {word}", "there is none of this name", hint)
        if not args or args[0] not in self.commands:
            args = [DEFAULT_COMMAND, *(args or ["--help"])]
        result: list[str] = super().parse_args(ctx, args)
        return result


app = typer.Typer(cls=CommandGroup, add_completion=False, pretty_exceptions_enable=False)
app.command(DEFAULT_COMMAND, cls=RenderCommand, epilog=EPILOG)(render_command)
app.command("evaluate", cls=EvaluateCommand)(evaluate_command)
app.command("grid", cls=GridCommand)(grid_command)
app.command("learn", cls=LearnCommand)(learn_command)
app.command("live")(live_command)
app.command("styles")(styles_command)
app.command("weights")(weights_command)


def main(arguments: Sequence[str] | None = None, signals: Signals | None = None) -> None:
    """Run the console script.

    Args:
        arguments: the words after the program's name; None: those of this process.
        signals: handles Ctrl-C and termination of this run; None: new ones.
    """
    open_standard_streams()
    signals = signals or Signals()
    signals.install()
    share_cores()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A path that is not UTF-8 comes out as it went in.
        sys.stdout.reconfigure(errors="surrogateescape")
    words = sys.argv[1:] if arguments is None else arguments
    try:
        refuse_empty_words(words)
        app(arguments, prog_name="vidstyle", obj=signals)
    except Exception as e:
        error = e if isinstance(e, VidstyleError) else explained(e)
        fail(error, verbose=not {"-v", "--verbose"}.isdisjoint(words))


def refuse_empty_words(words: Sequence[str]) -> None:
    """Raise ConfigError where a word is empty: as a path it would be the present folder."""
    for before, word in zip(("vidstyle", *words), words, strict=False):
        if not word or re.fullmatch(r"--[\w-]+=", word):
            why = f"there is nothing in the word after {before}" if not word else f"{word} is bare"
            hint = "give a name there; a variable of the shell that is not set leaves none"
            raise ConfigError("an argument is empty", why, hint)


def explained(error: Exception) -> VidstyleError:
    """Return the error to show the user for one that no module expected; that stays the cause, for
    `--verbose`.
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        told: VidstyleError = DiskFullError(
            "the disk is full", text, "make room, then run the same command again: it continues"
        )
    elif isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY):
        told = RenderError(
            "out of memory",
            text,
            "choose a smaller --size, or start over with --restart and a smaller --max-memory",
        )
    elif isinstance(error, OSError):
        told = RenderError(
            "a file could not be read or written", text, "check it, then run the same command again"
        )
    else:
        told = RenderError(
            "vidstyle failed",
            f"{type(error).__name__}: {text}",
            "run it with -v and report what it says",
        )
    told.__cause__ = error
    return told


def fail(error: VidstyleError, *, verbose: bool = False) -> None:
    """Print what happened, why and what to do, one line each, and exit with the error's code.

    Args:
        verbose: whether to print the traceback first.
    """
    # The exit code tells it, too.
    stream = cast("IO[str]", TolerantStream(sys.stderr))
    if verbose:
        traceback.print_exception(error, file=stream)
    what, why, hint = (" ".join(text.splitlines()) for text in (error.what, error.why, error.hint))
    print(f"vidstyle: {what}\n  why: {why}\n  try: {hint}", file=stream)
    sys.exit(error.exit_code)
