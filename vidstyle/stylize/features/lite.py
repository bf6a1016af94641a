"""The embedded features: a small convolutional network distilled from VGG-19 (`training/distill.py`), under VGG-19's
layer names.

Each map is VGG-19's map projected on its leading principal directions (uncentred, so that Gram matrices keep their
energy) and scaled to a common energy; relative losses do not see the scale.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.stylize.features.normalise import normalise
from vidstyle.stylize.features.padding import replicate_pad

WIDTHS = (16, 32, 80, 168, 256)
DEPTHS = (2, 2, 3, 4, 3)
"""Width and depth lie where the pixels are few: half of the arithmetic is done at 1/8 of the resolution."""

EXPANDED = (64, 160, 320)
"""Channels that are pooled after the second, third and fourth stage. Pooling a rectified map loses what its channels do
inside a cell; a 1x1 convolution to more of them first keeps it, at the price of a few per cent."""

RANKS = {"relu1_1": 16, "relu2_1": 48, "relu3_1": 96, "relu4_1": 128, "relu4_2": 128, "relu5_1": 128}
"""Channels of each map."""


class Lite(nn.Module):
    """Five stages of 3x3 convolutions with ReLU at 1, 1/2 .. 1/16 of the resolution, and a linear 1x1 head for each
    map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self.expansions = nn.ModuleList()
        inputs = 3
        for i, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
            self.stages.append(nn.ModuleList(nn.Conv2d(inputs if j == 0 else width, width, 3) for j in range(depth)))
            inputs = width
            if 0 < i <= len(EXPANDED):
                inputs = EXPANDED[i - 1]
                self.expansions.append(nn.Conv2d(width, inputs, 1))
        self.heads = nn.ModuleDict({name: nn.Conv2d(WIDTHS[stage_of(name)], rank, 1) for name, rank in RANKS.items()})

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """(b, 3, h, w) RGB in [0, 1] -> {layer: (b, rank, h', w')}."""
        if unknown := set(layers) - set(RANKS):
            raise ValueError(f"lite has no layer {', '.join(sorted(unknown))}: {', '.join(RANKS)}")
        maps: dict[str, Tensor] = {}
        depth = max((stage_of(name) + 1 for name in layers), default=0)
        for i, (first, last) in enumerate(self.trunk(image, depth)):
            for name in layers:
                if stage_of(name) == i:
                    maps[name] = self.heads[name](first if name == "relu1_1" else last)
        return maps

    def trunk(self, image: Tensor, depth: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The first and the last map (b, width, h', w') of each of the first `depth` stages."""
        x = normalise(image)
        for i in range(depth):
            if i > 1:
                x = F.relu(self.expansions[i - 2](x))
            if i:
                x = F.avg_pool2d(x, 2)
            stage = self.stages[i]
            assert isinstance(stage, nn.ModuleList)
            opening, *others = stage
            x = first = F.relu(opening(replicate_pad(x)))
            for convolution in others:
                x = F.relu(convolution(replicate_pad(x)))
            yield first, x


def stage_of(layer: str) -> int:
    """relu3_1 -> 2."""
    return int(layer[4]) - 1
