from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.steering import ROWS, named_files
from vidstyle.config.settings import build
from vidstyle.config.toml import preset_values

FILES = {"input": "in.mp4", "style": "a.jpg"}
NAMED = named_files(Path("a.jpg"), Path("b.jpg"), (Path("c.png"), Path("d.png")), 0.5)


@pytest.mark.parametrize("name", [*ROWS, *NAMED])
def test_every_row_can_be_rendered_with_and_without_links_between_frames(name: str) -> None:
    changes = {**ROWS, **NAMED}[name]
    linked, alone = (
        build(preset_values("standard"), FILES, changes, more) for more in ({}, {"per_frame": True})
    )
    assert linked != alone
    assert (linked != build(preset_values("standard"), FILES)) == (name != "default")
