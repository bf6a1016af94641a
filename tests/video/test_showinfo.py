from __future__ import annotations

from fractions import Fraction

import pytest

from vidstyle.video.showinfo import Picture, parse_showinfo

CONFIG = "[Parsed_showinfo_0 @ 0x1] config in time_base: 1/12800, frame_rate: 25/1\n"


def picture(
    pixels: str = "yuv420p", size: str = "640x360", sar: str = "1/1", tags: str = ""
) -> Picture:
    frame = f"[Parsed_showinfo_0 @ 0x1] n:   0 pts:      0 pts_time:0 fmt:{pixels} cl:left "
    found = parse_showinfo(f"{CONFIG}{frame}sar:{sar} s:{size} i:P\n{tags}")
    assert found is not None
    return found


def test_without_a_frame_there_is_no_picture() -> None:
    assert parse_showinfo(CONFIG) is None


def test_size_rate_and_unit_are_read() -> None:
    found = picture()
    assert (found.width, found.height, found.sar) == (640, 360, 1)
    assert (found.rate, found.time_base) == (25, Fraction(1, 12800))


@pytest.mark.parametrize(
    ("pixels", "bits", "rgb", "alpha", "color_range"),
    [
        ("yuv420p", 8, False, False, "tv"),
        ("yuvj420p", 8, False, False, "pc"),
        ("yuv420p10le", 10, False, False, "tv"),
        ("p010le", 10, False, False, "tv"),
        ("yuva444p12le", 12, False, True, "tv"),
        ("gray16le", 16, False, False, "pc"),
        ("bgra", 8, True, True, "pc"),
        ("pal8", 8, True, False, "pc"),
        ("gbrp14le", 14, True, False, "pc"),
        ("rgb48le", 16, True, False, "pc"),
        ("gbrpf32le", 16, True, False, "pc"),
    ],
)
def test_a_pixel_format_tells_depth_colour_and_alpha(
    pixels: str, bits: int, rgb: bool, alpha: bool, color_range: str
) -> None:
    found = picture(pixels)
    assert (found.bits, found.rgb, found.has_alpha) == (bits, rgb, alpha)
    assert found.color_range == color_range


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        ("640x360", "smpte170m"),
        ("720x576", "bt470bg"),
        ("1280x720", "bt709"),
        ("1920x800", "bt709"),
    ],
)
def test_untagged_colours_follow_from_the_size(size: str, matrix: str) -> None:
    assert picture(size=size).matrix == matrix
    assert picture(size=size, tags="color_space:unknown").matrix == matrix


def test_the_size_before_rotation_decides() -> None:
    tags = "displaymatrix: rotation of -90.00 degrees"
    assert picture(size="576x720", tags=tags).matrix == "bt470bg"


def test_tags_are_believed() -> None:
    tags = "color_range:pc color_space:bt2020nc color_primaries:bt2020 color_trc:smpte2084"
    found = picture(tags=tags)
    assert (found.matrix, found.primaries) == ("bt2020nc", "bt2020")
    assert (found.color_range, found.transfer) == ("pc", "smpte2084")


@pytest.mark.parametrize(
    ("sar", "expected"),
    [("0/1", 1), ("4/3", Fraction(4, 3)), ("1/1000", 1), ("9/1", 1), ("8/1", 8)],
)
def test_an_unusable_aspect_of_the_pixels_is_one(sar: str, expected: Fraction) -> None:
    assert picture(sar=sar).sar == expected
