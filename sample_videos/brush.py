"""Oil paint: tapered strokes of many bristles that follow a direction field, with a relief that
catches the light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass
class Canvas:
    """`paint` is (H, W, 4) float32: RGB in [0, 1] and the thickness of the paint."""

    paint: Array

    @classmethod
    def primed(cls, height: int, width: int, tone: Array) -> Canvas:
        paint = np.empty((height, width, 4), np.float32)
        paint[..., :3], paint[..., 3] = tone, 0.3
        return cls(paint)

    def strokes(
        self,
        colours: Array,
        angle: Array,
        width: float,
        length: float,
        seed: int,
        coverage: float = 2.5,
        where: Array | None = None,
        jitter: float = 0.05,
        load: float = 0.5,
    ) -> None:
        """One pass with one brush: random strokes that cover the canvas `coverage` times where
        `where` (H, W) is 1.

        colours (H, W, 3) is what each stroke takes its colour from, at its start; angle (H, W) is
        its direction in radians; jitter is how far colours stray; load is the paint on the brush,
        hence the height of the relief.
        """
        h, w = angle.shape
        rng = np.random.default_rng(seed)
        count = int(coverage * h * w / (width * length))
        start = np.stack([rng.uniform(-0.02, 1.02, count) * w, rng.uniform(-0.02, 1.02, count) * h])
        inside = np.clip(start.astype(int), 0, [[w - 1], [h - 1]])
        if where is not None:
            keep = where[inside[1], inside[0]] > rng.random(count)
            start, inside = start[:, keep], inside[:, keep]
        steps = max(5, int(length / 7))
        paths = self._follow(
            angle, start, length * rng.uniform(0.6, 1.3, start.shape[1]), steps
        )  # (2, N, steps)
        base = colours[inside[1], inside[0]]
        shift = rng.normal(0, jitter, (len(base), 1)) + rng.normal(0, 0.28 * jitter, base.shape)
        base = base * (1 + 1.6 * shift) + 0.35 * shift
        for n in range(len(base)):
            self.stroke(paths[:, n], base[n], width * rng.uniform(0.65, 1.2), load, rng)

    @staticmethod
    def _follow(
        angle: Array, start: NDArray[np.float64], length: NDArray[np.float64], steps: int
    ) -> NDArray[np.float64]:
        """Points along the field, from half a length before each start to half a length after
        it.
        """
        h, w = angle.shape
        ways = []
        for sign in (-1, 1):
            point, way = start.copy(), []
            for _ in range(steps // 2 + 1):
                x, y = np.clip(point.astype(int), 0, [[w - 1], [h - 1]])
                a = angle[y, x]
                point = point + sign * length / steps * np.stack([np.cos(a), np.sin(a)])
                way.append(point)
            ways.append(np.stack(way, -1))
        return np.concatenate([ways[0][..., ::-1], start[..., None], ways[1]], -1)

    def stroke(
        self,
        path: NDArray[np.float64],
        tone: Array,
        width: float,
        load: float,
        rng: np.random.Generator,
    ) -> None:
        """A row of bristles side by side: each has its own tone, height and reach, the outer ones
        are shorter.
        """
        tangent = np.gradient(path, axis=1)
        tangent /= np.hypot(*tangent) + 1e-6
        normal = np.stack([-tangent[1], tangent[0]])
        n = path.shape[1]
        along = np.linspace(0, 1, n)
        body = np.minimum(1, 0.55 + 2.2 * along) * np.minimum(
            1, 0.30 + 2.0 * (1 - along)
        )  # pressed, then lifted
        bristles = max(4, int(width / 1.7))
        across = np.linspace(-1, 1, bristles)
        height = 0.35 + load * (0.55 * (1 - across**2) + rng.uniform(-0.3, 0.35, bristles))
        height[[0, -1]] += 0.22 * load  # paint is pushed to the rims
        streak = rng.normal(0, 0.055, bristles)
        first = (0.10 * n * (across**2) + rng.uniform(0, 0.08 * n, bristles)).astype(int)
        last = (n - 0.14 * n * (across**2) - rng.uniform(0, 0.16 * n, bristles)).astype(int)
        for k in rng.permutation(bristles):
            line = path + normal * (across[k] * width / 2 * body)
            points = (line[:, first[k] : max(last[k], first[k] + 2)].T * 8).astype(np.int32)
            colour = [
                *np.clip(tone * (1 + streak[k]) + 0.3 * streak[k], 0, 1).tolist(),
                float(height[k]),
            ]
            cv2.polylines(self.paint, [points], False, colour, 3 if width > 9 else 2, cv2.LINE_8, 3)

    def finished(
        self, size: tuple[int, int], relief: float = 1.0, gloss: float = 0.35
    ) -> NDArray[np.uint8]:
        """The picture at (width, height) `size`, lit from the upper left, as (H, W, 3) uint8
        RGB.
        """
        colour = cv2.GaussianBlur(self.paint[..., :3], (0, 0), 0.8)
        thickness = cv2.GaussianBlur(self.paint[..., 3], (0, 0), 1.0)
        slope = cv2.Sobel(thickness, cv2.CV_32F, 1, 0) * 0.7 + cv2.Sobel(
            thickness, cv2.CV_32F, 0, 1
        )
        light = np.tanh(slope * relief)
        shaded = (
            colour * (1 + 0.42 * light[..., None])
            + gloss * 0.22 * (np.clip(light, 0, 1) ** 2)[..., None]
        )
        small = cv2.resize(np.clip(shaded, 0, 1), size, interpolation=cv2.INTER_AREA)
        return (small * 255).round().astype(np.uint8)
