"""Ctrl-C and termination: the first Ctrl-C lets the frame finish, the second stops at once; frames
are kept either way.

`main` makes one `Signals` and gives it to the commands as the object of their context.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

from vidstyle.errors import Interrupted
from vidstyle.events import Event, FrameDone, Learning, Measured, Started


class Signals:
    """Turns signals into a polled flag while frames are rendered, and into `Interrupted`
    otherwise.
    """

    def __init__(self) -> None:
        self.requested = False
        self.rendering = False

    def install(self) -> None:
        """Handle Ctrl-C and termination from now on."""
        signal.signal(signal.SIGINT, self.handle)
        signal.signal(signal.SIGTERM, self.handle)

    def stop_requested(self) -> bool:
        """Tell whether the render should stop at the next frame."""
        return self.requested

    def watch(self, event: Event) -> None:
        """Learn from the events of a render or a measurement whether there is a frame that could be
        finished.
        """
        if isinstance(event, Started | FrameDone | Measured | Learning):
            self.rendering = event.done < event.total

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the first Ctrl-C of a render, and raise `Interrupted` at any other signal."""
        if number == signal.SIGINT and self.rendering and not self.requested:
            self.requested = True
            write_to_stderr("finishing this frame; Ctrl-C again stops at once\n")
            return
        # Tidying up must not be interrupted in turn.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        how = "interrupted" if number == signal.SIGINT else "terminated"
        raise Interrupted(
            how, "all finished frames are kept", "the same command continues", 128 + number
        )


def write_to_stderr(text: str) -> None:
    """Write to stderr from a signal handler: it may have interrupted a `print`, and the buffer of
    the stream takes no second call meanwhile.
    """
    try:
        number = sys.stderr.fileno()
    except OSError:
        # A stream without a file.
        sys.stderr.write(text)
        return
    # Nobody may be there to read it.
    with contextlib.suppress(OSError):
        os.write(number, text.encode())
