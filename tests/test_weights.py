"""Weight files: where they are found, how they arrive, what is refused. Downloads come from a server of our own."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from vidstyle import download, weights
from vidstyle.download import DownloadError
from vidstyle.errors import WeightsError

VGG19, ARCHIVE = "vgg19_features.safetensors", weights.REGISTRY["vgg19"].remote
State = dict[str, Tensor]


@dataclass
class Web:
    """What the server holds, whether it breaks off halfway, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks_off: bool = False
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            web.asked.append(name)
            body = web.files.get(name, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if web.breaks_off else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    web.url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(weights, "BASE_URL", web.url)
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """An empty machine with a tenth of VGG-19's channels: the folders in the order in which they are looked through."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "TORCH_MODEL_ZOO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VIDSTYLE_WEIGHTS", str(tmp_path / "env"))
    monkeypatch.setattr(weights, "BASE_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(weights, "VGG19_STAGES", ((6, 2), (12, 2), (25, 4), (51, 4), (51, 2)))
    found = {
        "dir": tmp_path / "dir",
        "env": tmp_path / "env",
        "cache": tmp_path / "cache" / "vidstyle",
        "hub": tmp_path / "torch" / "hub" / "checkpoints",
    }
    for folder in found.values():
        folder.mkdir(parents=True)
    return found


def vgg19(seed: int = 0) -> State:
    """A whole VGG-19's state dict in small: with the convolutions and the classifier that are not used."""
    generator = torch.Generator().manual_seed(seed)
    shapes = weights.vgg19_shapes() | {"features.32.bias": (51,), "classifier.0.weight": (7, 51)}
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def raft(name: str) -> State:
    from torchvision.models import optical_flow

    state: State = getattr(optical_flow, name.replace("-", "_"))(weights=None, progress=False).state_dict()
    return state


def pickled(state: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def know(monkeypatch: pytest.MonkeyPatch, name: str, body: bytes) -> None:
    """Let the stand-in be the file that the registry expects."""
    changed = replace(weights.REGISTRY[name], sha256=hashlib.sha256(body).hexdigest()[:8])
    monkeypatch.setitem(weights.REGISTRY, name, changed)


def used(state: State) -> State:
    return {key: state[key] for key in weights.vgg19_shapes()}


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def left(*folders: Path) -> set[str]:
    """File names, without the lock."""
    return {path.name for folder in folders for path in folder.iterdir() if path.suffix != ".lock"}


# What is where


def test_the_embedded_weights_are_the_ones_in_the_registry_and_need_no_folder(places: dict[str, Path]) -> None:
    state, digest = weights.load("lite", places["dir"])
    file = weights.REGISTRY["lite"]
    assert digest == file.sha256
    assert (weights.ASSETS / file.filename).stat().st_size == file.size
    assert {x.dtype for x in state.values()} == {torch.float32}


@pytest.mark.parametrize(("damage", "word"), [(lambda f: f.write_bytes(b"x"), "damaged"), (lambda f: None, "missing")])
def test_damaged_embedded_weights_are_refused(
    damage: Callable[[Path], object], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    damage(tmp_path / "lite.safetensors")
    with pytest.raises(WeightsError, match=word):
        weights.load("lite")


def test_folders_are_looked_through_in_the_documented_order(places: dict[str, Path]) -> None:
    assert weights.folders("vgg19", places["dir"]) == tuple(places.values())
    for seed, folder in enumerate(reversed(places.values())):
        save_file(used(vgg19(seed)), folder / VGG19)
        located = weights.locate("vgg19", places["dir"])
        assert located is not None
        assert located.path == folder / VGG19
        assert same(weights.load("vgg19", places["dir"])[0], used(vgg19(seed)))


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
    platform: str, variable: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "HOME"))
    monkeypatch.setattr("sys.platform", platform)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "BASE"))
    assert weights.cache_dir() == tmp_path / expected


