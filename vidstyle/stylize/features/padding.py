"""Replicate padding for the feature networks: a frame goes on beyond its edge as it was, so that no rim of zeros
shows in the picture.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ReplicatePad(torch.autograd.Function):
    """One pixel on each side. `F.pad`'s backward is slow on the CPU and not deterministic on CUDA; this one folds
    the border back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        order = torch.channels_last if channels_last else torch.contiguous_format
        out = torch.empty((b, c, h + 2, w + 2), dtype=x.dtype, device=x.device, memory_format=order)
        out[:, :, 1:-1, 1:-1] = x
        out[:, :, 0, 1:-1] = x[:, :, 0]
        out[:, :, -1, 1:-1] = x[:, :, -1]
        out[:, :, :, 0] = out[:, :, :, 1]
        out[:, :, :, -1] = out[:, :, :, -2]
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.clone(memory_format=torch.preserve_format)
        grad[:, :, :, 1] += grad[:, :, :, 0]
        grad[:, :, :, -2] += grad[:, :, :, -1]
        grad[:, :, 1] += grad[:, :, 0]
        grad[:, :, -2] += grad[:, :, -1]
        return grad[:, :, 1:-1, 1:-1]


def replicate_pad(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, c, h + 2, w + 2), the outermost pixels repeated; keeps the memory format."""
    out: Tensor = ReplicatePad.apply(x)
    return out
