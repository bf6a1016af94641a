"""Replicate padding for the feature networks: a frame goes on beyond its edge as it was, so that no
rim of zeros shows in the picture.

`F.pad`'s backward is slow on the CPU and not deterministic on CUDA; here the border is folded back
by slices. At a network's first layers, whose channels are few, every pass over a map costs a good
part of a convolution, so both functions make as few passes as they can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ReplicatePad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = larger(x)
        inside(out).copy_(x)
        return extend(out)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return fold(grad, inside(grad).clone())


class RectifyPad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = larger(x)
        if x.device.type == "mps":  # has had trouble with strided outputs
            inside(out).copy_(x.clamp_min(0))
        else:
            torch.clamp_min(x, 0, out=inside(out))
        ctx.save_for_backward(extend(out))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (y,) = map(inside, ctx.saved_tensors)
        out = fold(grad, torch.ops.aten.threshold_backward(inside(grad), y, 0))
        for i in (0, -1):  # what was folded back has not passed the rectifier yet
            out[:, :, i] *= y[:, :, i] > 0
            out[:, :, :, i] *= y[:, :, :, i] > 0
        return out


def replicate_pad(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, c, h + 2, w + 2), the outermost pixels repeated; keeps the memory
    format.
    """
    out: Tensor = ReplicatePad.apply(x)
    return out


def rectify_pad(x: Tensor) -> Tensor:
    """`replicate_pad(relu(x))` in one pass each way."""
    out: Tensor = RectifyPad.apply(x)
    return out


def larger(x: Tensor) -> Tensor:
    """Room for x (b, c, h, w) and one pixel more on each side, in x's memory format."""
    b, c, h, w = x.shape
    order = (
        torch.channels_last
        if x.is_contiguous(memory_format=torch.channels_last)
        else torch.contiguous_format
    )
    return torch.empty((b, c, h + 2, w + 2), dtype=x.dtype, device=x.device, memory_format=order)


def inside(x: Tensor) -> Tensor:
    return x[:, :, 1:-1, 1:-1]


def extend(x: Tensor) -> Tensor:
    """Give the outermost pixels of x, in place, the values of their neighbours inside."""
    x[:, :, 0, 1:-1] = x[:, :, 1, 1:-1]
    x[:, :, -1, 1:-1] = x[:, :, -2, 1:-1]
    x[:, :, :, 0] = x[:, :, :, 1]
    x[:, :, :, -1] = x[:, :, :, -2]
    return x


def fold(grad: Tensor, out: Tensor) -> Tensor:
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
