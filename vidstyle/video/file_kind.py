"""What a file is: a still, an animation or a film, and who reads it.

Names decide nothing. The questions are asked in this order, and the first that is answered decides:

1. Is it a camera's raw file? Its TIFF directories, which Pillow reads, hold the mosaic of a sensor,
   or it begins as a maker's format does. It is refused: what other readers show of it is a
   thumbnail.
2. Does Pillow know it as a picture, or pillow-heif as a HEIC photo? With several frames it is an
   animation, which ffmpeg decodes, by a demuxer that is named: ffmpeg itself looks at the first
   kilobytes, and takes a name with `%` for a series of files. A JPEG with another right behind it,
   without an index of pictures, of which ffmpeg's raw reader makes frames of one size, is a film.
   Every other picture is a still; one with more pages is its first.
3. Does it begin like a picture, although Pillow cannot read it? Then it is a damaged still, unless
   OpenCV can.
4. Is it signed or called TGA, and does Pillow read it so? The format has no beginning to know it
   by, and streams of MPEG look like it.
5. What is it to ffmpeg? A still where ffmpeg reads single pictures, an animation in a GIF, APNG or
   WebP, else a film.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from PIL import Image, TiffImagePlugin

from vidstyle.errors import Refusal
from vidstyle.video import colour_profile, ffmpeg, showinfo

Kind = Literal["video", "animation", "image"]

MAX_PIXELS = 1 << 30
"""Of a still; OpenCV's own limit."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000")
"""What Pillow is asked for; each has a beginning that it is known by."""

_ANIMATION_DEMUXERS = {"PNG": "apng", "WEBP": "webp_anim"}

_STILL_BEGINNINGS = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"P1",
    b"P2",
    b"P3",
    b"P4",
    b"P5",
    b"P6",
)

_RAW_BEGINNINGS = {
    b"FUJIFILMCCD-RAW": "Fujifilm RAF",
    b"IIRO": "Olympus ORF",
    b"IIRS": "Olympus ORF",
    b"MMOR": "Olympus ORF",
    b"IIU\0": "Panasonic RW2",
    b"FOVb": "Sigma X3F",
    b"\0MRM": "Minolta MRW",
}

_SEQUENCE_BRANDS = (b"msf1", b"hevc", b"hevx", b"hevm", b"hevs", b"avis")
"""Of files of the HEIF family that hold a film; a photo may be in them as well."""

_PHOTO_BRANDS = (b"heic", b"heix", b"mif1", b"avif")

_TGA_SUFFIXES = (".tga", ".icb", ".vda", ".vst")
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"


@dataclass(frozen=True)
class StoredPicture:
    """A picture that Pillow or pillow-heif reads, as its file describes it.

    Args:
        reader: Pillow's name of the format.
        mode: Pillow's name of the channels.
        width, height: upright.
        is_turned: the file says that its pixels are to be turned or mirrored.
        pages: pictures in the file, without reduced ones and masks.
        profile: ICC profile; empty without one.
        primaries: as in `colour_profile.PRIMARIES`, where there is no profile.
    """

    reader: str
    mode: str
    width: int
    height: int
    is_turned: bool
    pages: int
    profile: bytes
    primaries: str = "bt709"


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    Args:
        kind: None where only ffmpeg can tell (`kind_by_demuxer`).
        demuxer: of ffmpeg, where it must be named.
        picture: the still, or the first picture of an animation.
    """

    kind: Kind | None
    demuxer: str = ""
    picture: StoredPicture | None = None


def identify(path: Path, error: type[Refusal]) -> FileKind:
    """Tell what a readable file is, as the docstring of this module says.

    Raises `error` for a camera's raw file and for a picture that nothing can read.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        if maker := _raw_maker(file, head):
            raise error(
                f"{path} is a camera's raw file ({maker})",
                "it holds what the sensor saw, which is no picture before it is developed",
                "develop it to a TIFF, PNG or JPEG, and give that",
            )
        if head.startswith(b"GIF8"):
            return FileKind("animation", "gif")
        picture, frames = _ask_pillow(file, head, path)
    if picture is None:
        return FileKind(None)
    return _kind_of_picture(path, head, picture, frames, error)


