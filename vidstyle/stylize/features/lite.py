"""The embedded features: a small convolutional network distilled from VGG-19, under VGG-19's layer names.

Each map is VGG-19's map projected on its leading principal directions (uncentred, so that Gram matrices keep their
energy) and scaled to a common energy; relative losses do not see the scale.
"""

from __future__ import annotations

from collections.abc import Collection

import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.stylize.features.normalise import normalise
from vidstyle.stylize.features.padding import replicate_pad

WIDTHS = (16, 32, 80, 144, 192)
DEPTHS = (2, 2, 3, 3, 3)
RANKS = {"relu1_1": 32, "relu2_1": 64, "relu3_1": 96, "relu4_1": 128, "relu4_2": 128, "relu5_1": 128}
"""Channels of each map."""


class Lite(nn.Module):
    """Five stages of 3x3 convolutions with ReLU at 1, 1/2 .. 1/16 of the resolution, and a linear 1x1 head for each
    map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        inputs = 3
        for width, depth in zip(WIDTHS, DEPTHS, strict=True):
            self.stages.append(nn.ModuleList(nn.Conv2d(inputs if j == 0 else width, width, 3) for j in range(depth)))
            inputs = width
        self.heads = nn.ModuleDict({name: nn.Conv2d(WIDTHS[stage_of(name)], rank, 1) for name, rank in RANKS.items()})

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """(b, 3, h, w) RGB in [0, 1] -> {layer: (b, rank, h', w')}."""
        if unknown := set(layers) - set(RANKS):
            raise ValueError(f"lite has no layer {', '.join(sorted(unknown))}: {', '.join(RANKS)}")
        maps: dict[str, Tensor] = {}
        x = normalise(image)
        for i, stage in enumerate(self.stages):
            if i > max((stage_of(name) for name in layers), default=-1):
                break
            x = F.avg_pool2d(x, 2) if i else x
            assert isinstance(stage, nn.ModuleList)
            for j, conv in enumerate(stage):
                x = F.relu(conv(replicate_pad(x)))
                if i == j == 0 and "relu1_1" in layers:
                    maps["relu1_1"] = self.heads["relu1_1"](x)
            for name in layers:
                if name != "relu1_1" and stage_of(name) == i:
                    maps[name] = self.heads[name](x)
        return maps


def stage_of(layer: str) -> int:
    """relu3_1 -> 2."""
    return int(layer[4]) - 1
