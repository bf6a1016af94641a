"""The standard streams of a command: what is printed on them never undoes what the command has
done.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import IO, Any

STANDARD_DESCRIPTORS = (0, 1, 2)


def open_standard_streams() -> None:
    """Open what a parent has closed of stdin, stdout and stderr, as nothing: else the next file or
    pipe gets such a number, and a child takes it for its own stdin or stdout.
    """
    for number in STANDARD_DESCRIPTORS:
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, and those below are taken.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def print_output(text: str) -> None:
    """Print what tells of an output that is complete; it stays complete where nobody can read that:
    the reader is gone, or the disk of a log is full.
    """
    try:
        write_line(text)
    except OSError as e:
        silence(sys.stdout)
        if not isinstance(e, BrokenPipeError):
            tell(f"warning: stdout could not be written ({e.strerror}): {text}")


def print_answer(text: str) -> None:
    """Print what was asked for. A reader that has seen enough, as `head` does, is no error."""
    try:
        write_line(text)
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError:
        silence(sys.stdout)
        raise


def write_line(text: str) -> None:
    """Write a line to stdout at once; in bytes, as a file system has them, where the encoding of
    stdout lacks a letter.
    """
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        sys.stdout.buffer.write(os.fsencode(text) + b"\n")
        sys.stdout.buffer.flush()


def tell(text: str) -> None:
    """Print a line on stderr, where somebody reads it."""
    print(text, file=TolerantStream(sys.stderr), flush=True)


def silence(stream: IO[str]) -> None:
    """Let what is still to be written to a stream go nowhere: its buffer is flushed at the end of
    the process, whose exit code would become 120.
    """
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


class TolerantStream:
    """A text stream that drops what cannot be written, since nobody reads it."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        try:
            return self.stream.write(text)
        except UnicodeEncodeError:
            return self.stream.write(text.encode("ascii", "backslashreplace").decode())
        except (OSError, ValueError):
            silence(self.stream)
            return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        try:
            self.stream.flush()
        except (OSError, ValueError):
            silence(self.stream)