def _ask_pillow(file: IO[bytes], head: bytes, path: Path) -> tuple[StoredPicture | None, int]:
    """Return (the picture, its frames in time); (None, 0) for a file that is none to Pillow and
    pillow-heif, and a picture without a reader where it begins like one.
    """
    picture, frames = _describe_picture(file, head)
    if picture is None:
        picture, frames = _describe_heic(file, head), 1
    if picture:
        return picture, frames
    is_photo = head[4:8] == b"ftyp" and head[8:12] in _PHOTO_BRANDS
    if is_photo or head.startswith(_STILL_BEGINNINGS):
        return StoredPicture("", "RGB", 0, 0, False, 1, b""), 1
    return _describe_picture(file, head, ("TGA",)) if _may_be_tga(file, path) else (None, 0)


def _kind_of_picture(
    path: Path, head: bytes, picture: StoredPicture, frames: int, error: type[Refusal]
) -> FileKind:
    """Tell what a file is in which a picture was found."""
    if head[4:8] == b"ftyp" and (frames > 1 or head[8:12] in _SEQUENCE_BRANDS):
        return FileKind(None)
    if frames > 1:
        demuxer = _ANIMATION_DEMUXERS[picture.reader]
        return FileKind("animation", demuxer if demuxer in ffmpeg.demuxers() else "", picture)
    if picture.reader in ("HEIF", "AVIF") and not picture.profile:
        return _identify_untagged_photo(path, picture, error)
    if picture.reader == "JPEG" and _is_motion_jpeg(path):
        return FileKind("video", "mjpeg")
    return FileKind("image", picture=picture)


def kind_by_demuxer(container: str) -> Kind:
    """Return what a file is that only ffmpeg reads, by ffmpeg's names for its demuxer."""
    if container in ("gif", "apng", "webp_anim"):
        return "animation"
    return "image" if container.endswith("_pipe") or container == "image2" else "video"


@contextmanager
def opened(file: IO[bytes], formats: tuple[str, ...]) -> Iterator[Image.Image | None]:
    """Open a picture by Pillow, without its warnings and its limit of size; None when it is none of
    the formats.
    """
    file.seek(0)
    Image.init()
    known = [name for name in formats if name in Image.OPEN]
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Its readers stumble over damage in every way there is.
            try:
                image = Image.open(file, formats=known)
            except Exception:
                yield None
                return
            yield image if image.width * image.height <= MAX_PIXELS else None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _describe_picture(
    file: IO[bytes], head: bytes, formats: tuple[str, ...] = _FORMATS
) -> tuple[StoredPicture | None, int]:
    """Return (the picture, its frames in time) as Pillow sees it; (None, 0) when it cannot."""
    with opened(file, formats) as image:
        if image is None:
            return None, 0
        try:
            # Ultra HDR photos have an index of pictures, and are no MPO to Pillow.
            reader = "MPO" if "mp" in image.info else image.format or ""
            frames = int(getattr(image, "n_frames", 1)) if reader in _ANIMATED else 1
            profile = image.info.get("icc_profile") or b""
        except Exception:
            return None, 0
        turn, is_adobe = _read_exif(image)
        width, height = image.size
        if turn in (5, 6, 7, 8):
            width, height = height, width
        pages = len(_pages(file, head)) if reader == "TIFF" else 1
        primaries = colour_profile.ADOBE_RGB if is_adobe else "bt709"
        picture = StoredPicture(
            reader, image.mode, width, height, turn != 1, pages, profile, primaries
        )
    return picture, frames


_ANIMATED = ("PNG", "WEBP", "AVIF")
_ORIENTATION = 0x0112
_INTEROPERABILITY = 0xA005


