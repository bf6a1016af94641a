"""The `ffmpeg` binary: which one, its argument lists, and child processes that neither hang nor
outlive their use.

ffmpeg-python builds argument lists here and nowhere else. Its `run`, `run_async` and `probe` are
never used: `run_async(quiet=True)` deadlocks as soon as ffmpeg writes more to stderr than a pipe
holds.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ffmpeg as builder

from vidstyle.errors import DiskFullError, FFmpegError, RenderError, ToolError
from vidstyle.storage.atomic import mentions_full_disk

OLDEST_VERSION = (5, 1)
ONLY_LOCAL = ("-protocol_whitelist", "file,pipe")
"""Goes before every `-i`: a playlist or a crafted file must not make ffmpeg open anything that is
not a local file.
"""


@dataclass(frozen=True)
class Tool:
    """The ffmpeg in use; `why` says in one line why this one."""

    path: str
    version: str
    why: str


BACKGROUND_NICENESS = 15
"""Of at most 19: it shall get on."""


@functools.cache
def find() -> Tool:
    """Find the first ffmpeg that is new enough and can do the job: `VIDSTYLE_FFMPEG`, PATH, the
    imageio-ffmpeg wheel.

    Raises ToolError when there is none.
    """
    skipped: list[str] = []
    for origin, path in _candidate_paths():
        if path is None:
            skipped.append(f"{origin}: not found")
            continue
        version, problem = _examine_candidate(path)
        if problem:
            skipped.append(f"{origin}: {problem}")
            continue
        return Tool(path, version, origin + (f" ({'; '.join(skipped)})" if skipped else ""))
    raise ToolError(
        "no usable ffmpeg",
        "; ".join(skipped),
        "reinstall imageio-ffmpeg, or set VIDSTYLE_FFMPEG to an ffmpeg >= 5.1 with libx264 and "
        "zscale",
    )


def _candidate_paths() -> Iterator[tuple[str, str | None]]:
    """Yield (where from, path or None when there is nothing there), best first."""
    if asked := os.environ.get("VIDSTYLE_FFMPEG"):
        yield f"VIDSTYLE_FFMPEG={asked}", shutil.which(asked)
    yield "PATH", shutil.which("ffmpeg")
    try:
        import imageio_ffmpeg

        yield "the imageio-ffmpeg wheel", imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        yield "the imageio-ffmpeg wheel", None


def _examine_candidate(path: str) -> tuple[str, str]:
    """Return (version, what keeps it from doing the job or "")."""
    try:
        first_line = _ask_ffmpeg(path, "-version").partition("\n")[0]
        words = re.match(r"ffmpeg version (\S+)", first_line)
        if not words:
            return "", "is no ffmpeg"
        version = words[1]
        # Builds from git ("N-12345-g0abc", "2026-05-01-git-0abc") carry no release number: judged
        # by what they can do.
        release = re.match(r"n?(\d{1,2})(?!\d)(?:\.(\d+))?", version)
        if release and (int(release[1]), int(release[2] or 0)) < OLDEST_VERSION:
            return (
                version,
                f"version {version} is older than {OLDEST_VERSION[0]}.{OLDEST_VERSION[1]}",
            )
        lacks = [
            name
            for name in ("libx264",)
            if name not in _listed_names(_ask_ffmpeg(path, "-encoders"))
        ]
        lacks += [
            name for name in ("zscale",) if name not in _listed_names(_ask_ffmpeg(path, "-filters"))
        ]
        return version, f"{version} lacks {' and '.join(lacks)}" if lacks else ""
    except (OSError, subprocess.SubprocessError) as e:
        return "", f"does not run ({type(e).__name__})"


def _ask_ffmpeg(path: str, question: str) -> str:
    """Return what an ffmpeg answers to one option."""
    done = subprocess.run(
        [path, "-hide_banner", question] if question != "-version" else [path, question],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        start_new_session=True,
        check=True,
    )
    return done.stdout.decode("utf-8", "replace")


def _listed_names(listing: str) -> frozenset[str]:
    """Return the second word of every line: so `-encoders` and `-filters` list names, after a
    column of flags.
    """
    return frozenset(words[1] for line in listing.splitlines() if len(words := line.split()) > 1)


@functools.cache
def encoders() -> frozenset[str]:
    """Return the names of the encoders of the ffmpeg in use."""
    return _listed_names(_ask_ffmpeg(find().path, "-encoders"))


@functools.cache
def demuxers() -> frozenset[str]:
    """Return the names of the demuxers of the ffmpeg in use."""
    return _listed_names(_ask_ffmpeg(find().path, "-demuxers"))


def local(path: Path) -> str:
    """Return the path as an ffmpeg URL: with the protocol, a name may start with `-` and hold `:`,
    `%`, quotes and spaces.
    """
    return f"file:{Path(path).absolute()}"


def decode_arguments(
    path: Path,
    stream: int | str,
    filters: Sequence[tuple[str, Mapping[str, Any]]],
    input_options: Mapping[str, str] | None = None,
    **output: Any,
) -> list[str]:
    """Build the arguments that decode one stream of a file through a chain of filters to stdout.

    Args:
        stream: absolute index, or a specifier such as "V:0".
        filters: (name, options) in order.
        input_options: what goes before `-i`, without the leading dash.
        output: options of the output, without the leading dash; `f` (the format) among them.
    """
    # The builder hashes names as UTF-8, which a path need not be: a stand-in goes through it.
    node = builder.input("INPUT", protocol_whitelist=ONLY_LOCAL[1], **(input_options or {}))[
        str(stream)
    ]
    for name, values in filters:
        node = node.filter(name, **values)
    words = [str(word) for word in builder.get_args(node.output("pipe:1", **output))]
    words[words.index("-i") + 1] = local(path)
    return words


def filter_chain(filters: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Write a chain of filters, (name, options) in order, as a part of a `-filter_complex`."""
    return ",".join(
        name + "=" * bool(options) + ":".join(f"{key}={value}" for key, value in options.items())
        for name, options in filters
    )


