"""Pictures laid in tiles: regular patterns with sharp edges, which photographs and brushwork hardly
have.
"""

from __future__ import annotations

import itertools
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor


def tiled(picture: Tensor, rng: random.Random) -> Tensor:
    """Lay a picture (3, size, size) in tiles of one colour each: squares, bricks, lozenges, pebbles
    or shards.
    """
    size = picture.shape[1]
    pitch = 2 ** rng.uniform(2.5, 5.5)
    aspect = rng.choice((1, 1, 2, 4))
    turn = rng.choice((0.0, 0.0, rng.uniform(0, math.pi)))
    offset = rng.choice((0.0, 0.5))
    disorder = rng.choice((0.0, 0.15, 0.5))
    norm = rng.choice((1, 2, math.inf))
    cells = math.ceil(2 * size / pitch) + 4
    seeds = (
        torch.rand((cells, cells, 5), generator=torch.Generator().manual_seed(rng.getrandbits(48)))
        - 0.5
    )

    across = torch.arange(0.25, size, 0.5) / pitch  # twice as fine, then averaged: no jagged edges
    y, x = torch.meshgrid(across, across, indexing="ij")
    u = (x * math.cos(turn) + y * math.sin(turn)) / aspect
    v = y * math.cos(turn) - x * math.sin(turn)
    near = []  # (dy, dx) -> the distance to the cell's centre, and the cell
    for dy, dx in itertools.product((-1, 0, 1), repeat=2):
        i = v.round().long() + dy
        j = u.round().long() + dx
        seed = seeds[i % cells, j % cells]
        cv = i + disorder * seed[..., 0]
        cu = j + disorder * seed[..., 1] + offset * (i % 2)
        distance = torch.linalg.vector_norm(torch.stack([v - cv, u - cu]), norm, dim=0)
        near.append(torch.cat([torch.stack([distance, cv, cu]), seed[..., 2:].permute(2, 0, 1)]))
    candidates = torch.stack(near)
    (first, second), order = candidates[:, 0].topk(2, dim=0, largest=False)
    _, cv, cu, *shade = candidates.gather(0, order[:1, None].expand(1, 6, -1, -1))[0]

    cu = cu * aspect
    at = [
        cv * math.cos(turn) + cu * math.sin(turn),
        cu * math.cos(turn) - cv * math.sin(turn),
    ]  # back to y, x
    row, column = ((a * pitch).floor().long().clamp(0, size - 1) for a in at)
    tiles = picture[:, row, column] + rng.choice((0.0, 0.2, 0.6)) * torch.stack(shade)
    joint = ((second - first) < rng.choice((0.0, 0.1, 0.25))).float()
    laid = tiles + joint * (rng.choice((0.0, 0.1, 0.9)) - tiles)
    return F.avg_pool2d(laid, 2).clamp(0, 1)
