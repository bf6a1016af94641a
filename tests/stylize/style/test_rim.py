from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.stylize.style.rim import MAX_CUT, Rim, find_rim

H, W = 240, 320
WHITE, BLACK, PAPER, BROWN = (1.0,) * 3, (0.02,) * 3, (0.93, 0.88, 0.78), (0.35, 0.22, 0.12)
Colour = tuple[float, float, float]
Widths = tuple[int, int, int, int]
"""At the top, bottom, left and right."""

Picture = NDArray[np.float64]
"""(H, W, 3), in [0, 1]."""

TOLERANCE = 7
"""Pixels of the painting that may go with its rim: the margin and the blur of its edge."""


def paint(height: int = H, width: int = W, seed: int = 3) -> Picture:
    """A painting all over: strokes of all colours, none of them parallel to an edge for long."""
    random = np.random.default_rng(seed)
    image = np.full((height, width, 3), 0.5)
    for _ in range(600):
        x, y = random.uniform((0, 0), (width, height))
        angle = random.uniform(0, 180)
        axes = (int(random.uniform(8, 26)), int(random.uniform(3, 7)))
        colour = tuple(random.uniform(0.15, 0.9, 3))
        cv2.ellipse(image, (int(x), int(y)), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
    return image


def surround(picture: Picture, widths: Widths, colour: Colour) -> Picture:
    """A picture on a larger ground of one colour."""
    top, bottom, left, right = widths
    height, width = picture.shape[:2]
    ground = np.tile(np.array(colour), (height + top + bottom, width + left + right, 1))
    ground[top : top + height, left : left + width] = picture
    return ground


def frame(picture: Picture, profile: Sequence[Colour]) -> Picture:
    """A picture in a frame, whose strips have these colours from the inside to the outside."""
    for colour in profile:
        picture = surround(picture, (1, 1, 1, 1), colour)
    return picture


def gild(width: int) -> list[Colour]:
    """The strips of a gilded moulding, which is lit from above."""
    shades = [0.45 + 0.35 * math.sin(6 * i / width) for i in range(width)]
    return [(shade, 0.8 * shade, 0.35 * shade) for shade in shades]


def tilt(picture: Picture, degrees: float, colour: Colour) -> Picture:
    """A picture that lies at an angle on a ground of one colour, all of it in view."""
    height, width = picture.shape[:2]
    reach = math.ceil(math.tan(math.radians(abs(degrees))) * max(height, width) / 2) + 2
    wide = surround(picture, (reach,) * 4, colour)
    centre = (wide.shape[1] / 2, wide.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(centre, degrees, 1.0)
    size = (wide.shape[1], wide.shape[0])
    turned: Picture = cv2.warpAffine(
        wide, turn, size, flags=cv2.INTER_LINEAR, borderValue=colour
    ).astype(np.float64)
    return turned


def scan(picture: Picture, noise: float = 1.5, quality: int = 85) -> Tensor:
    """What a scanner makes of it: noise, in units of 1/255, and JPEG; (3, H, W)."""
    random = np.random.default_rng(5)
    noisy = picture * 255 + random.normal(0, noise, picture.shape)
    data = cv2.imencode(
        ".jpg", noisy.clip(0, 255).round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )[1]
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return torch.from_numpy(image).permute(2, 0, 1) / 255


def widths_of(rim: Rim) -> Widths:
    return rim.top, rim.bottom, rim.left, rim.right


def assert_found(rim: Rim, widths: Widths, tolerance: int = TOLERANCE) -> None:
    """Assert that all of the rim goes, and little of the painting; nothing where there is none."""
    for found, true in zip(widths_of(rim), widths, strict=True):
        assert (true <= found <= true + tolerance) if true else found == 0, (rim, widths)


@pytest.mark.parametrize("colour", [WHITE, BLACK, PAPER])
@pytest.mark.parametrize(
    "widths",
    [(8, 8, 8, 8), (12, 0, 0, 0), (0, 0, 0, 14), (5, 0, 9, 0), (0, 14, 7, 11), (3, 20, 30, 9)],
)
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_the_border_of_a_scan_is_found(widths: Widths, colour: Colour, noise: float) -> None:
    image = scan(surround(paint(), widths, colour), noise)
    rim = find_rim(image)
    assert_found(rim, widths)
    assert rim.size == tuple(image.shape[1:])


@pytest.mark.parametrize("colour", [WHITE, BLACK, PAPER])
@pytest.mark.parametrize("degrees", [-2.0, -1.0, 0.7, 2.0])
def test_a_scan_that_lies_at_an_angle_loses_all_of_its_border(
    degrees: float, colour: Colour
) -> None:
    image = tilt(paint(), degrees, colour)
    inside = tilt(np.ones((H, W, 3)), degrees, (0.0,) * 3)[..., 0] > 0.99
    rim = find_rim(scan(image))
    kept = rim.crop(torch.from_numpy(inside))
    # Scaling blurs the corners.
    assert kept.float().mean() > 0.999
    assert kept.numel() > 0.88 * inside.sum()


@pytest.mark.parametrize("colour", [WHITE, PAPER, (0.5, 0.55, 0.5), (0.1, 0.1, 0.15)])
@pytest.mark.parametrize("widths", [(50, 50, 50, 50), (60, 80, 70, 70), (30, 40, 60, 60)])
def test_a_mat_is_found(widths: Widths, colour: Colour) -> None:
    assert_found(find_rim(scan(surround(paint(), widths, colour))), widths)


@pytest.mark.parametrize("profile", [[BROWN] * 9, [BROWN] * 4 + [(0.1,) * 3] * 7, gild(10)])
@pytest.mark.parametrize("mat", [0, 24])
@pytest.mark.parametrize("border", [0, 7])
def test_a_frame_is_found_and_what_is_in_it_and_around_it(
    profile: list[Colour], mat: int, border: int
) -> None:
    picture = frame(surround(paint(), (mat,) * 4, PAPER), profile)
    width = len(profile) + mat + border
    assert_found(find_rim(scan(surround(picture, (border,) * 4, WHITE))), (width,) * 4)


@pytest.mark.parametrize("pixels", [2, 3])
@pytest.mark.parametrize("side", range(4))
def test_a_dark_line_at_an_edge_is_found(side: int, pixels: int) -> None:
    widths: list[int] = [0] * 4
    widths[side] = pixels
    top, bottom, left, right = widths
    picture = surround(paint(), (top, bottom, left, right), BLACK)
    assert_found(find_rim(scan(picture)), (top, bottom, left, right))


def test_the_shadow_at_the_edge_of_a_scan_is_cut() -> None:
    picture = paint(2 * H, 2 * W)
    for row, light in enumerate((0.2, 0.45, 0.75)):
        picture[row] *= light
    assert find_rim(scan(picture)).top >= 3


@pytest.mark.parametrize("scale", [2, 5])
def test_a_large_scan_has_its_border_found(scale: int) -> None:
    picture = surround(paint(), (8, 0, 0, 10), WHITE)
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    rim = find_rim(scan(large.astype(np.float64)))
    assert_found(rim, (8 * scale, 0, 0, 10 * scale), TOLERANCE * scale)


def sky(*, gradient: bool, horizon: int = 90) -> Picture:
    picture = paint()
    for row in range(horizon):
        shade = row / horizon if gradient else 0.0
        picture[row] = np.array((0.55, 0.7, 0.9)) + 0.3 * shade * np.array((0.4, 0.2, -0.2))
    return picture


def sketch() -> Picture:
    """Pencil on white paper, whose margin is the same paper."""
    picture = np.ones((H, W, 3))
    random = np.random.default_rng(1)
    for _ in range(140):
        begin, end = random.uniform((40, 30), (W - 40, H - 30), (2, 2)).astype(int)
        cv2.line(picture, tuple(begin.tolist()), tuple(end.tolist()), (0.3,) * 3, 1, cv2.LINE_AA)
    return picture


def dark_portrait() -> Picture:
    """A face in the light, and a dark ground around it."""
    y, x = np.mgrid[:H, :W]
    distance = np.hypot((y - H / 2) / H, (x - W / 2) / W)
    light = np.exp(-((distance / 0.25) ** 2))[..., None]
    return 0.06 + paint() * light * 0.9


def mosaic() -> Picture:
    """Tiles with dark grout between them, and around them."""
    random = np.random.default_rng(2)
    picture = np.full((H, W, 3), 0.1)
    for y in range(0, H, 16):
        for x in range(0, W, 16):
            picture[y + 2 : y + 16, x + 2 : x + 16] = random.uniform(0.3, 0.9, 3)
    return picture[:, 8:-8][8:-8]


def stripes() -> Picture:
    random = np.random.default_rng(4)
    colours = random.uniform(0.1, 0.9, (W // 16, 3))
    return np.tile(np.repeat(colours, 16, 0), (H, 1, 1))


@pytest.mark.parametrize(
    "picture",
    [
        paint(),
        paint(seed=8),
        sky(gradient=False),
        sky(gradient=True),
        sky(gradient=False, horizon=40)[::-1],
        sketch(),
        dark_portrait(),
        mosaic(),
        stripes(),
        stripes().swapaxes(0, 1),
        np.full((H, W, 3), 0.4),
        surround(paint(30, 40), (8,) * 4, WHITE),
    ],
    ids=[
        "strokes",
        "other strokes",
        "plain sky",
        "sky",
        "plain ground",
        "sketch",
        "dark portrait",
        "mosaic",
        "stripes",
        "other stripes",
        "one colour",
        "too small",
    ],
)
def test_a_painting_without_a_rim_comes_back_whole(picture: Picture) -> None:
    image = scan(np.ascontiguousarray(picture))
    rim = find_rim(image)
    assert rim.is_empty
    assert torch.equal(rim.crop(image), image)


def test_no_side_loses_more_than_a_quarter() -> None:
    picture = frame(surround(paint(), (20,) * 4, PAPER), [BROWN] * 60)
    rim = find_rim(scan(surround(picture, (60,) * 4, WHITE)))
    height, width = rim.size
    assert max(rim.top, rim.bottom) <= MAX_CUT * height
    assert max(rim.left, rim.right) <= MAX_CUT * width


def test_an_image_of_the_same_at_another_size_is_cut_in_step() -> None:
    rim = Rim((100, 200), top=10, left=50, right=20)
    assert rim.crop(torch.zeros(2, 50, 100)).shape == (2, 45, 65)
    assert rim.crop(torch.zeros(3, 300, 600)).shape == (3, 270, 390)
    assert rim.crop(torch.zeros(1, 1, 1)).shape == (1, 1, 1)
    assert Rim((100, 200)).crop(torch.zeros(2, 33, 77)).shape == (2, 33, 77)


def test_only_the_sides_that_lose_something_are_named() -> None:
    assert Rim((10, 10)).describe() == ""
    assert Rim((100, 100), top=9, left=12).describe() == "12 px left, 9 px top"


@pytest.mark.parametrize("size", [(64, 10_000), (6000, 70), (64, 64)])
def test_a_painting_of_any_shape_is_looked_at(size: tuple[int, int]) -> None:
    strip = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    assert find_rim(strip).is_empty
