"""The losses: one equation, one function. All are relative or per-pixel means, so a weight means
the same at every resolution, with every number of layers and whatever the channel count.

References: Gatys, Ecker, Bethge 2016 ("Gatys"); Ruder, Dosovitskiy, Brox 2016 ("Ruder"); Johnson,
Alahi, Fei-Fei 2016 ("Johnson").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-12
"""Keeps the relative losses finite for targets that are zero everywhere."""

SMOOTH_L1_KNEE = 8 / 255
"""From here on the smooth-L1 temporal loss grows linearly, in units of the image's range. With the
squared loss 99 % of the trusted pixels end within 8 levels of their temporal target (default
settings, two sample clips at 160 pixels; half of them within 2). So below it nothing changes, and
the few above it, where the flow is wrong or the light another, do not pull the harder the more
wrong they are."""

MAX_CONVERTED_PIXELS = 2**19
"""Pixels whose half precision features are converted to fp32 at once."""


def to_full_precision(features: Tensor) -> Tensor:
    """Convert half precision maps to fp32, and nothing else: sums over pixels lose too much in
    bf16.
    """
    return features.float() if features.dtype in (torch.bfloat16, torch.float16) else features


def content(features: Tensor, target: Tensor) -> Tensor:
    """|F - P|^2 / |P|^2, a scalar.

    Gatys eq. 1 is 1/2 |F - P|^2, which grows with the resolution and with the layer's energy; its
    gradient, eq. 2, is ours times |P|^2 / 2.
    """
    return squared_distance(features, target) / energy(target)


def squared_distance(features: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """|F - P|^2, a scalar: a sum over positions, each times its weight.

    Args:
        weights: (1, 1, h, w) for features (1, c, h, w); None: all are 1.
    """
    squares = (to_full_precision(features) - to_full_precision(target)).square()
    return squares.sum() if weights is None else (squares * weights).sum()


def energy(target: Tensor) -> Tensor:
    """|P|^2, a scalar, never 0."""
    return to_full_precision(target).square().sum().clamp_min(TINY)


class GramProduct(torch.autograd.Function):
    """F^T F of F (..., n, c), in fp32 at least.

    Its gradient F (D + D^T) needs one product, where torch would compute one for each F. F is
    stored in its own precision and converted piece by piece: its fp32 copies would be the largest
    tensors of an iteration.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor) -> Tensor:
        ctx.save_for_backward(f)
        first, *others = convert_in_pieces(f)
        total = first.mT @ first
        for piece in others:
            total += piece.mT @ piece
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (f,) = ctx.saved_tensors
        both = grad + grad.mT
        if f.shape[-2] <= MAX_CONVERTED_PIXELS:
            return (to_full_precision(f) @ both).to(f.dtype)
        result = torch.empty_like(f)
        outputs = torch.split(result, MAX_CONVERTED_PIXELS, -2)
        for piece, out in zip(convert_in_pieces(f), outputs, strict=True):
            out.copy_(piece @ both)
        return result


def convert_in_pieces(f: Tensor) -> Iterator[Tensor]:
    """Cut F (..., n, c) along n into pieces, and convert each to fp32 at least."""
    return map(to_full_precision, torch.split(f, MAX_CONVERTED_PIXELS, -2))


def gram(features: Tensor) -> Tensor:
    """(1, c, h, w) -> the Gram matrix G = F^T F / (h w), (c, c): the correlations of the channels,
    wherever they occur (Gatys eq. 3).

    Gatys' G is not divided by the pixels.
    """
    return gram_product(features) / (features.shape[2] * features.shape[3])


def gram_product(features: Tensor) -> Tensor:
    """(1, c, h, w) -> F^T F, (c, c): a sum over pixels.

    F is the (h w, c) view of the channels_last map; flattening NCHW would copy it.
    """
    _, c, h, w = features.shape
    f = features.permute(0, 2, 3, 1).reshape(h * w, c)  # (1, c, h, w) -> (hw, c)
    g: Tensor = GramProduct.apply(f)
    return g


def style(g: Tensor, target: Tensor) -> Tensor:
    """|G - A|^2 / |A|^2, a scalar: one layer's share of the style distance.

    Gatys eq. 4 divides by 4 N^2 M^2 instead, which leaves the layers' shares to chance.
    """
    return squared_distance(g, target) / energy(target)


def total_variation(image: Tensor) -> Tensor:
    """The mean squared difference of neighbours in x plus that in y, a scalar (Johnson, with means
    for sums).
    """
    loss: Tensor = TotalVariationLoss.apply(image)
    return loss


