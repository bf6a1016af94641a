"""`vidstyle grid` takes the settings that matter for one frame, and varies none that is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Command
from vidstyle.cli.grid import UNUSED_SETTINGS


def test_a_grid_has_no_flag_for_what_changes_nothing_in_it() -> None:
    assert " ".join(sorted(UNUSED_SETTINGS)) == (
        "allow_damaged audio blend budget codec crf deinterlace duration flow iterations keep "
        "keep_titles keyframes long_term loop mask opacity passes per_frame rest scales "
        "temporal_from_pass temporal_norm temporal_weight trace"
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--seed", "1", "--vary", "seed=2,3"], "seed is given and varied"),
        (["--vary", "seed=2,3", "-c", "none.toml"], "none.toml"),
        ([], "no --vary given"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_before_anything_is_read(
    command: Command, tmp_path: Path, words: list[str], why: str
) -> None:
    got = command("grid", tmp_path / "none.png", "-s", "none.png", *words)
    assert (got.code, got.out) == (2, "")
    assert why in got.err


def test_a_grid_needs_a_picture(command: Command) -> None:
    got = command("grid", "-s", "none.png", "--vary", "seed=2,3")
    assert got.code == 2
    assert "a grid needs a picture" in got.err
