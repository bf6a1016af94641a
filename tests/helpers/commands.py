"""Commands of `vidstyle` in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys


def help_text(*args: str) -> str:
    """Return what `vidstyle` prints with these arguments, on a terminal of 200 columns, and after it
    `HEAVY [...]`: which of the heavy libraries it imported on the way.
    """
    heavy = "[m for m in ('torch', 'cv2', 'numpy') if m in sys.modules]"
    code = (
        "import sys, atexit; from vidstyle.cli.main import main\n"
        f"sys.argv = ['vidstyle', {', '.join(map(repr, args))}]\n"
        f"atexit.register(lambda: print('HEAVY', {heavy}))\n"
        "main()"
    )
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return run.stdout
