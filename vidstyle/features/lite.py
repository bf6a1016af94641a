"""The embedded features: a small convolutional network distilled from VGG-19
(`training/distill.py`), under VGG-19's layer names.

Each map is VGG-19's map projected on its leading principal directions (uncentred, so that Gram
matrices keep their energy) and scaled to a common energy; relative losses do not see the scale.
relu4_2 is moved by a part of its mean (`OFFSET` in `training/distill.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.features.normalise import normalise
from vidstyle.features.padding import rectify_pad, replicate_pad

WIDTHS = (16, 32, 80, 168, 256)
DEPTHS = (2, 2, 3, 4, 4)
"""Width and depth lie where the pixels are few: six in ten multiply-adds are done at 1/8 and 1/16
of the resolution.
"""

EXPANDED = (64, 160, 320)
"""Channels that are pooled after the second, third and fourth stage. Pooling a rectified map loses
what its channels do inside a position; a 1x1 convolution to more of them first keeps it."""

RANKS = {
    "relu1_1": 16,
    "relu2_1": 48,
    "relu3_1": 96,
    "relu4_1": 128,
    "relu4_2": 128,
    "relu5_1": 128,
}
"""Channels of each map."""

TAPS = {"relu1_1": 0, "relu4_1": 2, "relu4_2": 2}
"""The convolution of its stage, from 0, that a map is read from; the last one where none is named.
What follows relu4_2 need not remember it, and has room for what relu5_1 is made of."""


class Lite(nn.Module):
    """Five stages of 3x3 convolutions with ReLU at 1, 1/2 .. 1/16 of the resolution, and a linear
    1x1 head for each map.
    """

    depths = DEPTHS

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        inputs = (3, WIDTHS[0], *EXPANDED)
        for first, width, depth in zip(inputs, WIDTHS, DEPTHS, strict=True):
            self.stages.append(
                nn.ModuleList(nn.Conv2d(width if j else first, width, 3) for j in range(depth))
            )
        self.expansions = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(WIDTHS[1:-1], EXPANDED, strict=True)
        )
        self.heads = nn.ModuleDict(
            {
                name: nn.Conv2d(WIDTHS[tap_position(name)[0]], rank, 1)
                for name, rank in RANKS.items()
            }
        )

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Compute {layer: (b, rank, h', w')} of images (b, 3, h, w) RGB in [0, 1], as deep as the
        layers ask for.
        """
        if unknown := set(layers) - set(RANKS):
            raise ValueError(f"lite has no layer {', '.join(sorted(unknown))}: {', '.join(RANKS)}")
        maps: dict[str, Tensor] = {}
        if not layers:
            return maps
        deepest = max(map(tap_position, layers))
        for at, x in self.trunk(image):
            maps |= {name: self.heads[name](x) for name in layers if tap_position(name) == at}
            if at == deepest:
                break
        return maps

    def trunk(self, image: Tensor) -> Iterator[tuple[tuple[int, int], Tensor]]:
        """Yield ((stage, convolution), its map (b, width, h', w')) of those that are read and of
        the last of each stage, one after the other.
        """
        x = normalise(image).to(next(self.parameters()).dtype)
        for i, stage in enumerate(self.stages):
            assert isinstance(stage, nn.ModuleList)
            x = replicate_pad(self.enter_stage(x, i) if i else x)
            for j, convolution in enumerate(stage):
                x = convolution(x)
                last = j == len(stage) - 1
                if last or (i, j) in TAP_POSITIONS:
                    x = F.relu(x, inplace=True)
                    yield (i, j), x
                    x = x if last else replicate_pad(x)
                else:
                    x = rectify_pad(x)

    def enter_stage(self, x: Tensor, stage: int) -> Tensor:
        """Turn the last map of the stage before into the one that `stage` reads."""
        if stage > 1:
            x = F.relu(self.expansions[stage - 2](x), inplace=True)
        return F.avg_pool2d(x, 2)


def tap_position(layer: str) -> tuple[int, int]:
    """Return the stage and its convolution, both from 0, that a map is read from: relu3_1 ->
    (2, 2).
    """
    stage = int(layer[4]) - 1
    return stage, TAPS.get(layer, DEPTHS[stage] - 1)


TAP_POSITIONS = {tap_position(layer) for layer in RANKS}
