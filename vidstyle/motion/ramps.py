"""Ramps: how a transition passes from one level to another in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ShareCurve = NDArray[np.float64]


def rise(x: ShareCurve, eased: bool) -> ShareCurve:
    """Return how far a ramp has come at `x`: 0 at 0 and below, 1 at 1 and above.

    It is x where it is linear, and 3x^2 - 2x^3 (smoothstep) where it is eased: editors offer both,
    and a cosine differs from the second by 0.01 at most.
    """
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x) if eased else x


@dataclass(frozen=True)
class Ramp:
    """A rise from 0 in frame `first` - 1 to 1 in frame `stop`, in between in the frames `first` ..
    `stop` - 1.

    Args:
        error: root mean square of what it leaves of the curve, in units of the rise.
        height: of the curve at the ramp's end, above its beginning.
    """

    first: int
    stop: int
    eased: bool
    error: float
    height: float

    def levels(self, frames: NDArray[np.int_]) -> ShareCurve:
        """Return the ramp at these frames."""
        n = self.stop - self.first + 1
        return rise((frames - (self.first - 1)) / n, self.eased)


def fit_ramp(
    curve: ShareCurve,
    firsts: NDArray[np.int_],
    stops: NDArray[np.int_],
    *,
    start: int = 0,
    shortest: int = 1,
    squares: ShareCurve | None = None,
) -> Ramp | None:
    """Fit curve[i] = p + q ramp(start + i) by least squares, over p, q, the ramp's ends and its
    shape.

    Every pair of ends is tried: a few thousand of a few hundred products, and no local minimum.

    Args:
        curve: (n,), of the frames `start` .. `start` + n - 1.
        firsts, stops: that may be.
        shortest: stop - first of the shortest ramp.
        squares: (n,), a second curve with the same ramp a, (1 - a)^2 u + a^2 v + a(1 - a) w. Then
            the product of what both leave is least: that is the most likely ramp where nobody knows
            how exact each curve is.

    Returns None where no pair of ends is at least that long, or the curve does not rise.
    """
    f, s = np.meshgrid(firsts, stops, indexing="ij")
    fitting = s - f >= shortest
    first = f[fitting]
    stop = s[fitting]
    if not len(first):
        return None
    t = start + np.arange(len(curve))
    x = (t[None] - (first[:, None] - 1)) / (stop - first + 1)[:, None]
    centred = curve - curve.mean()
    best: Ramp | None = None
    least = np.inf
    for eased in (False, True):
        levels = rise(x, eased)
        levels -= levels.mean(1, keepdims=True)
        power = (levels**2).sum(1)
        product = levels @ centred
        height = np.where(power > 0, product / np.maximum(power, 1e-12), 0.0)
        left = (centred**2).sum() - np.where(height > 0, height * product, 0.0)
        left = np.maximum(left, 1e-4 * len(curve) * height**2) / max(float(centred @ centred), 1e-9)
        if squares is not None:
            left = left * leave_of_squares(rise(x, eased), squares)
        i = int(left.argmin())
        if height[i] <= 0 or left[i] >= least:
            continue
        least = float(left[i])
        rest = max(float(centred @ centred) - float(height[i] * product[i]), 0.0)
        error = float(np.sqrt(rest / len(curve))) / float(height[i])
        best = Ramp(int(first[i]), int(stop[i]), eased, error, float(height[i]))
    return best


def leave_of_squares(levels: ShareCurve, squares: ShareCurve) -> ShareCurve:
    """Return the part of a curve's variance that (1 - a)^2 u + a^2 v + a(1 - a) w leaves, with the
    best u, v, w, for each row of levels a, (m, n) -> (m,).
    """
    basis = np.stack([(1 - levels) ** 2, levels**2, levels * (1 - levels)], 1)  # (m, 3, n)
    normal = basis @ basis.transpose(0, 2, 1) + 1e-6 * np.eye(3)
    product = basis @ squares
    weights = np.linalg.solve(normal, product[..., None])[..., 0]
    left = squares @ squares - (weights * product).sum(1)
    variance = max(float(((squares - squares.mean()) ** 2).sum()), 1e-9)
    # Nothing is known to a thousandth.
    part: ShareCurve = np.maximum(left / variance, 1e-3)
    return part
