"""An engine that is defined here, registered, and rendered with, without touching the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import vidstyle
from tests.helpers import decoding
from tests.helpers.renders import frames_of, run
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted, SettingsChangedError
from vidstyle.frames import Frame, Motion, quantise
from vidstyle.rendering import engines, models
from vidstyle.rendering.plan import plan_render
from vidstyle.storage.record import state_folder
from vidstyle.stylize import engine
from vidstyle.stylize.engine import FrameCost, FrameWork, NetworkSource, Observer, State, Step

COUNT, CUT = 12, 6
"""Frames of the fixture `film`, and the first frame of its second shot."""
NAME = "negative"

Settings = Callable[..., RenderConfig]


@pytest.fixture(scope="session")
def film(noisy_film: Path) -> Path:
    """A film without repeats, which no engine is asked for."""
    return noisy_film


@dataclass
class Negative:
    """A stylizer that turns every frame into its negative, and notes down what it was given."""

    device: torch.device
    frames: dict[int, Tensor] = field(default_factory=dict)
    states: dict[int, State] = field(default_factory=dict)
    motions: list[Motion | None] = field(default_factory=list)

    def step(
        self, state: State, frame: Frame, motion: Motion | None, observer: Observer | None = None
    ) -> Step:
        self.frames[frame.index] = frame.image
        self.states[frame.index] = state
        self.motions.append(motion)
        image = quantise(1 - frame.image)
        return Step(image, state.followed_by(image, 1), 1)

    def cost(self, frame: Frame, linked_iterations: float | None = None) -> FrameCost:
        return FrameCost(first=0.001, linked=0.001)


@dataclass
class NegativeEngine:
    """The engine of it: no networks, no motion, hardly any memory."""

    built: list[Negative] = field(default_factory=list)
    """Every stylizer that it has put in place."""
    strength: int = 1
    """Stands for a setting of its own."""

    networks: tuple[str, ...] = ()
    needs_motion: bool = False
    needs_detail: bool = False
    motion_side: int | None = None
    multi_pass: bool = False
    tileable: bool = False

    def fingerprint_parts(self, digests: Mapping[str, str]) -> dict[str, Any]:
        return {"negative": self.strength}

    def memory(self, size: tuple[int, int], tile: int = 0) -> int:
        width, height = size
        return 4 * 3 * width * height * 4

    def work(self, size: tuple[int, int], *, first: bool) -> FrameWork:
        return FrameWork(iterations=1)

    def build(
        self,
        networks: NetworkSource,
        style_images: Sequence[Tensor],
        size: tuple[int, int],
        device: torch.device,
        *,
        tile: int = 0,
        style_masks: Tensor | None = None,
    ) -> Negative:
        self.built.append(Negative(device))
        return self.built[-1]


REGISTERED = NegativeEngine()


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    def factory(config: RenderConfig, compute_device: object) -> engine.Engine:
        assert config.engine == NAME
        return REGISTERED

    engines.register_engine(NAME, factory)
    yield
    engines.unregister_engine(NAME)


@pytest.fixture(autouse=True)
def negative() -> Iterator[NegativeEngine]:
    """The registered engine, as if nothing had been rendered with it."""
    REGISTERED.built.clear()
    yield REGISTERED
    REGISTERED.built.clear()
    REGISTERED.strength = 1


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that loads a network's weights."""

    load_flow = models.load_flow

    def refuse(name: str, *args: object, **kwargs: object) -> Any:
        if name != "dis":  # it has no weights
            pytest.fail(f"weights are loaded: {name} {args} {kwargs}")
        return load_flow(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(models, "load_network", refuse)
    monkeypatch.setattr(models, "load_flow", refuse)


def stored(output: Path) -> list[NDArray[np.uint16]]:
    """Decode the kept frames, (H, W, 3) BGR of 16 bits each, with a decoder that is not ours."""
    frames = []
    for path in sorted((state_folder(output) / "frames").iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image is not None
        frames.append(image.astype(np.uint16))
    return frames


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_every_frame_is_the_one_that_the_engine_made(
    settings: Settings, negative: NegativeEngine, film: Path
) -> None:
    built = settings(engine=NAME, keep_frames=True)
    result = vidstyle.render(built)
    assert (result.frames, result.rendered) == (COUNT, COUNT)
    [stylizer] = negative.built
    assert list(stylizer.frames) == list(range(COUNT))
    assert stylizer.motions == [None] * COUNT
    frames = stored(result.output)
    for index, (frame, source) in enumerate(zip(frames, decoding.frames_of(film), strict=True)):
        exact = quantise(1 - stylizer.frames[index]) * 65535  # (3, H, W) RGB
        np.testing.assert_array_equal(frame[:, :, ::-1], exact.round().permute(1, 2, 0).numpy())
        assert difference(frame / 257, 255 - source.astype(float)) < 6 < difference(frame, source)
    for shown, frame in zip(decoding.frames_of(result.output), frames, strict=True):
        assert difference(shown, frame / 257) < 12


def test_nothing_crosses_a_cut_and_the_frame_before_is_in_the_state_of_the_next(
    settings: Settings, negative: NegativeEngine
) -> None:
    vidstyle.render(settings(engine=NAME))
    [stylizer] = negative.built
    for index, state in stylizer.states.items():
        if state.image is not None:
            assert torch.equal(state.image, quantise(1 - stylizer.frames[index - 1]))
    assert stylizer.states[0].image is None
    assert stylizer.states[CUT].image is None


def test_an_interrupted_render_continues_to_the_same_bytes(
    settings: Settings, negative: NegativeEngine, tmp_path: Path
) -> None:
    whole = settings(engine=NAME, keep_frames=True, output=tmp_path / "whole.mp4")
    run(whole)
    parts = settings(engine=NAME, keep_frames=True)
    with pytest.raises(Interrupted, match=f"5 of {COUNT} frames"):
        run(parts, limit=5)
    assert run(parts).frames == list(range(5, COUNT))
    assert frames_of(parts.output) == frames_of(whole.output)
    assert parts.output.read_bytes() == whole.output.read_bytes()
    assert list(negative.built[-1].frames) == list(range(5, COUNT))


def test_what_the_engine_adds_to_the_fingerprint_is_a_setting_of_the_render(
    settings: Settings, negative: NegativeEngine
) -> None:
    built = settings(engine=NAME, keep_frames=True)
    run(built)
    negative.strength = 2
    with pytest.raises(SettingsChangedError) as caught:
        run(built)
    assert set(caught.value.differences) == {"negative"}


def test_it_is_planned_without_being_built(
    settings: Settings, negative: NegativeEngine, tmp_path: Path
) -> None:
    plan = plan_render(settings(engine=NAME))
    assert (plan.frames, plan.width, plan.height) == (COUNT, 48, 32)
    assert plan.shots == (0, CUT)
    assert plan.memory_needed < plan.memory_allowed
    assert negative.built == []
    assert list(tmp_path.iterdir()) == []


def test_a_preview_shows_the_source_next_to_what_the_engine_makes(
    settings: Settings, film: Path, tmp_path: Path
) -> None:
    preview = vidstyle.preview(settings(engine=NAME))
    assert preview.frames == COUNT
    assert preview.full_frames == COUNT
    assert preview.full_seconds is not None
    for pair, source in zip(
        decoding.frames_of(preview.output), decoding.frames_of(film), strict=True
    ):
        assert difference(pair[:, :48], source) < 12
        assert difference(pair[:, 48:], 255 - source.astype(float)) < 12
    assert {path.name for path in tmp_path.iterdir()} == {"out.preview.mp4", "out.preview.png"}


def test_a_name_that_nobody_registered_is_refused(settings: Settings) -> None:
    with pytest.raises(vidstyle.ConfigError, match="engine"):
        vidstyle.render(settings(engine="positive"))