_OTHER_FFMPEG_HINT = "if the file plays elsewhere, point VIDSTYLE_FFMPEG at another ffmpeg (>= 5.1)"


class Child:
    """A running ffmpeg. Read `stdout` to its end before `finish`, or ffmpeg waits for a reader
    forever.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.process = process
        self._log = log

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe that it writes to."""
        assert self.process.stdout is not None, "started without stdout=True"
        return self.process.stdout

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def wait(self) -> tuple[int, str]:
        """Wait for the end; return the code (negative: killed by that signal) and what was written
        to stderr.
        """
        code = self.process.wait()
        self._log.seek(0)
        return code, self._log.read().decode("utf-8", "replace")

    def finish(
        self, what: str, error: type[RenderError] = FFmpegError, hint: str = _OTHER_FFMPEG_HINT
    ) -> str:
        """Wait for the end and return stderr. Raises DiskFullError or `error` (headed by `what`)
        if it failed.
        """
        code, text = self.wait()
        if code == 0:
            return text
        why = last_complaint(text) or (
            f"ffmpeg was killed by signal {-code}" if code < 0 else f"ffmpeg ended with code {code}"
        )
        if mentions_full_disk(text):
            raise DiskFullError(what, why, "free some space and run the same command again")
        raise error(what, why, hint)


_EMPTY_COMPLAINTS = (
    "Conversion failed|Last message|Nothing was written|Task finished|Terminating|"
    "Error opening (in|out)put file"
)
"""Beginnings of the lines in which ffmpeg only repeats that something failed."""


def last_complaint(text: str, lines: int = 3) -> str:
    """Return the last meaningful lines of ffmpeg's stderr as one line, without memory addresses; ""
    when there are none.
    """
    kept: list[str] = []
    for raw in text.splitlines():
        line = re.sub(r"^(\[[^\]]*\] ?)+", "", raw).strip()
        empty = re.match(_EMPTY_COMPLAINTS, line)
        if line and not empty and line not in kept:
            kept.append(line)
    return "; ".join(kept[-lines:])[:400]


def complaints(report: str) -> list[str]:
    """Return the error lines of an ffmpeg that ran with `-loglevel level+...`, without their
    prefixes.
    """
    lines = re.findall(r"^((?:\[[^\]]*\] )*)(.*)", report, re.MULTILINE)
    return [
        line
        for prefix, line in lines
        if re.search(r"\[(error|fatal)\]", prefix) and not re.match(_EMPTY_COMPLAINTS, line)
    ]


@contextmanager
def running(
    args: Sequence[str],
    *,
    stdout: bool = False,
    pass_fds: Sequence[int] = (),
    level: str = "error",
    is_background: bool = False,
) -> Iterator[Child]:
    """Run ffmpeg with `args`. However the block is left, a child that is still running is killed,
    and always reaped.

    Args:
        stdout: give `Child.stdout` as a pipe; else it goes nowhere.
        pass_fds: descriptors that the child inherits (`pipe:N` in `args`).
        level: ffmpeg's `-loglevel`.
        is_background: whether something else needs the processor more.
    """
    command = [find().path, "-hide_banner", "-nostdin", "-nostats", "-loglevel", level, *args]
    # A file and not a pipe for stderr: nobody has to drain it, so it cannot block the child.
    with tempfile.TemporaryFile() as log:
        try:
            # A session of its own, so that Ctrl-C on the terminal reaches us and not ffmpeg.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
                stderr=log,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        except OSError as e:
            raise ToolError(
                "cannot start ffmpeg", str(e), "reinstall imageio-ffmpeg, or set VIDSTYLE_FFMPEG"
            ) from e
        try:
            if is_background:
                yield_processor(process)
            yield Child(process, log)
        finally:
            if process.poll() is None:
                process.kill()
            if process.stdout:
                process.stdout.close()
            process.wait()


def yield_processor(process: subprocess.Popen[bytes]) -> None:
    """Let a child run when nobody else wants to, where the system has a way to say so."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, BACKGROUND_NICENESS)


def run(
    args: Sequence[str], what: str, error: type[RenderError] = FFmpegError, level: str = "error"
) -> tuple[bytes, str]:
    """Run ffmpeg to its end; return (stdout, stderr). Raises as `Child.finish` does. All of stdout
    is in memory.
    """
    with running(args, stdout=True, level=level) as child:
        out = child.stdout.read()
        return out, child.finish(what, error)
