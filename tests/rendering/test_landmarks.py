"""A render that goes on in the middle of a shot: what is static there is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.helpers.films import noise, texture, video
from tests.helpers.renders import quick_settings, run, state_folder
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted
from vidstyle.motion.static import StaticTracker
from vidstyle.rendering import frame_linker, landmarks

COUNT = 12
INTERVAL = 3

Make = Callable[..., RenderConfig]


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The frames that are looked at for what is static; landmarks are close."""
    frames: list[Tensor] = []
    track = StaticTracker.track

    def note_down(self: StaticTracker, frame: Tensor) -> Any:
        frames.append(frame)
        return track(self, frame)

    monkeypatch.setattr(StaticTracker, "track", note_down)
    monkeypatch.setattr(landmarks, "LANDMARK_FRAMES", INTERVAL)
    monkeypatch.setattr(frame_linker, "LANDMARK_FRAMES", INTERVAL)
    return frames


@pytest.fixture
def make(painting: Path, tmp_path: Path) -> Make:
    """Makes settings of a film that stands still but for a spot and for noise."""
    frames = [texture(1, (32, 48)) for _ in range(COUNT)]
    for t, frame in enumerate(frames):
        frame[:, 8:16, 2 * t : 2 * t + 8] = 0.9
    grain = noise(COUNT, 0.002, size=(32, 48))
    grainy = [(one + own).clamp(0, 1) for one, own in zip(frames, grain, strict=True)]
    films = {
        step: video(tmp_path / f"still{step}.mkv", [grainy[t // step * step] for t in range(COUNT)])
        for step in (1, 2)
    }

    def settings(name: str, step: int = 1, **changes: Any) -> RenderConfig:
        film = films[step]
        return quick_settings(film, painting, tmp_path / name, codec="ffv1", **changes)

    return settings


def output_of(built: RenderConfig) -> Path:
    assert built.output is not None
    return built.output


def interrupt(built: RenderConfig, limit: int) -> None:
    with pytest.raises(Interrupted):
        run(built, limit)


@pytest.mark.parametrize("limit", range(1, COUNT))
@pytest.mark.parametrize("changes", [{}, {"long_term": 2}, {"long_term": 2, "step": 2}])
def test_it_goes_on_to_the_same_bytes_and_looks_at_few_frames(
    make: Make, tracked: list[Tensor], limit: int, changes: dict[str, Any]
) -> None:
    run(whole := make("whole.mkv", **changes))
    interrupt(cut := make("cut.mkv", **changes), limit)
    tracked.clear()
    run(cut)
    assert output_of(cut).read_bytes() == output_of(whole).read_bytes()
    assert len(tracked) <= COUNT - limit + INTERVAL + changes.get("long_term", 1)


@pytest.mark.parametrize("damage", ["torn", "foreign", "gone"])
def test_a_damaged_landmark_costs_a_look_at_the_shot_and_nothing_else(
    make: Make, tracked: list[Tensor], damage: str
) -> None:
    run(whole := make("whole.mkv"))
    interrupt(cut := make("cut.mkv"), 8)
    files = sorted(state_folder(output_of(cut)).glob("hold.*/*.static"))
    assert files
    for file in files:
        if damage == "torn":
            file.write_bytes(file.read_bytes()[:-5])
        elif damage == "foreign":
            file.write_bytes(file.read_bytes().replace(b"-hold1", b"-hold7"))
        else:
            file.unlink()
    tracked.clear()
    run(cut)
    assert len(tracked) == COUNT
    assert output_of(cut).read_bytes() == output_of(whole).read_bytes()


def test_few_landmarks_are_kept(make: Make, tracked: list[Tensor]) -> None:
    interrupt(built := make("out.mkv"), COUNT - 1)
    files = list(state_folder(output_of(built)).glob("hold.*/*.static"))
    assert 1 <= len(files) <= landmarks.KEPT_LANDMARKS
