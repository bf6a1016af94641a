"""An empty machine and a server of our own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers.weight_files import Web
from vidstyle.weights import registry


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
    monkeypatch.setattr(registry, "BASE_URL", web.url)
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """An empty machine with a tenth of VGG-19's channels: the folders in the order in which they
    are looked through.
    """
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "TORCH_MODEL_ZOO",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VIDSTYLE_WEIGHTS", str(tmp_path / "env"))
    monkeypatch.setattr(registry, "BASE_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(registry, "VGG19_STAGES", ((6, 2), (12, 2), (25, 4), (51, 4), (51, 2)))
    found = {
        "dir": tmp_path / "dir",
        "env": tmp_path / "env",
        "cache": tmp_path / "cache" / "vidstyle",
        "hub": tmp_path / "torch" / "hub" / "checkpoints",
    }
    for folder in found.values():
        folder.mkdir(parents=True)
    return found
