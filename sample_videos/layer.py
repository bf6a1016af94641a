"""What a painted layer of the valley is, and the coordinates that all layers share.

Scene coordinates are pixels of the 640x360 reference view; a layer holds `DENSITY` texels per scene
pixel and reaches past the view on all sides, because the camera moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DENSITY = 2
HORIZON = 172.0
LEFT, RIGHT = -190, 830
SHORE = 206.0  # where hills and village meet the lake

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """An RGBA texture (H, W, 4), premultiplied, whose top left corner lies at scene point (LEFT,
    top).

    `distance` is the scene height of the layer's foot below the horizon, which sets how fast it
    passes: a standing layer moves as one piece; a `ground` layer lies flat, so that each row moves
    as its own height below the horizon says.
    """

    name: str
    texture: Image
    top: float
    distance: float = 0.0
    ground: bool = False


def grid(top: float, bottom: float) -> tuple[Image, Image]:
    """Scene coordinates x, y of the texels between two scene rows."""
    h, w = round((bottom - top) * DENSITY), (RIGHT - LEFT) * DENSITY
    y, x = np.indices((h, w), np.float32)
    return LEFT + (x + 0.5) / DENSITY, top + (y + 0.5) / DENSITY


def opaque(colour: Image, alpha: Image | None = None) -> Image:
    colour = np.clip(colour, 0, 1)
    if alpha is None:
        alpha = np.ones(colour.shape[:2], np.float32)
    return np.dstack([colour * alpha[..., None], alpha]).astype(np.float32)
