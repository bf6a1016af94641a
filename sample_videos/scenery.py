"""The painted layers of the valley: sky, mountains, hills, lake, village, meadow, and what stands in front.

Each function returns a `Layer`. Scene coordinates are pixels of the 640x360 reference view; a layer holds `DENSITY` texels per
scene pixel and reaches past the view on all sides, because the camera moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sample_videos import noise, sprites
from sample_videos.noise import mix, ramp, rgb, smoothstep

DENSITY = 2
HORIZON = 172.0
LEFT, RIGHT = -190, 830
SHORE = 206.0  # where hills and village meet the lake
SKY = [(0.0, "#2f6ea8"), (0.35, "#5b97c4"), (0.62, "#a4c6d8"), (0.82, "#e6d9bd"), (1.0, "#f9ddaa")]
HAZE = "#cfd6d6"

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """An RGBA texture (H, W, 4), premultiplied, whose top left corner lies at scene point (LEFT, top).

    `distance` is the scene height of the layer's foot below the horizon, which sets how fast it passes: a standing layer moves as
    one piece; a `ground` layer lies flat, so that each of its rows moves as its own height below the horizon says.
    """

    name: str
    texture: Image
    top: float
    distance: float = 0.0
    ground: bool = False


def _grid(top: float, bottom: float) -> tuple[Image, Image]:
    """Scene coordinates x, y of the texels between two scene rows."""
    h, w = round((bottom - top) * DENSITY), (RIGHT - LEFT) * DENSITY
    y, x = np.indices((h, w), np.float32)
    return LEFT + (x + 0.5) / DENSITY, top + (y + 0.5) / DENSITY


def _opaque(colour: Image, alpha: Image | None = None) -> Image:
    colour = np.clip(colour, 0, 1)
    if alpha is None:
        alpha = np.ones(colour.shape[:2], np.float32)
    return np.dstack([colour * alpha[..., None], alpha]).astype(np.float32)


def sky() -> Layer:
    top, bottom = -60.0, 230.0
    x, y = _grid(top, bottom)
    h, w = x.shape
    height = (y - top) / (HORIZON + 14 - top)
    colour = ramp(height, SKY)
    glow = np.exp(-(((x + 20) / 330) ** 2) - ((y - 160) / 95) ** 2)
    colour = mix(colour, rgb("#ffe3a6"), (0.75 * glow).astype(np.float32))
    # Clouds: puffs that thicken downwards, lit from the left: the light is the density's slope along x.
    bend = 40 * (noise.fbm(h, w, 90, 3) - 0.5)
    density = noise.displace(noise.fbm(h, w, 190, 21, octaves=8, gain=0.53, stretch=1.9), 2 * bend, bend)
    cover = 0.515 + 0.10 * smoothstep(0.75, 1.0, height) + 0.05 * smoothstep(0.3, 0.0, height)
    body = smoothstep(0.0, 0.09, density - cover)
    soft = cv2.GaussianBlur(density, (0, 0), 3)
    slope = np.roll(soft, -7, 1) - np.roll(soft, 7, 1) + 1.2 * (np.roll(soft, -7, 0) - np.roll(soft, 7, 0))
    lit = np.clip(0.62 + 5.5 * slope - 1.6 * (density - cover), 0, 1)
    cloud = ramp(lit, [(0.0, "#8c97ae"), (0.35, "#c4bfc4"), (0.62, "#f3dfc6"), (1.0, "#fff8ea")])
    cloud = mix(cloud, rgb("#f6d9ae"), 0.6 * smoothstep(0.5, 1.0, height))
    return Layer("sky", _opaque(mix(colour, cloud, 0.94 * body)), top)


def _terrain(n_x: int, n_z: int, seed: int) -> tuple[Image, Image]:
    """Heights in [0, 1] on an (n_z, n_x) grid, and the share of direct sun (light along +x, with cast shadows)."""
    warp = 60 * (noise.fbm(n_z, n_x, 200, seed + 7) - 0.5)
    ridges = noise.fbm(n_z, n_x, 260, seed, octaves=9, gain=0.47, ridged=True)
    height = noise.displace(ridges, warp, -warp) ** 1.6
    height *= 0.45 + 0.9 * noise.fbm(n_z, n_x, 420, seed + 5, octaves=2)
    fall = 0.0017  # sun's elevation, height per column
    ramped = height + fall * np.arange(n_x, dtype=np.float32)
    horizon = np.maximum.accumulate(ramped, axis=1)
    sun = smoothstep(0.05, 0.0, horizon - ramped)
    return height.astype(np.float32), cv2.GaussianBlur(sun, (0, 0), 1.2)


def mountains() -> Layer:
    """A snowy range, as a camera on the lake sees a height field: per column, the nearest depth that reaches each row."""
    top, bottom = 20.0, 215.0
    x, y = _grid(top, bottom)
    h, w = x.shape
    n_z = 420
    height, sun = _terrain(w, n_z, 40)
    z = np.linspace(1.0, 2.1, n_z, dtype=np.float32)  # distance; 1 = the foot of the range
    envelope = smoothstep(0, 0.25, z - 1) * (1.0 - 0.25 * smoothstep(1.75, 2.1, z))
    height *= envelope[:, None]
    bump = np.exp(-((((np.arange(w, dtype=np.float32) / w) - 0.62) / 0.13) ** 2))
    crest = cv2.GaussianBlur(height.max(0, keepdims=True), (0, 0), 110)
    height = (height * (0.32 + 0.17 * bump[None]) / crest).astype(np.float32)
    rise = (height * 330 - 8) / z[:, None]  # scene pixels above the horizon
    nearest = np.maximum.accumulate(rise, axis=0)
    wanted = HORIZON - y[:, 0]
    depth = np.empty((h, w), np.int32)
    for column in range(w):
        depth[:, column] = np.searchsorted(nearest[:, column], wanted)
    alpha = (depth < n_z).astype(np.float32)
    depth = np.minimum(depth, n_z - 1)
    columns = np.broadcast_to(np.arange(w), (h, w))

    soft = cv2.GaussianBlur(height, (0, 0), 0.8)
    slope_x, slope_z = np.gradient(soft, axis=1) * 160, np.gradient(soft, axis=0) * 60
    steep = np.sqrt(slope_x**2 + slope_z**2)
    direct = np.clip((0.50 + 1.15 * slope_x + 0.35 * slope_z) / np.sqrt(1 + 1.2 * steep**2), 0, 1.15) * (
        0.12 + 0.88 * sun
    )
    grain = noise.fbm(n_z, w, 22, 77, octaves=5, gain=0.65)
    strata = noise.value(n_z, w, (90, 3), 78)
    rock = ramp(0.55 * grain + 0.45 * strata, [(0.1, "#4a4a52"), (0.5, "#7d746c"), (0.9, "#ab9c88")])
    forest = ramp(grain, [(0.2, "#26402c"), (0.55, "#45603a"), (0.9, "#7b8a4a")])
    level = height + 0.16 * (grain - 0.5)
    ground = mix(forest, rock, smoothstep(0.11, 0.21, level + 0.05 * steep))
    snow = smoothstep(0.215, 0.30, level - 0.09 * np.clip(steep - 0.7, 0, 1.6) + 0.04 * slope_z)
    ground = mix(ground, rgb("#fbf9f6"), snow)
    sunlight, skylight = rgb("#ffe9c4") * 1.06, rgb("#6f8fbd") * 0.60
    ground = ground * (direct[..., None] * sunlight + (1 - 0.55 * direct[..., None]) * skylight)

    colour = ground[depth, columns]
    colour = cv2.GaussianBlur(colour, (0, 0), 0.7)
    mist = 0.16 + 0.20 * (z[depth] - 1) + 0.55 * smoothstep(60, 0, HORIZON + 22 - y) * smoothstep(230, 150, y + 40)
    colour = mix(colour, rgb(HAZE), np.clip(mist, 0, 0.9))
    return Layer("mountains", _opaque(colour, cv2.GaussianBlur(alpha, (0, 0), 0.8)), top, distance=5)


def _conifers(count: int) -> list[Image]:
    return [sprites.conifer(k) for k in range(count)]


def hills() -> Layer:
    """Wooded slopes with clearings between the range and the lake."""
    top, bottom = 110.0, SHORE + 4
    x, y = _grid(top, bottom)
    h, w = x.shape
    rng = np.random.default_rng(5)
    canvas = np.zeros((h, w, 4), np.float32)
    trees = _conifers(6) + [sprites.broadleaf(k, "#22401f", "#9aa245", 160) for k in range(3)]
    sea = x[0]
    for band, (base, swing, haze, seed) in enumerate([(158, 26, 0.42, 11), (176, 24, 0.22, 12), (194, 18, 0.06, 13)]):
        crest = base - swing * (2 * noise.fbm(1, w, 330, seed, octaves=4, gain=0.45)[0] - 0.75)
        crest += 10 * smoothstep(0, 300, np.abs(sea - 330)) * -1
        below = y - crest[None]
        alpha = smoothstep(-0.5, 0.5, below)
        grass = noise.fbm(h, w, 50, seed + 30, octaves=6, gain=0.6)
        meadow = ramp(grass, [(0.2, "#6f7f3a"), (0.5, "#9fa04c"), (0.8, "#d3c069")])
        slope = np.gradient(cv2.GaussianBlur(crest[None], (0, 0), 20)[0])
        meadow *= np.clip(0.86 - 1.4 * slope[None, :, None], 0.5, 1.25)
        meadow = mix(meadow, rgb(HAZE), np.full((h, w), haze, np.float32))
        canvas[:] = canvas * (1 - alpha[..., None]) + _opaque(meadow, alpha)
        wood = noise.fbm(h, w, 80, seed + 60, octaves=3)
        count = 1500
        px, py = rng.integers(0, w, count), rng.random(count) ** 1.2
        rows = (crest[px] - top) * DENSITY + py * 46 * DENSITY
        for k in np.argsort(rows):
            row = int(rows[k])
            if row >= h or wood[max(row, 0), px[k]] < 0.47 + 0.1 * rng.random():
                continue
            size = (6.2 + 2.6 * band + 7 * py[k]) * rng.uniform(0.7, 1.15)
            tint = rng.uniform(0.78, 1.18) * np.array([rng.uniform(0.95, 1.15), 1, rng.uniform(0.85, 1.05)], np.float32)
            sprite = trees[rng.integers(len(trees))]
            bright = 1 - 0.8 * haze
            mist = rgb(HAZE) * haze
            tinted = sprite.copy()
            tinted[..., :3] = np.clip(tinted[..., :3] * tint * bright + mist * tinted[..., 3:], 0, tinted[..., 3:])
            sprites.paste(canvas, tinted, px[k], row, size * DENSITY)
    return Layer("hills", canvas, top, distance=SHORE - HORIZON - 8)


def village() -> Layer:
    """Houses, a church and gardens on the far shore."""
    top, bottom = 120.0, SHORE + 8
    h, w = _grid(top, bottom)[0].shape
    canvas = np.zeros((h, w, 4), np.float32)
    rng = np.random.default_rng(8)
    poplars = [sprites.broadleaf(40 + k, "#24451f", "#b6ac4b", 240, slim=0.36) for k in range(2)]
    round_trees = [sprites.broadleaf(50 + k, "#1e3d1e", "#a9a846", 200) for k in range(3)]
    autumn = [sprites.broadleaf(60 + k, "#7a3a1c", "#e8a93f", 200) for k in range(2)]
    walls, roofs = ["#f3e2c0", "#efe9dc", "#e9c79a", "#dcd3c6"], ["#b4513a", "#a2412f", "#c0683f", "#8a4a3c"]
    x, y = _grid(top, bottom)
    bank = SHORE + 1.5 * (noise.fbm(1, w, 60, 4)[0] - 0.5)
    grass = ramp(noise.fbm(h, w, 16, 9, octaves=5, gain=0.7), [(0.2, "#4d632f"), (0.5, "#83903f"), (0.85, "#cdbb66")])
    lawn = smoothstep(196, 200, y + 4 * noise.fbm(1, w, 120, 5)[0]) * smoothstep(0.6, -0.6, y - bank[None])
    canvas[:] = _opaque(grass, lawn)

    def at(sprite: Image, px: float, foot: float, width: float, tint: Image | None = None) -> None:
        sprites.paste(canvas, sprite, (px - LEFT) * DENSITY, (foot - top) * DENSITY, width * DENSITY, tint)

    def trees(kind: list[Image], spots: list[tuple[float, float, float]]) -> None:
        for px, foot, width in spots:
            at(kind[int(rng.integers(len(kind)))], px, foot, width, rng.uniform(0.85, 1.1) * np.ones(3, np.float32))

    scattered = [
        (px, rng.uniform(200, 203), rng.uniform(13, 22)) for px in np.arange(LEFT, RIGHT, 15) + rng.uniform(-6, 6, 68)
    ]
    trees(round_trees, [s for s in scattered if not 240 < s[0] < 430])
    trees(
        poplars,
        [(208, 203, 11), (221, 204, 10), (452, 203, 11), (463, 204, 9), (474, 203, 10), (640, 204, 10), (30, 203, 11)],
    )
    at(sprites.house(70, "#efe7d8", "#5a6672", 1, tower=True), 338, 202, 40)
    places = [(262, 202, 24), (292, 203, 25), (380, 203, 26), (410, 202, 24), (238, 204, 26), (312, 205, 26), (362, 206, 25),
              (436, 205, 27), (118, 204, 26), (560, 204, 26), (592, 205, 25), (-60, 204, 26), (700, 204, 27)]  # fmt: skip
    for k, (px, foot, width) in enumerate(places):
        at(sprites.house(80 + k, walls[k % 4], roofs[(k * 3) % 4], 1 + (k % 3 > 0)), px, foot, width)
    trees(
        autumn,
        [(278, 205, 13), (346, 206, 12), (396, 206, 14), (190, 205, 16), (498, 205, 17), (90, 205, 15), (620, 206, 15)],
    )
    trees(round_trees, [(250, 206, 10), (326, 206, 9), (424, 206, 11), (150, 206, 18), (170, 206, 13), (530, 206, 19), (545, 206, 12),
                        (60, 206, 19), (660, 206, 18), (685, 206, 14)])  # fmt: skip
    return Layer("village", canvas, top, distance=SHORE - HORIZON)


def lake(behind: list[Layer]) -> Layer:
    """Water: the layers behind it mirrored at the shore, broken by ripples that widen towards the viewer, greener below."""
    top, bottom = SHORE - 6, 380.0
    x, y = _grid(top, bottom)
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
    # Waves in ground coordinates: one texture row per step in 1 / depth, so that they narrow towards the horizon.
    waves = np.zeros((h, w), np.float32)
    for k, cell in enumerate((26.0, 11.0, 5.0)):
        field = noise.value(900, 1600, (cell * 1.6, cell * 0.55), 300 + k)
        u, v = (x - 320) * 70 / depth + 800, 26000 / depth
        waves += (
            cv2.remap(field, u.astype(np.float32), v.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
            - 0.5
        ) * 0.75**k
    blur = cv2.GaussianBlur(upright, (0, 0), sigmaX=1.2, sigmaY=3.5)
    mirror_y = (SHORE - (y - SHORE) * 1.02 + 40 + waves * (5 + 22 * near)) * DENSITY
    mirror_x = (x - LEFT + waves * (1.5 + 5 * near)) * DENSITY
    reflection = cv2.remap(
        blur, mirror_x.astype(np.float32), mirror_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
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
    return Layer("lake", _opaque(cv2.GaussianBlur(colour, (0, 0), 0.8)), top, ground=True)


def meadow() -> Layer:
    """The near bank: grass drawn blade by blade, with poppies, daisies and buttercups."""
    top, bottom = 270.0, 400.0
    x, y = _grid(top, bottom)
    h, w = x.shape
    rng = np.random.default_rng(31)
    depth = y - HORIZON
    u, v = ((x - 320) * 110 / depth + 900).astype(np.float32), (26000 / depth).astype(np.float32)
    patches = cv2.remap(noise.fbm(600, 1900, 60, 33), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    colour = ramp(patches, [(0.2, "#3f5a26"), (0.5, "#6f8434"), (0.8, "#b5a94e")])
    edge = 318 - 16 * smoothstep(120, 760, x[0]) - 12 * (noise.fbm(1, w, 240, 34, octaves=5)[0] - 0.5)
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
            cv2.ellipse(canvas, (int(px), int(py)), axes, 0, 0, 360, (petal * 0.72).tolist(), -1, cv2.LINE_AA)
            lit = (max(1, axes[0] - 1), max(1, axes[1] - 1))
            cv2.ellipse(canvas, (int(px) - 1, int(py) - 1), lit, 0, 0, 360, petal.tolist(), -1, cv2.LINE_AA)
    return Layer("meadow", _opaque(cv2.GaussianBlur(canvas, (0, 0), 0.6), mask), top, ground=True)


def foreground() -> Layer:
    """What stands closest: a maple on the right, and bushes at the lower edge."""
    top, bottom = -40.0, 420.0
    h, w = _grid(top, bottom)[0].shape
    canvas = np.zeros((h, w, 4), np.float32)
    rng = np.random.default_rng(77)
    maple = sprites.broadleaf(90, "#5c2a14", "#f0a63a", 420)
    bush = [sprites.broadleaf(91 + k, "#27431d", "#b9b24c", 200)[:150] for k in range(2)]
    for px, foot, width in [(640, 362, 250), (-120, 360, 220)]:
        sprites.paste(canvas, maple, (px - LEFT) * DENSITY, (foot - top) * DENSITY, width * DENSITY)
    for px in (-160, -70, 566, 604, 676, 720, 800):
        width = rng.uniform(52, 88)
        sprites.paste(canvas, bush[px % 2], (px - LEFT) * DENSITY, (385 - top) * DENSITY, width * DENSITY)
    return Layer("foreground", canvas, top, distance=370 - HORIZON)


def sail_boat() -> Layer:
    """A boat on the lake with its broken mirror image. Its texture is a sprite of its own, so `top` is where it floats."""
    top, foot, width = 190.0, 252.0, 44
    h, w = _grid(top, 300)[0].shape
    canvas = np.zeros((h, w, 4), np.float32)
    sprite = sprites.boat()
    x, row = (470 - LEFT) * DENSITY, round((foot - top) * DENSITY)
    sprites.paste(canvas, sprite, x, row, width * DENSITY)
    mirror = canvas[:row][::-1][: h - row] * np.array([0.62, 0.72, 0.74, 1.0], np.float32)
    rows, columns = np.indices(mirror.shape[:2], np.float32)
    wave = noise.value(*mirror.shape[:2], (60, 5), 9) - 0.5
    mirror = cv2.remap(mirror, columns + 16 * wave * (0.3 + rows / h), rows * 1.15, cv2.INTER_LINEAR)
    gaps = smoothstep(0.62, 0.56, noise.value(*mirror.shape[:2], (50, 4), 10) + rows / h * 0.35)
    canvas[row - 2 : row - 2 + mirror.shape[0]] += (mirror * gaps[..., None]) * (
        1 - canvas[row - 2 : row - 2 + mirror.shape[0], :, 3:]
    )
    return Layer("boat", canvas, top, distance=foot - HORIZON)
