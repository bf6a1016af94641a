"""The last step of a photorealistic image: He, Sun, Tang 2010, "Guided image filtering" ("He"),
with the source as guide.

The matting Laplacian asks for locally affine recolourings in windows of 3x3 pixels. Where the
source is smooth the optimiser needs long to agree over more of them, and it leaves faint rings.
Luan's program ends by smoothing its local affine maps too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.stylize.photoreal.matting import TRIANGULAR_ENTRIES, whiten_twice, whitening_factor

GUIDE_RADIUS = 1 / 80
"""Radius of the windows, as a share of the long side."""

IGNORED_VARIANCE = 1e-4
"""Variance of the source that is ignored: its noise, not its contrasts."""

MAX_FILTERED_PIXELS = 2**18
"""Pixels that are filtered at once: bounds the memory."""


def smooth_recolouring(
    image: Tensor, source: Tensor, max_pixels: int = MAX_FILTERED_PIXELS
) -> Tensor:
    """Compute the mean of the local affine recolourings of the source that come nearest to the
    image, all (3, H, W) in [0, 1] (He eq. 5 to 8).

    Args:
        max_pixels: pixels that are filtered at once.
    """
    h, w = source.shape[1:]
    radius = max(1, round(GUIDE_RADIUS * max(h, w)))
    step = max(1, max_pixels // w)
    result = torch.empty_like(image)
    for y in range(0, h, step):
        # as far as the windows of its windows reach
        rows = slice(max(0, y - 2 * radius), min(h, y + step + 2 * radius))
        above = y - rows.start
        filtered = filter_with_guide(image[:, rows], source[:, rows], radius)
        part = filtered[:, above : above + step]
        result[:, y : y + part.shape[1]] = part
    return result.clamp_(0, 1)


def filter_with_guide(image: Tensor, source: Tensor, radius: int) -> Tensor:
    """Apply He's filter to (3, h, w) with a guide (3, h, w); windows are cut off at the edges."""
    # Smaller numbers are more exact in a product of means.
    x = image - 0.5
    guide = source - 0.5
    count = sum_clipped_windows(torch.ones_like(x[:1]), radius)

    def mean(y: Tensor) -> Tensor:
        return sum_clipped_windows(y, radius) / count

    i, j = zip(*TRIANGULAR_ENTRIES, strict=True)
    m = mean(guide)  # (3, h, w)
    mean_x = mean(x)  # (3, h, w)
    s = mean(guide[list(i)] * guide[list(j)]) - m[list(i)] * m[list(j)]  # (6, h, w)
    shared = torch.stack(
        [mean(guide * channel) - m * c for channel, c in zip(x, mean_x, strict=True)]
    )  # (3, 3, h, w)
    a = whiten_twice(whitening_factor(s, IGNORED_VARIANCE), shared)  # He eq. 5
    b = mean_x - (a * m).sum(1)  # He eq. 6
    return torch.stack([(mean(own) * guide).sum(0) for own in a]) + mean(b) + 0.5  # He eq. 8


def sum_clipped_windows(y: Tensor, radius: int) -> Tensor:
    """Compute the sums over the windows around every pixel, as far as they lie inside, (c, h, w) ->
    (c, h, w).
    """
    padded = F.pad(y, (radius,) * 4)
    return sum_runs(sum_runs(padded, 2 * radius + 1, -2), 2 * radius + 1, -1)


def sum_runs(y: Tensor, count: int, axis: int) -> Tensor:
    """Compute the sums of `count` neighbours along an axis, from runs of 1, 2, 4, ... of them."""
    length = y.shape[axis] - count + 1
    result = torch.zeros_like(y.narrow(axis, 0, length))
    position = 0
    width = 1
    while True:
        if count & width:
            result += y.narrow(axis, position, length)
            position += width
        width *= 2
        if width > count:
            return result
        shorter = y.shape[axis] - width // 2
        y = y.narrow(axis, 0, shorter) + y.narrow(axis, width // 2, shorter)
