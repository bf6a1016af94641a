"""Photorealism: a stylised image may differ from its source by a locally affine recolouring, and by
nothing else.

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

MATTING_EPSILON = 1e-5
"""Levin's epsilon; he and Luan use 1e-7. Divided by a window's 9 pixels it is a variance: here that
of rounding to 8 bits, 1 / (12 255^2), which no stylised detail may be fitted to. With ten times as
much the low contrasts of a photograph would be ignored too, and its own image would cost nearly
half of what a good transfer does; with less, fp32 is less exact: the largest error of L x is 2e-5
on a photograph here, and twice that with 1e-7.
"""

MAX_FITTED_PIXELS_CPU = 2**14
"""Pixels whose windows are fitted at once on the CPU: bounds the memory, and fits into the cache."""

MAX_FITTED_PIXELS_GPU = 2**20
"""Pixels whose windows are fitted at once elsewhere, where many small steps take longer than a few
large ones.
"""

TRIANGULAR_ENTRIES = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
"""Row and column of the entries that are stored of a lower triangular 3x3 matrix."""


class MattingLaplacian:
    """The product x -> L x with the matting Laplacian L of a source I (Levin eq. 12), which is never built:

        L_ij = sum over the windows k of i and j of d_ij - (1 + (I_i - m_k)^T D_k^-1 (I_j - m_k)) /
        n, D_k = S_k + epsilon / n,  with the mean m_k and the covariance S_k of I in the n pixels
        of k.

    (L x)_i is the distance of x_i from the ridge regression a_k . I_i + b_k of x on I in k (He eq.
    5 to 8), summed over the windows k of the pixel. Windows lie wholly inside the image. L is
    symmetric and positive semidefinite, its rows sum to 0. As many numbers are stored as three
    images have.

    Args:
        source: I, (3, H, W), no side below that of a window.
        epsilon: the variance that is ignored, times n.
        radius: of the windows: their side is 2 radius + 1.
        max_pixels: pixels whose windows are fitted at once; None: as many as suit the device.
    """

    def __init__(
        self,
        source: Tensor,
        epsilon: float = MATTING_EPSILON,
        radius: int = 1,
        max_pixels: int | None = None,
    ) -> None:
        self.side = 2 * radius + 1
        self.source = source.detach()
        on_cpu = self.source.device.type == "cpu"
        self.max_pixels = max_pixels or (MAX_FITTED_PIXELS_CPU if on_cpu else MAX_FITTED_PIXELS_GPU)
        i, j = zip(*TRIANGULAR_ENTRIES, strict=True)
        whitenings = []
        for rows in self.strips():
            # In fp64, on the CPU: it happens once, and Apple's GPUs have no fp64.
            strip = self.source[:, rows].cpu().double()
            *_, s = window_covariance(strip[list(i)], strip[list(j)], self.side)
            whitenings.append(whitening_factor(s, epsilon / self.side**2).to(self.source))
        self.whitening = torch.cat(whitenings, 1)  # (6, H - 2 radius, W - 2 radius)

    def __call__(self, image: Tensor) -> Tensor:
        """Compute x (..., H, W) -> L x, of each channel alone."""
        x = image.detach().reshape(-1, *image.shape[-2:])  # (c, H, W)
        result = torch.zeros_like(x)
        for rows in self.strips():
            windows = slice(rows.start, rows.stop - self.side + 1)
            result[:, rows] += window_residuals(
                x[:, rows], self.source[:, rows], self.whitening[:, windows], self.side
            )
        return result.view_as(image)

    def strips(self) -> Iterator[slice]:
        """Return the rows of pixels of every strip of windows: strips of pixels overlap, those of
        windows do not.
        """
        h, w = self.source.shape[1:]
        step = max(1, self.max_pixels // w)
        last = h - self.side + 1
        return (slice(y, min(y + step, last) + self.side - 1) for y in range(0, last, step))


def window_residuals(x: Tensor, source: Tensor, whitening: Tensor, side: int) -> Tensor:
    """Sum x_i - a_k . I_i - b_k over the windows k of each pixel, (c, h, w) -> (c, h, w).

    Args:
        source: I, (3, h, w).
        whitening: see `whitening_factor`, (6, h - side + 1, w - side + 1).
    """
    # (3, h', w'), (c, 1, h', w'), (c, 3, h', w')
    m, mean, shared = window_covariance(source, x[:, None], side)
    a = whiten_twice(whitening, shared)  # He eq. 5
    b = mean - (a * m).sum(1, keepdim=True)  # He eq. 6
    edge = side - 1
    # A window speaks for all its pixels.
    a, b, ones = (F.pad(y, (edge,) * 4) for y in (a, b, torch.ones_like(m[0])))
    fits = (sum_windows(a, side) * source).sum(1) + sum_windows(b, side)[:, 0]  # (c, h, w)
    return sum_windows(ones, side) * x - fits


def window_covariance(left: Tensor, right: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """(..., h, w) twice -> both means and the covariance in every window inside, (..., h - side +
    1, w - side + 1).

    First in columns, then in rows of columns: the mean of the covariances and the covariance of the
    means.
    """
    left, right, within = neighbour_covariance(left, right, side, -2)
    left, right, between = neighbour_covariance(left, right, side, -1)
    return left, right, add_up(shift_along(within, side, -1)) / side + between


def neighbour_covariance(
    left: Tensor, right: Tensor, side: int, axis: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute both means and the covariance of `side` neighbours along an axis, from their
    differences from the middle one.

    So the error is relative to the contrast, however bright the image is. A mean of products less a
    product of means is 20 times less exact on a photograph.
    """
    middle = [y.narrow(axis, side // 2, y.shape[axis] - side + 1) for y in (left, right)]
    d, e = (
        [v - m for v in shift_along(y, side, axis)]
        for y, m in zip((left, right), middle, strict=True)
    )
    mean_d = add_up(d) / side
    mean_e = add_up(e) / side
    products = add_up([p * q for p, q in zip(d, e, strict=True)])
    return middle[0] + mean_d, middle[1] + mean_e, products / side - mean_d * mean_e


def sum_windows(y: Tensor, side: int) -> Tensor:
    """Compute the sums over all windows inside, (..., h, w) -> (..., h - side + 1, w - side + 1)."""
    return add_up(shift_along(add_up(shift_along(y, side, -2)), side, -1))


def shift_along(y: Tensor, side: int, axis: int) -> list[Tensor]:
    """Return views of the first, the second, ... of all `side` neighbours along an axis."""
    return [y.narrow(axis, i, y.shape[axis] - side + 1) for i in range(side)]


def add_up(parts: list[Tensor]) -> Tensor:
    """Add up tensors of one shape, into a new one."""
    result = parts[0].clone()
    for part in parts[1:]:
        result += part
    return result


def whitening_factor(s: Tensor, ridge: float) -> Tensor:
    """Compute S (6, h, w) -> W (6, h, w), lower triangular with W^T W = (S + ridge)^-1: the inverse
    of the Cholesky factor.

    Stored in fp32 the inverse itself would be wrong where the source is grey: it is huge across the
    grey axis, and its rounding there larger than what it is along the axis.
    """
    s00, s10, s11, s20, s21, s22 = s
    w00 = (s00 + ridge).rsqrt()
    l10 = s10 * w00
    l20 = s20 * w00
    w11 = (s11 + ridge - l10.square()).rsqrt()
    l21 = (s21 - l20 * l10) * w11
    w22 = (s22 + ridge - l20.square() - l21.square()).rsqrt()
    w10 = -l10 * w00 * w11
    w21 = -l21 * w11 * w22
    return torch.stack([w00, w10, w11, -(l20 * w00 + l21 * w10) * w22, w21, w22])


def whiten_twice(whitening: Tensor, right: Tensor) -> Tensor:
    """Compute r (c, 3, h, w) -> W^T W r = (S + ridge)^-1 r."""
    w00, w10, w11, w20, w21, w22 = whitening
    r0, r1, r2 = right.unbind(1)
    y0 = w00 * r0
    y1 = w10 * r0 + w11 * r1
    y2 = w20 * r0 + w21 * r1 + w22 * r2
    return torch.stack([w00 * y0 + w10 * y1 + w20 * y2, w11 * y1 + w21 * y2, w22 * y2], 1)


def matting_loss(image: Tensor, laplacian: MattingLaplacian) -> Tensor:
    """1/(3HW) sum over the channels c of x_c^T L x_c, a scalar, for x (..., 3, H, W).

    Luan eq. 2 is the sum, which grows with the resolution.
    """
    loss: Tensor = MattingLoss.apply(image, laplacian)
    return loss


class MattingLoss(torch.autograd.Function):
    """`matting_loss`, with the gradient 2 L x / (3HW), L being symmetric. Nothing is stored for it
    but L x.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, laplacian: MattingLaplacian) -> Tensor:
        product = laplacian(image)
        ctx.save_for_backward(product)
        # L 1 = 0, and a sum of smaller numbers is more exact.
        return (image - 0.5).mul_(product).mean()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (product,) = ctx.saved_tensors
        return product * (grad * (2 / product.numel())), None
