"""Another process that holds locks."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOLDER = """
import contextlib, sys
from pathlib import Path
from vidstyle.storage.lock import lock_folder, lock_shot
from vidstyle.storage.record import state_folder
output, *shots = sys.argv[1:]
folder = state_folder(Path(output))
with contextlib.ExitStack() as stack:
    if shots:
        for shot in shots:
            stack.enter_context(lock_shot(folder, int(shot)))
    else:
        stack.enter_context(lock_folder(folder, Path(output), lambda: False))
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def another_process_locks(output: Path, *shots: int) -> Iterator[subprocess.Popen[str]]:
    """Runs a process that holds the lock of an output, or of some of its shots, until it is killed
    or its stdin is closed.
    """
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(output), *map(str, shots)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "locked\n"
            yield holder
        finally:
            holder.kill()
