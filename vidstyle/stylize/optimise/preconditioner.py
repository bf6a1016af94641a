"""The metric in which L-BFGS looks at an image: a pyramid, in which what is broad moves with ease.

Pixels are a bad basis for features: a change of a broad area is one of many pixels at once, which
the gradient of each tells little about, while noise is near at hand. Feature visualisation (Olah,
Mordvintsev, Schubert 2017) therefore optimises the coefficients of a Fourier basis, and others
those of a Laplacian pyramid. With x = T z the steps of L-BFGS in z are those in x whose first
inverse Hessian is P = T T^T in place of the identity; so nothing else has to change, and the bounds
stay those of pixels. Here

    P = sum over l of SCALE_GAIN^l U^l D^l

with D, which filters by (1, 3, 3, 1) / 8 and leaves out every second pixel, and U its transpose.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

INNER_TAP = 3 / 8
OUTER_TAP = 1 / 8
"""The filter before every second pixel is left out is outer, inner, inner, outer."""

SCALE_GAIN = 4.0
"""How much more a level counts than the next finer one. With 4 the loss of a frame after 16
evaluations is 0.70 to 1.00 of that without a pyramid, and after 100 0.98 to 1.00
(`benchmarks/RESULTS.md`)."""

LEVELS = 4
"""Levels of the pyramid, full size among them."""

SMALLEST_SIDE = 8
"""Pixels of the shorter side of a level that has a coarser one."""


def precondition(gradient: Tensor, levels: int = LEVELS) -> Tensor:
    """Return P g for a gradient g (1, c, h, w). P is symmetric and positive definite."""
    if levels == 1 or min(gradient.shape[2:]) < SMALLEST_SIDE:
        return gradient
    coarse = precondition(halve(gradient), levels - 1)
    return gradient + SCALE_GAIN * double(coarse, gradient.shape[2], gradient.shape[3])


def halve(image: Tensor) -> Tensor:
    """Filter (1, c, h, w) and leave out every second pixel: (1, c, ceil(h / 2), ceil(w / 2)).
    Beyond its edges there are zeros.
    """
    return _halve_rows(_halve_rows(image).mT).mT


def double(image: Tensor, height: int, width: int) -> Tensor:
    """Apply the transpose of `halve` for images (1, c, height, width)."""
    return _double_rows(_double_rows(image, height).mT, width).mT


def _halve_rows(image: Tensor) -> Tensor:
    """Filter (1, c, h, w) along its columns and leave out every second row.

    Sums of slices: a strided convolution of one channel takes ten times as long on a CPU.
    """
    count = -(-image.shape[2] // 2)
    rows = F.pad(image, (0, 0, 1, 2))
    outer = rows[:, :, 0 : 2 * count : 2] + rows[:, :, 3 : 2 * count + 3 : 2]
    inner = rows[:, :, 1 : 2 * count + 1 : 2] + rows[:, :, 2 : 2 * count + 2 : 2]
    return OUTER_TAP * outer + INNER_TAP * inner


def _double_rows(image: Tensor, height: int) -> Tensor:
    """Apply the transpose of `_halve_rows` for images of a height."""
    rows = F.pad(image, (0, 0, 1, 1))
    own = rows[:, :, 1:-1]
    even = INNER_TAP * own + OUTER_TAP * rows[:, :, :-2]
    odd = INNER_TAP * own + OUTER_TAP * rows[:, :, 2:]
    pairs = torch.stack([even, odd], 3)  # (1, c, h, 2, w)
    return pairs.flatten(2, 3)[:, :, :height]
