"""The near layers of the valley, as painted textures: the lake, a boat on it, the meadow, and what
stands in front.
"""

from __future__ import annotations

import cv2
import numpy as np

from sample_videos import noise, sprites
from sample_videos.layer import DENSITY, HORIZON, LEFT, SHORE, Layer, grid, opaque
from sample_videos.noise import mix, ramp, rgb, smoothstep


def lake(behind: list[Layer]) -> Layer:
    """Water: the layers behind it mirrored at the shore, broken by ripples that widen towards the
    viewer.
    """
    top, bottom = SHORE - 6, 380.0
    x, y = grid(top, bottom)
    h, w = x.shape
    upright = np.zeros((round((SHORE + 40) * DENSITY), w, 3), np.float32)  # scene rows -40 .. SHORE
    for layer in behind:
        start = round((layer.top + 40) * DENSITY)
        rows = min(layer.texture.shape[0], upright.shape[0] - start)
        first = max(0, -start)
        part = layer.texture[first:rows]
        area = upright[start + first : start + rows]
        area *= 1 - part[..., 3:]
        area += part[..., :3]
    depth = np.maximum(y - HORIZON, 1)
    near = np.clip((y - SHORE) / 150, 0, 1)
    # Waves in ground coordinates: one texture row per step in 1 / depth, so that they narrow
    # towards the horizon.
    waves = np.zeros((h, w), np.float32)
    for k, cell in enumerate((26.0, 11.0, 5.0)):
        field = noise.value(900, 1600, (cell * 1.6, cell * 0.55), 300 + k)
        u, v = (x - 320) * 70 / depth + 800, 26000 / depth
        waves += (
            cv2.remap(
                field,
                u.astype(np.float32),
                v.astype(np.float32),
                cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_WRAP,
            )
            - 0.5
        ) * 0.75**k
    blur = cv2.GaussianBlur(upright, (0, 0), sigmaX=1.2, sigmaY=3.5)
    mirror_y = (SHORE - (y - SHORE) * 1.02 + 40 + waves * (5 + 22 * near)) * DENSITY
    mirror_x = (x - LEFT + waves * (1.5 + 5 * near)) * DENSITY
    reflection = cv2.remap(
        blur,
        mirror_x.astype(np.float32),
        mirror_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    deep = ramp(near, [(0.0, "#6f98a3"), (0.5, "#2f6a7c"), (1.0, "#174a58")])
    colour = mix(
        reflection * np.array([0.90, 0.95, 0.97], np.float32),
        deep,
        np.clip(0.16 + 0.40 * near - 0.5 * waves * (0.3 + near), 0.05, 0.85),
    )
    glint = smoothstep(0.30, 0.48, waves) * np.exp(-(((x - 60 + 0.3 * (y - SHORE)) / 230) ** 2))
    colour = mix(colour, rgb("#fff0cc"), (0.75 * glint).astype(np.float32))
    colour = mix(colour, rgb("#e6e3d2"), 0.35 * smoothstep(SHORE + 5, SHORE + 0.5, y))
    return Layer("lake", opaque(cv2.GaussianBlur(colour, (0, 0), 0.8)), top, ground=True)


def sail_boat() -> Layer:
    """A boat on the lake with its broken mirror image."""
    top, foot, width = 190.0, 252.0, 44
    h, w = grid(top, 300)[0].shape
    canvas = np.zeros((h, w, 4), np.float32)
    sprite = sprites.boat()
    x, row = (470 - LEFT) * DENSITY, round((foot - top) * DENSITY)
    sprites.paste(canvas, sprite, x, row, width * DENSITY)
    mirror = canvas[:row][::-1][: h - row] * np.array([0.62, 0.72, 0.74, 1.0], np.float32)
    rows, columns = np.indices(mirror.shape[:2], np.float32)
    wave = noise.value(*mirror.shape[:2], (60, 5), 9) - 0.5
    mirror = cv2.remap(
        mirror, columns + 16 * wave * (0.3 + rows / h), rows * 1.15, cv2.INTER_LINEAR
    )
    gaps = smoothstep(0.62, 0.56, noise.value(*mirror.shape[:2], (50, 4), 10) + rows / h * 0.35)
    canvas[row - 2 : row - 2 + mirror.shape[0]] += (mirror * gaps[..., None]) * (
        1 - canvas[row - 2 : row - 2 + mirror.shape[0], :, 3:]
    )
    return Layer("boat", canvas, top, distance=foot - HORIZON)


def meadow() -> Layer:
    """The near bank: grass drawn blade by blade, with poppies, daisies and buttercups."""
    top, bottom = 270.0, 400.0
    x, y = grid(top, bottom)
    h, w = x.shape
    rng = np.random.default_rng(31)
    depth = y - HORIZON
    u, v = ((x - 320) * 110 / depth + 900).astype(np.float32), (26000 / depth).astype(np.float32)
    patches = cv2.remap(
        noise.fbm(600, 1900, 60, 33), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    colour = ramp(patches, [(0.2, "#3f5a26"), (0.5, "#6f8434"), (0.8, "#b5a94e")])
    edge = (
        318 - 16 * smoothstep(120, 760, x[0]) - 12 * (noise.fbm(1, w, 240, 34, octaves=5)[0] - 0.5)
    )
    edge += 16 * np.exp(-(((x[0] - 200) / 110) ** 2))
    inside = y - edge[None]
    colour = mix(colour, rgb("#5a4a34"), smoothstep(4, 0, inside))
    canvas = np.ascontiguousarray(np.clip(colour, 0, 1))
    mask = np.ascontiguousarray((inside > 0).astype(np.float32))
    blades = 15000
    bx, by = rng.uniform(0, w, blades), np.sort(rng.uniform(0, h + 30, blades))
    low, high = rgb("#35521f"), rgb("#d8cc6a")
    for px, py in zip(bx, by, strict=True):
        column = min(int(px), w - 1)
        if py / DENSITY + top < edge[column] + 1:
            continue
        near = (py / DENSITY + top - HORIZON) / 190
        length = near * near * rng.uniform(10, 30)
        patch = patches[min(int(py), h - 1), column]
        tone = low + (high - low) * np.clip(1.5 * patch - 0.45 + rng.normal(0.12, 0.17), 0, 1)
        tip = (int(px + rng.normal(0.25, 0.22) * length), int(py - length))
        cv2.line(canvas, (int(px), int(py)), tip, tone.tolist(), 1 + (near > 0.9), cv2.LINE_AA)
        cv2.line(mask, (int(px), int(py)), tip, 1.0, 1 + (near > 0.9), cv2.LINE_AA)
    flowers = [
        (rgb("#d9352b"), 3.4, 900),
        (rgb("#fbf6ea"), 2.3, 800),
        (rgb("#f3c63f"), 2.2, 700),
        (rgb("#7d6bc0"), 2.4, 420),
    ]
    clumps = [noise.fbm(h, w, 70, 400 + k, octaves=3, stretch=2.5) for k in range(4)]
    for (tone, size, count), clump in zip(flowers, clumps, strict=True):
        fx, fy = rng.integers(0, w, count), np.sort(rng.integers(0, h, count))
        for px, py in zip(fx, fy, strict=True):
            near = (py / DENSITY + top - HORIZON) / 190
            if clump[py, px] < 0.5 or inside[py, px] < 5:
                continue
            radius = size * near * near * rng.uniform(0.8, 1.5)
            axes = (max(1, round(radius)), max(1, round(radius * 0.75)))
            petal = np.clip(tone * rng.uniform(0.8, 1.1), 0, 1)
            cv2.ellipse(
                canvas,
                (int(px), int(py)),
                axes,
                0,
                0,
                360,
                (petal * 0.72).tolist(),
                -1,
                cv2.LINE_AA,
            )
            lit = (max(1, axes[0] - 1), max(1, axes[1] - 1))
            cv2.ellipse(
                canvas, (int(px) - 1, int(py) - 1), lit, 0, 0, 360, petal.tolist(), -1, cv2.LINE_AA
            )
    return Layer("meadow", opaque(cv2.GaussianBlur(canvas, (0, 0), 0.6), mask), top, ground=True)


def foreground() -> Layer:
    """What stands closest: a maple on the right, and bushes at the lower edge."""
    top, bottom = -40.0, 420.0
    h, w = grid(top, bottom)[0].shape
    canvas = np.zeros((h, w, 4), np.float32)
    rng = np.random.default_rng(77)
    maple = sprites.broadleaf(90, "#5c2a14", "#f0a63a", 420)
    bush = [sprites.broadleaf(91 + k, "#27431d", "#b9b24c", 200)[:150] for k in range(2)]
    for px, foot, width in [(640, 362, 250), (-120, 360, 220)]:
        sprites.paste(canvas, maple, (px - LEFT) * DENSITY, (foot - top) * DENSITY, width * DENSITY)
    for px in (-160, -70, 566, 604, 676, 720, 800):
        width = rng.uniform(52, 88)
        sprites.paste(
            canvas, bush[px % 2], (px - LEFT) * DENSITY, (385 - top) * DENSITY, width * DENSITY
        )
    return Layer("foreground", canvas, top, distance=370 - HORIZON)
