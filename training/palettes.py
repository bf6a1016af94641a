"""Pictures in few and strong colours, as prints, posters and folk paintings have them: such colours
are rare in a collection of old paintings.
"""

from __future__ import annotations

import colorsys
import random

import torch
import torch.nn.functional as F
from torch import Tensor

LIGHTNESS = torch.tensor([0.299, 0.587, 0.114])
"""Shares of red, green and blue."""


def repaint_in_palette(picture: Tensor, rng: random.Random) -> Tensor:
    """Repaint a picture (3, h, w) in a palette of three to eight strong colours, flat or shaded,
    with or without a line between them, and with some of its own brushwork.
    """
    light = (LIGHTNESS[:, None, None] * picture).sum(0)
    smooth = blur(light, rng.choice((0, 2, 4, 8)))
    count = rng.randint(3, 8)
    order = smooth.flatten().argsort().argsort().view_as(smooth).float() / smooth.numel()
    level = order * count  # each colour covers as much
    palette = draw_palette(count + 1, rng)
    below = level.long().clamp(0, count - 1)
    above = level - below
    if rng.random() < 0.6:  # flat
        above = above * 0.0 if rng.random() < 0.7 else above.square().square()
    image = torch.lerp(palette[below], palette[below + 1], above[..., None]).permute(2, 0, 1)
    image = image + rng.choice((0.0, 0.3, 0.7, 1.0)) * (light - blur(light, 6))
    if rng.random() < 0.4:
        edge = (F.max_pool2d(below[None].float(), 3, 1, 1)[0] > below).float()
        image = torch.lerp(image, torch.full_like(image, rng.choice((0.05, 0.15, 0.95))), edge)
    return image.clamp(0, 1)


def draw_palette(count: int, rng: random.Random) -> Tensor:
    """Draw colours (count, 3), mostly from dark to light, mostly of few hues."""
    first, spread = rng.random(), rng.choice((0.05, 0.15, 0.5, 1.0))
    colours = []
    for _ in range(count):
        hue = first + spread * rng.uniform(-0.5, 0.5) + rng.choice((0.0, 0.0, 0.5))
        saturation = 1 - rng.random() ** 2 * rng.choice((0.4, 1.0))
        colours.append(colorsys.hsv_to_rgb(hue % 1, saturation, rng.betavariate(1.2, 0.9)))
    palette = torch.tensor(colours)
    if rng.random() < 0.7:
        palette = palette[(palette @ LIGHTNESS).argsort()]
    return palette


def blur(light: Tensor, radius: int) -> Tensor:
    """Average (h, w) over squares, edges repeated."""
    if not radius:
        return light
    padded = F.pad(light[None, None], (radius,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * radius + 1, 1)[0, 0]


def strengthen_colours(picture: Tensor, rng: random.Random) -> Tensor:
    """Strengthen the colours of a picture (3, h, w), and sometimes its contrast."""
    light = (LIGHTNESS[:, None, None] * picture).sum(0)
    picture = light + (picture - light) * rng.uniform(1.2, 3)
    if rng.random() < 0.5:
        picture = (picture - light.mean()) * rng.uniform(1, 2) + light.mean()
    return picture.clamp(0, 1)
