"""Weight files are found in the documented places."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.weight_files import (
    VGG19,
    know,
    same,
    used,
    vgg19,
)
from vidstyle.weights import fetch, locate, registry


def test_folders_are_looked_through_in_the_documented_order(places: dict[str, Path]) -> None:
    assert locate.search_folders("vgg19", places["dir"]) == tuple(places.values())
    for seed, folder in enumerate(reversed(places.values())):
        save_file(used(vgg19(seed)), folder / VGG19)
        located = locate.locate_weights("vgg19", places["dir"])
        assert located is not None
        assert located.path == folder / VGG19
        assert same(fetch.load_weights("vgg19", places["dir"])[0], used(vgg19(seed)))


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "BASE/vidstyle"),
        ("linux", None, "HOME/.cache/vidstyle"),
        ("darwin", None, "HOME/Library/Caches/vidstyle"),
        ("win32", "LOCALAPPDATA", "BASE/vidstyle"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    platform: str,
    variable: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "HOME"))
    monkeypatch.setattr("sys.platform", platform)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "BASE"))
    assert locate.cache_folder() == tmp_path / expected


def test_the_table_says_what_is_embedded_verified_unverified_and_absent(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(used(vgg19()), places["dir"] / VGG19)
    (places["hub"] / registry.REGISTRY["raft-small"].remote).write_bytes(b"raft")
    know(monkeypatch, "raft-small", b"raft")
    rows = {row.file.name: row for row in locate.status_table(places["dir"])}
    assert {name: row.status for name, row in rows.items()} == {
        "lite": "embedded",
        "figures": "embedded",
        "painter": "embedded",
        "vgg19": "unverified",
        "raft-small": "verified",
        "raft-large": "absent",
    }
    assert rows["vgg19"].places == (places["dir"] / VGG19,)
    assert rows["raft-large"].places == tuple(places.values())


def test_the_digest_follows_a_replaced_file(places: dict[str, Path]) -> None:
    path = places["dir"] / VGG19
    for changed, state in enumerate(
        (used(vgg19(1)), used(vgg19(2)), {**used(vgg19(2)), "more": torch.zeros(1)})
    ):
        save_file(state, path)
        os.utime(path, (changed, changed))  # the clock of a file system ticks too slowly for a test
        _, digest = fetch.load_weights("vgg19", places["dir"])
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
