"""A feature network small enough for finite differences."""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor

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
