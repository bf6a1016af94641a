"""Smooth random fields: what gives the pictures their natural irregularity. Everything is
seeded.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def _interpolate(grid: Field, position: Field) -> Field:
    """Rows of `grid` at fractional positions, by Catmull-Rom splines: cv2's own tables show 32
    steps between nodes.
    """
    node = position.astype(np.int64)
    u = (position - node).astype(np.float32)[:, None]
    taps = [-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, -(u**2) + u**3]
    rows = [grid[np.minimum(node + k, len(grid) - 1)] for k in (-1, 0, 1, 2)]
    return sum(
        (np.float32(0.5) * tap * row for tap, row in zip(taps, rows, strict=True)), np.float32(0)
    )


def value(height: int, width: int, cell: tuple[float, float], seed: int) -> Field:
    """Uniform random values on a grid of `cell` (x, y) pixels, cubically interpolated; about [0,
    1].
    """
    columns, rows = int(width / cell[0]) + 4, int(height / cell[1]) + 4
    grid = np.random.default_rng(seed).random((rows, columns), dtype=np.float32)
    x = np.arange(width, dtype=np.float32) / np.float32(cell[0]) + np.float32(1.5)
    y = np.arange(height, dtype=np.float32) / np.float32(cell[1]) + np.float32(1.5)
    wide = np.ascontiguousarray(_interpolate(np.ascontiguousarray(grid.T), x).T)
    return _interpolate(wide, y)


def fbm(
    height: int,
    width: int,
    cell: float,
    seed: int,
    octaves: int = 5,
    gain: float = 0.5,
    stretch: float = 1.0,
    ridged: bool = False,
) -> Field:
    """A sum of octaves of `value` noise scaled to [0, 1], mean near 0.5; `stretch` > 1 draws it out
    along x.
    """
    total = np.zeros((height, width), np.float32)
    weight, norm = 1.0, 0.0
    for octave in range(octaves):
        size = cell / 2**octave
        if size < 1:
            break
        layer = value(height, width, (size * stretch, size), seed + 101 * octave)
        total += weight * (1 - np.abs(2 * layer - 1) if ridged else layer)
        norm += weight
        weight *= gain
    return np.clip(total / norm, 0, 1)


def displace(image: NDArray[np.float32], dx: Field, dy: Field) -> NDArray[np.float32]:
    """`image` sampled at (x + dx, y + dy)."""
    height, width = dx.shape
    y, x = np.indices((height, width), np.float32)
    return cv2.remap(image, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def smoothstep(low: float, high: float, x: NDArray[np.float32] | float) -> Field:
    """0 below `low`, 1 above `high`, a smooth S between; `low` may be the larger one."""
    u = np.clip((np.asarray(x, np.float32) - low) / (high - low), 0, 1)
    return u * u * (3 - 2 * u)


def mix(a: NDArray[np.float32], b: NDArray[np.float32], weight: Field) -> NDArray[np.float32]:
    """(H, W, 3) colours from `a` to `b` by an (H, W) weight; `a` and `b` may be single colours."""
    w = weight[..., None]
    return (a * (1 - w) + b * w).astype(np.float32)


def rgb(code: str) -> NDArray[np.float32]:
    """'#e8a34c' as three floats in [0, 1]."""
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def ramp(x: NDArray[np.float32], stops: list[tuple[float, str]]) -> NDArray[np.float32]:
    """Colours along a piecewise linear gradient, as (..., 3)."""
    at = np.array([s for s, _ in stops])
    colours = np.stack([rgb(code) for _, code in stops])
    return np.stack([np.interp(x, at, colours[:, k]) for k in range(3)], axis=-1).astype(np.float32)
