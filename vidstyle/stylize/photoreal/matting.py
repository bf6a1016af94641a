"""Photorealism: a painted picture may differ from its source by a locally affine recolouring, and
by nothing else.

References: Luan, Paris, Shechtman, Bala 2017, "Deep photo style transfer" ("Luan"); Levin,
Lischinski, Weiss 2008, "A closed-form solution to natural image matting" ("Levin"); He, Sun, Tang
2010, "Guided image filtering" ("He").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5
"""Levin's epsilon; he and Luan take 1e-7. Divided by a window's 9 pixels it is a variance: here
that of rounding to 8 bits, 1 / (12 255^2), which no painted detail may be fitted to. With ten times
as much the low contrasts of a photograph would count as nothing too, and its own picture would cost
nearly half of what a good transfer does; with less, fp32 is less exact: the largest error of L x is
2e-5 on a photograph here, and twice that with 1e-7.
"""

AT_ONCE = 2**14
"""Pixels whose windows are fitted at once: bounds the memory, and stays in the cache."""
AT_ONCE_ELSEWHERE = 2**20
"""The same off the CPU, where many small steps take longer than a few large ones."""

CHOLESKY = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
"""Row and column of the entries that are kept of a lower triangular 3x3 matrix."""


class Laplacian:
    """x -> L x with the matting Laplacian L of a source I (Levin eq. 12), which is never built:

        L_ij = sum over the windows k of i and j of d_ij - (1 + (I_i - m_k)^T D_k^-1 (I_j - m_k)) /
        n, D_k = S_k + epsilon / n,  with the mean m_k and the covariance S_k of I in the n pixels
        of k.

    What x is multiplied with is, summed over the windows of a pixel, how far x_i is from the ridge
    regression a_k . I_i + b_k of x on I in k (He eq. 5 to 8). Windows lie wholly inside the
    picture. L is symmetric and positive semidefinite, its rows sum to 0. As many numbers are held
    as three images have.

    Args:
        source: I, (3, H, W), no side below that of a window.
        epsilon: how much variance counts as none, times n.
        radius: of the windows: their side is 2 radius + 1.
    """

    def __init__(self, source: Tensor, epsilon: float = EPSILON, radius: int = 1) -> None:
        self.side = 2 * radius + 1
        self.source = source.detach()
        found = []
        for rows in self.strips():
            # In fp64, on the CPU: it happens once, and Apple's GPUs have no fp64.
            strip = self.source[:, rows].cpu().double()
            i, j = zip(*CHOLESKY, strict=True)
            *_, s = covariance(strip[list(i)], strip[list(j)], self.side)
            found.append(whitened(s, epsilon / self.side**2).to(self.source))
        self.whitening = torch.cat(found, 1)  # (6, H - 2 radius, W - 2 radius)

    def __call__(self, image: Tensor) -> Tensor:
        """x (..., H, W) -> L x, of each channel alone."""
        x = image.detach().reshape(-1, *image.shape[-2:])  # (c, H, W)
        result = torch.zeros_like(x)
        for rows in self.strips():
            windows = slice(rows.start, rows.stop - self.side + 1)
            result[:, rows] += residual(
                x[:, rows], self.source[:, rows], self.whitening[:, windows], self.side
            )
        return result.view_as(image)

    def strips(self) -> Iterator[slice]:
        """The rows of pixels of every strip of windows: strips of pixels overlap, those of windows
        do not.
        """
        h, w = self.source.shape[1:]
        at_once = AT_ONCE if self.source.device.type == "cpu" else AT_ONCE_ELSEWHERE
        step, last = max(1, at_once // w), h - self.side + 1
        return (slice(y, min(y + step, last) + self.side - 1) for y in range(0, last, step))


def residual(x: Tensor, source: Tensor, whitening: Tensor, side: int) -> Tensor:
    """(c, h, w) -> sum over the windows of each pixel of x_i - a_k . I_i - b_k, (c, h, w).

    Args:
        source: I, (3, h, w).
        whitening: see `whitened`, (6, h - side + 1, w - side + 1).
    """
    m, mean, shared = covariance(
        source, x[:, None], side
    )  # (3, h', w'), (c, 1, h', w'), (c, 3, h', w')
    a = solved(whitening, shared)  # He eq. 5
    b = mean - (a * m).sum(1, keepdim=True)  # He eq. 6
    edge = side - 1
    a, b, ones = (
        F.pad(y, (edge,) * 4) for y in (a, b, torch.ones_like(m[0]))
    )  # a window speaks for all its pixels
    fits = (boxes(a, side) * source).sum(1) + boxes(b, side)[:, 0]  # (c, h, w)
    return boxes(ones, side) * x - fits


def covariance(left: Tensor, right: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """(..., h, w) twice -> both means and the covariance in every window inside, (..., h - side +
    1, w - side + 1).

    First in columns, then in rows of columns: the mean of the covariances and the covariance of the
    means.
    """
    left, right, within = neighbours(left, right, side, -2)
    left, right, between = neighbours(left, right, side, -1)
    return left, right, total(views(within, side, -1)) / side + between


def neighbours(left: Tensor, right: Tensor, side: int, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Both means and the covariance of `side` neighbours along an axis, from their differences from
    the middle one.

    So the error is relative to what there is of contrast, however bright it is. A mean of products
    less a product of means is 20 times less exact on a photograph.
    """
    middle = [y.narrow(axis, side // 2, y.shape[axis] - side + 1) for y in (left, right)]
    d, e = (
        [v - m for v in views(y, side, axis)] for y, m in zip((left, right), middle, strict=True)
    )
    mean_d, mean_e = total(d) / side, total(e) / side
    products = total([p * q for p, q in zip(d, e, strict=True)])
    return middle[0] + mean_d, middle[1] + mean_e, products / side - mean_d * mean_e


def boxes(y: Tensor, side: int) -> Tensor:
    """(..., h, w) -> the sums over all windows inside, (..., h - side + 1, w - side + 1)."""
    return total(views(total(views(y, side, -2)), side, -1))


def views(y: Tensor, side: int, axis: int) -> list[Tensor]:
    """The first, the second, ... of all `side` neighbours along an axis."""
    return [y.narrow(axis, i, y.shape[axis] - side + 1) for i in range(side)]


def total(parts: list[Tensor]) -> Tensor:
    result = parts[0].clone()
    for part in parts[1:]:
        result += part
    return result


def whitened(s: Tensor, ridge: float) -> Tensor:
    """S (6, h, w) -> W (6, h, w), lower triangular with W^T W = (S + ridge)^-1: the inverse of the
    Cholesky factor.

    Kept in fp32 the inverse itself would be wrong where the source is grey: it is huge across the
    grey axis, and its rounding there larger than what it is along the axis.
    """
    s00, s10, s11, s20, s21, s22 = s
    w00 = (s00 + ridge).rsqrt()
    l10, l20 = s10 * w00, s20 * w00
    w11 = (s11 + ridge - l10.square()).rsqrt()
    l21 = (s21 - l20 * l10) * w11
    w22 = (s22 + ridge - l20.square() - l21.square()).rsqrt()
    w10, w21 = -l10 * w00 * w11, -l21 * w11 * w22
    return torch.stack([w00, w10, w11, -(l20 * w00 + l21 * w10) * w22, w21, w22])


def solved(whitening: Tensor, right: Tensor) -> Tensor:
    """r (c, 3, h, w) -> W^T W r."""
    w00, w10, w11, w20, w21, w22 = whitening
    r0, r1, r2 = right.unbind(1)
    y0, y1, y2 = w00 * r0, w10 * r0 + w11 * r1, w20 * r0 + w21 * r1 + w22 * r2
    return torch.stack([w00 * y0 + w10 * y1 + w20 * y2, w11 * y1 + w21 * y2, w22 * y2], 1)


def affine(image: Tensor, laplacian: Laplacian) -> Tensor:
    """1/(3HW) sum over the channels c of x_c^T L x_c, a scalar, for x (..., 3, H, W).

    Luan eq. 2 is the sum, which grows with the resolution.
    """
    loss: Tensor = Affine.apply(image, laplacian)
    return loss


class Affine(torch.autograd.Function):
    """`affine`; its gradient 2 L x / (3HW), L being symmetric. Nothing is held for it but L x."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, laplacian: Laplacian) -> Tensor:
        product = laplacian(image)
        ctx.save_for_backward(product)
        return (
            (image - 0.5).mul_(product).mean()
        )  # L 1 = 0, and a sum of smaller numbers is more exact

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (product,) = ctx.saved_tensors
        return product * (grad * (2 / product.numel())), None
