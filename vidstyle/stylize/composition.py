"""The finished frame from the paint: mixed, faded and lit as its source is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CLIPPED_MARGIN = 0.02
"""Values this near to 0 or 1 may have been cut off, and tell nothing of the light."""

FOREIGN_FROM = 14 / 255
"""Distance from what a fade can leave at which a pixel begins to be foreign to it: codecs leave
noise."""

FOREIGN_FULLY = 40 / 255
"""The distance from which on it is wholly so."""

LEAST_UNCLIPPED_SHARE = 0.05
"""Of the pixels of a channel; where fewer are not cut off, it has the mean of its source."""


def mix_layers(layers: Sequence[tuple[Tensor, float]]) -> Tensor:
    """Mix images (3, H, W) by their shares, 1 together."""
    return torch.stack([share * image for image, share in layers]).sum(0)


def fade_to_colour(image: Tensor, gain: float, colour: Sequence[float]) -> Tensor:
    """Fade an image (3, H, W) to a flat colour: gain x + (1 - gain) colour."""
    flat = image.new_tensor(colour).view(3, 1, 1)
    return gain * image + (1 - gain) * flat


def undo_fade(image: Tensor, gain: float, colour: Sequence[float]) -> Tensor:
    """Return the image (3, H, W) that `fade_to_colour` has faded with a gain above 0, as far as
    [0, 1] and the codec have left it.
    """
    flat = image.new_tensor(colour).view(3, 1, 1)
    return ((image - (1 - gain) * flat) / gain).clamp(0, 1)


def find_foreign_to_fade(image: Tensor, gain: float, colour: Sequence[float]) -> Tensor:
    """Return how far each pixel of a faded frame (3, H, W) is none that a fade leaves, (1, H, W) in
    [0, 1].

    A fade leaves (1 - gain) colour to (1 - gain) colour + gain in each channel. Letters that come
    in while the picture goes are beyond that, and near the flat end all of them are.
    """
    lowest = (1 - gain) * image.new_tensor(colour).view(3, 1, 1)
    beyond = torch.maximum(lowest - image, image - (lowest + gain)).amax(0, keepdim=True)
    share = ((beyond - FOREIGN_FROM) / (FOREIGN_FULLY - FOREIGN_FROM)).clamp(0, 1)
    # With their outline.
    return F.max_pool2d(share[None], 3, stride=1, padding=1)[0]


def light_as(image: Tensor, source: Tensor, lit: Tensor) -> Tensor:
    """Bring `image` into the light of a flash: apply the gain and the offset of each channel that
    lead from `source` to `lit`, all (3, H, W), by least squares over what is not cut off.
    """
    channels = []
    for x, s, y in zip(image, source, lit, strict=True):
        inside = (y > CLIPPED_MARGIN) & (y < 1 - CLIPPED_MARGIN)
        if float(inside.float().mean()) < LEAST_UNCLIPPED_SHARE:
            channels.append(torch.full_like(x, float(y.mean())))
            continue
        a = s[inside]
        b = y[inside]
        variance = (a - a.mean()).square().mean()
        gain = ((a - a.mean()) * (b - b.mean())).mean() / variance.clamp_min(1e-6)
        gain = gain.clamp_min(0)
        channels.append(gain * (x - a.mean()) + b.mean())
    return torch.stack(channels).clamp(0, 1)
