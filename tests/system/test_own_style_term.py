"""A style term that is defined outside of the package renders like one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import vidstyle
from vidstyle.config.settings import RenderConfig
from vidstyle.stylize.style.regions import Segmentation
from vidstyle.stylize.style.term import (
    LayerLoss,
    StyleTerm,
    register_style_term,
    unregister_style_term,
)

NAME = "means"


class ChannelMeansLoss(LayerLoss):
    """The squared distance of the means of all channels, relative to the target's."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def measure(self, features: Tensor, positions: int) -> Tensor:
        return features.float().sum((0, 2, 3)) / positions

    def distance(self, measured: Tensor) -> Tensor:
        return (measured - self.target).square().sum() / self.target.square().sum()


class ChannelMeans(StyleTerm):
    """The mean of each channel, (c,)."""

    name = NAME
    additive = True

    def target(
        self, features: Tensor, positions: int, masks: Segmentation | None, seed: int
    ) -> Tensor:
        return features.float().sum((0, 2, 3)) / positions

    def mix(self, targets: Sequence[tuple[float, Tensor]]) -> Tensor:
        return torch.stack([share * target for share, target in targets]).sum(0)

    def loss(self, target: Tensor, masks: Segmentation | None, seed: int) -> LayerLoss:
        return ChannelMeansLoss(target)


def read_frame(path: Path) -> NDArray[np.float64]:
    """Read a 16-bit frame, (h, w, 3) in [0, 1]."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels.astype(np.float64) / 65535


@pytest.fixture
def means() -> Iterator[str]:
    register_style_term(NAME, lambda settings: ChannelMeans())
    yield NAME
    unregister_style_term(NAME)


@pytest.fixture
def stylise(
    settings: Callable[..., RenderConfig], tmp_path: Path
) -> Callable[..., NDArray[np.float64]]:
    """Render three frames with these terms, and return them in [0, 1]."""

    def render(terms: str, tile: int | None = None) -> NDArray[np.float64]:
        output = tmp_path / f"{terms}-{tile}.mp4"
        config = settings(
            style_terms=terms,
            tile=tile,
            duration=0.3,
            precision="fp32",
            first_iterations=4,
            iterations=2,
            output=output,
            keep_frames=True,
        )
        assert vidstyle.render(config).frames == 3
        frames = sorted((tmp_path / f"{output.name}.vidstyle" / "frames").glob("*.png"))
        return np.stack([read_frame(path) for path in frames])

    return render


def test_a_term_of_ones_own_is_rendered_with_and_its_weight_has_an_effect(
    means: str, stylise: Callable[..., NDArray[np.float64]]
) -> None:
    without = stylise("gram=0.5")
    weak = stylise(f"gram=0.5,{means}")
    strong = stylise(f"gram=0.5,{means}=20")
    assert np.array_equal(weak, stylise(f"gram=0.5,{means}", tile=0))
    changes = [float(np.abs(frames - without).mean()) for frames in (weak, strong)]
    assert 1e-4 < changes[0] < changes[1]


def test_an_additive_term_of_ones_own_is_computed_in_tiles(
    means: str, stylise: Callable[..., NDArray[np.float64]]
) -> None:
    whole = stylise(f"gram=0.5,{means}=5", tile=0)
    tiled = stylise(f"gram=0.5,{means}=5", tile=32)
    away = float(np.abs(whole - stylise("gram=0.5", tile=0)).mean())
    assert 0 < float(np.abs(tiled - whole).mean()) < 1e-3 * away


def test_a_term_that_is_not_registered_is_refused(
    stylise: Callable[..., NDArray[np.float64]],
) -> None:
    with pytest.raises(vidstyle.ConfigError, match="the settings do not fit") as e:
        stylise(f"gram=0.5,{NAME}")
    assert e.value.why.startswith(f"style_terms knows no {NAME}")
