"""The properties of the pixels of a decoded frame, read from ffmpeg's `showinfo` filter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidstyle.video import ffmpeg

HDR_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
ZSCALE_PRIMARIES = {
    "bt709": "709",
    "bt470bg": "bt470bg",
    "smpte170m": "170m",
    "smpte240m": "240m",
    "bt2020": "2020",
    "smpte431": "smpte432",
    "smpte432": "smpte432",
    "ebu3213": "jedec-p22",
}
"""ffmpeg's names -> zscale's, of primaries with the white of BT.709: zscale adapts no white, and a
tint would come of others. The primaries of cinemas are taken with the white of screens, as a viewer
does.
"""

_UNKNOWN_TAGS = {None, "unknown", "reserved", "unspecified"}
_DEEP_PIXELS = re.compile(r"(?:p|gray|ya|x2rgb|x2bgr|p0|[pyx]v?[234])(9|10|12|14|16)(?:le|be)?$")


@dataclass(frozen=True)
class Picture:
    """The first decoded frame: after rotation, with every colour property resolved.

    Args:
        sar: 1 when unknown or unusable.
        rate: frames per second that the container declares; None when it does not.
        time_base: unit of the stream's timestamps.
        interlacing: P for a whole picture, T or B for two fields, the top or the bottom one first.
        chroma_block: width and height in pixels of what shares one chroma sample, (2, 2) where it
            is at most that.
    """

    width: int
    height: int
    sar: Fraction
    rate: Fraction | None
    time_base: Fraction | None
    bits: int
    rgb: bool
    has_alpha: bool
    matrix: str
    color_range: str
    transfer: str
    primaries: str
    interlacing: str = "P"
    chroma_block: tuple[int, int] = (2, 2)


def report_first_frame(path: Path, options: tuple[tuple[str, str], ...] = ()) -> str:
    """Return ffmpeg's words on a file and its first frame (or that it failed), each line with its
    level.

    Args:
        options: (option, value) pairs that go before `-i`.
    """
    before = [word for name, value in options for word in (f"-{name}", value)]
    args = [*ffmpeg.ONLY_LOCAL, *before, "-i", ffmpeg.local(path)]
    args += ["-map", "0:V:0", "-frames:v", "1", "-vf", "showinfo", "-f", "null", "-"]
    with ffmpeg.running(args, level="level+info") as child:
        code, report = child.wait()
    return report + (
        f"\n[fatal] ffmpeg {ffmpeg.find().version} crashed on it (signal {-code})"
        if code < 0
        else ""
    )


def parse_showinfo(text: str) -> Picture | None:
    """Read the first frame in the output of `showinfo`; None when no frame was decoded."""
    frame = re.search(r"\] n: *0 .*?\bfmt:(\S+) .*?\bsar:(\d+)/(\d+) s:(\d+)x(\d+)", text)
    if not frame:
        return None
    interlacing = re.match(r" i:([PTB])", text[frame.end() :])
    pixels = frame[1]
    width = int(frame[4])
    height = int(frame[5])
    rgb = bool(re.match(r"[arx0]*(rgb|bgr)|gbr|abgr|x2|pal8|bayer", pixels))
    matrix, primaries = _matrix_and_primaries(text, rgb, width, height)
    return Picture(
        width=width,
        height=height,
        sar=_usable_aspect(int(frame[2]), int(frame[3])),
        rate=_find_fraction(r"config in time_base: \S+, frame_rate: (\d+)/(\d+)", text),
        time_base=_find_fraction(r"config in time_base: (\d+)/(\d+)", text),
        bits=_bit_depth(pixels),
        rgb=rgb,
        has_alpha=bool(re.match(r"yuva|rgba|bgra|argb|abgr|ya\d|gbrap|ayuv|vuya", pixels)),
        matrix=matrix,
        color_range=_color_range(text, pixels, rgb),
        transfer=_color_tag(text, "color_trc") or "bt709",
        primaries=primaries,
        interlacing=interlacing[1] if interlacing else "P",
        chroma_block={"yuv410p": (4, 4), "yuv411p": (4, 2), "yuvj411p": (4, 2)}.get(pixels, (2, 2)),
    )


def _matrix_and_primaries(text: str, rgb: bool, width: int, height: int) -> tuple[str, str]:
    """Return both names. A matrix that is not tagged follows from the size as stored, as in every
    player; primaries that are not are taken as those of BT.709, unless the matrix is of BT.2020.
    """
    if re.search(r"rotation of -?(90|270)\.", text):
        width, height = height, width
    standard = "bt470bg" if height == 576 else "smpte170m"
    guess = "bt709" if width >= 1280 or height >= 720 else standard
    tagged = _color_tag(text, "color_space")
    matrix = "gbr" if rgb else guess if tagged in (None, "gbr") else tagged
    usual = "bt2020" if matrix in ("bt2020nc", "bt2020c") else "bt709"
    return matrix, _color_tag(text, "color_primaries") or usual


def _color_range(text: str, pixels: str, rgb: bool) -> str:
    """Return "pc" (full) or "tv" (limited)."""
    if rgb or pixels.startswith("yuvj"):
        return "pc"
    return _color_tag(text, "color_range") or (
        "pc" if re.match(r"gray|ya\d|mono", pixels) else "tv"
    )


def _bit_depth(pixels: str) -> int:
    """Return the bits per sample of a pixel format; 16 for floating point."""
    if re.match(r"rgb48|bgr48|rgba64|bgra64|ayuv64|\w+f\d\d", pixels):
        return 16
    deep = _DEEP_PIXELS.search(pixels)
    return int(deep[1]) if deep else 8


def _color_tag(text: str, name: str) -> str | None:
    """Return the value of a colour property; None where it is not known."""
    found = re.search(rf"\b{name}:(\S+)", text)
    return None if found is None or found[1] in _UNKNOWN_TAGS else found[1]


def _find_fraction(pattern: str, text: str) -> Fraction | None:
    """Return the fraction of a pattern's two groups; None where it is not found or 0."""
    found = re.search(pattern, text)
    return (
        Fraction(int(found[1]), int(found[2]))
        if found and int(found[1]) and int(found[2])
        else None
    )


def _usable_aspect(numerator: int, denominator: int) -> Fraction:
    """Return the aspect of a pixel; 1 for one that is more than eight times as wide as high, or the
    reverse: that is a broken header.
    """
    if not numerator or not denominator:
        return Fraction(1)
    sar = Fraction(numerator, denominator)
    return sar if Fraction(1, 8) <= sar <= 8 else Fraction(1)
