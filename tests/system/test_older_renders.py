"""Renders that an earlier version left half done are continued, not refused.

`half_done/` holds two state directories of `cut.mp4` in the style of `mosaic.jpg`, made by commit
cd9d96b: 4 of 12 frames of a single pass, and the first of two passes over 9 frames.
"""

from __future__ import annotations

import json
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
from vidstyle.weights.registry import REGISTRY

HALF_DONE = Path(__file__).with_name("half_done")

SINGLE = {"start": 0.5, "duration": 0.5, "rest": "follow"}
PASSES = {"start": 0.6, "duration": 0.4, "passes": 2}

Continue = Callable[..., list[FrameDone]]


def refuse_stale_fixture(parts: dict[str, Any]) -> None:
    """Skip where frames of the fixture cannot be continued by design."""
    if parts["weights"] != REGISTRY["lite"].sha256:
        pytest.skip("the embedded weights are no longer those of the fixture")
    if parts["render_format"] != RENDER_FORMAT:
        pytest.skip("the render format is no longer that of the fixture")


@pytest.fixture
def begin(tmp_path: Path) -> Callable[[str], Path]:
    """Copies a half-done render, and returns its output, which is not there yet."""

    def copy(name: str) -> Path:
        output = tmp_path / f"{name}.mp4"
        shutil.copytree(HALF_DONE / name, state_folder(output))
        record = json.loads((state_folder(output) / "render.json").read_text())
        refuse_stale_fixture(record["parts"])
        return output

    return copy


def old_frames(output: Path) -> dict[Path, bytes]:
    """All frames in a state directory."""
    return {path: path.read_bytes() for path in state_folder(output).glob("*/*.png")}


@pytest.fixture
def proceed(samples: Path) -> Continue:
    """Renders to an output with the fixture's settings; returns the reports of finished frames."""

    def render(output: Path, **changes: Any) -> list[FrameDone]:
        before = old_frames(output)
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


def test_a_render_of_an_earlier_version_is_continued(
    begin: Callable[[str], Path], proceed: Continue
) -> None:
    output = begin("single")
    assert len(proceed(output, **SINGLE)) == 8
    assert output.stat().st_size > 0
    assert len(list((state_folder(output) / "frames").glob("*.png"))) == 12


def test_a_render_in_passes_of_an_earlier_version_is_continued(
    begin: Callable[[str], Path], proceed: Continue
) -> None:
    output = begin("passes")
    assert len(proceed(output, **PASSES)) == 9
    assert output.stat().st_size > 0
    assert len(list((state_folder(output) / "frames").glob("*.png"))) == 9


def test_another_part_of_the_video_is_told_under_the_names_of_the_flags(
    begin: Callable[[str], Path], proceed: Continue
) -> None:
    output = begin("single")
    before = old_frames(output)
    with pytest.raises(SettingsChangedError, match="duration: 12 -> 5; start: 12 -> 15") as caught:
        proceed(output, **SINGLE | {"start": 0.6, "duration": 0.2})
    assert caught.value.differences == {"start": (12, 15), "duration": (12, 5)}
    assert old_frames(output) == before


def test_an_old_record_is_compared_under_the_present_names(begin: Callable[[str], Path]) -> None:
    output = begin("single")
    parts = read_record(state_folder(output))["parts"]
    refuse_changed_settings(output, parts)
    refuse_changed_settings(output, {"first_frame": 12, "frame_count": 12})
    with pytest.raises(SettingsChangedError, match="duration: 12 -> 5"):
        refuse_changed_settings(output, {"frame_count": 5})
