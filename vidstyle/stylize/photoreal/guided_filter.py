"""The end of a photorealistic picture: He, Sun, Tang 2010, "Guided image filtering" ("He"), with
the source as guide.

The matting Laplacian asks for locally affine recolourings in windows of 3x3 pixels. Where the
source is smooth it takes the optimiser long to agree over more of them, and it leaves faint rings.
Luan's program ends by smoothing its local affine maps too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.stylize.photoreal.matting import CHOLESKY, solved, whitened

RADIUS = 1 / 80
"""Of the windows, as a share of the long side."""
FLAT = 1e-4
"""Variance of the source that counts as none: its noise, not its contrasts."""
AT_ONCE = 2**18
"""Pixels that are filtered at once: bounds the memory."""


def recoloured(image: Tensor, source: Tensor) -> Tensor:
    """The mean of the local affine recolourings of the source that come nearest to the image, all
    (3, H, W) in [0, 1] (He eq. 5 to 8).
    """
    h, w = source.shape[1:]
    radius = max(1, round(RADIUS * max(h, w)))
    step = max(1, AT_ONCE // w)
    result = torch.empty_like(image)
    for y in range(0, h, step):
        rows = slice(
            max(0, y - 2 * radius), min(h, y + step + 2 * radius)
        )  # as far as its windows' windows reach
        above = y - rows.start
        found = filtered(image[:, rows], source[:, rows], radius)[:, above : above + step]
        result[:, y : y + found.shape[1]] = found
    return result.clamp_(0, 1)


def filtered(image: Tensor, source: Tensor, radius: int) -> Tensor:
    """He's filter of (3, h, w) by (3, h, w); windows are cut off at the edges."""
    x, guide = image - 0.5, source - 0.5  # what is smaller is more exact in a product of means
    count = boxes(torch.ones_like(x[:1]), radius)

    def mean(y: Tensor) -> Tensor:
        return boxes(y, radius) / count

    i, j = zip(*CHOLESKY, strict=True)
    m, mean_x = mean(guide), mean(x)  # (3, h, w)
    s = mean(guide[list(i)] * guide[list(j)]) - m[list(i)] * m[list(j)]  # (6, h, w)
    shared = torch.stack(
        [mean(guide * channel) - m * c for channel, c in zip(x, mean_x, strict=True)]
    )  # (3, 3, h, w)
    a = solved(whitened(s, FLAT), shared)  # He eq. 5
    b = mean_x - (a * m).sum(1)  # He eq. 6
    return torch.stack([(mean(own) * guide).sum(0) for own in a]) + mean(b) + 0.5  # He eq. 8


def boxes(y: Tensor, radius: int) -> Tensor:
    """(c, h, w) -> the sums over the windows around every pixel, as far as they lie inside, (c, h,
    w).
    """
    padded = F.pad(y, (radius,) * 4)
    return runs(runs(padded, 2 * radius + 1, -2), 2 * radius + 1, -1)


def runs(y: Tensor, count: int, axis: int) -> Tensor:
    """The sums of so many neighbours along an axis, from runs of 1, 2, 4, ... of them."""
    length = y.shape[axis] - count + 1
    result, at, width = torch.zeros_like(y.narrow(axis, 0, length)), 0, 1
    while True:
        if count & width:
            result += y.narrow(axis, at, length)
            at += width
        width *= 2
        if width > count:
            return result
        shorter = y.shape[axis] - width // 2
        y = y.narrow(axis, 0, shorter) + y.narrow(axis, width // 2, shorter)
