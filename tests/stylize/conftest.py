"""A feature network small enough for finite differences, and pictures with something in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.features import TinyFeatures
from vidstyle.config.settings import RenderConfig, build


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
