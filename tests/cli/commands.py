"""Commands that tests of the command line run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

QUICK = (
    *("--size", "48", "--first-iterations", "1", "--first-scales", "1"),
    *("--iterations", "1", "--duration", "0.2"),
)
"""The flags of a render of two frames that takes about a second."""

Command = Callable[..., Any]
"""The fixture `command`: runs `vidstyle` with these arguments in this process."""


def help_text(*words: str, columns: int = 200) -> str:
    """Return what `vidstyle` prints with these arguments in a process of its own, and then a line
    `HEAVY [...]` with the slow libraries that it has loaded.
    """
    code = (
        "import atexit, sys\n"
        "heavy = ('torch', 'cv2', 'numpy')\n"
        "atexit.register(lambda: print('HEAVY', [m for m in heavy if m in sys.modules]))\n"
        "from vidstyle.cli.main import main\n"
        f"main({[*words]!r})"
    )
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return run.stdout
