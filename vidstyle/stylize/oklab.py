"""The source's colours, kept while it is painted.

References: Gatys, Bethge, Hertzmann, Shechtman 2016, "Preserving color in neural artistic style
transfer" ("Gatys"); Hertzmann, Jacobs, Oliver, Curless, Salesin 2001, "Image analogies"; Ottosson
2020, "A perceptual color space for image processing" (OKLab). Gatys takes YIQ for lightness and RGB
for statistics; in OKLab, for both, a hue stays what it is when the lightness changes.

OKLab images are (3, H, W): L in [0, 1], a and b within 0.4 of 0, both 0 for grey.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# In float64, so that the inverses are those of exactly these numbers.
TO_LMS = torch.tensor(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=torch.float64,
)
TO_LAB = torch.tensor(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=torch.float64,
)
FROM_LMS, FROM_LAB = torch.linalg.inv(TO_LMS), torch.linalg.inv(TO_LAB)

ROUNDING = 1e-6
"""How far outside the gamut a linear value may lie and still be inside: what a round trip leaves of
OKLab in fp32."""

BISECTIONS = 12
"""Halvings of the chroma that is too much: leaves 1/4096 of it."""

FAINT = 0.005
"""Standard deviation in OKLab below which a variation of the painting is not enlarged as if it had
more: a drawing in sepia has no colours to become many, only the noise of its JPEG."""


class Statistics(NamedTuple):
    """Of an image's colours in OKLab: mean (3,), covariance (3, 3)."""

    mean: Tensor
    covariance: Tensor


def to_oklab(image: Tensor) -> Tensor:
    """sRGB-encoded RGB (3, H, W) in [0, 1] -> OKLab (3, H, W)."""
    rgb = wide(image)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)
    lms = mixed(TO_LMS, linear)
    return mixed(TO_LAB, lms.clamp_min(0) ** (1 / 3)).to(image.dtype)


def from_oklab(lab: Tensor) -> Tensor:
    """OKLab (3, H, W) -> sRGB-encoded RGB (3, H, W) in [0, 1].

    What lies outside the gamut loses as much of its chroma as it must; its lightness and its hue
    stay. Clipped channel by channel, a bright blue would turn violet, and darker.
    """
    exact = wide(torch.cat([lab[:1].clamp(0, 1), lab[1:]]))
    linear = to_linear(exact)
    y, x = outside(linear).nonzero(as_tuple=True)
    linear[:, y, x] = to_linear(with_less_chroma(exact[:, y, x]))
    linear = linear.clamp(0, 1)
    encoded = torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded.clamp(0, 1).to(lab.dtype)  # 1 may come out above itself by a rounding


def wide(colours: Tensor) -> Tensor:
    """In fp64, but on Apple's GPUs, which have none. The way back multiplies a rounding by up to
    12.92 x 4.08 where one channel is dark and the others are not: in fp32 it would show in 16 bits.
    """
    return colours if colours.device.type == "mps" else colours.double()


def with_less_chroma(lab: Tensor) -> Tensor:
    """(3, n) outside the gamut -> the same with the largest chroma inside, by bisection: grey is
    inside.
    """
    least, most = torch.zeros_like(lab[:1]), torch.ones_like(lab[:1])
    for _ in range(BISECTIONS):
        middle = (least + most) / 2
        out = outside(to_linear(torch.cat([lab[:1], middle * lab[1:]])))
        least, most = torch.where(out, least, middle), torch.where(out, middle, most)
    return torch.cat([lab[:1], least * lab[1:]])


def to_linear(lab: Tensor) -> Tensor:
    """OKLab (3, ...) -> linear RGB (3, ...), in [0, 1] where it is in gamut."""
    return mixed(FROM_LMS, mixed(FROM_LAB, lab) ** 3)


def outside(linear: Tensor) -> Tensor:
    """(3, ...) -> where a colour is out of gamut, (...)."""
    return ((linear < -ROUNDING) | (linear > 1 + ROUNDING)).any(0)


def mixed(matrix: Tensor, image: Tensor) -> Tensor:
    """M c for every colour c of an image (3, ...)."""
    return (matrix.to(image) @ image.flatten(1)).view_as(image)


def with_colours_of(painted: Tensor, source: Tensor) -> Tensor:
    """The lightness of `painted` with the colours of `source`, (3, H, W) all: luminance-only
    transfer (Gatys section 2, with L, a, b for Y, I, Q).
    """
    return from_oklab(torch.cat([to_oklab(painted)[:1], to_oklab(source)[1:]]))


def statistics(image: Tensor) -> Statistics:
    """Mean and covariance of an image's (3, H, W) colours in OKLab."""
    colours = to_oklab(image).flatten(1)  # (3, HW)
    mean = colours.mean(1)
    d = colours - mean[:, None]
    return Statistics(mean, d @ d.T / d.shape[1])


class Gathered:
    """The `Statistics` of many images together, taken one after the other."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = (
            0,
            torch.zeros(3).double(),
            torch.zeros(3, 3).double(),
        )

    def add(self, image: Tensor) -> None:
        """Take an image (3, H, W)."""
        colours = to_oklab(image).flatten(1).double()
        self.count += colours.shape[1]
        self.total += colours.sum(1)
        self.squares += colours @ colours.T

    def statistics(self) -> Statistics:
        mean = self.total / self.count
        return Statistics(mean, self.squares / self.count - torch.outer(mean, mean))


def grey(image: Tensor) -> Tensor:
    """The lightness of an image (3, H, W) alone, as an image."""
    lightness = to_oklab(image)[:1]
    return from_oklab(
        torch.cat([lightness, torch.zeros_like(lightness), torch.zeros_like(lightness)])
    )


def matched(painting: Tensor, source: Tensor | Statistics) -> Tensor:
    """The painting (3, H, W) in the source's colours: c -> S^1/2 P^-1/2 (c - m_P) + m_S (Gatys
    section 1, in the variant of "Image analogies"), so that its mean and covariance become the
    source's, but for what leaves the gamut.

    Args:
        source: an image (3, H, W), or its statistics: all frames of a shot take one painting.
    """
    target = source if isinstance(source, Statistics) else statistics(source)
    own = statistics(painting)
    gain = power(target.covariance, 0.5) @ power(own.covariance, -0.5, FAINT**2)
    d = to_oklab(painting) - own.mean[:, None, None]
    return from_oklab(mixed(gain, d) + target.mean.to(d)[:, None, None])


def power(covariance: Tensor, exponent: float, least: float = 0.0) -> Tensor:
    """A power of a symmetric matrix (3, 3), float64 on the CPU; eigenvalues below `least` are taken
    for it.
    """
    values, vectors = torch.linalg.eigh(covariance.cpu().double())
    result: Tensor = vectors @ torch.diag(values.clamp_min(least) ** exponent) @ vectors.T
    return result
