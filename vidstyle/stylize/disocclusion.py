"""The start of the pixels at which no earlier frame can be followed: the source, in the colours in
which similar pixels were stylised.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GRID_CELLS = 32
"""Cells along the long side, whose mean colours are compared."""

MIN_CELL_SIDE = 4
"""Side of a cell in pixels, at least."""

COLOUR_DISTANCE = 0.1
"""Distance in RGB at which two colours begin to be different ones."""

PLACE_DISTANCE = 0.25
"""Distance, as a share of the long side, at which two places begin to be different ones."""

MAX_FILLED_PIXELS = 2**12
"""Pixels that are compared with all cells at once: bounds the memory."""

BRIGHTNESS_OFFSET = 0.1
"""Added to both brightnesses that are compared: in the dark they say little."""

MAX_BRIGHTNESS_RATIO = 2.0
"""How much brighter than the mean of similar cells a pixel may become, and how much darker: a white
thing that comes into view where everything is dark would glow in some colour otherwise."""


def fill_disocclusions(
    frame: Tensor, stylised: Tensor, trusted: Tensor, max_pixels: int = MAX_FILLED_PIXELS
) -> Tensor:
    """Fill the pixels of `stylised` that are not trusted from the frame, in the colours in which
    similar pixels were stylised.

    Each pixel to fill gets the mean of the stylised colours of all cells, weighted by how much of
    them is trusted, how similar their source colours are and how near they lie: c exp(-|dI|^2 / (2
    COLOUR_DISTANCE^2) - |dx|^2 / (2 PLACE_DISTANCE^2)). It is as much brighter or darker than that
    as its source is than theirs, within bounds, and never so bright that its hue changes. So a sky
    that comes into view behind a dark roof gets the sky's colours, and not the roof's.

    Args:
        frame: the source, (3, H, W).
        stylised: (3, H, W), valid where `trusted` (1, H, W) > 0, which it is somewhere.
        max_pixels: pixels that are filled at once.
    """
    untrusted = trusted[0] <= 0
    if not bool(untrusted.any()):
        return stylised
    h, w = frame.shape[1:]
    long_side = max(h, w)
    side = max(MIN_CELL_SIDE, -(-long_side // GRID_CELLS))
    stacked = F.pad(
        torch.cat([frame * trusted, stylised * trusted, trusted])[None],
        (0, -w % side, 0, -h % side),
    )
    cells = F.avg_pool2d(stacked, side)[0]  # (7, rows, columns)
    rows, columns = (cells[6] > 0).nonzero(as_tuple=True)
    weight = cells[6, rows, columns]  # (n,)
    colours = (cells[:6, rows, columns] / weight).T  # (n, source and stylised)
    places = (torch.stack([rows, columns], 1) + 0.5) * side - 0.5
    scale = PLACE_DISTANCE * long_side
    keys = torch.cat([colours[:, :3] / COLOUR_DISTANCE, places / scale], 1)  # (n, 5)
    # |q - k|^2 / 2 without |q|^2, which the softmax ignores
    offset = weight.log() - keys.square().sum(1) / 2
    y, x = untrusted.nonzero(as_tuple=True)
    filled = []
    for py, px in zip(torch.split(y, max_pixels), torch.split(x, max_pixels), strict=True):
        own = frame[:, py, px].T  # (pixels, 3)
        query = torch.cat([own / COLOUR_DISTANCE, torch.stack([py, px], 1) / scale], 1)
        source, colour = torch.split((query @ keys.T + offset).softmax(1) @ colours, 3, 1)
        brightness = (own.mean(1, keepdim=True) + BRIGHTNESS_OFFSET) / (
            source.mean(1, keepdim=True) + BRIGHTNESS_OFFSET
        )
        bounded = brightness.clamp(1 / MAX_BRIGHTNESS_RATIO, MAX_BRIGHTNESS_RATIO)
        # up to where the first channel is full
        room = 1 / colour.amax(1, keepdim=True).clamp_min(0.5)
        filled.append(colour * torch.minimum(bounded, room))
    result = stylised.clone()
    # A mean may be above 1 by a rounding.
    result[:, y, x] = torch.cat(filled).T.clamp(0, 1)
    return result


def match_colours(image: Tensor, reference: Tensor) -> Tensor:
    """Give `image` the mean and the contrast of `reference` in each channel, both (3, H, W); the
    places of the colours do not matter.
    """
    mean_i, mean_r = (x.mean((1, 2), keepdim=True) for x in (image, reference))  # (3, 1, 1)
    var_i, var_r = (x.var((1, 2), keepdim=True, correction=0) for x in (image, reference))
    contrast = ((var_r + 1e-4) / (var_i + 1e-4)).sqrt().clamp(0.5, 2)
    return ((image - mean_i) * contrast + mean_r).clamp(0, 1)
