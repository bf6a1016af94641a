"""Weight files: where they are found, and what is refused."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from tests.helpers.weight_files import (
    ARCHIVE,
    VGG19,
    State,
    know,
    left,
    pickled,
    raft,
    same,
    used,
    vgg19,
)
from vidstyle.errors import WeightsError
from vidstyle.weights import fetch, locate, registry

# What is where


def test_the_embedded_weights_are_the_ones_in_the_registry_and_need_no_folder(
    places: dict[str, Path],
) -> None:
    state, digest = fetch.load_weights("lite", places["dir"])
    file = registry.REGISTRY["lite"]
    assert digest == file.sha256
    assert (locate.ASSETS / file.filename).stat().st_size == file.size
    assert {x.dtype for x in state.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("damage", "word"), [(lambda f: f.write_bytes(b"x"), "damaged"), (lambda f: None, "missing")]
)
def test_damaged_embedded_weights_are_refused(
    damage: Callable[[Path], object], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate, "ASSETS", tmp_path)
    damage(tmp_path / "lite.safetensors")
    with pytest.raises(WeightsError, match=word):
        fetch.load_weights("lite")


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


# What is read


def test_half_precision_is_read_as_fp32(places: dict[str, Path]) -> None:
    half = {key: x.half() for key, x in used(vgg19()).items()}
    save_file(half, places["dir"] / VGG19)
    assert same(
        fetch.load_weights("vgg19", places["dir"])[0], {key: x.float() for key, x in half.items()}
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_an_original_archive_is_used_in_place_and_kept(
    zipped: bool, places: dict[str, Path]
) -> None:
    (places["dir"] / ARCHIVE).write_bytes(pickled(vgg19(), zipped))
    state, _ = fetch.load_weights("vgg19", places["dir"])
    assert same(state, used(vgg19()))
    assert left(*places.values()) == {ARCHIVE}


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


def cut(state: State) -> State:
    return {key: x for key, x in state.items() if key != "features.28.weight"}


def grey(state: State) -> State:
    return {**state, "features.0.weight": state["features.0.weight"][:, :1].clone()}


@pytest.mark.parametrize(
    ("filename", "body", "why"),
    [
        (VGG19, lambda s: save(s)[:-100], "."),
        (VGG19, lambda s: b"", "."),
        (VGG19, lambda s: b"<html>not found</html>", "."),
        (VGG19, pickled, "."),
        (VGG19, lambda s: save(cut(s)), r"features\.28\.weight is missing$"),
        (
            VGG19,
            lambda s: save(grey(s)),
            r"features\.0\.weight is \(6, 1, 3, 3\) instead of \(6, 3, 3, 3\)$",
        ),
        (VGG19, lambda s: save({"conv.weight": s["features.0.bias"]}), r"missing \(and 27 more\)"),
        (VGG19, lambda s: save({k: x.char() for k, x in s.items()}), "has 8 bits and no scale$"),
        (ARCHIVE, lambda s: pickled(s)[:-3000], "."),
        (ARCHIVE, lambda s: pickled(s, zipped=False)[:-3000], "."),
        (ARCHIVE, lambda s: b"", "."),
        (ARCHIVE, lambda s: pickled([1, 2, 3]), "missing"),
        (ARCHIVE, lambda s: pickled({**s, "bomb": Bomb()}), "."),
        (ARCHIVE, lambda s: pickled(Bomb(), zipped=False), "."),
    ],
)
def test_a_damaged_foreign_or_hostile_file_is_refused_by_name(
    filename: str, body: Callable[[State], bytes], why: str, places: dict[str, Path]
) -> None:
    path = places["dir"] / filename
    path.write_bytes(body(used(vgg19())))
    with pytest.raises(WeightsError, match="weights of vgg19") as caught:
        fetch.load_weights("vgg19", places["dir"])
    error = caught.value
    assert str(path) in error.why
    assert re.search(why, error.why)
    assert all("\n" not in line and line for line in (error.what, error.why, error.hint))


def test_raft_of_the_wrong_size_is_refused(places: dict[str, Path]) -> None:
    (places["dir"] / registry.REGISTRY["raft-large"].remote).write_bytes(
        pickled(raft("raft-small"))
    )
    with pytest.raises(WeightsError, match="not the weights of raft-large"):
        fetch.load_weights("raft-large", places["dir"])


# What is downloaded


def test_nothing_heavy_is_imported_with_the_module() -> None:
    code = "import sys, vidstyle.weights; sys.exit(bool({'torch', 'torchvision', 'cv2', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
