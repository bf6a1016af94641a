"""The colours of stills as their ICC profile means them, brought to sRGB.

LittleCMS does it by way of Pillow, which passes 8 bits a sample and no more. Pictures of 16 bits go
through the profile's own curves and matrix here, which is all there is to a profile of a screen, a
camera or a working space; where it is a table of a device instead, 8 bits are what is left.
"""

from __future__ import annotations

import functools
import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_GRID_STEPS = 9
"""Samples along each side of the cube of colours in which two profiles are compared."""

_MAX_EQUAL_LEVELS = 1
"""Levels of 255 by which a profile that calls itself sRGB differs from another that does."""

_MAX_SIMILAR_LEVELS = 6
"""Levels of 255 by which LittleCMS and an exact computation differ where colours are clipped."""


def profile_space(profile: bytes) -> str:
    """Return the space of the colours that a profile describes ("RGB", "GRAY", "CMYK", ...); ""
    where it is no profile.
    """
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (OSError, ValueError):
        return ""


def is_srgb(profile: bytes) -> bool:
    """Tell whether colours stay as they are: sRGB by any of the names and makers that it has."""
    return _is_like(profile, "bt709")


def is_display_p3(profile: bytes) -> bool:
    """Tell whether a profile is that of the screens of phones, by what it does."""
    return _is_like(profile, "smpte432")


def _is_like(profile: bytes, primaries: str) -> bool:
    """Tell whether a profile does what primaries alone do."""
    if profile_space(profile) != "RGB":
        return False
    steps = np.rint(np.linspace(0, 255, _GRID_STEPS)).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1)  # (n, n, n, 3)
    colours = np.ascontiguousarray(cube.reshape(_GRID_STEPS, -1, 3))
    converted = convert_image(Image.fromarray(colours), profile)
    if converted is None:
        return False
    expected = convert_primaries(colours, primaries).astype(int)
    difference = np.abs(converted - expected)
    # Where one clips and the other does not quite, dark levels differ by more.
    most = _MAX_EQUAL_LEVELS if primaries == "bt709" else _MAX_SIMILAR_LEVELS
    return bool(difference.max() <= most)


def convert_image(image: Image.Image, profile: bytes | None) -> NDArray[np.uint8] | None:
    """Convert a picture of 8 bits to sRGB, (H, W, 3); None when LittleCMS cannot.

    Args:
        profile: that of the picture, of its mode (RGB, L or CMYK); None for one in LAB, which needs
            none.
    """
    try:
        given: Any = (
            ImageCms.createProfile("LAB")
            if profile is None
            else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        )
        converted = ImageCms.profileToProfile(image, given, _srgb(), outputMode="RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
    return None if converted is None else np.asarray(converted)


def convert_pixels(pixels: NDArray[Any], profile: bytes) -> NDArray[Any] | None:
    """Convert (H, W, 3), uint8, uint16 or float32 in [0, 1], to sRGB; None when the profile cannot
    be used. The depth stays where curves and a matrix do it, and is uint8 where they do not.

    Args:
        profile: of RGB; or of grey, for a picture whose channels are equal.
    """
    if pixels.dtype != np.uint8:
        converted = _convert_deep(pixels, profile)
        if converted is not None:
            return converted
        scale = 255 / 65535 if pixels.dtype == np.uint16 else 255
        pixels = np.rint(pixels * scale).clip(0, 255).astype(np.uint8)
    if profile_space(profile) == "GRAY":
        return convert_image(Image.fromarray(np.ascontiguousarray(pixels[..., 0])), profile)
    return convert_image(Image.fromarray(pixels), profile)


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


ADOBE_RGB = "adobe-rgb"
"""Of Adobe RGB (1998), which has a curve of its own and no name in ffmpeg."""

PRIMARIES = {
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    ADOBE_RGB: ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)),
}
"""Red, green and blue of spaces whose white is that of sRGB, in CIE 1931 (x, y), by ffmpeg's
names.
"""

_ADOBE_GAMMA = 563 / 256

_SRGB_PRIMARIES = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_WHITE = (0.3127, 0.3290)


