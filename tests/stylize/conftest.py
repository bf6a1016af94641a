"""A feature network small enough for finite differences, and pictures with something in them."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.config.settings import RenderConfig, build
from vidstyle.features.padding import replicate_pad

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")


class TinyFeatures:
    """Random 3x3 convolutions under VGG-19's layer names, in float64 or float32; the same ones
    every time.
    """

    digest = "tiny"

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        generator = torch.Generator().manual_seed(0)
        self.kernels = [
            torch.randn(6, 3 if i == 0 else 6, 3, 3, generator=generator).to(dtype) / 4
            for i in range(6)
        ]
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        self.asked.append(tuple(layers))
        maps, x = {}, image - 0.5
        for name, kernel in zip(LAYERS, self.kernels, strict=True):
            x = F.softplus(
                F.conv2d(replicate_pad(x), kernel)
            )  # smooth, so that finite differences hold
            maps[name] = x
        return {name: maps[name] for name in layers}


@pytest.fixture
def tiny() -> TinyFeatures:
    return TinyFeatures()


@pytest.fixture
def picture() -> Callable[..., Tensor]:
    """picture(h, w, seed): (3, h, w) of soft blobs in [0, 1]."""

    def make(h: int, w: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        coarse = torch.rand(
            1, 3, 6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        return (
            F.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=False)[0]
            .clamp(0, 1)
            .to(dtype)
        )

    return make


@pytest.fixture
def settings() -> Callable[..., RenderConfig]:
    def make(**values: object) -> RenderConfig:
        return build(
            {"input": "in.mp4", "style": "style.jpg", "first_iterations": 12, "iterations": 8},
            values,
        )

    return make
