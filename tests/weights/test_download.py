"""One file comes from the web whole and checked, or not at all. A server of our own sends it."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from pathlib import Path

import pytest

from tests.helpers.weight_files import Web
from vidstyle.weights import download
from vidstyle.weights.download import DownloadError, download_file


def test_a_failed_download_keeps_the_file_that_was_there(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    web.files["file"] = b"new"
    with pytest.raises(DownloadError, match="expected"):
        download_file(web.url + "file", tmp_path / "file", "00000000", 3)
    assert (tmp_path / "file").read_text() == "old"
    download_file(web.url + "file", tmp_path / "file", hashlib.sha256(b"new").hexdigest(), 3)
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize("size", [1, 999, 1000, 1001, 5000])
def test_progress_goes_from_nothing_to_all_in_blocks(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(download, "DOWNLOAD_BLOCK_BYTES", 1000)
    body = web.files["file"] = (bytes(range(256)) * 20)[:size]
    seen: list[tuple[int, int]] = []
    digest = hashlib.sha256(body).hexdigest()
    target = tmp_path / "new" / "folder" / "file"
    download_file(web.url + "file", target, digest[:8], size, lambda *told: seen.append(told))
    assert target.read_bytes() == body
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    done = [0, *range(1000, size, 1000), size]
    assert seen == [(bytes_done, size) for bytes_done in done]


@pytest.mark.parametrize(
    ("body", "breaks_off", "why"),
    [
        (b"something else", False, "has sha256 [0-9a-f]{16}..., expected 00000000$"),
        (b"something else", True, "ended after 7 of 14 bytes$"),
        (None, False, "404"),
    ],
)
def test_a_failure_is_told_in_one_line_and_leaves_nothing(
    web: Web, tmp_path: Path, body: bytes | None, breaks_off: bool, why: str
) -> None:
    web.files = {"file": body} if body else {}
    web.breaks_off = breaks_off
    with pytest.raises(DownloadError, match=why) as caught:
        download_file(web.url + "file", tmp_path / "file", "00000000", 14)
    assert str(caught.value).startswith(web.url)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "file").exists()
    assert not (tmp_path / "file.part").exists()


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match="timed out"):
            download_file(url, tmp_path / "file", "", 14, timeout=0.05)
    assert not list(tmp_path.glob("file*"))


def test_a_full_disk_is_told(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["file"] = b"new"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DownloadError, match="No space left"):
        download_file(web.url + "file", tmp_path / "file", "", 3)
    assert not list(tmp_path.glob("file*"))
