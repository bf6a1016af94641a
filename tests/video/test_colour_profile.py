"""Colours by ICC profiles, against LittleCMS and against the profiles' equations."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.helpers import profiles
from vidstyle.video.colour_profile import (
    convert_pixels,
    convert_primaries,
    is_display_p3,
    is_srgb,
    profile_space,
)

COLOURS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
P3 = profiles.matrix_profile(profiles.DISPLAY_P3, profiles.srgb_curve())
CURVES = {
    "parametric": profiles.srgb_curve(),
    "gamma": profiles.gamma_curve(2.2),
    "sampled": profiles.sampled_curve(lambda x: x**1.8),
}


def by_littlecms(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """What Pillow's ImageCms makes of 8-bit pixels."""
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    wanted = ImageCms.createProfile("sRGB")
    image = ImageCms.profileToProfile(Image.fromarray(pixels), given, wanted, outputMode="RGB")
    assert image is not None
    return np.asarray(image).astype(float)


@pytest.mark.parametrize("curve", CURVES)
def test_deep_pixels_agree_with_littlecms_and_keep_their_depth(curve: str) -> None:
    profile = profiles.matrix_profile(profiles.DISPLAY_P3, CURVES[curve])
    deep = convert_pixels(COLOURS.astype(np.uint16) * 257, profile)
    assert deep is not None
    assert deep.dtype == np.uint16
    error = np.abs(deep / 257 - by_littlecms(COLOURS, profile))
    assert error.mean() < 0.5
    assert error.max() < 3  # LittleCMS computes 8 bits in integers
    ramp = np.linspace(20_000, 20_500, 501).astype(np.uint16)[None, :, None].repeat(3, axis=2)
    converted = convert_pixels(ramp, profile)
    assert converted is not None
    assert len(np.unique(converted[..., 0])) > 250


def test_eight_bits_are_converted_by_littlecms() -> None:
    converted = convert_pixels(COLOURS, P3)
    assert converted is not None
    assert converted.dtype == np.uint8
    assert np.abs(converted - by_littlecms(COLOURS, P3)).max() == 0
    assert np.abs(converted.astype(float) - COLOURS).mean() > 5


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
def test_grey_is_converted_by_its_curve(depth: type) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: np.float32(1 / 255)}[depth]
    grey = np.arange(256).astype(depth)[None, :, None].repeat(3, axis=2) * depth(scale)
    converted = convert_pixels(grey.astype(depth), profiles.grey_profile(CURVES["sampled"]))
    assert converted is not None
    assert converted.dtype == depth
    light = (np.arange(256) / 255) ** 1.8
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(converted[0, :, 1] / scale - 255 * expected).max() < 1.5


def test_srgb_is_known_by_what_it_does() -> None:
    assert is_srgb(profiles.matrix_profile(profiles.SRGB, profiles.srgb_curve()))
    assert is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert not is_srgb(P3)
    assert not is_srgb(profiles.matrix_profile(profiles.SRGB, profiles.gamma_curve(1.8)))
    assert not is_srgb(profiles.grey_profile(profiles.srgb_curve()))
    assert not is_srgb(b"no profile")


def test_display_p3_is_known_by_what_it_does() -> None:
    assert is_display_p3(P3)
    assert not is_display_p3(profiles.matrix_profile(profiles.SRGB, profiles.srgb_curve()))
    assert not is_display_p3(profiles.matrix_profile(profiles.DISPLAY_P3, CURVES["sampled"]))


def test_what_is_no_profile_converts_nothing() -> None:
    assert profile_space(P3) == "RGB"
    assert profile_space(P3[:200]) in ("", "RGB")
    for broken in (b"", P3[:100], b"x" * 500, P3[:300] + bytes(len(P3) - 300)):
        assert convert_pixels(COLOURS, broken) is None
        assert convert_pixels(COLOURS.astype(np.uint16), broken) is None


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
def test_primaries_alone_give_what_a_profile_of_them_gives(depth: type) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[depth]
    converted = convert_primaries((COLOURS.astype(float) * scale).astype(depth), "smpte432")
    assert converted.dtype == depth
    assert np.abs(converted / scale - by_littlecms(COLOURS, P3)).mean() < 0.5
