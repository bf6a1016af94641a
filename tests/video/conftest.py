"""A folder for clips that a test makes itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import Clips


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    return Clips(tmp_path)
