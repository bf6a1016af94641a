"""The far layers of the valley, as painted textures: sky, mountains, wooded hills, the village on
the far shore.
"""

from __future__ import annotations

import cv2
import numpy as np

from sample_videos import noise, sprites
from sample_videos.layer import DENSITY, HORIZON, LEFT, RIGHT, SHORE, Image, Layer, grid, opaque
from sample_videos.noise import mix, ramp, rgb, smoothstep

SKY = [(0.0, "#2f6ea8"), (0.35, "#5b97c4"), (0.62, "#a4c6d8"), (0.82, "#e6d9bd"), (1.0, "#f9ddaa")]
HAZE = "#cfd6d6"


def sky() -> Layer:
    top, bottom = -60.0, 230.0
    x, y = grid(top, bottom)
    h, w = x.shape
    height = (y - top) / (HORIZON + 14 - top)
    colour = ramp(height, SKY)
    glow = np.exp(-(((x + 20) / 330) ** 2) - ((y - 160) / 95) ** 2)
    colour = mix(colour, rgb("#ffe3a6"), (0.75 * glow).astype(np.float32))
    # Clouds: puffs that thicken downwards, lit from the left: the light is the density's slope
    # along x.
    bend = 40 * (noise.fbm(h, w, 90, 3) - 0.5)
    density = noise.displace(
        noise.fbm(h, w, 190, 21, octaves=8, gain=0.53, stretch=1.9), 2 * bend, bend
    )
    cover = 0.515 + 0.10 * smoothstep(0.75, 1.0, height) + 0.05 * smoothstep(0.3, 0.0, height)
    body = smoothstep(0.0, 0.09, density - cover)
    soft = cv2.GaussianBlur(density, (0, 0), 3)
    slope = (
        np.roll(soft, -7, 1)
        - np.roll(soft, 7, 1)
        + 1.2 * (np.roll(soft, -7, 0) - np.roll(soft, 7, 0))
    )
    lit = np.clip(0.62 + 5.5 * slope - 1.6 * (density - cover), 0, 1)
    cloud = ramp(lit, [(0.0, "#8c97ae"), (0.35, "#c4bfc4"), (0.62, "#f3dfc6"), (1.0, "#fff8ea")])
    cloud = mix(cloud, rgb("#f6d9ae"), 0.6 * smoothstep(0.5, 1.0, height))
    return Layer("sky", opaque(mix(colour, cloud, 0.94 * body)), top)


def _terrain(n_x: int, n_z: int, seed: int) -> tuple[Image, Image]:
    """Heights in [0, 1] on an (n_z, n_x) grid, and the share of direct sun (light along +x, with
    cast shadows).
    """
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
    """A snowy range: a height field seen from the lake; per column, the nearest depth that reaches
    each row.
    """
    top, bottom = 20.0, 215.0
    x, y = grid(top, bottom)
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
    direct = np.clip(
        (0.50 + 1.15 * slope_x + 0.35 * slope_z) / np.sqrt(1 + 1.2 * steep**2), 0, 1.15
    ) * (0.12 + 0.88 * sun)
    grain = noise.fbm(n_z, w, 22, 77, octaves=5, gain=0.65)
    strata = noise.value(n_z, w, (90, 3), 78)
    rock = ramp(
        0.55 * grain + 0.45 * strata, [(0.1, "#4a4a52"), (0.5, "#7d746c"), (0.9, "#ab9c88")]
    )
    forest = ramp(grain, [(0.2, "#26402c"), (0.55, "#45603a"), (0.9, "#7b8a4a")])
    level = height + 0.16 * (grain - 0.5)
    ground = mix(forest, rock, smoothstep(0.11, 0.21, level + 0.05 * steep))
    snow = smoothstep(0.215, 0.30, level - 0.09 * np.clip(steep - 0.7, 0, 1.6) + 0.04 * slope_z)
    ground = mix(ground, rgb("#fbf9f6"), snow)
    sunlight, skylight = rgb("#ffe9c4") * 1.06, rgb("#6f8fbd") * 0.60
    ground = ground * (direct[..., None] * sunlight + (1 - 0.55 * direct[..., None]) * skylight)

    colour = ground[depth, columns]
    colour = cv2.GaussianBlur(colour, (0, 0), 0.7)
    mist = (
        0.16
        + 0.20 * (z[depth] - 1)
        + 0.55 * smoothstep(60, 0, HORIZON + 22 - y) * smoothstep(230, 150, y + 40)
    )
    colour = mix(colour, rgb(HAZE), np.clip(mist, 0, 0.9))
    return Layer("mountains", opaque(colour, cv2.GaussianBlur(alpha, (0, 0), 0.8)), top, distance=5)


def _conifers(count: int) -> list[Image]:
    return [sprites.conifer(k) for k in range(count)]


