"""A moving camera over a lake valley, a balloon passing in front of it, and the exact motion of
every pixel.

The picture is a stack of painted layers. Each layer moves by an affine map that is known for every
frame, so flow and occlusion are computed, not estimated. Flat ground is one layer too: under a
sideways or rising camera its rows shift in proportion to their height below the horizon, which is a
shear, and so the houses stay where they stand.

    frame(t)           (H, W, 3) uint8 RGB
    flow_t_to_prev(t)  (2, H, W) float32, pixels, channel 0 = x: where pixel (x, y) of frame t was in t-1, minus (x, y)
    flow_prev_to_t(t)  (2, H, W) float32: where pixel (x, y) of frame t-1 is in frame t, minus (x, y)
    occluded(t)        (H, W) bool, frame t's coordinates: that surface point was covered or outside the picture in t-1

A pixel belongs to the topmost layer that covers at least half of it; where two layers meet, colours
are mixed and only the owner's motion is given. Everything is seeded: the same call gives the same
array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sample_videos import land, layer, shore, sprites
from sample_videos.noise import smoothstep

WIDTH, HEIGHT = 640, 360
FRAMES = 48
RATE = 24

Matrix = NDArray[np.float64]
Size = tuple[int, int]
SIZE: Size = (WIDTH, HEIGHT)
MIDDLE = (FRAMES - 1) / 2


@dataclass(frozen=True)
class Piece:
    """A premultiplied RGBA texture, the map from view to texture coordinates being a function of
    the frame.
    """

    texture: NDArray[np.float32]
    to_texture: Callable[[int], Matrix]


def _affine(xx: float, xy: float, x: float, yx: float, yy: float, y: float) -> Matrix:
    return np.array([[xx, xy, x], [yx, yy, y], [0, 0, 1]], np.float64)


def _turn(scale: float, angle: float, about: tuple[float, float]) -> Matrix:
    """Scaling and rotation (radians) that leave the point `about` where it is."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    x, y = about
    return _affine(c, -s, x - c * x + s * y, s, c, y - s * x - c * y)


def _camera(distance: float, ground: bool, t: int) -> Matrix:
    """Scene to view: the camera slides right, rises, turns right, rolls a little and zooms in."""
    u = t - MIDDLE
    slide, rise = 0.0125 * u, 0.0011 * u
    pan = 0.85 * u + 3 * np.sin(u / 9)
    h = layer.HORIZON
    if ground:
        parallax = _affine(1, -slide, slide * h, 0, 1 + rise, -rise * h)
    else:
        parallax = _affine(1, 0, -slide * distance, 0, 1, rise * distance)
    turn = _turn(1.04 + 0.0009 * u, 0.006 * np.sin(u / 11), (WIDTH / 2, HEIGHT / 2))
    return turn @ _affine(1, 0, -pan, 0, 1, 0) @ parallax


def _layer(painted: layer.Layer, drift: float = 0.0) -> Piece:
    d = layer.DENSITY
    texels = _affine(d, 0, -layer.LEFT * d, 0, d, -painted.top * d)

    def to_texture(t: int) -> Matrix:
        own = _affine(1, 0, drift * (t - MIDDLE), 0, 1, 0)
        return texels @ np.linalg.inv(_camera(painted.distance, painted.ground, t) @ own)

    return Piece(painted.texture, to_texture)


def _balloon() -> Piece:
    """Drifts to the right and nearer, swaying; its path is given in the view."""
    texture = np.pad(sprites.balloon(), ((4, 4), (4, 4), (0, 0)))
    h, w = texture.shape[:2]

    def to_texture(t: int) -> Matrix:
        u = t - MIDDLE
        scale = 0.355 * 1.004**u
        sway = _turn(scale, 0.035 * np.sin(u / 8), (0, 0))
        place = _affine(1, 0, 232 + 3.3 * u, 0, 1, 126 - 0.55 * u + 2 * np.sin(u / 6))
        return np.linalg.inv(place @ sway @ _affine(1, 0, -w / 2, 0, 1, -h / 2))

    return Piece(texture, to_texture)


PIECES = ("sky", "mountains", "hills", "lake", "village", "boat", "meadow", "foreground", "balloon")
"""What the scene is made of, back to front."""


@lru_cache(maxsize=1)
def _pieces() -> tuple[Piece, ...]:
    """All pieces, back to front; painted once."""
    sky, mountains, hills, village = land.sky(), land.mountains(), land.hills(), land.village()
    lake = shore.lake([sky, mountains, hills, village])
    valley = [_layer(painted) for painted in (sky, mountains, hills, lake, village)]
    boat = _layer(shore.sail_boat(), drift=-0.8)
    near = [_layer(painted) for painted in (shore.meadow(), shore.foreground())]
    return (*valley, boat, *near, _balloon())


def _pixels(size: Size) -> Matrix:
    """Pixel centres of a picture of `size` to view coordinates (0 .. WIDTH, 0 .. HEIGHT)."""
    sx, sy = WIDTH / size[0], HEIGHT / size[1]
    return _affine(sx, 0, sx / 2, 0, sy, sy / 2)


def _texel_index(piece: Piece, t: int, size: Size) -> Matrix:
    return _affine(1, 0, -0.5, 0, 1, -0.5) @ piece.to_texture(t) @ _pixels(size)