def test_the_table_says_what_is_embedded_verified_unverified_and_absent(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(used(vgg19()), places["dir"] / VGG19)
    (places["hub"] / weights.REGISTRY["raft-small"].remote).write_bytes(b"raft")
    know(monkeypatch, "raft-small", b"raft")
    rows = {row.file.name: row for row in weights.table(places["dir"])}
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
    for changed, state in enumerate((used(vgg19(1)), used(vgg19(2)), {**used(vgg19(2)), "more": torch.zeros(1)})):
        save_file(state, path)
        os.utime(path, (changed, changed))  # the clock of a file system ticks too slowly for a test
        _, digest = weights.load("vgg19", places["dir"])
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


# What is read


def test_half_precision_is_read_as_fp32(places: dict[str, Path]) -> None:
    half = {key: x.half() for key, x in used(vgg19()).items()}
    save_file(half, places["dir"] / VGG19)
    assert same(weights.load("vgg19", places["dir"])[0], {key: x.float() for key, x in half.items()})


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_an_original_archive_is_used_in_place_and_kept(zipped: bool, places: dict[str, Path]) -> None:
    (places["dir"] / ARCHIVE).write_bytes(pickled(vgg19(), zipped))
    state, _ = weights.load("vgg19", places["dir"])
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
        (VGG19, lambda s: save(grey(s)), r"features\.0\.weight is \(6, 1, 3, 3\) instead of \(6, 3, 3, 3\)$"),
        (VGG19, lambda s: save({"conv.weight": s["features.0.bias"]}), r"missing \(and 27 more\)"),
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
        weights.load("vgg19", places["dir"])
    error = caught.value
    assert str(path) in error.why
    assert re.search(why, error.why)
    assert all("\n" not in line and line for line in (error.what, error.why, error.hint))


def test_raft_of_the_wrong_size_is_refused(places: dict[str, Path]) -> None:
    (places["dir"] / weights.REGISTRY["raft-large"].remote).write_bytes(pickled(raft("raft-small")))
    with pytest.raises(WeightsError, match="not the weights of raft-large"):
        weights.load("raft-large", places["dir"])


# What is downloaded


def test_vgg19_is_downloaded_once_cut_down_and_known_again(
    web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = web.files[ARCHIVE] = pickled(vgg19())
    know(monkeypatch, "vgg19", body)
    monkeypatch.setattr(download, "CHUNK", 100_000)
    seen: list[tuple[int, int]] = []
    state, digest = weights.load("vgg19", progress=lambda done, total: seen.append((done, total)))
    assert same(state, used(vgg19()))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 2
    assert seen[-1] == (len(body), len(body))
    assert left(*places.values()) == {VGG19, VGG19 + ".sha256"}
    assert load_file(places["cache"] / VGG19).keys() == weights.vgg19_shapes().keys()

    located = weights.locate("vgg19")
    assert located is not None
    assert located.verified
    assert located.digest == digest
    assert weights.load("vgg19")[1] == digest
    assert web.asked == [ARCHIVE]

    for name in (VGG19, VGG19 + ".sha256"):  # a note counts in the cache only
        (places["dir"] / name).write_bytes((places["cache"] / name).read_bytes())
    located = weights.locate("vgg19", places["dir"])
    assert located is not None
    assert not located.verified

    save_file(used(vgg19(1)), places["cache"] / VGG19)
    os.utime(places["cache"] / VGG19, (0, 0))
    located = weights.locate("vgg19")
    assert located is not None
    assert not located.verified


def test_cutting_down_twice_gives_the_same_bytes(
    web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, "vgg19", pickled(vgg19()))
    web.files[ARCHIVE] = pickled(vgg19())
    seen = set()
    for _ in range(3):
        weights.fetch("vgg19")
        seen.add((places["cache"] / VGG19).read_bytes())
        (places["cache"] / VGG19).unlink()
    assert len(seen) == 1


def test_an_archive_in_the_cache_is_used_without_the_network_and_kept(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (places["cache"] / ARCHIVE).write_bytes(pickled(vgg19()))
    know(monkeypatch, "vgg19", pickled(vgg19()))
    assert weights.fetch("vgg19").path == places["cache"] / ARCHIVE
    assert left(*places.values()) == {ARCHIVE}


@pytest.mark.parametrize("name", ["raft-small", "raft-large"])
def test_raft_comes_through_torch_hub_into_its_cache_without_a_word_on_stdout(
    name: str,
    web: Web,
    places: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    state = raft(name)
    remote = weights.REGISTRY[name].remote
    web.files[remote] = pickled(state)
    know(monkeypatch, name, web.files[remote])
    seen: list[tuple[int, int]] = []
    got, digest = weights.load(name, progress=lambda done, total: seen.append((done, total)))
    assert same(got, state)
    assert digest == hashlib.sha256(web.files[remote]).hexdigest()
    assert weights.fetch(name).verified
    assert left(*places.values()) == {remote}
    assert len(web.asked) == 1
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["vgg19", "raft-small"])
@pytest.mark.parametrize(
    ("body", "breaks_off", "why"),
    [
        (b"something else", False, "expected"),
        (b"something else", True, "after 7 of 14 bytes|hash"),
        (None, False, "404"),
    ],
)
def test_a_download_that_fails_leaves_nothing_and_says_what_to_put_where(
    name: str, body: bytes | None, breaks_off: bool, why: str, web: Web, places: dict[str, Path]
) -> None:
    web.files = {weights.REGISTRY[name].remote: body} if body else {}
    web.breaks_off = breaks_off
    check_refused(name, why, places)


@pytest.mark.parametrize("name", ["vgg19", "raft-large"])
def test_offline_the_error_says_what_to_put_where(name: str, places: dict[str, Path]) -> None:
    check_refused(name, "refused", places)


def check_refused(name: str, why: str, places: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match=why) as caught:
        weights.load(name, places["dir"])
    error = caught.value
    assert all(str(place) in error.why for place in places.values())
    assert f"put {weights.REGISTRY[name].filename}" in error.hint
    assert str(places["dir"]) in error.hint
    assert ("--features lite" if name == "vgg19" else "--flow dis") in error.hint
    assert all("\n" not in line for line in (error.what, error.why, error.hint))
    assert left(*places.values()) == set()


def test_a_transfer_that_is_interrupted_by_the_user_leaves_nothing(
    web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files[ARCHIVE] = pickled(vgg19())
    monkeypatch.setattr(download, "CHUNK", 1000)

    def ctrl_c(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.fetch("vgg19", progress=ctrl_c)
    assert left(*places.values()) == set()


def test_a_failed_download_keeps_the_file_that_was_there(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    web.files["file"] = b"new"
    with pytest.raises(DownloadError, match="expected"):
        download.from_web(web.url + "file", tmp_path / "file", "00000000", 3)
    assert (tmp_path / "file").read_text() == "old"
    download.from_web(web.url + "file", tmp_path / "file", hashlib.sha256(b"new").hexdigest(), 3)
    assert (tmp_path / "file").read_text() == "new"


def test_a_full_disk_is_one_of_the_reasons(web: Web, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    web.files[ARCHIVE] = pickled(vgg19())
    know(monkeypatch, "vgg19", web.files[ARCHIVE])

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    check_refused("vgg19", "No space left", places)


def test_nothing_heavy_is_imported_with_the_module() -> None:
    code = "import sys, vidstyle.weights; sys.exit(bool({'torch', 'torchvision', 'cv2', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
