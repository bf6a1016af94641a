"""`vidstyle weights` lists weight files and fetches them, with progress on stderr."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.commands import Command
from vidstyle.weights import fetch


def test_weights_lists_every_file_and_tells_where_one_lies(command: Command) -> None:
    listed = command("weights")
    assert listed.code == 0
    assert re.findall(r"^([\w-]+): ", listed.out, re.M) == [
        "lite",
        "figures",
        "painter",
        "vgg19",
        "raft-small",
        "raft-large",
    ]
    assert "CC BY 4.0" in listed.out
    lite = command("weights", "lite")
    assert Path(lite.out.strip()).name == "lite.safetensors"
    assert Path(lite.out.strip()).is_file()


def test_a_name_without_weights_is_refused(command: Command) -> None:
    got = command("weights", "vgg16")
    assert (got.code, got.out) == (2, "")
    assert "there are lite, figures, painter, vgg19, raft-small, raft-large" in got.err


def test_a_download_is_shown_like_other_progress(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def download(
        name: str, weights_dir: Path | None, *, progress: Callable[[int, int], None]
    ) -> Any:
        for done in range(0, 575_000_001, 115_000_000):
            progress(done, 575_000_000)
        return SimpleNamespace(path=tmp_path / name)

    monkeypatch.setattr(fetch, "fetch_weights", download)
    got = command("weights", "vgg19")
    assert (got.code, got.out) == (0, f"{tmp_path / 'vgg19'}\n")
    assert got.err.splitlines()[0] == "downloading vgg19: 0/575 MB"
    assert got.err.splitlines()[-1] == "downloading vgg19: 575/575 MB"
