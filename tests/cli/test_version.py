"""`vidstyle --version` says what was found on this machine, and why."""

from __future__ import annotations

import re

from tests.cli.commands import Command
from vidstyle import __version__


def test_the_version_lists_what_was_found_and_why(command: Command) -> None:
    got = command("--version")
    found = dict(re.split(r"  +", text, maxsplit=1) for text in got.out.splitlines())
    assert found["vidstyle"] == __version__
    assert "CUDA" in found["torch"]
    assert re.match(r"\d+\.\d+", found["opencv"])
    assert re.search(r"ffmpeg.*: \S", found["ffmpeg"])  # the path and the reason
    assert {
        "weights lite",
        "weights vgg19",
        "weights raft-small",
        "weights raft-large",
        "device",
    } <= set(found)
