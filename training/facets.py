"""Pictures cut into facets by straight lines and arcs: flat or shaded fields with sharp edges, with
or without a line around them, as in stained glass, posters and cubist paintings."""

from __future__ import annotations

import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor


def faceted(picture: Tensor, rng: random.Random) -> Tensor:
    """`picture`, (3, size, size), cut by 4 to 40 lines and circles; every facet shows one colour of
    it, a colour that turns lighter or darker across the facet, or another part of it.
    """
    size = picture.shape[1]
    count = round(4 * 10 ** rng.random())
    numbers = torch.Generator().manual_seed(rng.getrandbits(48))
    across = torch.arange(0.25, size, 0.5) / size  # twice as fine, then averaged: no jagged edges
    y, x = torch.meshgrid(across, across, indexing="ij")
    round_share = rng.choice((0.0, 0.3, 0.8))
    nearest = torch.full_like(x, math.inf)
    facet = torch.zeros_like(x, dtype=torch.int64)
    for a, b, turn, radius, kind in torch.rand((count, 5), generator=numbers).tolist():
        if kind < round_share:
            distance = (
                ((x - 1.4 * a + 0.2) ** 2 + (y - 1.4 * b + 0.2) ** 2).sqrt() - 0.05 - 0.5 * radius
            )
        else:
            distance = (x - a) * math.cos(2 * math.pi * turn) + (y - b) * math.sin(
                2 * math.pi * turn
            )
        nearest = torch.minimum(nearest, distance.abs())
        facet = (2 * facet + (distance > 0)).unique(return_inverse=True)[
            1
        ]  # each curve may cut each facet in two
    areas = torch.bincount(facet.flatten())
    tone = torch.rand((len(areas), 5), generator=numbers)[facet].permute(2, 0, 1)

    look = rng.choice(("flat", "shaded", "shaded", "cut"))
    if look == "cut":
        row = (y + tone[0]) % 1
        column = (x + tone[1]) % 1
    else:
        row = tone[0]
        column = tone[1]
    image = picture[:, (row * size).long(), (column * size).long()]
    if look == "shaded":
        slope = x * (tone[2] - 0.5) + y * (tone[3] - 0.5)
        middles = torch.bincount(facet.flatten(), slope.flatten()) / areas
        image = image + rng.uniform(1, 6) * (slope - middles[facet])
    image = image + rng.choice((0.0, 0.2)) * (tone[4] - 0.5)
    line = (nearest < rng.choice((0.0, 0.003, 0.008, 0.015))).float()
    image = image + line * (rng.choice((0.0, 0.1, 0.9)) - image)
    return F.avg_pool2d(image.clamp(0, 1), 2)
