"""Gram matrices and relative errors of a batch; `vidstyle.stylize.losses` has them for one
image.
"""

from __future__ import annotations

from torch import Tensor

from vidstyle.stylize import losses


def gram(maps: Tensor) -> Tensor:
    """Compute `losses.gram` for a batch: (b, c, h, w) -> (b, c, c)."""
    b, c, h, w = maps.shape
    f = losses.to_full_precision(maps).permute(0, 2, 3, 1).reshape(b, h * w, c)  # (b, hw, c)
    g: Tensor = losses.GramProduct.apply(f)
    return g / (h * w)


def relative(a: Tensor, b: Tensor, floor: float = losses.TINY) -> Tensor:
    """Compute |a - b|^2 / max(|b|^2, floor) for each of a batch, (b,)."""
    return (a - b).flatten(1).square().sum(1) / b.flatten(1).square().sum(1).clamp_min(floor)
