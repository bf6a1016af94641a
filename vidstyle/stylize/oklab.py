"""The colours of the source, kept while it is stylised.

References: Gatys, Bethge, Hertzmann, Shechtman 2016, "Preserving color in neural artistic style
transfer" ("Gatys"); Hertzmann, Jacobs, Oliver, Curless, Salesin 2001, "Image analogies"; Ottosson
2020, "A perceptual color space for image processing" (OKLab). Gatys uses YIQ for lightness and RGB
for statistics; in OKLab, for both, a hue stays what it is when the lightness changes.

OKLab images are (3, H, W): L in [0, 1], a and b within 0.4 of 0, both 0 for grey.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# In float64, so that the inverses are those of exactly these numbers.
RGB_TO_LMS = torch.tensor(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=torch.float64,
)
LMS_TO_LAB = torch.tensor(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=torch.float64,
)
LMS_TO_RGB = torch.linalg.inv(RGB_TO_LMS)
LAB_TO_LMS = torch.linalg.inv(LMS_TO_LAB)

GAMUT_TOLERANCE = 1e-6
"""How far outside the gamut a linear value may lie and still be inside: what a round trip leaves of
OKLab in fp32."""

CHROMA_BISECTIONS = 12
"""Halvings of the chroma that is too much: leaves 1/4096 of it."""

MIN_COLOUR_DEVIATION = 0.005
"""Standard deviation in OKLab below which a variation of the style image is not enlarged as if it
had more: a drawing in sepia has no colours to become many, only the noise of its JPEG."""


class ColourStatistics(NamedTuple):
    """Mean (3,) and covariance (3, 3) of an image's colours in OKLab."""

    mean: Tensor
    covariance: Tensor


def to_oklab(image: Tensor) -> Tensor:
    """Convert sRGB-encoded RGB (3, H, W) in [0, 1] to OKLab (3, H, W)."""
    rgb = widen_precision(image)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)
    lms = transform_colours(RGB_TO_LMS, linear)
    return transform_colours(LMS_TO_LAB, lms.clamp_min(0) ** (1 / 3)).to(image.dtype)


def from_oklab(lab: Tensor) -> Tensor:
    """Convert OKLab (3, H, W) to sRGB-encoded RGB (3, H, W) in [0, 1].

    Colours outside the gamut lose as much of their chroma as they must; their lightness and hue
    stay. Clipped channel by channel, a bright blue would turn violet, and darker.
    """
    exact = widen_precision(torch.cat([lab[:1].clamp(0, 1), lab[1:]]))
    linear = to_linear_rgb(exact)
    y, x = is_out_of_gamut(linear).nonzero(as_tuple=True)
    linear[:, y, x] = to_linear_rgb(reduce_chroma(exact[:, y, x]))
    linear = linear.clamp(0, 1)
    encoded = torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    # 1 may come out above itself by a rounding.
    return encoded.clamp(0, 1).to(lab.dtype)


def widen_precision(colours: Tensor) -> Tensor:
    """Convert to fp64, except on Apple's GPUs, which have none.

    The way back multiplies a rounding by up to 12.92 x 4.08 where one channel is dark and the
    others are not: in fp32 it would show in 16 bits.
    """
    return colours if colours.device.type == "mps" else colours.double()


def reduce_chroma(lab: Tensor) -> Tensor:
    """Give colours (3, n) outside the gamut the largest chroma inside, by bisection: grey is
    inside.
    """
    least = torch.zeros_like(lab[:1])
    most = torch.ones_like(lab[:1])
    for _ in range(CHROMA_BISECTIONS):
        middle = (least + most) / 2
        outside = is_out_of_gamut(to_linear_rgb(torch.cat([lab[:1], middle * lab[1:]])))
        least = torch.where(outside, least, middle)
        most = torch.where(outside, middle, most)
    return torch.cat([lab[:1], least * lab[1:]])


def to_linear_rgb(lab: Tensor) -> Tensor:
    """Convert OKLab (3, ...) to linear RGB (3, ...), in [0, 1] where it is in gamut."""
    return transform_colours(LMS_TO_RGB, transform_colours(LAB_TO_LMS, lab) ** 3)


def is_out_of_gamut(linear: Tensor) -> Tensor:
    """Mark the colours (3, ...) that are out of gamut, (...)."""
    return ((linear < -GAMUT_TOLERANCE) | (linear > 1 + GAMUT_TOLERANCE)).any(0)


def transform_colours(matrix: Tensor, image: Tensor) -> Tensor:
    """Compute M c for every colour c of an image (3, ...)."""
    return (matrix.to(image) @ image.flatten(1)).view_as(image)


def keep_source_colours(stylised: Tensor, source: Tensor) -> Tensor:
    """Combine the lightness of `stylised` with the colours of `source`, (3, H, W) all:
    luminance-only transfer (Gatys section 2, with L, a, b for Y, I, Q).
    """
    return from_oklab(torch.cat([to_oklab(stylised)[:1], to_oklab(source)[1:]]))


def colour_statistics(image: Tensor) -> ColourStatistics:
    """Compute mean and covariance of an image's (3, H, W) colours in OKLab."""
    colours = to_oklab(image).flatten(1)  # (3, HW)
    mean = colours.mean(1)
    d = colours - mean[:, None]
    return ColourStatistics(mean, d @ d.T / d.shape[1])


class StatisticsCollector:
    """Collects the `ColourStatistics` of many images together, one image after the other."""

    def __init__(self) -> None:
        self.count = 0
        self.total = torch.zeros(3).double()
        self.squares = torch.zeros(3, 3).double()

    def add(self, image: Tensor) -> None:
        """Add an image (3, H, W)."""
        colours = to_oklab(image).flatten(1).double()
        self.count += colours.shape[1]
        self.total += colours.sum(1)
        self.squares += colours @ colours.T

    def statistics(self) -> ColourStatistics:
        """Compute mean and covariance over all pixels of all images."""
        mean = self.total / self.count
        return ColourStatistics(mean, self.squares / self.count - torch.outer(mean, mean))


def to_grey(image: Tensor) -> Tensor:
    """Keep the lightness of an image (3, H, W) alone, as an image."""
    lightness = to_oklab(image)[:1]
    zeros = torch.zeros_like(lightness)
    return from_oklab(torch.cat([lightness, zeros, zeros]))


def match_statistics(style_image: Tensor, source: Tensor | ColourStatistics) -> Tensor:
    """Give the style image (3, H, W) the source's colours: c -> S^1/2 P^-1/2 (c - m_P) + m_S (Gatys
    section 1, in the variant of "Image analogies").

    So its mean and covariance become the source's, except for what leaves the gamut.

    Args:
        source: an image (3, H, W), or its statistics: all frames of a shot share one style image.
    """
    target = source if isinstance(source, ColourStatistics) else colour_statistics(source)
    own = colour_statistics(style_image)
    gain = symmetric_power(target.covariance, 0.5) @ symmetric_power(
        own.covariance, -0.5, MIN_COLOUR_DEVIATION**2
    )
    d = to_oklab(style_image) - own.mean[:, None, None]
    return from_oklab(transform_colours(gain, d) + target.mean.to(d)[:, None, None])


def symmetric_power(covariance: Tensor, exponent: float, least: float = 0.0) -> Tensor:
    """Raise a symmetric matrix (3, 3) to a power, in float64 on the CPU; eigenvalues below `least`
    are raised to it first.
    """
    values, vectors = torch.linalg.eigh(covariance.cpu().double())
    result: Tensor = vectors @ torch.diag(values.clamp_min(least) ** exponent) @ vectors.T
    return result
