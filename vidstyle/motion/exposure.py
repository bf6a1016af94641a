"""Changes of light of a whole frame: a gain and an offset for each channel.

Ruder's method compares colours along the flow, and so takes a light that goes up or down for a
picture that goes away.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

MAX_GAIN = 4.0
"""The largest gain, and one over the smallest: beyond, too little is left of one of the frames."""

EXPLAINED_SHARE = 0.5
"""A change of light is one where the mean difference that it leaves is at most this part of the
mean difference without it. What moves, or comes in, is not explained by a gain."""

OUTLIER_FACTOR = 2.5
"""Pixels whose difference is more than so many medians are left out: something moves there."""

MIN_COMPARABLE = 0.5
"""The weight from which on a pixel says how far differences go."""

ROUNDS = 3
"""Rounds of fitting without the outliers of the round before."""


class Exposure(NamedTuple):
    """The change of light from one image to another: b = gain a + offset.

    Args:
        gain, offset: (c, 1, 1), one for each channel.
    """

    gain: Tensor
    offset: Tensor

    def apply(self, image: Tensor) -> Tensor:
        """Bring an image (c, H, W) into the other light; it is not clipped."""
        return self.gain * image + self.offset


def estimate_exposure(image: Tensor, other: Tensor, mask: Tensor | None = None) -> Exposure | None:
    """Estimate the change of light from `image` to `other`, both (c, h, w), small and blurred; None
    where there is none that explains how they differ.

    The gain is the ratio of the standard deviations, and not the slope of a regression, which
    falls with everything that moves: over many frames that would add up.

    Args:
        mask: (1, h, w), how far each pixel of `image` shows the same as that of `other`.
    """
    weight = image.new_ones(1, *image.shape[1:]) if mask is None else mask
    if float(weight.mean()) < 1 / 16:
        return None
    before = weighted_mean((other - image).abs().sum(0, keepdim=True), weight)
    inliers = weight
    exposure = None
    for _ in range(ROUNDS):
        exposure = fit_moments(image, other, inliers)
        residual = (other - exposure.apply(image)).abs().sum(0, keepdim=True)  # (1, h, w)
        limit = (
            OUTLIER_FACTOR * residual[weight > 0.5].median() if bool((weight > 0.5).any()) else 0.0
        )
        inliers = weight * (residual <= limit)
        if float(inliers.mean()) < 1 / 16:
            return None
    assert exposure is not None
    gain = exposure.gain
    if not bool(((gain >= 1 / MAX_GAIN) & (gain <= MAX_GAIN)).all()):
        return None
    residual = (other - exposure.apply(image)).abs().sum(0, keepdim=True)
    after = weighted_mean(residual, weight)
    return exposure if float(after) <= EXPLAINED_SHARE * float(before) else None


def fit_moments(image: Tensor, other: Tensor, weight: Tensor) -> Exposure:
    """Match mean and standard deviation of each channel, weighted by (1, h, w)."""
    mean_i = weighted_mean(image, weight)  # (c, 1, 1)
    mean_o = weighted_mean(other, weight)
    var_i = weighted_mean((image - mean_i).square(), weight)
    var_o = weighted_mean((other - mean_o).square(), weight)
    gain = ((var_o + LEAST_VARIANCE) / (var_i + LEAST_VARIANCE)).sqrt()
    return Exposure(gain, mean_o - gain * mean_i)


LEAST_VARIANCE = 1e-6
"""Added to both variances: a channel without contrast keeps its own."""


def weighted_mean(x: Tensor, weight: Tensor) -> Tensor:
    """Average x (c, h, w) over its pixels, weighted by (1, h, w): (c, 1, 1)."""
    total = weight.sum().clamp_min(LEAST_VARIANCE)
    return (x * weight).sum((1, 2), keepdim=True) / total


COMPARED_SIDE = 64
"""Long side in pixels at which two frames are compared: what moves a little is the same there."""

LEAST_CHANGE = 3 / 255
"""Mean difference of two frames below which no change of light is looked for."""


def match_exposure(image: Tensor, frame: Tensor) -> Tensor:
    """Bring an image into the light of `frame`, both (3, H, W), where a change of the whole light
    explains how they differ; else `image` itself.
    """
    h, w = frame.shape[1:]
    scale = min(1.0, COMPARED_SIDE / max(h, w))
    size = (max(1, round(h * scale)), max(1, round(w * scale)))
    small, target = (F.interpolate(x[None], size, mode="area")[0] for x in (image, frame))
    if float((small - target).abs().mean()) < LEAST_CHANGE:
        return image
    exposure = estimate_exposure(small, target)
    return image if exposure is None else exposure.apply(image).clamp(0, 1)
