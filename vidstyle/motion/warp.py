"""The only place where an image follows a flow.

Coordinates are absolute pixels with integer centres: pixel (x, y) is sampled at exactly (x, y),
never at a normalised [-1, 1] position, so zero flow returns the input bit for bit and an integer
translation is exact. `grid_sample` is off by 1e-4 at 1080p.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def target(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel of a (2, H, W) flow points: absolute x and y, each (H, W)."""
    _, h, w = flow.shape
    x = torch.arange(w, device=flow.device, dtype=flow.dtype) + flow[0]
    y = torch.arange(h, device=flow.device, dtype=flow.dtype)[:, None] + flow[1]
    return x, y


def outside(flow: Tensor) -> Tensor:
    """True (H, W) where the flow points beyond the outermost pixel centres."""
    _, h, w = flow.shape
    x, y = target(flow)
    return (x < 0) | (x > w - 1) | (y < 0) | (y > h - 1)


def sampled(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Where an image (c, H, W) is sampled along a flow: absolute x and y, each (H, W), clamped to
    its edges. Raises ValueError when the sizes differ.
    """
    _, h, w = image.shape
    if flow.shape != (2, h, w):
        raise ValueError(
            f"a flow of shape {tuple(flow.shape)} cannot warp an image of shape {tuple(image.shape)}"
        )
    x, y = target(flow)
    return x.clamp(0, w - 1), y.clamp(0, h - 1)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """`out[:, y, x] = image[:, y + flow[1, y, x], x + flow[0, y, x]]`, bilinear in four taps,
    clamped at the edges.

    Args:
        image: (C, H, W), anything that lives on pixels: a picture, a mask, a flow.
        flow: (2, H, W) in pixels, finite, channel 0 = x. With `flow_t_to_prev` and the image of t-1
            the result looks like frame t.

    Raises:
        ValueError: the sizes differ.
    """
    c, h, w = image.shape
    x, y = sampled(image, flow)
    left, top = x.floor(), y.floor()
    alpha, beta = (x - left).to(image.dtype), (y - top).to(image.dtype)
    x0, y0 = left.long(), top.long()
    x1, y1 = (x0 + 1).clamp(max=w - 1), (y0 + 1).clamp(max=h - 1)
    pixels = image.reshape(c, h * w)

    def tap(yy: Tensor, xx: Tensor) -> Tensor:
        return pixels[:, (yy * w + xx).reshape(-1)].view(c, h, w)  # (C, H*W) -> (C, H, W)

    upper = torch.lerp(tap(y0, x0), tap(y0, x1), alpha.expand(c, h, w))
    lower = torch.lerp(tap(y1, x0), tap(y1, x1), alpha.expand(c, h, w))
    return torch.lerp(upper, lower, beta.expand(c, h, w))


REACH = 3
"""Half the window of `warp_sharp` in pixels."""

OVERSHOOT = 0.05
"""How far `warp_sharp` may leave the range of the four pixels around, as a share of it: more rings,
less softens.
"""

AT_ONCE = 2**16
"""Pixels that `warp_sharp` gathers at once: bounds its memory, which is that of some sixty maps."""


def warp_sharp(image: Tensor, flow: Tensor) -> Tensor:
    """`warp` for pictures (3, H, W) in [0, 1]: Lanczos' window of 6x6 pixels instead of four
    bilinear taps.

    Each frame is made from the one before it, so what is lost in a warp is lost again in every
    frame. After 24 frames bilinear taps had taken a fifth of the gradient energy, these nothing
    (`benchmarks/RESULTS.md`). Zero flow returns the image bit for bit, and an integer translation
    is exact, as with `warp`, whose arguments and errors these are.
    """
    x, y = (position.flatten() for position in sampled(image, flow))
    source = Pixels(image)
    moved = (flow != 0).any(0).flatten()
    if bool(moved.all()):
        pairs = zip(torch.split(x, AT_ONCE), torch.split(y, AT_ONCE), strict=True)
        return torch.cat([gathered_sharp(source, xs, ys) for xs, ys in pairs]).T.reshape(
            image.shape
        )
    result = image.flatten(1).clone()
    for pixels in torch.split(
        moved.nonzero()[:, 0], AT_ONCE
    ):  # what does not move is itself, and costs nothing
        result.index_copy_(1, pixels, gathered_sharp(source, x[pixels], y[pixels]).T)
    return result.view_as(image)


class Pixels:
    """The pixels of an image (3, H, W), one after the other: gathering one costs as much as one of
    its channels.
    """

    def __init__(self, image: Tensor) -> None:
        _, self.height, self.width = image.shape
        packed = (
            torch.cat([image, image[:1]]).flatten(1).T.contiguous()
        )  # (H W, 4); the fourth value fills 16 bytes up
        # torch copies rows of a matrix one by one on the CPU, and single numbers many at a time.
        whole = image.device.type == "cpu" and image.dtype == torch.float32
        self.packed, self.dtype = (
            packed.view(torch.complex128)[:, 0] if whole else packed,
            image.dtype,
        )

    def at(self, index: Tensor) -> Tensor:
        """Those of the flat indices (n,), (n, 4)."""
        found = self.packed.index_select(0, index)
        return found.view(torch.float32).view(-1, 4) if found.is_complex() else found


def gathered_sharp(source: Pixels, x: Tensor, y: Tensor) -> Tensor:
    """An image at n absolute positions x and y inside of it, (n, 3)."""
    left, top = x.floor(), y.floor()
    across, down = (
        lanczos((p - first).to(source.dtype)[:, None]) for p, first in ((x, left), (y, top))
    )
    taps = range(1 - REACH, REACH + 1)
    columns = [(left.long() + k).clamp(0, source.width - 1) for k in taps]
    total, nearest = x.new_zeros(len(x), 4, dtype=source.dtype), []
    for k, share in zip(taps, down, strict=True):
        start = (top.long() + k).clamp(0, source.height - 1) * source.width
        row = torch.zeros_like(total)
        for j, column, weight in zip(taps, columns, across, strict=True):
            value = source.at(start + column)
            row.addcmul_(weight, value)
            if k in (0, 1) and j in (0, 1):
                nearest.append(value)
        total.addcmul_(share, row)
    lowest, highest = (
        functools.reduce(torch.minimum, nearest),
        functools.reduce(torch.maximum, nearest),
    )
    margin = OVERSHOOT * (highest - lowest)
    return total.clamp(lowest - margin, highest + margin).clamp(0, 1)[:, :3]


def lanczos(t: Tensor) -> list[Tensor]:
    """The weights of the 2 `REACH` pixels around a target at t in [0, 1) after the one to its left:
    sinc(u) sinc(u / REACH) at the distances u, scaled to add up to 1 (Duchon 1979, Lanczos
    filtering).
    """
    # sin(pi (t - k)) is the same for all k but for its sign; 1 - t is exact where t is near 1.
    sine = torch.sin(torch.pi * torch.minimum(t, 1 - t))
    whole, weights = t == 0, []
    for k in range(1 - REACH, REACH + 1):
        u = t - k
        weight = (-1) ** k * (sine / u) * (torch.sin(torch.pi / REACH * u) / u)
        weights.append(weight.masked_fill(whole, 1.0 if k == 0 else 0.0))
    total = torch.stack(weights).sum(0)
    return [w / total for w in weights]
