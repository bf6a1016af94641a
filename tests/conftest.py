"""What every test may use, and what none may leave behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def pytest_configure() -> None:
    # The real networks, offline, where they are to be had.
    if (SHARED / "torch_home").is_dir():
        os.environ.setdefault("TORCH_HOME", str(SHARED / "torch_home"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips, paintings, weights and ground truth."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (real clips, paintings, weights, ground truth)")
    return SHARED


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "sample_videos"


def children() -> set[str]:
    """Names of this process's children; empty on systems without /proc."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if rest.split()[1] == str(os.getpid()):
            found.add(name)
    return found


@pytest.fixture(autouse=True)
def leaves_nothing_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test that logged an error, or left an ffmpeg child or a temporary file behind."""
    yield
    assert not [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not {name for name in children() if "ffmpeg" in name}
    assert not [p for p in tmp_path.rglob("*") if ".tmp" in p.name and p.is_file()]
