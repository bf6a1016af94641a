"""What a frame starts from where no earlier frame can be followed: the source, in the colours that
what looks alike was painted in.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 32
"""Cells along the long side, whose mean colours are compared."""
SMALLEST_CELL = 4
"""Pixels."""
ALIKE = 0.1
"""Distance in RGB at which two colours begin to be different ones."""
NEARBY = 0.25
"""Distance, as a part of the long side, at which two places begin to be different ones."""
AT_ONCE = 2**12
"""Pixels that are compared with all cells at once: bounds the memory."""

FAINT = 0.1
"""Added to both brightnesses that are set against each other: in the dark they say little."""
BRIGHTEST = 2.0
"""How much brighter than what it was likened to a pixel may become, and how much darker: a white
thing that comes into view where all is dark would glow in some colour otherwise."""


def painted_alike(frame: Tensor, painted: Tensor, trusted: Tensor) -> Tensor:
    """`painted`, with what is not trusted filled: from the frame, in the colours that what looks
    alike was painted in.

    Each pixel to fill takes the mean of the painted colours of all cells, weighed by how much of
    them is trusted, how alike their source colours are and how near they lie: c exp(-|dI|^2 / (2
    ALIKE^2) - |dx|^2 / (2 NEARBY^2)). It is as much brighter or darker than that as its source is
    than theirs, within bounds, and never so bright that its hue changes. So a sky that comes into
    view behind a dark roof gets the sky's colours, and not the roof's.

    Args:
        frame: the source, (3, H, W).
        painted: the stylised picture, (3, H, W), valid where `trusted` (1, H, W) > 0, which it is
            somewhere.
    """
    where = trusted[0] <= 0
    if not bool(where.any()):
        return painted
    h, w = frame.shape[1:]
    long_side = max(h, w)
    side = max(SMALLEST_CELL, -(-long_side // CELLS))
    stacked = F.pad(
        torch.cat([frame * trusted, painted * trusted, trusted])[None], (0, -w % side, 0, -h % side)
    )
    cells = F.avg_pool2d(stacked, side)[0]  # (7, rows, columns)
    rows, columns = (cells[6] > 0).nonzero(as_tuple=True)
    weight = cells[6, rows, columns]  # (n,)
    colours = (cells[:6, rows, columns] / weight).T  # (n, source and painted)
    places = (torch.stack([rows, columns], 1) + 0.5) * side - 0.5
    keys = torch.cat([colours[:, :3] / ALIKE, places / (NEARBY * long_side)], 1)  # (n, 5)
    # |q - k|^2 / 2 without |q|^2, which the softmax takes no notice of
    offset = weight.log() - keys.square().sum(1) / 2
    y, x = where.nonzero(as_tuple=True)
    filled = []
    for py, px in zip(torch.split(y, AT_ONCE), torch.split(x, AT_ONCE), strict=True):
        own = frame[:, py, px].T  # (pixels, 3)
        query = torch.cat([own / ALIKE, torch.stack([py, px], 1) / (NEARBY * long_side)], 1)
        source, colour = torch.split((query @ keys.T + offset).softmax(1) @ colours, 3, 1)
        brightness = (own.mean(1, keepdim=True) + FAINT) / (source.mean(1, keepdim=True) + FAINT)
        room = 1 / colour.amax(1, keepdim=True).clamp_min(
            0.5
        )  # up to where the first channel is full
        filled.append(colour * torch.minimum(brightness.clamp(1 / BRIGHTEST, BRIGHTEST), room))
    result = painted.clone()
    result[:, y, x] = torch.cat(filled).T.clamp(0, 1)  # a mean may be above 1 by a rounding
    return result


def match_colours(image: Tensor, reference: Tensor) -> Tensor:
    """`image` with the mean and the contrast of `reference` in each channel, (3, H, W); nothing is
    asked of what is where.
    """
    mean_i, mean_r = (x.mean((1, 2), keepdim=True) for x in (image, reference))  # (3, 1, 1)
    var_i, var_r = (x.var((1, 2), keepdim=True, correction=0) for x in (image, reference))
    contrast = ((var_r + 1e-4) / (var_i + 1e-4)).sqrt().clamp(0.5, 2)
    return ((image - mean_i) * contrast + mean_r).clamp(0, 1)
