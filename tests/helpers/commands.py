"""Commands of `vidstyle` in processes of their own: fresh interpreters, or forks of one that has
torch, OpenCV and `vidstyle` loaded.

A fresh interpreter spends seconds on imports. A fork of a process that has imported everything and
computed nothing yet (so that no thread of OpenMP runs in it) starts at once, is a process like any
other to signals, and computes the same bytes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol, cast

PRELOADED = (
    "vidstyle.cli.main",
    "vidstyle.rendering.pipeline",
    "vidstyle.rendering.preview",
    "vidstyle.rendering.plan",
    "cv2",
    "torch",
    "tests.helpers.commands",
)
"""Modules that the fork server imports before its first fork."""


class Process(Protocol):
    """A started command: what tests use of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal that ended it; None while it runs."""
        ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def communicate(self) -> tuple[str, str]: ...

    def kill(self) -> None: ...

    def send_signal(self, number: int, /) -> None: ...


class Fork:
    """A command in a fork, with the interface of `subprocess.Popen`.

    Its output goes to files and not to pipes: nobody has to drain it while it runs.
    """

    def __init__(self, process: BaseProcess, folder: Path) -> None:
        self.process = process
        self.folder = folder

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, at most `timeout` seconds.

        Raises subprocess.TimeoutExpired.
        """
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self.process.name, timeout or 0.0)
        return code

    def communicate(self) -> tuple[str, str]:
        """Wait for its end, and return what it wrote to stdout and to stderr."""
        self.wait()
        return (self.folder / "out").read_text(), (self.folder / "err").read_text()

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def server() -> ForkServerContext | None:
    """Return the session's fork server; it starts with the first process. None on a system without
    fork.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return None
    context = cast(ForkServerContext, multiprocessing.get_context("forkserver"))
    context.set_forkserver_preload([*PRELOADED])
    return context


def become_command(
    call: Callable[..., object], args: Sequence[str], folder: Path, cwd: Path | None
) -> None:
    """Turn this process into a command that calls `call(*args)`, with its output in two files.

    It leads a process group of its own, so that a Ctrl-C in the terminal of the tests is not its
    own.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, number in (("out", 1), ("err", 2)):
        opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
    if cwd is not None:
        os.chdir(cwd)
    call(*args)


def run_vidstyle(*args: str) -> None:
    """Run the console script in this process."""
    from vidstyle.cli.main import main

    sys.argv = ["vidstyle", *args]
    main()


@contextlib.contextmanager
def started(
    args: Sequence[object],
    *,
    fresh: bool = False,
    cwd: Path | None = None,
    call: Callable[..., object] = run_vidstyle,
) -> Iterator[Process]:
    """Start `vidstyle` with these arguments; the process is killed at the end of the block.

    Args:
        fresh: whether it is a fresh interpreter, as a user starts it.
        call: what a fork calls instead of the console script; a function of a module.
    """
    words = [os.fspath(x) if isinstance(x, Path) else str(x) for x in args]
    context = None if fresh else server()
    if context is None:
        assert call is run_vidstyle
        with subprocess.Popen(
            [sys.executable, "-m", "vidstyle", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("out", "err"):
            (Path(folder) / name).touch()  # it may be killed before it opens them
        child = context.Process(target=become_command, args=(call, words, Path(folder), cwd))
        child.start()
        fork = Fork(child, Path(folder))
        try:
            yield fork
        finally:
            fork.kill()
            child.join()
            child.close()


def help_text(*args: str) -> str:
    """Return what `vidstyle` prints with these arguments on a terminal of 200 columns, and after
    that `HEAVY [...]`: which of the heavy libraries it imported on the way.
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
