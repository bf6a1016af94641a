"""Renders that an earlier version left half done are continued where frames come out as they did
then, and else refused with that as the reason.

`half_done/` holds two state directories of `cut.mp4` in the style of `mosaic.jpg`, made by commit
cd9d96b: 4 of 12 frames of a single pass, and the first of two passes over 9 frames.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vidstyle
from vidstyle.config.fingerprint import RENDER_FORMAT
from vidstyle.errors import SettingsChangedError
from vidstyle.events import Event, FrameDone
from vidstyle.storage.checkpoint import refuse_changed_settings
from vidstyle.storage.record import read_record, state_folder

HALF_DONE = Path(__file__).with_name("half_done")

SINGLE = {"start": 0.5, "duration": 0.5, "rest": "follow"}
PASSES = {"start": 0.6, "duration": 0.4, "passes": 2}

FORMAT = {"render_format": 7}
"""That of the fixtures."""

Continue = Callable[..., list[FrameDone]]


@pytest.fixture
def begin(tmp_path: Path) -> Callable[[str], Path]:
    """Copies a half-done render, and returns its output, which is not there yet."""

    def copy(name: str) -> Path:
        output = tmp_path / f"{name}.mp4"
        shutil.copytree(HALF_DONE / name, state_folder(output))
        return output

    return copy


def old_frames(output: Path) -> dict[Path, bytes]:
    """All frames in a state directory."""
    return {path: path.read_bytes() for path in state_folder(output).glob("*/*.png")}


@pytest.fixture
def proceed(samples: Path) -> Continue:
    """Renders to an output with the fixture's settings; returns the reports of finished frames."""

    def render(output: Path, **changes: Any) -> list[FrameDone]:
        before = {} if changes.get("restart") else old_frames(output)
        done: list[FrameDone] = []

        def report(event: Event) -> None:
            if isinstance(event, FrameDone):
                done.append(event)
                # The passes before the last one are removed when a shot is complete.
                assert all(
                    path.read_bytes() == data
                    for path, data in before.items()
                    if path.parent.name == "frames" or path.exists()
                )

        config = vidstyle.RenderConfig(
            input=samples / "cut.mp4",
            style=samples / "mosaic.jpg",
            output=output,
            **{
                "size": 32,
                "precision": "fp32",
                "device": "cpu",
                "first_iterations": 4,
                "iterations": 2,
                "first_scales": 1,
                "keep_frames": True,
                **changes,
            },
        )
        vidstyle.render(config, report)
        assert all(path.read_bytes() == data for path, data in before.items() if path.exists())
        return done

    return render


@pytest.mark.parametrize(
    ("name", "changes", "count"), [("single", SINGLE, 12), ("passes", PASSES, 9)]
)
def test_a_render_of_another_format_is_refused_as_it_is_and_started_over_where_that_is_wanted(
    begin: Callable[[str], Path],
    proceed: Continue,
    name: str,
    changes: dict[str, Any],
    count: int,
) -> None:
    output = begin(name)
    before = old_frames(output)
    assert before
    with pytest.raises(
        SettingsChangedError, match=f"render_format: 7 -> {RENDER_FORMAT}"
    ) as caught:
        proceed(output, **changes)
    assert "--restart" in caught.value.hint
    assert old_frames(output) == before
    assert len(proceed(output, **changes, restart=True)) == count * changes.get("passes", 1)
    assert output.stat().st_size > 0
    assert {path.parent.name for path in old_frames(output)} == {"frames"}


def test_an_old_record_is_compared_under_the_present_names_and_told_under_those_of_the_flags(
    begin: Callable[[str], Path],
) -> None:
    output = begin("single")
    parts = read_record(state_folder(output))["parts"]
    refuse_changed_settings(output, parts)
    refuse_changed_settings(output, {**FORMAT, "first_frame": 12, "frame_count": 12})
    with pytest.raises(SettingsChangedError, match="duration: 12 -> 5; start: 12 -> 15") as caught:
        refuse_changed_settings(output, {**FORMAT, "first_frame": 15, "frame_count": 5})
    assert caught.value.differences == {"start": (12, 15), "duration": (12, 5)}
