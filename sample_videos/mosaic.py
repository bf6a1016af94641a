"""mosaic.jpg: a red sun setting behind hills and a teal sea, laid in small stones whose rows follow
every outline.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sample_videos import noise
from sample_videos.noise import ramp, rgb, smoothstep

Array = NDArray[np.float32]
SIZE = (768, 608)
SCALE = 2  # laid at twice the size, then averaged down
STONE = 22.0  # the side of a stone, before averaging
SUN = (0.62, 0.375, 11 * STONE / (SIZE[0] * SCALE))  # x, y, radius as shares of the width
SEA = 0.500  # where the sea begins
GROUT = "#2b1f22"
CLOUDS = [(0.17, 0.135, 0.105), (0.30, 0.245, 0.070), (0.90, 0.10, 0.090), (0.47, 0.085, 0.05)]
HILLS = [  # base, swing, pitch, phase, colours of the rows
    (0.425, 0.055, 3.1, 0.4, ["#b5353a", "#c9483f", "#a52a38"]),
    (0.465, 0.040, 4.3, 2.2, ["#7c1f36", "#912a3a", "#6a1a33"]),
    (0.490, 0.030, 5.2, 4.6, ["#1d5560", "#266a70", "#174650"]),
]
FANS = [  # from the rim inwards: two cool ones, and the sun's path
    [
        "#f4ead0",
        "#0f4650",
        "#1c7378",
        "#2f9a94",
        "#1c7378",
        "#66bcae",
        "#124f5a",
        "#2a8a8a",
        "#0f4650",
    ],
    [
        "#f4ead0",
        "#16606a",
        "#3aa79c",
        "#8fd0bd",
        "#3aa79c",
        "#1c7378",
        "#0f4650",
        "#66bcae",
        "#16606a",
    ],
    [
        "#fff1c4",
        "#b3202c",
        "#e2562f",
        "#f7b24a",
        "#e2562f",
        "#f9d27c",
        "#b3202c",
        "#f08a3c",
        "#d93529",
    ],
]


class Wall:
    """Collects regions back to front; each brings coordinates (across, along) in stones, and a
    colour per pixel.
    """

    def __init__(self, height: int, width: int) -> None:
        self.across = np.zeros((height, width), np.float32)
        self.along = np.zeros((height, width), np.float32)
        self.colour = np.zeros((height, width, 3), np.float32)
        self.region = np.zeros((height, width), np.int64)
        self.regions = 0

    def lay(self, mask: NDArray[np.bool_], across: Array, along: Array, colour: Array) -> None:
        self.regions += 1
        self.region[mask] = self.regions
        for mine, new in ((self.across, across), (self.along, along), (self.colour, colour)):
            mine[mask] = np.broadcast_to(new, mine.shape)[mask]

    def _means(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.float64]:
        """One colour per stone: the mean of what lies under it, spread over its pixels."""
        stone = (self.region << 40) + ((row + 4096) << 20) + column + 4096
        label = np.unique(stone, return_inverse=True)[1].reshape(stone.shape)
        size = np.bincount(label.ravel())
        sums = [np.bincount(label.ravel(), self.colour[..., k].ravel()) for k in range(3)]
        return np.stack([(total / size)[label] for total in sums], -1)

    def stones(self) -> NDArray[np.uint8]:
        """Cuts the regions into stones, one colour each, with bevelled edges and grout between
        them.
        """
        h, w = self.region.shape
        unit = STONE / w
        row = np.floor(self.across / unit)
        rng = np.random.default_rng(4)
        table = rng.random((4, 1 << 16))
        row_key = (self.region * 7919 + row.astype(np.int64) * 104729) & 0xFFFF
        length = (
            0.9 + 0.55 * np.round(table[0][row_key] * 3) / 3
        )  # each row has stones of its own length
        place = self.along / (unit * length) + table[1][row_key]
        column = np.floor(place)
        key = (row_key * 31 + column.astype(np.int64) * 15485863 + self.region * 331) & 0xFFFF

        a, b = self.across / unit - row - 0.5, (place - column - 0.5) * length
        tilt = (table[2][key] - 0.5) * 0.22  # no stone is quite square
        a, b = a + b * tilt, b - a * tilt
        edge = np.minimum(0.5 - np.abs(a), 0.5 * length - np.abs(b))
        same = self.region.astype(np.float32)
        border = (cv2.dilate(same, np.ones((3, 3))) != cv2.erode(same, np.ones((3, 3)))).astype(
            np.uint8
        )
        edge = np.minimum(edge, cv2.distanceTransform(1 - border, cv2.DIST_L2, 5) / STONE + 0.02)
        chip = 0.10 * (noise.fbm(h, w, 14, 5, octaves=3) - 0.5)
        solid = smoothstep(0.055, 0.095, edge + chip)

        flat = self._means(row.astype(np.int64), column.astype(np.int64))
        shade = 1 + 0.34 * (table[3][key] - 0.5)
        warmth = (np.roll(table[3], 17)[key] - 0.5) * 0.09
        flat = flat * shade[..., None] + np.stack([warmth, 0.2 * warmth, -warmth], -1)
        marble = noise.fbm(h, w, 26, 6, octaves=5, gain=0.6) - 0.5
        flat = flat * (1 + 0.20 * marble[..., None])

        dome = (np.clip(edge * 3.2, 0, 1) ** 0.5).astype(np.float32)
        lean = 0.05 * ((table[2][key] - 0.5) * a + (table[1][key] - 0.5) * b)
        relief = cv2.GaussianBlur((dome * solid + lean).astype(np.float32), (0, 0), 1.4)
        slope = cv2.Sobel(relief, cv2.CV_32F, 1, 0) + cv2.Sobel(relief, cv2.CV_32F, 0, 1)
        light = np.tanh(slope * 0.55)
        picture = (
            flat * (1 + 0.36 * light[..., None]) + 0.10 * (np.clip(light, 0, 1) ** 2)[..., None]
        )
        sand = rgb(GROUT) * (0.8 + 0.5 * noise.fbm(h, w, 6, 7, octaves=2))[..., None]
        picture = sand * (1 - solid[..., None]) + picture * solid[..., None]
        small = cv2.resize(
            np.clip(picture, 0, 1).astype(np.float32), SIZE, interpolation=cv2.INTER_AREA
        )
        return (small * 255).round().astype(np.uint8)


def _bands(position: Array, colours: list[str]) -> Array:
    """Flat colours that repeat with every whole number of `position`."""
    table = np.stack([rgb(c) for c in colours])
    return table[np.floor(position).astype(int) % len(colours)]


def _sky(wall: Wall, x: Array, y: Array, unit: float) -> None:
    """Rings about the sun in wedges of light, a few clouds, and the sun's disc with a pale rim."""
    dx, dy = x - SUN[0], y - SUN[1]
    r, a = np.hypot(dx, dy), np.arctan2(dy, dx)
    ray = np.floor((a / np.pi + 0.02) * 15).astype(int)
    glow = ramp(
        r,
        [
            (0.15, "#ffdf8e"),
            (0.26, "#f9b457"),
            (0.40, "#ec7a3c"),
            (0.58, "#d04a35"),
            (0.80, "#9c2a35"),
        ],
    )
    dusk = ramp(
        r,
        [
            (0.15, "#ffeebd"),
            (0.26, "#fbd08a"),
            (0.40, "#f4a161"),
            (0.58, "#ea7f52"),
            (0.80, "#cf5446"),
        ],
    )
    sky = np.where((ray % 2 == 0)[..., None], glow, dusk)
    turn = a * np.maximum(np.floor(r / unit) * unit, unit)
    wall.lay(np.ones(x.shape, bool), r, turn, sky)
    for cx, cy, size in CLOUDS:
        u = np.hypot((x - cx) / 1.9, (y - cy) * 1.6 + 0.010 * np.sin((x - cx) * 60))
        puff = (u < size * 0.62) & (y < cy + size * 0.20)
        tone = ramp(
            u / size, [(0.0, "#fff6df"), (0.35, "#fbe3c0"), (0.5, "#f2b28c"), (0.62, "#dd7f6b")]
        )
        wall.lay(puff, y - cy - 0.2 * size, x * 0.8, tone)
    disc = r < SUN[2]
    heat = _bands(r / unit, ["#c4212b", "#d93529", "#c4212b", "#e8542c", "#d12a2a", "#b81a2c"])
    wall.lay(disc, r, turn, heat)
    wall.lay(
        (r > SUN[2] - unit) & disc, r, a * SUN[2], np.broadcast_to(rgb("#ffe9b0"), (*x.shape, 3))
    )


