"""From a painting to the gains and offsets of the network (Ghiasi et al. 2017; Shen, Yan, Zeng
2018): a small network over the Gram matrices of lite's maps.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vidstyle.features.extractor import STYLE_LAYERS
from vidstyle.features.lite import RANKS
from vidstyle.stylize.feedforward.network import CONTEXT_NORM_INDEX, NORM_WIDTHS, STYLE_NUMBERS

PROJECTED = 16
"""Directions of each layer whose correlations are looked at."""

HIDDEN = 256

CODE_NUMBERS = len(STYLE_LAYERS) * PROJECTED * (PROJECTED + 1) // 2


class StyleReader(nn.Module):
    """Gram matrices -> gains and offsets, (b, `STYLE_NUMBERS`)."""

    mean: Tensor
    deviation: Tensor
    scales: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.directions = nn.ParameterDict(
            {
                name: nn.Parameter(torch.randn(RANKS[name], PROJECTED) / RANKS[name] ** 0.5)
                for name in STYLE_LAYERS
            }
        )
        self.register_buffer("mean", torch.zeros(CODE_NUMBERS))
        self.register_buffer("deviation", torch.ones(CODE_NUMBERS))
        self.register_buffer("scales", torch.ones(len(STYLE_LAYERS)))
        self.layers = nn.Sequential(
            nn.Linear(CODE_NUMBERS, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, STYLE_NUMBERS),
        )
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(0.3)
            neutral = [torch.cat([torch.ones(n), torch.zeros(n)]) for n in NORM_WIDTHS]
            # The branch adds nothing at first.
            neutral[CONTEXT_NORM_INDEX].zero_()
            last.bias.copy_(torch.cat(neutral))

    def code(self, grams: Mapping[str, Tensor]) -> Tensor:
        """Describe styles by the correlations of a few directions, (b, `CODE_NUMBERS`).

        Args:
            grams: {style layer: its Gram matrices (b, c, c)}.
        """
        row, column = torch.triu_indices(PROJECTED, PROJECTED)
        parts = []
        for name, scale in zip(STYLE_LAYERS, self.scales, strict=True):
            directions = self.directions[name]
            products = directions.T @ (grams[name] / scale) @ directions  # (b, k, k)
            parts.append(products[:, row, column])
        code = torch.cat(parts, 1)
        return code.sign() * (code.abs() + 1e-8).sqrt()

    def forward(self, grams: Mapping[str, Tensor]) -> Tensor:
        """Compute gains and offsets, (b, `STYLE_NUMBERS`), from what `code` takes."""
        numbers: Tensor = self.layers((self.code(grams) - self.mean) / self.deviation)
        return numbers
