"""Still images, decoded to sRGB as deep as their files have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vidstyle.errors import Refusal
from vidstyle.video import colour_profile, file_kind
from vidstyle.video.file_kind import StoredPicture, find_jpeg_end


def check_file(path: Path, error: type[Refusal]) -> None:
    """Raise `error` unless the path is a readable file with something in it."""
    what = f"cannot read {path}"
    try:
        if path.is_dir():
            raise error(what, "it is a directory", "name the file in it")
        if not path.exists():
            raise error(what, "there is no such file", "check the path")
        if not path.is_file():
            raise error(
                what,
                "it is a device or a pipe, and a file is read more than once",
                "save it to a file first",
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise error(what, "the file is empty", "copy or download it again")
    except OSError as e:
        raise error(what, e.strerror or str(e), "check the file's permissions") from e


@dataclass(frozen=True)
class Still:
    """A still as it is painted.

    Args:
        pixels: (H, W, 3) sRGB, upright; uint8, uint16 or float32 in [0, 1], as deep as the file.
        has_alpha: something shows through.
        notes: one line for each thing that is not as the file has it.
    """

    pixels: NDArray[Any]
    has_alpha: bool
    notes: tuple[str, ...] = ()


def read_still(path: Path, picture: StoredPicture) -> Still | None:
    """Read a still, or the first picture of an animation; None when it is no whole picture.

    OpenCV decodes what it can: it alone keeps 16 bits. pillow-heif decodes HEIC; Pillow AVIF, TGA,
    CMYK and LAB, and what OpenCV lacks a decoder for.
    """
    notes: list[str] = []
    if picture.reader == "HEIF":
        still = _read_heic(path)
    elif picture.mode in ("CMYK", "LAB") or picture.reader in ("AVIF", "TGA"):
        still = _read_by_pillow(path, picture, notes)
    else:
        data = path.read_bytes()
        pixels = decode_image(data)
        if pixels is not None:
            still = Still(pixels, has_alpha(data))
        else:
            # A JPEG without an end is taken by Pillow.
            is_other = picture.reader in ("TIFF", "JPEG2000", "BMP", "PPM", "WEBP")
            still = _read_by_pillow(path, picture, notes) if is_other else None
    if still is None:
        return None
    pixels = _convert_to_srgb(still.pixels, picture, notes)
    if picture.pages > 1:
        kind = "pictures: the main one" if picture.reader == "HEIF" else "pages: the first"
        notes.append(f"the file holds {picture.pages} {kind} is taken")
    return Still(pixels, still.has_alpha, (*still.notes, *notes))


def _convert_to_srgb(
    pixels: NDArray[Any], picture: StoredPicture, notes: list[str]
) -> NDArray[Any]:
    """Bring decoded pixels to sRGB by the picture's profile, and note what is not as it should
    be.
    """
    if picture.mode in ("CMYK", "LAB"):
        # These cannot be decoded without it.
        return pixels
    if not picture.profile:
        return colour_profile.convert_primaries(pixels, picture.primaries)
    if colour_profile.is_srgb(picture.profile):
        return pixels
    if colour_profile.profile_space(picture.profile) not in ("RGB", "GRAY"):
        notes.append(_UNUSABLE_PROFILE)
        return pixels
    converted = colour_profile.convert_pixels(pixels, picture.profile)
    if converted is None:
        notes.append(_UNUSABLE_PROFILE)
        return pixels
    if converted.dtype.itemsize < pixels.dtype.itemsize:
        notes.append("the colour profile is a table: colours are converted at 8 bits")
    return converted


_UNUSABLE_PROFILE = "the colour profile cannot be used: the colours are taken as sRGB"


def _read_heic(path: Path) -> Still | None:
    """Decode the main picture of a HEIC photo, of all its tiles, as it is turned."""
    import pillow_heif

    try:
        photos = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
        photo = photos[photos.primary_index]
        pixels = np.array(photo)
        info: Any = photo.info
        bits = int(info.get("bit_depth", 8))
    except Exception:
        return None
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    has_alpha = photo.mode.startswith(("RGBA", "RGBa", "LA"))
    colours = pixels[..., :-1] if has_alpha else pixels
    if colours.shape[2] == 1:
        colours = colours.repeat(3, axis=2)
    opaque = 255 if pixels.dtype == np.uint8 else (2**bits - 1) << (16 - bits)
    shows = has_alpha and bool((pixels[..., -1] < opaque).any())
    if pixels.dtype == np.uint16:
        # The bits stand at the top, and white is less than 65535.
        values = (colours >> (16 - bits)).astype(np.float32)
        colours = np.rint(values * np.float32(65535 / (2**bits - 1))).astype(np.uint16)
    return Still(np.ascontiguousarray(colours), shows)


def _read_by_pillow(path: Path, picture: StoredPicture, notes: list[str]) -> Still | None:
    """Decode by Pillow; CMYK and LAB come out as sRGB."""
    with path.open("rb") as file, file_kind.opened(file, (picture.reader,)) as image:
        if image is None:
            return None
        try:
            shown = ImageOps.exif_transpose(image)
            if picture.mode == "CMYK":
                return Still(_convert_cmyk(shown, picture, notes), False)
            if picture.mode == "LAB":
                lab = colour_profile.convert_image(shown, None)
                return None if lab is None else Still(lab, False)
            return _copy_pixels(shown)
        except Exception:
            return None


def _copy_pixels(image: Image.Image) -> Still | None:
    """Return the pixels of a picture that is grey or RGB; None for modes without a white."""
    if image.mode in ("I", "F"):
        return None
    if image.mode.startswith("I;16"):
        return Still(np.asarray(image)[..., None].repeat(3, axis=2), False)
    if not image.has_transparency_data:
        return Still(np.array(image.convert("RGB")), False)
    pixels = np.asarray(image.convert("RGBA"))
    colours = np.ascontiguousarray(pixels[..., :3])
    return Still(colours, bool((pixels[..., 3] < 255).any()))


def _convert_cmyk(
    image: Image.Image, picture: StoredPicture, notes: list[str]
) -> NDArray[np.uint8]:
    """Bring inks to sRGB: by their profile, or as if they were ideal."""
    if picture.profile and colour_profile.profile_space(picture.profile) == "CMYK":
        pixels = colour_profile.convert_image(image, picture.profile)
        if pixels is not None:
            return pixels
    notes.append("the CMYK colours have no profile: how the inks look is not known exactly")
    return np.asarray(image.convert("RGB"))


def decode_image(data: bytes) -> NDArray[Any] | None:
    """Decode a picture to (H, W, 3) RGB, uint8, uint16 or float32 as in the file, upright (EXIF);
    None when it is no whole picture.
    """
    if data.startswith(b"\x89PNG") and b"IEND" not in data:
        # libpng would say so on stderr.
        return None
    array = _decode_quietly(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if array is None or (data.startswith(b"\xff\xd8") and find_jpeg_end(data) < 0):
        # A JPEG without its end marker: some decoders fill the rest with grey.
        return None
    return np.ascontiguousarray(array[..., ::-1])


def has_alpha(data: bytes) -> bool:
    """Return whether there is an alpha channel that shows something through."""
    array = _decode_quietly(data, cv2.IMREAD_UNCHANGED)
    return (
        array is not None
        and array.ndim == 3
        and array.shape[2] == 4
        and bool(
            (array[..., 3] < (np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1)).any()
        )
    )


def _decode_quietly(data: bytes, flags: int) -> NDArray[Any] | None:
    """Decode by OpenCV, without its complaints on stderr; None when it cannot."""
    with _silence_opencv():
        try:
            array: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            # More pixels than OpenCV allows, or a header that makes no sense.
            return None
    return array


@contextmanager
def _silence_opencv() -> Iterator[None]:
    """Keep OpenCV from writing complaints to stderr; ours are in the error that is raised."""
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
