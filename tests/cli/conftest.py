"""A command that several tests of the command line begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import QUICK


@pytest.fixture
def line(film: Path, painting: Path, tmp_path: Path) -> list[object]:
    """Two frames, to tmp_path/out.mp4."""
    return [film, "--style", painting, "-o", tmp_path / "out.mp4", *QUICK]