def _read_exif(image: Image.Image) -> tuple[int, bool]:
    """Return (orientation, whether a camera says that its colours are Adobe RGB: DCF 2.0 has a code
    for it, without a profile); what is damaged says nothing.
    """
    try:
        exif = image.getexif()
        code = exif.get_ifd(_INTEROPERABILITY).get(1, "")
        turn = exif.get(_ORIENTATION, 1)
        return turn if turn in range(1, 9) else 1, str(code).startswith("R03")
    except Exception:
        return 1, False


def _describe_heic(file: IO[bytes], head: bytes) -> StoredPicture | None:
    """Return the photo in a HEIC file; None when it is none, or one that holds a film."""
    if head[4:8] != b"ftyp" or head[8:12] in _SEQUENCE_BRANDS:
        return None
    import pillow_heif

    file.seek(0)
    if not pillow_heif.is_supported(file):
        return None
    try:
        file.seek(0)
        photos = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        photo = photos[photos.primary_index]
        info: Any = photo.info
        size = photo.size
    except Exception:
        return None
    profile = info.get("icc_profile") or b""
    return StoredPicture("HEIF", photo.mode, *size, False, len(photos), profile)


def _identify_untagged_photo(path: Path, picture: StoredPicture, error: type[Refusal]) -> FileKind:
    """Choose the reader of a HEIC or AVIF whose colours are told by numbers, as those of a video.

    ffmpeg reads these numbers, high dynamic range, and AVIF at its whole depth; but of a photo in
    tiles it may show one, and not turn it.
    """
    shown = showinfo.parse_showinfo(showinfo.report_first_frame(path))
    if shown is None:
        return FileKind("image", picture=picture)
    is_hdr = shown.transfer in showinfo.HDR_TRANSFERS
    size = (picture.width, picture.height)
    is_whole = (shown.width, shown.height) == size and not picture.is_turned and picture.pages == 1
    if is_whole and (is_hdr or picture.reader == "AVIF"):
        return FileKind("image")
    if is_hdr:
        raise error(
            f"cannot read {path}",
            f"it is a photo of high dynamic range ({showinfo.HDR_TRANSFERS[shown.transfer]}) "
            "in tiles, which nothing here can tone-map",
            "save it as a photo of standard range, or as a TIFF",
        )
    return FileKind("image", picture=replace(picture, primaries=shown.primaries))


def _may_be_tga(file: IO[bytes], path: Path) -> bool:
    """Tell whether a file is called TGA, or ends as newer ones do."""
    if path.suffix.lower() in _TGA_SUFFIXES:
        return True
    file.seek(0, io.SEEK_END)
    file.seek(max(0, file.tell() - len(_TGA_FOOTER)))
    return file.read() == _TGA_FOOTER


_SUBFILE_TYPE = 254
_COMPRESSION = 259
_PHOTOMETRIC = 262
_MAKE = 271
_SUB_DIRECTORIES = 330
_DNG_VERSION = 50706
_SENSOR_PHOTOMETRICS = (32803, 34892)
"""A mosaic of colour filters, and its values with the colours filled in."""
_SENSOR_COMPRESSIONS = (32767, 32769, 32770, 32772, 34713, 65000, 65535)
"""Of Sony, of packed values, of Samsung, Nikon, Kodak and Pentax."""
_REDUCED_OR_MASK = 1 | 4
_MAX_DIRECTORIES = 10_000

_Directory = TiffImagePlugin.ImageFileDirectory_v2


def _raw_maker(file: IO[bytes], head: bytes) -> str:
    """Return whose raw file it is; "" where it is none."""
    for beginning, name in _RAW_BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    if head[4:12] == b"ftypcrx ":
        return "Canon CR3"
    if head[6:14] == b"HEAPCCDR":
        return "Canon CRW"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "Canon CR2" if head[8:10] == b"CR" else _raw_maker_of_tiff(file, head)
    return ""