def _hills(wall: Wall, x: Array, y: Array, unit: float) -> None:
    """Rows of stones that run along each crest."""
    w = x.shape[1]
    for base, swing, pitch, phase, colours in HILLS:
        crest = base - swing * (
            np.sin(pitch * x * 2 + phase) + 0.35 * np.sin(pitch * 5 * x + 2 * phase)
        )
        steep = np.gradient(crest, axis=1) * w
        below = (y - crest) / np.sqrt(1 + steep**2)
        tone = _bands(below / unit / 1.0, colours)
        tone = np.where((below < unit)[..., None], rgb("#f6c98a"), tone)
        wall.lay(y > crest, below, x * 1.06, tone)


def _sea(wall: Wall, x: Array, y: Array, unit: float) -> None:
    """Overlapping fans, larger towards the viewer, with the sun's path in red and gold."""
    seams = [SEA + 0.0165]
    while seams[-1] < y.max() + 0.1:
        seams.append(seams[-1] + 0.030 + 0.30 * (seams[-1] - SEA) * 0.55)
    wall.lay(y > SEA, y - SEA, x, np.broadcast_to(rgb("#f3d9a4"), (*x.shape, 3)))
    for n, foot in enumerate(seams):
        radius = (0.030 + 0.165 * (foot - SEA)) * 1.55
        pitch = radius * 1.62
        shift = (n % 2) * pitch / 2
        middle = np.round((x - shift) / pitch) * pitch + shift
        d = np.hypot(x - middle, y - foot)
        near = np.abs(middle - SUN[0]) < 0.055 + 0.16 * (foot - SEA)
        rings = np.floor((radius - d) / unit).astype(int)
        which = np.floor((x - shift) / pitch + 0.5).astype(int)
        tables = np.stack([np.stack([rgb(c) for c in names]) for names in FANS])
        pick = np.where(near, 2, (which + n) % 2)
        tone = tables[pick, np.clip(rings, 0, 8)]
        ring_radius = np.maximum(radius - rings * unit, unit)
        fan = (d < radius) & (y < foot + radius) & (y > SEA)
        wall.lay(fan, radius - d, np.arctan2(x - middle, foot - y) * ring_radius + middle, tone)
        wall.region[fan] += 100 * (which[fan] % 50)


def paint() -> NDArray[np.uint8]:
    """(608, 768, 3) uint8 RGB."""
    w, h = SIZE[0] * SCALE, SIZE[1] * SCALE
    y, x = np.indices((h, w), np.float32) / w
    x = x + 0.006 * (noise.fbm(h, w, 160, 1, octaves=2) - 0.5)  # nobody's hand is that steady
    y = y + 0.006 * (noise.fbm(h, w, 160, 2, octaves=2) - 0.5)
    wall = Wall(h, w)
    for part in (_sky, _hills, _sea):
        part(wall, x, y, STONE / w)
    return wall.stones()