def _render(pieces: tuple[Piece, ...], t: int, size: Size) -> NDArray[np.float32]:
    """(H, W, 3) in [0, 1]: all pieces composited at about two samples per reference pixel, then
    averaged down.
    """
    fine = max(1, -(-layer.DENSITY * WIDTH // size[0]))
    big = (size[0] * fine, size[1] * fine)
    picture = np.zeros((big[1], big[0], 3), np.float32)
    for piece in pieces:
        matrix = _texel_index(piece, t, big)[:2]
        part = cv2.warpAffine(
            piece.texture, matrix, big, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        picture *= 1 - part[..., 3:]
        picture += part[..., :3]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _to_uint8(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _posed(piece: Piece, to_texture: Matrix) -> Piece:
    return Piece(piece.texture, lambda _: to_texture)


def frame(t: int, size: Size = SIZE) -> NDArray[np.uint8]:
    """Frame `t` of the clip at (width, height) `size`."""
    _check(t, first=0)
    return _to_uint8(_render(_pieces(), t, size))


def close_up(t: int, size: Size = SIZE) -> NDArray[np.uint8]:
    """The second shot of cut.mp4: the village in the evening, twice as large, panned the other way.
    No ground truth.
    """
    _check(t, first=0)
    u = t - MIDDLE
    lens = _turn(2.15 - 0.003 * u, 0, (330, 196)) @ _affine(1, 0, 12 - 1.1 * u, 0, 1, -6)
    still = int(MIDDLE)  # the valley keeps the pose of this frame; only the lens and the boat move
    from_lens = np.linalg.inv(lens)
    from_boat = np.linalg.inv(lens @ _affine(1, 0, -62 - 0.5 * u, 0, 1, -14))
    *valley, boat = _pieces()[:6]
    shot = [_posed(piece, piece.to_texture(still) @ from_lens) for piece in valley]
    shot.append(_posed(boat, boat.to_texture(still) @ from_boat))
    picture = _render(tuple(shot), t, size)
    light = np.array([1.06, 0.80, 0.70], np.float32) * 0.86
    warm = smoothstep(0.35, 0.95, picture.mean(-1, keepdims=True)) * np.array(
        [0.10, 0.03, -0.03], np.float32
    )
    return _to_uint8(picture * light + warm + np.array([0.01, 0.01, 0.045], np.float32))


def flow_t_to_prev(t: int, size: Size = SIZE) -> NDArray[np.float32]:
    """(2, H, W): frame t-1, sampled at (x, y) + flow, is frame t. `t` >= 1."""
    return _flow(t, t - 1, size)


def flow_prev_to_t(t: int, size: Size = SIZE) -> NDArray[np.float32]:
    """(2, H, W): the surface at (x, y) in frame t-1 is at (x, y) + flow in frame t. `t` >= 1."""
    return _flow(t - 1, t, size)


def occluded(t: int, size: Size = SIZE) -> NDArray[np.bool_]:
    """(H, W), frame t's coordinates: not visible in frame t-1. `t` >= 1."""
    _check(t, first=1)
    owner = _owner(t, size)
    width, height = size
    y, x = np.indices((height, width), np.float64)
    was_x, was_y = flow_t_to_prev(t, size) + np.stack([x, y])
    hidden = (was_x < 0) | (was_x > width - 1) | (was_y < 0) | (was_y > height - 1)
    for k, piece in enumerate(_pieces()):
        matrix = _texel_index(piece, t - 1, size)
        u = matrix[0, 0] * was_x + matrix[0, 1] * was_y + matrix[0, 2]
        v = matrix[1, 0] * was_x + matrix[1, 1] * was_y + matrix[1, 2]
        alpha = cv2.remap(_alpha(k), u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)
        hidden |= (alpha >= 0.5) & (k > owner)
    return hidden


def pieces_seen(t: int, size: Size = SIZE) -> NDArray[np.int64]:
    """(H, W): which of `PIECES` each pixel of frame `t` shows."""
    _check(t, first=0)
    return _owner(t, size)


def _check(t: int, first: int) -> None:
    if not first <= t < FRAMES:
        raise ValueError(f"frame {t} is outside {first} .. {FRAMES - 1}")


@lru_cache(maxsize=16)
def _alpha(k: int) -> NDArray[np.float32]:
    """Coverage of piece `k`, averaged over about a reference pixel."""
    return cv2.blur(_pieces()[k].texture[..., 3], (3, 3), borderType=cv2.BORDER_REPLICATE)


def _owner(t: int, size: Size) -> NDArray[np.int64]:
    """(H, W): index of the topmost piece that covers at least half of the pixel."""
    owner = np.zeros((size[1], size[0]), np.int64)
    for k, piece in enumerate(_pieces()):
        matrix = _texel_index(piece, t, size)[:2]
        alpha = cv2.warpAffine(
            _alpha(k), matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        owner[alpha >= 0.5] = k
    return owner


def _flow(here: int, there: int, size: Size) -> NDArray[np.float32]:
    """(2, H, W): where each pixel of frame `here` lies in frame `there`, minus its own place."""
    _check(max(here, there), first=1)
    owner = _owner(here, size)
    y, x = np.indices(owner.shape, np.float64)
    flow = np.empty((2, *owner.shape), np.float32)
    for k, piece in enumerate(_pieces()):
        mine = owner == k
        m = np.linalg.inv(_texel_index(piece, there, size)) @ _texel_index(piece, here, size)
        flow[0][mine] = ((m[0, 0] - 1) * x + m[0, 1] * y + m[0, 2])[mine]
        flow[1][mine] = (m[1, 0] * x + (m[1, 1] - 1) * y + m[1, 2])[mine]
    return flow