def hills() -> Layer:
    """Wooded slopes with clearings between the range and the lake."""
    top, bottom = 110.0, SHORE + 4
    x, y = grid(top, bottom)
    h, w = x.shape
    rng = np.random.default_rng(5)
    canvas = np.zeros((h, w, 4), np.float32)
    trees = _conifers(6) + [sprites.broadleaf(k, "#22401f", "#9aa245", 160) for k in range(3)]
    sea = x[0]
    for band, (base, swing, haze, seed) in enumerate(
        [(158, 26, 0.42, 11), (176, 24, 0.22, 12), (194, 18, 0.06, 13)]
    ):
        crest = base - swing * (2 * noise.fbm(1, w, 330, seed, octaves=4, gain=0.45)[0] - 0.75)
        crest += 10 * smoothstep(0, 300, np.abs(sea - 330)) * -1
        below = y - crest[None]
        alpha = smoothstep(-0.5, 0.5, below)
        grass = noise.fbm(h, w, 50, seed + 30, octaves=6, gain=0.6)
        meadow = ramp(grass, [(0.2, "#6f7f3a"), (0.5, "#9fa04c"), (0.8, "#d3c069")])
        slope = np.gradient(cv2.GaussianBlur(crest[None], (0, 0), 20)[0])
        meadow *= np.clip(0.86 - 1.4 * slope[None, :, None], 0.5, 1.25)
        meadow = mix(meadow, rgb(HAZE), np.full((h, w), haze, np.float32))
        canvas[:] = canvas * (1 - alpha[..., None]) + opaque(meadow, alpha)
        wood = noise.fbm(h, w, 80, seed + 60, octaves=3)
        count = 1500
        px, py = rng.integers(0, w, count), rng.random(count) ** 1.2
        rows = (crest[px] - top) * DENSITY + py * 46 * DENSITY
        for k in np.argsort(rows):
            row = int(rows[k])
            if row >= h or wood[max(row, 0), px[k]] < 0.47 + 0.1 * rng.random():
                continue
            size = (6.2 + 2.6 * band + 7 * py[k]) * rng.uniform(0.7, 1.15)
            tint = rng.uniform(0.78, 1.18) * np.array(
                [rng.uniform(0.95, 1.15), 1, rng.uniform(0.85, 1.05)], np.float32
            )
            sprite = trees[rng.integers(len(trees))]
            bright = 1 - 0.8 * haze
            mist = rgb(HAZE) * haze
            tinted = sprite.copy()
            tinted[..., :3] = np.clip(
                tinted[..., :3] * tint * bright + mist * tinted[..., 3:], 0, tinted[..., 3:]
            )
            sprites.paste(canvas, tinted, px[k], row, size * DENSITY)
    return Layer("hills", canvas, top, distance=SHORE - HORIZON - 8)


def village() -> Layer:
    """Houses, a church and gardens on the far shore."""
    top, bottom = 120.0, SHORE + 8
    y = grid(top, bottom)[1]
    h, w = y.shape
    canvas = np.zeros((h, w, 4), np.float32)
    rng = np.random.default_rng(8)
    poplars = [sprites.broadleaf(40 + k, "#24451f", "#b6ac4b", 240, slim=0.36) for k in range(2)]
    round_trees = [sprites.broadleaf(50 + k, "#1e3d1e", "#a9a846", 200) for k in range(3)]
    autumn = [sprites.broadleaf(60 + k, "#7a3a1c", "#e8a93f", 200) for k in range(2)]
    walls, roofs = (
        ["#f3e2c0", "#efe9dc", "#e9c79a", "#dcd3c6"],
        ["#b4513a", "#a2412f", "#c0683f", "#8a4a3c"],
    )
    bank = SHORE + 1.5 * (noise.fbm(1, w, 60, 4)[0] - 0.5)
    grass = ramp(
        noise.fbm(h, w, 16, 9, octaves=5, gain=0.7),
        [(0.2, "#4d632f"), (0.5, "#83903f"), (0.85, "#cdbb66")],
    )
    lawn = smoothstep(196, 200, y + 4 * noise.fbm(1, w, 120, 5)[0]) * smoothstep(
        0.6, -0.6, y - bank[None]
    )
    canvas[:] = opaque(grass, lawn)

    def at(sprite: Image, px: float, foot: float, width: float, tint: Image | None = None) -> None:
        sprites.paste(
            canvas, sprite, (px - LEFT) * DENSITY, (foot - top) * DENSITY, width * DENSITY, tint
        )

    def trees(kind: list[Image], spots: list[tuple[float, float, float]]) -> None:
        for px, foot, width in spots:
            at(
                kind[int(rng.integers(len(kind)))],
                px,
                foot,
                width,
                rng.uniform(0.85, 1.1) * np.ones(3, np.float32),
            )

    scattered = [
        (px, rng.uniform(200, 203), rng.uniform(13, 22))
        for px in np.arange(LEFT, RIGHT, 15) + rng.uniform(-6, 6, 68)
    ]
    trees(round_trees, [s for s in scattered if not 240 < s[0] < 430])
    trees(
        poplars,
        [
            (208, 203, 11),
            (221, 204, 10),
            (452, 203, 11),
            (463, 204, 9),
            (474, 203, 10),
            (640, 204, 10),
            (30, 203, 11),
        ],
    )
    at(sprites.house(70, "#efe7d8", "#5a6672", 1, tower=True), 338, 202, 40)
    places = [(262, 202, 24), (292, 203, 25), (380, 203, 26), (410, 202, 24), (238, 204, 26), (312, 205, 26),
              (362, 206, 25), (436, 205, 27), (118, 204, 26), (560, 204, 26), (592, 205, 25), (-60, 204, 26),
              (700, 204, 27)]  # fmt: skip
    for k, (px, foot, width) in enumerate(places):
        at(
            sprites.house(80 + k, walls[k % 4], roofs[(k * 3) % 4], 1 + (k % 3 > 0)),
            px,
            foot,
            width,
        )
    trees(
        autumn,
        [
            (278, 205, 13),
            (346, 206, 12),
            (396, 206, 14),
            (190, 205, 16),
            (498, 205, 17),
            (90, 205, 15),
            (620, 206, 15),
        ],
    )
    trees(round_trees, [(250, 206, 10), (326, 206, 9), (424, 206, 11), (150, 206, 18), (170, 206, 13), (530, 206, 19),
                        (545, 206, 12), (60, 206, 19), (660, 206, 18), (685, 206, 14)])  # fmt: skip
    return Layer("village", canvas, top, distance=SHORE - HORIZON)