def _raw_maker_of_tiff(file: IO[bytes], head: bytes) -> str:
    """Return whose raw file a TIFF is; "" where it is none."""
    # Only what stands first counts: a scan of a thousand pages is not read to its end for this.
    for directory in _directories(file, head, 4):
        found = [directory, *_sub_directories(file, head, directory)]
        if any(map(_is_sensor, found)):
            make = str(directory.get(_MAKE, "")).strip("\0 ").partition(" ")[0].capitalize()
            return "DNG" if _DNG_VERSION in directory else make or "as TIFF"
    return ""


def _is_sensor(directory: _Directory) -> bool:
    """Tell whether a directory describes what a sensor saw."""
    return (
        _DNG_VERSION in directory
        or directory.get(_PHOTOMETRIC) in _SENSOR_PHOTOMETRICS
        or directory.get(_COMPRESSION) in _SENSOR_COMPRESSIONS
    )


def _pages(file: IO[bytes], head: bytes) -> list[_Directory]:
    """Return the directories of the pages of a TIFF: all but thumbnails and masks."""
    found = _directories(file, head, _MAX_DIRECTORIES)
    return [one for one in found if not _number(one, _SUBFILE_TYPE) & _REDUCED_OR_MASK]


def _number(directory: _Directory, tag: int) -> int:
    """Return a tag's value, 0 where it is none."""
    value = directory.get(tag, 0)
    return value if isinstance(value, int) else 0


def _directories(file: IO[bytes], head: bytes, most: int) -> list[_Directory]:
    """Return the directories of a TIFF in their order, at most so many, as far as they can be
    read.
    """
    found: list[_Directory] = []
    seen: set[int] = set()
    header = head[:16] if head[2:4] in (b"+\0", b"\0+") else head[:8]
    try:
        offset = _Directory(header).next
        while offset and offset not in seen and len(found) < most:
            seen.add(offset)
            found.append(_load_directory(file, header, offset))
            offset = found[-1].next
    except Exception:
        return found
    return found


def _sub_directories(file: IO[bytes], head: bytes, directory: _Directory) -> list[_Directory]:
    """Return the directories that one points at, as far as they can be read."""
    offsets: Any = directory.get(_SUB_DIRECTORIES, ())
    found: list[_Directory] = []
    try:
        found.extend(
            _load_directory(file, head[:8], int(offset))
            for offset in (offsets if isinstance(offsets, tuple) else (offsets,))
        )
    except Exception:
        return found
    return found


def _load_directory(file: IO[bytes], header: bytes, offset: int) -> _Directory:
    """Read one directory. Raises whatever Pillow raises where there is none."""
    directory = _Directory(header)
    file.seek(offset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        directory.load(file)
    return directory


def find_jpeg_end(data: bytes) -> int:
    """Return where a JPEG's picture ends, behind its end marker; -1 where it has none. What else is
    in the file (a phone's motion photo) does not matter.
    """
    at = 2
    # Segments with a length, up to the scan.
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        # 0xFF may be repeated.
        repeated = data[at + 1] == 0xFF
        at += 1 if repeated else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    marker = data.find(b"\xff\xd9", at)
    return marker + 2 if marker >= 0 else -1


_MAX_JPEG_BYTES = 1 << 26
"""Of a frame of a film."""


def _is_motion_jpeg(path: Path) -> bool:
    """Tell whether JPEGs of one size follow one another from the first byte on."""
    with path.open("rb") as file:
        data = file.read(_MAX_JPEG_BYTES)
    end = find_jpeg_end(data)
    # Zeros may fill up to a whole block.
    if end < 0 or not data[end : end + 4096].lstrip(b"\0").startswith(b"\xff\xd8"):
        return False
    args = [*ffmpeg.ONLY_LOCAL, "-f", "mjpeg", "-i", ffmpeg.local(path), "-frames:v", "2"]
    with ffmpeg.running([*args, "-vf", "showinfo", "-f", "null", "-"], level="level+info") as child:
        _, report = child.wait()
    sizes = re.findall(r"\] n: *\d .*? s:(\d+x\d+) ", report)
    return len(sizes) > 1 and len(set(sizes)) == 1