class TotalVariationLoss(torch.autograd.Function):
    """`total_variation`, with the gradient 2 dx / n, subtracted from one neighbour and added to the
    other.

    torch would store both differences, their gradients and a padded copy of each: a quarter of the
    memory of a large image.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        ctx.save_for_backward(image)
        return sum((image.diff(dim=axis).square().mean() for axis in (-1, -2)), image.new_zeros(()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (image,) = ctx.saved_tensors
        result = torch.zeros_like(image)
        for axis in (-1, -2):
            length = image.shape[axis] - 1
            d = image.diff(dim=axis)
            d *= grad * (2 / d.numel())
            result.narrow(axis, 1, length).add_(d)
            result.narrow(axis, 0, length).sub_(d)
        return result


def smooth_binomially(x: Tensor) -> Tensor:
    """Filter x (..., H, W) by (1, 4, 6, 4, 1) / 16 along both axes: (..., H - 4, W - 4).

    As sums of neighbours: a convolution of one channel takes ten times as long on the CPU.
    """
    for axis in (-2, -1):
        for _ in range(4):
            length = x.shape[axis] - 1
            x = x.narrow(axis, 0, length) + x.narrow(axis, 1, length)
    return x.mul_(1 / 16**2)


def fine_colour_energy(image: Tensor) -> Tensor:
    """The mean of |C x - G C x|^2, a scalar: the energy of the finest octave of colour.

    C takes the mean of the three channels away, and G is the binomial filter (1, 4, 6, 4, 1) / 16
    along both axes, whose sigma is 1 pixel. It is the mean over the pixels that G reaches from
    inside the image.

    Args:
        image: (1, 3, H, W), 5 pixels a side at least.
    """
    loss: Tensor = FineColourEnergy.apply(image)
    return loss


class FineColourEnergy(torch.autograd.Function):
    """`fine_colour_energy`, with its gradient: C and G are symmetric, so it is C (1 - G) of the
    octave once more, which is 0 outside.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        colour = image - image.mean(1, keepdim=True)
        octave = colour[:, :, 2:-2, 2:-2] - smooth_binomially(colour)
        ctx.save_for_backward(octave)
        return octave.square().mean()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (octave,) = ctx.saved_tensors
        octave = octave * (grad * (2 / octave.numel()))
        result = F.pad(octave, (2, 2, 2, 2)) - smooth_binomially(F.pad(octave, (4, 4, 4, 4)))
        return result - result.mean(1, keepdim=True)


def temporal(image: Tensor, warped: Tensor, mask: Tensor) -> Tensor:
    """1/(3HW) sum c (x - w)^2, a scalar (Ruder eq. 8).

    Args:
        image: x, (1, 3, H, W), the only argument that gets a gradient.
        warped: w, (3, H, W), the previous stylised frame along the flow.
        mask: c, (1, H, W), 1 = trusted, in the coordinates of x. It weights every pixel inside the
            sum.
    """
    loss: Tensor = TemporalLoss.apply(image, warped.detach(), mask.detach())
    return loss


class TemporalLoss(torch.autograd.Function):
    """`temporal`, with the gradient 2 c (x - w) / (3HW), computed from the arguments; nothing else
    is stored for it.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, warped: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(image, warped, mask)
        return (image - warped).square_().mul_(mask).mean()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        image, warped, mask = ctx.saved_tensors
        d: Tensor = image - warped
        return d.mul_(mask).mul_(grad * (2 / d.numel())), None, None


def temporal_smooth_l1(image: Tensor, warped: Tensor, mask: Tensor) -> Tensor:
    """`temporal` with Huber's function for the square: d^2 up to |d| = k, 2 k |d| - k^2 beyond,
    with k = `SMOOTH_L1_KNEE`.

    So it is `temporal` itself for small differences, at the same weight. (Ruder's program has
    smooth-L1 as an option too, with its knee at one of 255 levels.)
    """
    target = warped.detach().expand_as(image)
    # torch's is d^2 / (2 beta) up to beta, and |d| - beta / 2 beyond.
    knee = SMOOTH_L1_KNEE
    huber = 2 * knee * F.smooth_l1_loss(image, target, beta=knee, reduction="none")
    return (mask.detach() * huber).mean()


TEMPORAL_LOSSES: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "squared": temporal,
    "smooth-l1": temporal_smooth_l1,
}
"""The temporal losses by the name of their norm."""
