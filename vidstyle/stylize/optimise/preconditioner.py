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

import torch.nn.functional as F
from torch import Tensor

PYRAMID_TAPS = (0.125, 0.375, 0.375, 0.125)
"""The filter before every second pixel is left out."""

SCALE_GAIN = 4.0
"""How much more a level counts than the next finer one. With 4 the loss of a first frame falls to
0.57 of that without a pyramid after 8 evaluations, to 0.83 after 16 and to 0.98 after 100
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
    taps = image.new_tensor(PYRAMID_TAPS)
    x = F.pad(image, (1, 2, 1, 2)).transpose(0, 1)  # (c, 1, h + 3, w + 3)
    x = F.conv2d(x, taps.view(1, 1, 1, -1), stride=(1, 2))
    x = F.conv2d(x, taps.view(1, 1, -1, 1), stride=(2, 1))
    return x.transpose(0, 1)[:, :, : -(-image.shape[2] // 2), : -(-image.shape[3] // 2)]


def double(image: Tensor, height: int, width: int) -> Tensor:
    """Apply the transpose of `halve` for images (1, c, height, width)."""
    taps = image.new_tensor(PYRAMID_TAPS)
    x = image.transpose(0, 1)
    x = F.conv_transpose2d(x, taps.view(1, 1, -1, 1), stride=(2, 1))
    x = F.conv_transpose2d(x, taps.view(1, 1, 1, -1), stride=(1, 2))
    return x.transpose(0, 1)[:, :, 1 : 1 + height, 1 : 1 + width]
