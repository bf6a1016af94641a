"""The only place where an image follows a flow.

Coordinates are absolute pixels with integer centres: pixel (x, y) is sampled at exactly (x, y),
never at a normalised [-1, 1] position, so zero flow returns the input bit for bit and an integer
translation is exact. `grid_sample` is off by 1e-4 at 1080p.
"""

from __future__ import annotations

import functools

import cv2
import torch
from torch import Tensor


def flow_targets(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions that a flow (2, H, W) points at: absolute x and y, each (H, W)."""
    _, h, w = flow.shape
    x = torch.arange(w, device=flow.device, dtype=flow.dtype) + flow[0]
    y = torch.arange(h, device=flow.device, dtype=flow.dtype)[:, None] + flow[1]
    return x, y


def points_outside(flow: Tensor) -> Tensor:
    """Return True (H, W) where the flow points beyond the outermost pixel centres."""
    _, h, w = flow.shape
    x, y = flow_targets(flow)
    return (x < 0) | (x > w - 1) | (y < 0) | (y > h - 1)


def clamped_targets(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions at which an image (c, H, W) is sampled along a flow: absolute x and y,
    each (H, W), clamped to its edges. Raises ValueError when the sizes differ.
    """
    _, h, w = image.shape
    if flow.shape != (2, h, w):
        shapes = tuple(flow.shape), tuple(image.shape)
        raise ValueError("a flow of shape {} cannot warp an image of shape {}".format(*shapes))
    x, y = flow_targets(flow)
    return x.clamp(0, w - 1), y.clamp(0, h - 1)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Move an image along a flow: `out[:, y, x] = image[:, y + flow[1, y, x], x + flow[0, y, x]]`,
    bilinear in four taps, clamped at the edges.

    Args:
        image: (C, H, W), anything that lives on pixels: a picture, a mask, a flow.
        flow: (2, H, W) in pixels, finite, channel 0 = x. With `flow_t_to_prev` and the image of t-1
            the result looks like frame t.

    Raises:
        ValueError: the sizes differ.
    """
    c, h, w = image.shape
    x, y = clamped_targets(image, flow)
    left = x.floor()
    top = y.floor()
    alpha = (x - left).to(image.dtype)
    beta = (y - top).to(image.dtype)
    x0 = left.long()
    y0 = top.long()
    x1 = (x0 + 1).clamp(max=w - 1)
    y1 = (y0 + 1).clamp(max=h - 1)
    pixels = image.reshape(c, h * w)

    def tap_pixels(yy: Tensor, xx: Tensor) -> Tensor:
        return pixels[:, (yy * w + xx).reshape(-1)].view(c, h, w)  # (C, H*W) -> (C, H, W)

    upper = torch.lerp(tap_pixels(y0, x0), tap_pixels(y0, x1), alpha.expand(c, h, w))
    lower = torch.lerp(tap_pixels(y1, x0), tap_pixels(y1, x1), alpha.expand(c, h, w))
    return torch.lerp(upper, lower, beta.expand(c, h, w))


LANCZOS_RADIUS = 3
"""Half the window of `warp_sharp` in pixels."""

MAX_OVERSHOOT = 0.05
"""A share of the range of the four pixels around, by which `warp_sharp` may leave it: more rings,
less softens.
"""

MAX_GATHERED_PIXELS = 2**16
"""Pixels that `warp_sharp` gathers at once: bounds its memory, which is that of some sixty maps."""


def warp_sharp(image: Tensor, flow: Tensor) -> Tensor:
    """Move a picture (3, H, W) in [0, 1] along a flow as `warp` does, with Lanczos' window of 6x6
    pixels instead of four bilinear taps.

    Each frame is made from the one before it, so what is lost in a warp is lost again in every
    frame. After 24 frames bilinear taps had taken a fifth of the gradient energy, these nothing
    (`benchmarks/RESULTS.md`). Zero flow returns the image bit for bit, and an integer translation
    is exact, as with `warp`, whose arguments and errors these are.
    """
    x, y = (position.flatten() for position in clamped_targets(image, flow))
    source = PackedPixels(image)
    moved = (flow != 0).any(0).flatten()
    if bool(moved.all()):
        parts = (torch.split(position, MAX_GATHERED_PIXELS) for position in (x, y))
        samples = [sample_lanczos(source, xs, ys) for xs, ys in zip(*parts, strict=True)]
        return torch.cat(samples).T.reshape(image.shape)
    result = image.flatten(1).clone()
    # A pixel that does not move is itself, and costs nothing.
    for pixels in torch.split(moved.nonzero()[:, 0], MAX_GATHERED_PIXELS):
        result.index_copy_(1, pixels, sample_lanczos(source, x[pixels], y[pixels]).T)
    return result.view_as(image)


def warp_quick(image: Tensor, flow: Tensor) -> Tensor:
    """Move a picture (3, H, W) in [0, 1] along a flow as `warp_sharp` does, but on the CPU by
    OpenCV's Lanczos window of 8x8 pixels, in a tenth of the time.

    Positions are rounded to 1/32 of a pixel. After 24 warps of 0.37 pixels forth and back 0.84 of
    the gradient energy was left.
    """
    if image.device.type != "cpu":
        return warp_sharp(image, flow)
    x, y = (position.float().numpy() for position in clamped_targets(image, flow))
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    moved = cv2.remap(pixels, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(moved).permute(2, 0, 1).clamp(0, 1).contiguous()


class PackedPixels:
    """The pixels of an image (3, H, W), one after the other: gathering one costs as much as one of
    its channels.
    """

    def __init__(self, image: Tensor) -> None:
        _, self.height, self.width = image.shape
        # The fourth value fills 16 bytes up.
        packed = torch.cat([image, image[:1]]).flatten(1).T.contiguous()  # (H W, 4)
        # torch copies rows of a matrix one by one on the CPU, and single numbers many at a time.
        whole = image.device.type == "cpu" and image.dtype == torch.float32
        self.packed = packed.view(torch.complex128)[:, 0] if whole else packed
        self.dtype = image.dtype

    def gather(self, index: Tensor) -> Tensor:
        """Return the pixels (n, 4) of the flat indices (n,)."""
        pixels = self.packed.index_select(0, index)
        return pixels.view(torch.float32).view(-1, 4) if pixels.is_complex() else pixels


def sample_lanczos(source: PackedPixels, x: Tensor, y: Tensor) -> Tensor:
    """Sample an image at n absolute positions x and y inside of it, (n, 3)."""
    left = x.floor()
    top = y.floor()
    across = lanczos_weights((x - left).to(source.dtype)[:, None])
    down = lanczos_weights((y - top).to(source.dtype)[:, None])
    taps = range(1 - LANCZOS_RADIUS, LANCZOS_RADIUS + 1)
    columns = [(left.long() + k).clamp(0, source.width - 1) for k in taps]
    total = x.new_zeros(len(x), 4, dtype=source.dtype)
    nearest = []
    for k, share in zip(taps, down, strict=True):
        start = (top.long() + k).clamp(0, source.height - 1) * source.width
        row = torch.zeros_like(total)
        for j, column, weight in zip(taps, columns, across, strict=True):
            value = source.gather(start + column)
            row.addcmul_(weight, value)
            if k in (0, 1) and j in (0, 1):
                nearest.append(value)
        total.addcmul_(share, row)
    lowest = functools.reduce(torch.minimum, nearest)
    highest = functools.reduce(torch.maximum, nearest)
    margin = MAX_OVERSHOOT * (highest - lowest)
    return total.clamp(lowest - margin, highest + margin).clamp(0, 1)[:, :3]


def lanczos_weights(t: Tensor) -> list[Tensor]:
    """Return the weights of the 2 R pixels around a target at t in [0, 1) after the one to its
    left, R = `LANCZOS_RADIUS`: sinc(u) sinc(u / R) at the distances u, scaled to add up to 1
    (Duchon 1979, Lanczos filtering).
    """
    # sin(pi (t - k)) is the same for all k except for its sign; 1 - t is exact where t is near 1.
    sine = torch.sin(torch.pi * torch.minimum(t, 1 - t))
    whole = t == 0
    weights = []
    for k in range(1 - LANCZOS_RADIUS, LANCZOS_RADIUS + 1):
        u = t - k
        weight = (-1) ** k * (sine / u) * (torch.sin(torch.pi / LANCZOS_RADIUS * u) / u)
        weights.append(weight.masked_fill(whole, 1.0 if k == 0 else 0.0))
    total = torch.stack(weights).sum(0)
    return [w / total for w in weights]
