"""Pictures to learn a style on where there is no film yet: landscapes of leaves, by the dead leaves
model (Lee, Mumford, Huang 2001), whose edges and sizes are spread as those of photographs.
"""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAVES = 220
SMALLEST = 0.01
LARGEST = 0.35
"""Radii of leaves, in shares of the longer side; small ones are many, as 1 / r^3."""

GRAIN = 0.02
"""The deviation of the finest texture."""


def make_picture(size: tuple[int, int], seed: int) -> Tensor:
    """Make a picture (3, h, w) in [0, 1] of `size` (h, w), the same for the same seed."""
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    picture = draw_sky(size, rng)
    height, width = size
    horizon = height * rng.uniform(0.25, 0.65)
    for _ in range(LEAVES):
        u = rng.random()
        radius = (SMALLEST**-2 + u * (LARGEST**-2 - SMALLEST**-2)) ** -0.5 * max(size)
        middle = (rng.uniform(0, width), rng.triangular(horizon, height, height))
        leaf = leaf_mask(size, middle, radius, rng)
        colour = draw_colour(rng)
        shade = 1 + 0.25 * texture(size, radius, noise)
        picture += leaf[..., None] * (colour * shade[..., None] - picture)
    picture += GRAIN * noise.standard_normal(picture.shape).astype(np.float32)
    return torch.from_numpy(picture.clip(0, 1)).permute(2, 0, 1).contiguous()


def draw_sky(size: tuple[int, int], rng: random.Random) -> NDArray[np.float32]:
    """Draw a smooth change from one colour to another, (h, w, 3)."""
    height, width = size
    angle = rng.gauss(math.pi / 2, 0.4)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    along = (math.cos(angle) * (x - 0.5) + math.sin(angle) * (y - 0.5) + 0.5).clip(0, 1)[..., None]
    sky: NDArray[np.float32] = draw_colour(rng) * (1 - along) + draw_colour(rng) * along
    return sky.astype(np.float32)


def draw_colour(rng: random.Random) -> NDArray[np.float32]:
    """Draw a colour, mostly muted."""
    hue, saturation, value = rng.uniform(0, 360), rng.betavariate(1.5, 3), rng.uniform(0.1, 1)
    pixel = np.array([[[hue, saturation, value]]], np.float32)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0], np.float32)


def leaf_mask(
    size: tuple[int, int], middle: tuple[float, float], radius: float, rng: random.Random
) -> NDArray[np.float32]:
    """Draw a leaf, (h, w) in [0, 1]: an ellipse or a polygon."""
    mask = np.zeros(size, np.uint8)
    corners = rng.choice((3, 4, 4, 5, 40))
    turn = rng.uniform(0, 2 * math.pi)
    stretch = rng.uniform(0.4, 1)
    angles = np.arange(corners) / corners * 2 * math.pi + turn
    across = radius * np.cos(angles) + middle[0]
    down = radius * stretch * np.sin(angles) + middle[1]
    points = (np.stack([across, down], 1) * 16).round().astype(np.int32)
    cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(mask / np.float32(255), np.float32)


def texture(
    size: tuple[int, int], radius: float, noise: np.random.Generator
) -> NDArray[np.float32]:
    """Draw smooth noise, (h, w), whose grain is a part of a leaf's radius."""
    cells = tuple(max(2, round(n / max(2.0, radius * 0.4))) for n in size)
    coarse = noise.standard_normal(cells).astype(np.float32)
    fine = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)
