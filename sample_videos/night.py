"""strokes.jpg: a bay by night, in oil: thousands of thick strokes in deep blue and ochre that swirl
around the moon.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sample_videos import noise
from sample_videos.brush import Canvas
from sample_videos.noise import mix, ramp, rgb, smoothstep

Array = NDArray[np.float32]
Point = tuple[float, float]
SIZE = (768, 608)
SCALE = 2  # painted at twice the size, then averaged down
MOON = (0.735, 0.215, 0.062)  # x, y, radius as shares of the width
STARS = [(0.075, 0.075, 0.020), (0.235, 0.105, 0.026), (0.47, 0.075, 0.021), (0.545, 0.29, 0.017), (0.93, 0.39, 0.020),
         (0.92, 0.075, 0.018), (0.15, 0.335, 0.018), (0.385, 0.40, 0.014)]  # fmt: skip
WHIRLS = [
    (0.36, 0.255, 0.17, 1.0),
    (0.575, 0.185, 0.11, -0.9),
    (0.06, 0.21, 0.12, -0.8),
    (0.83, 0.36, 0.10, 0.8),
]
LAMPS = [0.085, 0.15, 0.20, 0.275, 0.33, 0.41, 0.47, 0.53, 0.615, 0.675]


def _masses(x: Array, y: Array) -> tuple[Array, Array, dict[str, Array]]:
    """Colours (H, W, 3), directions (H, W) and the masks of the composition; x in [0, 1], y in the
    same unit.
    """
    h, w = x.shape
    bottom = h / w
    shore = np.float32(0.565)
    crest = (
        0.487
        - 0.075 * noise.fbm(1, w, w / 3, 61, octaves=4)[0]
        - 0.055 * np.exp(-(((x[0] - 0.88) / 0.16) ** 2))
    )
    crest2 = 0.515 - 0.035 * noise.fbm(1, w, w / 5, 62, octaves=4)[0]
    hill = smoothstep(0.0, 0.004, y - crest[None])
    near_hill = smoothstep(0.0, 0.004, y - crest2[None])
    sea = smoothstep(0.0, 0.003, y - shore)

    flow_x, flow_y = (
        np.ones_like(x),
        0.30 * np.sin(7 * x + 1.2) + 0.9 * (noise.fbm(h, w, w / 4, 63, octaves=3) - 0.5),
    )
    tide = np.zeros_like(x)
    rings = [(cx, cy, 2.4 * r, 1.0) for cx, cy, r in [MOON, *STARS]] + WHIRLS
    for cx, cy, r, turn in rings:
        dx, dy = x - cx, y - cy
        d = np.hypot(dx, dy) + 1e-6
        pull = np.exp(-((d / r) ** 2)) * 3.2
        flow_x += turn * pull * -dy / d - 0.25 * pull * dx / d
        flow_y += turn * pull * dx / d - 0.25 * pull * dy / d
    for cx, cy, r, turn in WHIRLS:
        d, a = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
        tide += np.exp(-((d / r) ** 2)) * np.sin(turn * 1.0 * a + 46 * d)
    angle = np.arctan2(flow_y, flow_x)

    level = np.clip(y / 0.50, 0, 1)
    drift = noise.fbm(h, w, w / 5, 64, octaves=4, stretch=2.4)
    tone = 0.62 * level + 0.9 * (drift - 0.5) + 0.17 * tide
    colour = ramp(tone, [(0.0, "#14245c"), (0.22, "#1f3f8c"), (0.42, "#2f66ae"), (0.58, "#5b96bd"), (0.75, "#9fbfae"),
                         (0.95, "#d9c987")])  # fmt: skip
    for cx, cy, r in [MOON, *STARS]:
        d = np.hypot(x - cx, y - cy) / r
        halo = np.exp(-((d / 2.5) ** 2)) * (0.86 + 0.30 * np.cos(d * 5.2))
        colour = mix(colour, ramp(d, [(0.0, "#fffbe0"), (1.0, "#ffe27a"), (1.9, "#f0b63a"), (2.9, "#c99a3e")]),
                     np.clip(halo * 1.1, 0, 0.96))  # fmt: skip
        colour = mix(colour, rgb("#fff4c2"), smoothstep(1.0, 0.8, d))

    grain = noise.fbm(h, w, w / 14, 65, octaves=4)
    far = ramp(
        grain + 0.9 * (crest[None] + 0.06 - y),
        [(0.25, "#24437f"), (0.5, "#3f6aa0"), (0.75, "#7f9fae")],
    )
    colour = mix(colour, far, hill)
    fields = ramp(
        grain, [(0.25, "#0e1c38"), (0.45, "#18364a"), (0.62, "#35574c"), (0.8, "#8f7f3c")]
    )
    colour = mix(colour, fields, near_hill)
    slope = np.gradient(crest * w)[None] * np.ones_like(x)
    angle = np.where(hill > 0.5, np.arctan(slope) + 0.5 * (grain - 0.5), angle)

    wash = noise.fbm(h, w, w / 16, 66, octaves=4, stretch=5)
    water = ramp(
        wash + 0.35 * (bottom - y),
        [(0.25, "#0d1c47"), (0.45, "#1a3f80"), (0.62, "#3570a8"), (0.8, "#7faeb4")],
    )
    gleam = np.zeros_like(x)
    wobble = 0.014 * (noise.fbm(h, w, w / 30, 67, stretch=4) - 0.5)
    for k, lamp in enumerate([*LAMPS, MOON[0]]):
        spread, reach = (0.030, 0.32) if lamp == MOON[0] else (0.0065, 0.075 + 0.05 * ((k * 5) % 3))
        column = np.exp(-(((x + wobble - lamp) / (spread * (1 + 2.5 * (y - shore)))) ** 2))
        gleam = np.maximum(gleam, column * smoothstep(reach, 0, y - shore))
    gleam *= 0.55 + 0.9 * smoothstep(0.40, 0.62, wash)
    water = mix(
        water,
        ramp(gleam, [(0.0, "#c08a2c"), (0.5, "#efb93e"), (1.0, "#ffe9a0")]),
        np.clip(gleam * 1.25, 0, 1),
    )
    colour = mix(colour, water, sea)
    angle = np.where(sea > 0.5, 0.16 * np.sin(26 * x + 40 * y) + 0.25 * (wash - 0.5), angle).astype(
        np.float32
    )
    return (
        np.clip(colour, 0, 1),
        angle,
        {"gleam": np.clip(gleam * sea * 2, 0, 1), "shore": sea, "hill": hill},
    )


def _dab(
    canvas: Canvas,
    a: tuple[float, float],
    b: tuple[float, float],
    tone: Array,
    width: float,
    rng: np.random.Generator,
) -> None:
    """One straight touch of the brush from `a` to `b`."""
    k = np.linspace(0, 1, 7)
    path = np.stack([a[0] + (b[0] - a[0]) * k, a[1] + (b[1] - a[1]) * k]) + rng.normal(
        0, 0.5, (2, 7)
    )
    canvas.stroke(path, tone * rng.uniform(0.82, 1.22), width, 0.9, rng)


def _village(canvas: Canvas, rng: np.random.Generator) -> None:
    """Gables, a spire and lamps along the shore, each a few dabs of paint."""
    w = canvas.paint.shape[1]
    foot = 0.569 * w
    walls = [rgb("#2b3d6b"), rgb("#3a4a70"), rgb("#7b6a4c"), rgb("#1d2c52"), rgb("#a88a55")]
    for n, cx in enumerate(w * (np.arange(0.045, 0.72, 0.0225) + rng.uniform(-0.004, 0.004, 30))):
        size = w * rng.uniform(0.011, 0.0165)
        top = foot - size * rng.uniform(1.1, 2.2)
        wall = walls[int(rng.integers(len(walls)))]
        for x in np.arange(cx - size, cx + size, 8):
            _dab(canvas, (x + 4, top - 3), (x + 4, foot), wall, 11, rng)
        for side, tone in ((1, rgb("#5c2f38")), (-1, rgb("#b05a3c"))):
            for k in range(3):
                drop = size * 0.28 * k
                _dab(
                    canvas,
                    (cx, top - size + drop),
                    (cx + side * size * 1.25, top + 0.1 * size + drop),
                    tone,
                    10,
                    rng,
                )
        if n % 2:
            _dab(
                canvas,
                (cx - 4, top + size * 0.75),
                (cx + 5, top + size * 0.75),
                rgb("#f0b840"),
                9,
                rng,
            )
    x, size = 0.367 * w, w * 0.011
    for k in np.linspace(-1, 1, 5):
        tone = rgb("#5f7ba6") * (0.72 - 0.34 * k)
        _dab(canvas, (x + k * size, foot), (x + k * size * 0.9, foot - 4.6 * size), tone, 12, rng)
        _dab(canvas, (x + k * size, foot - 4.4 * size), (x, foot - 10 * size), tone * 0.8, 9, rng)
    for lamp in LAMPS:
        cx, cy = lamp * w, foot - w * rng.uniform(0.006, 0.012)
        for reach, tone in ((17, "#d08a2c"), (11, "#f6c043"), (5, "#fff2b8")):
            for turn in np.linspace(0, np.pi, 4, endpoint=False):
                dx, dy = reach * np.cos(turn), reach * np.sin(turn)
                _dab(canvas, (cx - dx, cy - dy), (cx + dx, cy + dy), rgb(tone), 8, rng)


def _cypress(canvas: Canvas, rng: np.random.Generator) -> None:
    """Three dark trees at the right that lick upwards like flames."""
    h, w = canvas.paint.shape[:2]
    for cx, height, girth in ((0.905, 0.42, 0.042), (0.962, 0.31, 0.033), (0.852, 0.20, 0.024)):
        for _ in range(520):
            v = rng.random() ** 0.8  # 0 = foot, 1 = tip
            reach = girth * w * (np.sin(np.pi * np.clip(0.16 + 0.84 * v, 0, 1)) ** 0.7)
            u = rng.uniform(-1, 1)
            x, y = cx * w + u * reach, h - v * height * w
            k = np.linspace(0, 1, 9)
            rise = w * rng.uniform(0.030, 0.060)
            path = np.stack(
                [x - u * reach * 0.45 * k + 7 * np.sin(5 * k + 9 * v + 2 * u), y - rise * k]
            )
            lit = np.clip(0.35 - 0.45 * u + rng.normal(0, 0.22), 0, 1)
            tone = ramp(
                np.float32(lit),
                [(0.0, "#0a1420"), (0.45, "#16302c"), (0.8, "#3f5a2e"), (1.0, "#a88a35")],
            )
            canvas.stroke(path, tone, rng.uniform(9, 15), 0.6, rng)


def paint() -> NDArray[np.uint8]:
    """(608, 768, 3) uint8 RGB."""
    w, h = SIZE[0] * SCALE, SIZE[1] * SCALE
    y, x = np.indices((h, w), np.float32) / w
    colours, angle, masks = _masses(x, y)
    canvas = Canvas.primed(h, w, rgb("#3a3322"))
    canvas.strokes(colours, angle, width=34, length=150, seed=1, coverage=4, jitter=0.07)
    canvas.strokes(
        colours, angle, width=24, length=105, seed=2, coverage=3.2, jitter=0.10, load=0.7
    )
    detail = np.abs(cv2.Laplacian(cv2.GaussianBlur(colours.mean(-1), (0, 0), 8), cv2.CV_32F))
    fine = np.clip(cv2.GaussianBlur(detail, (0, 0), 12) * 700, 0.10, 1).astype(np.float32)
    canvas.strokes(
        colours, angle, width=15, length=64, seed=3, coverage=2.4, where=fine, jitter=0.10, load=0.9
    )
    rng = np.random.default_rng(9)
    _village(canvas, rng)
    canvas.strokes(
        colours,
        angle,
        width=11,
        length=44,
        seed=4,
        coverage=2.6,
        where=masks["gleam"],
        jitter=0.09,
        load=1.0,
    )
    _cypress(canvas, rng)
    return canvas.finished(SIZE, relief=1.1)
