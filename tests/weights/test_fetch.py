"""The embedded weights are checked, and the others downloaded once, reduced and known again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers.weight_files import (
    ARCHIVE,
    VGG19,
    Web,
    know,
    left,
    pickled,
    raft,
    same,
    used,
    vgg19,
)
from vidstyle.errors import WeightsError
from vidstyle.weights import download, fetch, locate, registry


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


def test_nothing_heavy_is_imported_with_the_modules() -> None:
    code = (
        "import sys\n"
        "from vidstyle.weights import download, fetch, int8, locate, read, registry\n"
        "sys.exit(bool({'torch', 'torchvision', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What is downloaded


def test_vgg19_is_downloaded_once_reduced_and_known_again(
    web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = web.files[ARCHIVE] = pickled(vgg19())
    know(monkeypatch, "vgg19", body)
    monkeypatch.setattr(download, "DOWNLOAD_BLOCK_BYTES", 100_000)
    seen: list[tuple[int, int]] = []
    state, digest = fetch.load_weights(
        "vgg19", progress=lambda done, total: seen.append((done, total))
    )
    assert same(state, used(vgg19()))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 2
    assert seen[-1] == (len(body), len(body))
    assert left(*places.values()) == {VGG19, VGG19 + ".sha256"}
    assert load_file(places["cache"] / VGG19).keys() == registry.vgg19_shapes().keys()

    located = locate.locate_weights("vgg19")
    assert located is not None
    assert located.is_verified
    assert located.digest == digest
    assert fetch.load_weights("vgg19")[1] == digest
    assert web.asked == [ARCHIVE]

    for name in (VGG19, VGG19 + ".sha256"):  # a note counts in the cache only
        (places["dir"] / name).write_bytes((places["cache"] / name).read_bytes())
    located = locate.locate_weights("vgg19", places["dir"])
    assert located is not None
    assert not located.is_verified

    save_file(used(vgg19(1)), places["cache"] / VGG19)
    os.utime(places["cache"] / VGG19, (0, 0))
    located = locate.locate_weights("vgg19")
    assert located is not None
    assert not located.is_verified


def test_reducing_twice_gives_the_same_bytes(
    web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, "vgg19", pickled(vgg19()))
    web.files[ARCHIVE] = pickled(vgg19())
    seen = set()
    for _ in range(3):
        fetch.fetch_weights("vgg19")
        seen.add((places["cache"] / VGG19).read_bytes())
        (places["cache"] / VGG19).unlink()
    assert len(seen) == 1


def test_an_archive_in_the_cache_is_used_without_the_network_and_kept(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (places["cache"] / ARCHIVE).write_bytes(pickled(vgg19()))
    know(monkeypatch, "vgg19", pickled(vgg19()))
    assert fetch.fetch_weights("vgg19").path == places["cache"] / ARCHIVE
    assert left(*places.values()) == {ARCHIVE}


@pytest.mark.parametrize("name", ["raft-small", "raft-large"])
def test_raft_comes_into_torch_hubs_cache_without_a_word_on_stdout(
    name: str,
    web: Web,
    places: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    state = raft(name)
    remote = registry.REGISTRY[name].remote
    web.files[remote] = pickled(state)
    know(monkeypatch, name, web.files[remote])
    monkeypatch.setattr(download, "DOWNLOAD_BLOCK_BYTES", 1_000_000)
    seen: list[tuple[int, int]] = []
    got, digest = fetch.load_weights(name, progress=lambda done, total: seen.append((done, total)))
    assert same(got, state)
    assert digest == hashlib.sha256(web.files[remote]).hexdigest()
    assert fetch.fetch_weights(name).is_verified
    assert left(*places.values()) == {remote}
    assert len(web.asked) == 1
    size = len(web.files[remote])
    assert seen[0][0] == 0
    assert len({done for done, _ in seen}) > 2
    assert seen[-1] == (size, size)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["vgg19", "raft-small"])
@pytest.mark.parametrize(
    ("body", "breaks_off", "why"),
    [
        (b"something else", False, "expected"),
        (b"something else", True, "after 7 of 14 bytes"),
        (None, False, "404"),
    ],
)
def test_a_download_that_fails_leaves_nothing_and_says_what_to_put_where(
    name: str, body: bytes | None, breaks_off: bool, why: str, web: Web, places: dict[str, Path]
) -> None:
    web.files = {registry.REGISTRY[name].remote: body} if body else {}
    web.breaks_off = breaks_off
    check_refused(name, why, places)


@pytest.mark.parametrize("name", ["vgg19", "raft-large"])
def test_offline_the_error_says_what_to_put_where(name: str, places: dict[str, Path]) -> None:
    check_refused(name, "refused", places)


def check_refused(name: str, why: str, places: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match=why) as caught:
        fetch.load_weights(name, places["dir"])
    error = caught.value
    assert all(str(place) in error.why for place in places.values())
    assert f"put {registry.REGISTRY[name].filename}" in error.hint
    assert str(places["dir"]) in error.hint
    assert error.hint.endswith(
        "--features lite and leave out --polish" if name == "vgg19" else "--flow dis"
    )
    assert all("\n" not in line for line in (error.what, error.why, error.hint))
    assert left(*places.values()) == set()


def test_a_transfer_that_is_interrupted_by_the_user_leaves_nothing(
    web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files[ARCHIVE] = pickled(vgg19())
    monkeypatch.setattr(download, "DOWNLOAD_BLOCK_BYTES", 1000)

    def ctrl_c(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch_weights("vgg19", progress=ctrl_c)
    assert left(*places.values()) == set()


def test_a_full_disk_is_one_of_the_reasons(
    web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files[ARCHIVE] = pickled(vgg19())
    know(monkeypatch, "vgg19", web.files[ARCHIVE])

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    check_refused("vgg19", "No space left", places)