def convert_primaries(pixels: NDArray[Any], primaries: str) -> NDArray[Any]:
    """Convert (H, W, 3) of other primaries, and the curve of sRGB or Adobe RGB, to sRGB at the same
    depth; primaries that are not in `PRIMARIES` are taken as those of sRGB.
    """
    if primaries not in PRIMARIES:
        return pixels
    matrix = np.linalg.solve(_to_xyz(_SRGB_PRIMARIES), _to_xyz(PRIMARIES[primaries]))
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    values = pixels.astype(np.float32) / np.float32(top)
    if primaries == ADOBE_RGB:
        light = values ** np.float32(_ADOBE_GAMMA)
    else:
        power = ((values + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
        light = np.where(values <= 0.04045, values / np.float32(12.92), power)
    encoded = _encode_srgb((light @ matrix.T.astype(np.float32)).clip(0, 1))
    return np.rint(encoded * top).astype(pixels.dtype) if top > 1 else encoded


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Return the matrix from linear RGB to XYZ under D65 (SMPTE RP 177), (3, 3)."""
    points = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    x, y = _WHITE
    return points * np.linalg.solve(points, np.array([x / y, 1, (1 - x - y) / y]))


def _convert_deep(pixels: NDArray[Any], profile: bytes) -> NDArray[Any] | None:
    """Convert by curves and a matrix, at the depth of the pixels; None where the profile is made of
    other things.
    """
    is_grey = profile_space(profile) == "GRAY"
    try:
        given = _read_tags(profile)
        wanted = _read_tags(_srgb().tobytes())
        if "A2B0" in given or profile[20:24] != b"XYZ ":
            return None
        values = np.linspace(0, 1, 65536)
        curves = [_apply_curve(given[f"{'k' if is_grey else c}TRC"], values) for c in "rgb"]
        matrix: NDArray[np.float64] = np.eye(3)
        if not is_grey:
            matrix = np.asarray(np.linalg.solve(_colorants(wanted), _colorants(given)), np.float64)
    except (KeyError, ValueError, struct.error, np.linalg.LinAlgError):
        return None
    if pixels.dtype == np.uint16:
        codes = pixels
    else:
        codes = np.rint(np.asarray(pixels).clip(0, 1) * 65535).astype(np.uint16)
    light = np.stack(
        [curve.astype(np.float32)[codes[..., i]] for i, curve in enumerate(curves)], axis=-1
    )  # (H, W, 3)
    encoded = _encode_srgb((light @ matrix.T.astype(np.float32)).clip(0, 1))
    if pixels.dtype == np.uint16:
        return np.rint(encoded * 65535).astype(np.uint16)
    return encoded


def _encode_srgb(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply the curve of sRGB (IEC 61966-2-1) to linear light in [0, 1]."""
    curved = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= 0.0031308, np.float32(12.92) * light, curved)


def _read_tags(profile: bytes) -> dict[str, bytes]:
    """Return the elements of a profile by the names of their tags (ICC.1:2022, 7.3).

    Raises struct.error where the profile is cut short.
    """
    tags: dict[str, bytes] = {}
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(min(count, 100)):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        tags[name.decode("latin-1")] = profile[offset : offset + size]
    return tags


def _colorants(tags: dict[str, bytes]) -> NDArray[np.float64]:
    """Return the matrix from linear RGB to XYZ under D50, (3, 3)."""
    columns = [struct.unpack_from(">3i", tags[f"{c}XYZ"], 8) for c in "rgb"]
    return np.array(columns, np.float64).T / 65536


def _apply_curve(element: bytes, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply a curve, sampled or parametric (ICC.1:2022, 10.6 and 10.18), to values in [0, 1].

    Raises ValueError or struct.error for one that is neither.
    """
    if element[:4] == b"curv":
        (count,) = struct.unpack_from(">I", element, 8)
        samples = struct.unpack_from(f">{count}H", element, 12)
        if count == 0:
            return values
        if count == 1:
            return np.asarray(values ** (samples[0] / 256))
        return np.interp(values, np.linspace(0, 1, count), np.array(samples) / 65535)
    if element[:4] != b"para":
        raise ValueError("no curve")
    (form,) = struct.unpack_from(">H", element, 8)
    count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(form)
    if count is None:
        raise ValueError("no curve that the standard knows")
    given = [number / 65536 for number in struct.unpack_from(f">{count}i", element, 12)]
    gamma, a, b, c, d, e, f = (given + [0.0] * 7)[:7]
    if form == 0:
        return np.asarray(values**gamma)
    power = (a * values + b).clip(0) ** gamma
    if form in (1, 2):
        # Below where the line meets zero there is nothing but the offset, `c` of the third form.
        return np.asarray(np.where(a * values + b >= 0, power, 0) + c)
    return np.asarray(np.where(values >= d, power + e, c * values + f))
