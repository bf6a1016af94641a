"""Replicate padding for the feature networks: a frame continues beyond its edge with its outermost
pixels, so that no rim of zeros shows in the picture.

`F.pad`'s backward is slow on the CPU and not deterministic on CUDA; here the border is folded back
by slices. At a network's first layers, whose channels are few, every pass over a map costs a good
part of a convolution, so both functions make as few passes as they can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ReplicatePad(torch.autograd.Function):
    """The function behind `replicate_pad`, and its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = empty_padded(x)
        interior(out).copy_(x)
        return extend_edges(out)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return fold_edges(grad, interior(grad).clone())


class RectifyPad(torch.autograd.Function):
    """The function behind `rectify_pad`, and its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = empty_padded(x)
        # MPS has had trouble with strided outputs.
        if x.device.type == "mps":
            interior(out).copy_(x.clamp_min(0))
        else:
            torch.clamp_min(x, 0, out=interior(out))
        ctx.save_for_backward(extend_edges(out))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (y,) = map(interior, ctx.saved_tensors)
        out = fold_edges(grad, torch.ops.aten.threshold_backward(interior(grad), y, 0))
        # The border that was folded back has not passed the rectifier yet.
        for i in (0, -1):
            out[:, :, i] *= y[:, :, i] > 0
            out[:, :, :, i] *= y[:, :, :, i] > 0
        return out


def replicate_pad(x: Tensor, pixels: int = 1) -> Tensor:
    """Pad x (b, c, h, w) to (b, c, h + 2 pixels, w + 2 pixels) by repeating the outermost pixels,
    one after the other; keeps the memory format.
    """
    for _ in range(pixels):
        x = ReplicatePad.apply(x)
    return x


def rectify_pad(x: Tensor) -> Tensor:
    """Compute `replicate_pad(relu(x))` in one pass each way."""
    out: Tensor = RectifyPad.apply(x)
    return out


def empty_padded(x: Tensor) -> Tensor:
    """Allocate x (b, c, h, w) with one pixel more on each side, in x's memory format."""
    b, c, h, w = x.shape
    order = (
        torch.channels_last
        if x.is_contiguous(memory_format=torch.channels_last)
        else torch.contiguous_format
    )
    return torch.empty((b, c, h + 2, w + 2), dtype=x.dtype, device=x.device, memory_format=order)


def interior(x: Tensor) -> Tensor:
    """Return x without the outermost pixels, as a view."""
    return x[:, :, 1:-1, 1:-1]


def extend_edges(x: Tensor) -> Tensor:
    """Give the outermost pixels of x, in place, the values of their neighbours inside."""
    x[:, :, 0, 1:-1] = x[:, :, 1, 1:-1]
    x[:, :, -1, 1:-1] = x[:, :, -2, 1:-1]
    x[:, :, :, 0] = x[:, :, :, 1]
    x[:, :, :, -1] = x[:, :, :, -2]
    return x


def fold_edges(grad: Tensor, out: Tensor) -> Tensor:
    """Add the border of `grad` (b, c, h + 2, w + 2) to the outermost pixels of `out` (b, c, h, w),
    in place.
    """
    for edge, y in ((grad[:, :, 0], 0), (grad[:, :, -1], -1)):  # (b, c, w + 2), corners and all
        out[:, :, y] += edge[:, :, 1:-1]
        out[:, :, y, 0] += edge[:, :, 0]
        out[:, :, y, -1] += edge[:, :, -1]
    out[:, :, :, 0] += grad[:, :, 1:-1, 0]
    out[:, :, :, -1] += grad[:, :, 1:-1, -1]
    return out
