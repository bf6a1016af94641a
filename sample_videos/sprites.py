"""Single things, painted large and pasted small: trees, houses, a boat, a balloon; lit from the
upper left.

Every function returns an (H, W, 4) float32 image, colours premultiplied by alpha, all in [0, 1].
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sample_videos import noise
from sample_videos.noise import rgb, smoothstep

Image = NDArray[np.float32]
TWICE = 2  # drawn at twice the size and averaged down: cv2's own line edges are too crude


def _finish(colour: Image, mask: NDArray[np.uint8]) -> Image:
    alpha = (mask > 0).astype(np.float32)
    full = np.dstack([np.clip(colour, 0, 1) * alpha[..., None], alpha])
    return cv2.resize(full, None, fx=1 / TWICE, fy=1 / TWICE, interpolation=cv2.INTER_AREA)


def paste(
    canvas: Image, sprite: Image, x: float, y: float, width: float, tint: Image | None = None
) -> None:
    """Puts the sprite, `width` pixels wide, on the canvas with the middle of its foot at (x, y)."""
    scale = width / sprite.shape[1]
    h, w = max(2, round(sprite.shape[0] * scale)), max(2, round(width))
    small = cv2.resize(sprite, (w, h), interpolation=cv2.INTER_AREA)
    if tint is not None:
        small[..., :3] = np.clip(small[..., :3] * tint, 0, small[..., 3:])
    left, top = round(x - w / 2), round(y - h)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + w, canvas.shape[1]), min(top + h, canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = small[y0 - top : y1 - top, x0 - left : x1 - left]
    area = canvas[y0:y1, x0:x1]
    area *= 1 - part[..., 3:]
    area += part


def conifer(seed: int, height: int = 220) -> Image:
    """A spruce: tiers of hanging needles, darker inside and on the right."""
    rng = np.random.default_rng(seed)
    h, w = height * TWICE, int(height * TWICE * rng.uniform(0.4, 0.52))
    colour, mask = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8)
    trunk = [(w // 2 - 8, int(h * 0.8)), (w // 2 + 8, h)]
    cv2.rectangle(colour, *trunk, (0.25, 0.18, 0.13), -1)
    cv2.rectangle(mask, *trunk, 1, -1)
    dark, light = rgb("#16301f"), rgb("#7d9444")
    count = 1500
    level = np.sort(rng.random(count) ** 0.6)  # 0 = top
    for v in level[::-1]:
        y = h * (0.02 + 0.88 * v)
        reach = w * 0.48 * (v**0.85) * (0.72 + 0.28 * np.cos(v * 44))
        u = rng.uniform(-1, 1)
        x = w / 2 + u * reach
        end = (int(x + u * w * 0.07 + rng.normal(0, 3)), int(y + h * rng.uniform(0.025, 0.06)))
        lit = np.clip(0.38 - 0.5 * u + rng.normal(0, 0.2), 0, 1)
        shade = dark + (light - dark) * lit
        cv2.line(colour, (int(x), int(y)), end, shade.tolist(), 5)
        cv2.line(mask, (int(x), int(y)), end, 1, 5)
    return _finish(colour, mask)


def broadleaf(
    seed: int, dark: str = "#1d3b1c", light: str = "#b9b552", height: int = 240, slim: float = 1.0
) -> Image:
    """A leafy crown of several round masses on a trunk; `slim` < 1 makes a poplar."""
    rng = np.random.default_rng(seed)
    h, w = height * TWICE, int(height * TWICE * 0.95 * slim)
    colour, mask = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8)
    for side, tone in ((-1, 0.42), (1, 0.26)):
        foot = np.array(
            [[w / 2, h * 0.5], [w / 2 + side * w * 0.035, h * 0.7], [w / 2 + side * w * 0.05, h]]
        )
        shape = np.vstack([foot, [[w / 2, h]]]).astype(np.int32)
        cv2.fillPoly(colour, [shape], (tone, tone * 0.75, tone * 0.55))
        cv2.fillPoly(mask, [shape], 1)
    masses = [(0.5, 0.43, 0.34)]
    masses += [
        (
            0.5 + 0.27 * np.cos(a) * rng.uniform(0.8, 1.1),
            0.43 + 0.22 * np.sin(a),
            rng.uniform(0.15, 0.20),
        )
        for a in np.linspace(0, 2 * np.pi, 8)[:-1] + rng.uniform(0, 1)
    ]
    low, high = rgb(dark), rgb(light)
    leaves = []
    for cx, cy, r in masses:
        n = int((9000 * r * r + 300) * (max(height, 240) / 240) ** 1.6)
        angle, radius = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.random(n))
        u, v = np.cos(angle) * radius, np.sin(angle) * radius
        depth = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        lit = 0.32 - 0.36 * u - 0.42 * v + 0.12 * depth + 0.2 * (0.42 - cy)
        leaves += [
            (cx + u * r, cy + v * r, s)
            for u, v, s in zip(u, v, lit + rng.normal(0, 0.16, n), strict=True)
        ]
    rng.shuffle(leaves)
    leaves.sort(key=lambda one: round(one[2] * 3))  # the lit ones lie on top, in three coats
    leaf = max(height / 240, 1) ** 0.4
    for x, y, s in leaves:
        centre = (int(w * (0.5 + (x - 0.5))), int(h * y))
        axes = (int(leaf * rng.uniform(4, 9)), int(leaf * rng.uniform(3, 6)))
        shade = low + (high - low) * np.clip(s, 0, 1) + rng.normal(0, 0.015, 3)
        angle = rng.uniform(0, 180)
        cv2.ellipse(colour, centre, axes, angle, 0, 360, shade.tolist(), -1)
        cv2.ellipse(mask, centre, axes, angle, 0, 360, 1, -1)
    return _finish(colour, mask)


def house(seed: int, wall: str, roof: str, storeys: int = 2, tower: bool = False) -> Image:  # noqa: PLR0915 - a drawing, top to bottom
    """A gabled house in three-quarter view: lit front, long side in the shade, tiled roof; or a
    church with a spire.
    """
    rng = np.random.default_rng(seed)
    unit = 60 * TWICE
    body = unit * storeys
    front, side = int(unit * 1.5), int(unit * 2.1)
    gable = int(unit * 1.15)
    spire = int(unit * 3.4) if tower else 0
    h, w = body + gable + spire + 20, front + side + 60
    colour, mask = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8)
    left, base, eaves = 20, h, h - body

    def fill(points: list[tuple[float, float]], tone: Image) -> None:
        shape = np.array(points).round().astype(np.int32)
        cv2.fillPoly(colour, [shape], tone.tolist())
        cv2.fillPoly(mask, [shape], 1)

    def windows(x0: int, x1: int, y0: int, n: int, light: float) -> None:
        step = (x1 - x0) / n
        for k in range(n):
            x, size = x0 + (k + 0.5) * step, unit * 0.17
            fill([(x - size - 5, y0 - 5), (x + size + 5, y0 - 5), (x + size + 5, y0 + 54), (x - size - 5, y0 + 54)],
                 rgb("#f7efdd") * light)  # fmt: skip
            glass = rgb("#f2c463") if rng.random() < 0.3 else rgb("#3d5568") * rng.uniform(0.7, 1.2)
            fill([(x - size, y0), (x + size, y0), (x + size, y0 + 49), (x - size, y0 + 49)], glass)
            fill(
                [(x - 2, y0), (x + 2, y0), (x + 2, y0 + 49), (x - 2, y0 + 49)],
                rgb("#efe6d2") * light,
            )

    ridge = left + front // 2
    lit, shade = rgb(wall), rgb(wall) * np.array([0.66, 0.68, 0.78], np.float32)
    fill(
        [
            (left, base),
            (left, eaves),
            (ridge, eaves - gable),
            (left + front, eaves),
            (left + front, base),
        ],
        lit,
    )
    fill(
        [
            (left + front, base),
            (left + front, eaves),
            (left + front + side, eaves),
            (left + front + side, base),
        ],
        shade,
    )
    for storey in range(storeys):
        y = base - unit * (storey + 1) + 28
        windows(left, left + front, y, 2, 1.0)
        windows(left + front + 8, left + front + side - 8, y, 3, 0.72)
    windows(left + front // 3, left + 2 * front // 3, eaves - gable // 2 - 10, 1, 1.0)
    far = left + front + side
    tiles = rgb(roof)
    over = 14
    fill([(left + front + over, eaves + over), (ridge, eaves - gable - 4), (ridge + side, eaves - gable - 4),
          (far + over, eaves + over)], tiles)  # fmt: skip
    for row in np.linspace(0.06, 0.97, 11):
        a = np.array([ridge + row * (front / 2 + over), eaves - gable + row * (gable + over)])
        for k in range(24):
            start = a + np.array([side * k / 24, 0])
            stop = a + np.array([side * (k + 1) / 24 - 3, rng.uniform(-2, 2)])
            tone = tiles * rng.uniform(0.72, 1.16)
            cv2.line(
                colour, start.astype(int).tolist(), stop.astype(int).tolist(), tone.tolist(), 8
            )
    fill([(left - over, eaves + over), (ridge, eaves - gable - 12), (ridge, eaves - gable + 8), (left - 2, eaves + 24)],
         tiles * 1.15)  # fmt: skip
    if tower:
        x0, x1, top = left + 6, left + int(unit * 0.95), spire + 10
        middle = (x0 + x1) // 2
        fill([(x0, base), (x0, top), (middle + 10, top), (middle + 10, base)], lit * 1.03)
        fill([(middle + 10, base), (middle + 10, top), (x1, top), (x1, base)], shade)
        fill([(x0 - 10, top), (middle, 4), (middle + 10, top)], tiles * 1.1)
        fill([(middle + 10, top), (middle, 4), (x1 + 10, top)], tiles * 0.66)
        fill([(x0 + 16, top + 90), (x0 + 16, top + 50), (x0 + 32, top + 34), (x0 + 48, top + 50), (x0 + 48, top + 90)],
             rgb("#3b3f4a"))  # fmt: skip
    else:
        x = ridge + side * rng.uniform(0.3, 0.75)
        for x0, x1, brick in ((x, x + 18, "#9a5b45"), (x + 18, x + 30, "#6b3d33")):
            low, high = eaves - gable * 0.6, eaves - gable - 40
            fill([(x0, low), (x0, high), (x1, high), (x1, low)], rgb(brick))
    grain = noise.fbm(h, w, 40, seed, octaves=5, gain=0.7)
    colour *= (0.86 + 0.28 * grain)[..., None]
    colour *= (1 - 0.22 * smoothstep(h - unit * 0.7, h, np.arange(h, dtype=np.float32)))[
        :, None, None
    ]
    return _finish(colour, mask)


def boat(hull: str = "#8c3b2e", sail: str = "#f6ead0") -> Image:
    """A small sail boat under main and jib, heading left."""
    h, w = 560, 420
    colour, mask = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8)

    def fill(points: NDArray[np.float64], tone: Image) -> None:
        cv2.fillPoly(colour, [points.round().astype(np.int32)], tone.tolist())
        cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)

    s = np.linspace(0, 1, 40)
    leech = np.stack([232 + 150 * s + 26 * np.sin(np.pi * s), 24 + 426 * s], 1)
    fill(np.vstack([leech, [[232, 456]]]), rgb(sail))
    luff = np.stack([216 - 150 * s - 22 * np.sin(np.pi * s), 60 + 390 * s], 1)
    fill(np.vstack([luff, [[206, 440]]]), rgb(sail) * np.array([0.93, 0.88, 0.82], np.float32))
    y, x = np.indices((h, w), np.float32)
    belly = 0.94 + 0.22 * np.sin((x - 60) / 52) + 0.05 * np.sin(y / 9.0 + x / 60)
    colour *= np.clip(belly, 0.8, 1.1)[..., None]
    for k in range(1, 6):
        cv2.line(colour, (232, 24 + 72 * k), (236 + 32 * k, 16 + 72 * k), (0.70, 0.60, 0.48), 2)
    cv2.rectangle(colour, (222, 10), (230, 470), (0.36, 0.24, 0.15), -1)
    cv2.rectangle(mask, (222, 10), (230, 470), 1, -1)
    deck = np.stack([20 + 380 * s, 470 + 14 * np.sin(np.pi * s)], 1)
    keel = np.stack([352 - 280 * s, 552 - 8 * (2 * s - 1) ** 2], 1)
    fill(np.vstack([deck, keel]), rgb(hull))
    cv2.polylines(colour, [deck.astype(np.int32)], False, rgb("#f3dfb8").tolist(), 9)
    planks = 0.85 + 0.3 * noise.value(h, w, (160, 7), 5)
    colour[460:] *= planks[460:, :, None]
    return _finish(colour, mask)


def balloon(height: int = 520) -> Image:
    """A hot-air balloon: bulging gores with a zigzag band, shaded as a solid, its basket on
    ropes.
    """
    h, w = height * TWICE, int(height * TWICE * 0.72)
    y, x = np.indices((h, w), np.float32)
    v = y / (h * 0.80)  # 0 = crown, 1 = mouth
    upper = np.sqrt(np.clip(1 - (1 - v / 0.43) ** 2, 0, 1))
    lower = np.maximum(np.cos(np.clip((v - 0.43) / 0.60, 0, 1) * np.pi / 2), 0.12)
    shape = np.where(v < 0.43, upper, lower) * w * 0.49
    u = np.clip((x - w / 2) / np.maximum(shape, 1), -1, 1)
    inside = (np.abs(x - w / 2) < shape) & (v > 0.004) & (v < 1)
    gore = (np.arcsin(u) / np.pi + 0.5) * 12 + 0.35
    index, within = np.floor(gore).astype(int), gore - np.floor(gore)
    palette = np.stack([rgb(c) for c in ("#c8302b", "#f4b63f", "#f7ead0", "#e4692e")])
    colour = palette[index % 4]
    zigzag = np.abs(2 * within - 1) * 0.075
    band = (v > 0.37 + zigzag) & (v < 0.47 + zigzag)
    colour[band] = rgb("#1f4f72")
    trim = band & ((v < 0.385 + zigzag) | (v > 0.455 + zigzag))
    colour[trim] = rgb("#f7ead0")
    colour[(v > 0.84) | (v < 0.05)] = rgb("#1f4f72")
    star = (v > 0.60) & (np.abs(v - 0.66) * 9 + np.abs(within - 0.5) * 2 < 0.5)
    colour[star] = rgb("#1f4f72")
    ribs = (1 - 0.30 * np.exp(-((within * (1 - within)) * 26)))[..., None]
    puff = 0.93 + 0.12 * np.sin(np.pi * within) + 0.05 * np.sin(v * 150)
    front = np.sqrt(np.clip(1 - u * u, 0, 1))
    light = 0.50 - 0.50 * u + 0.32 * front - 0.46 * (v - 0.36)
    cloth = 0.95 + 0.1 * noise.fbm(h, w, 24, 8, octaves=4)
    lit = np.clip(light, 0.25, 1.12) * puff * cloth
    colour = colour * ribs * lit[..., None] * np.array([1.0, 0.98, 0.94], np.float32)
    colour += (1 - np.clip(light, 0, 1))[..., None] * np.array([0.03, 0.05, 0.10], np.float32)
    colour = colour.astype(np.float32)
    mask = inside.astype(np.uint8)
    top, bottom, half = int(h * 0.89), int(h * 0.985), int(w * 0.075)
    for k in (-1.0, -0.35, 0.35, 1.0):
        a, b = (int(w / 2 + k * w * 0.062), int(h * 0.795)), (int(w / 2 + k * half), top)
        cv2.line(colour, a, b, (0.24, 0.19, 0.16), 5)
        cv2.line(mask, a, b, 1, 5)
    basket = np.array(
        [
            [w / 2 - half, top],
            [w / 2 + half, top],
            [w / 2 + half * 0.8, bottom],
            [w / 2 - half * 0.8, bottom],
        ]
    )
    cv2.fillPoly(mask, [basket.astype(np.int32)], 1)
    weave = 0.55 + 0.2 * np.sign(np.sin(x / 5.5) * np.sin(y / 5.5)) + 0.18 * (w / 2 - x) / half
    area = (y >= top) & (mask > 0)
    colour[area] = (rgb("#b98a4c") * weave[..., None])[area]
    cv2.line(colour, (w // 2 - half, top + 4), (w // 2 + half, top + 4), (0.36, 0.22, 0.13), 12)
    return _finish(colour, mask)
