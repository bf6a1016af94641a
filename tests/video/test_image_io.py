"""Stills: as an input of one frame, and as a style."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from tests.helpers import profiles
from vidstyle.errors import InputError, Refusal, StyleError
from vidstyle.video import image_io
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image

if TYPE_CHECKING:
    from tests.helpers.clips import Clips


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp", "ppm"])
def test_a_still_is_read_as_it_was_written(kind: str, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if kind == "webp" else []
    path = tmp_path / f"a.{kind}"
    cv2.imwrite(str(path), picture[..., ::-1], options)
    image = read_image(path, StyleError)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    assert torch.equal(image, torch.from_numpy(picture).permute(2, 0, 1) / 255)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((20, 30, 3), 40_000, np.uint16),
        np.full((20, 30), 40_000, np.uint16),
        np.dstack([np.full((20, 30, 3), 40_000, np.uint16), np.zeros((20, 30), np.uint16)]),
    ],
    ids=["16 bit", "16 bit grey", "transparent"],
)
def test_deep_grey_and_transparent_pngs_become_three_channels(
    picture: np.ndarray, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    image = read_image(tmp_path / "a.png", StyleError)
    assert image.shape == (3, 20, 30)
    assert torch.allclose(image, torch.tensor(40_000 / 65535))


def test_a_photo_is_turned_as_its_exif_says_once(tmp_path: Path) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :30] = 255
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    # Orientation 6: turn clockwise
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    body = b"Exif\0\0" + tiff
    path = tmp_path / "phone.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:])
    source = probe(path)
    assert (source.kind, source.width, source.height) == ("image", 40, 60)
    image = next(read(source, None)).image
    assert image.shape == (3, 60, 40)
    assert image[0, :28, 22:].mean() > 0.95
    assert image[0, :28, :18].mean() < 0.05


def test_the_first_frame_of_a_gif_is_a_style(clips: Clips) -> None:
    path = clips.pattern("a.gif", frames=3)
    first = next(read(probe(path), None)).image
    assert (read_image(path, StyleError) - first).abs().max() < 1 / 255


@pytest.mark.parametrize("size", [(30, 20), (100, 60), (64, 48)])
def test_a_still_is_resized_like_a_frame(size: tuple[int, int], clips: Clips) -> None:
    frames = list(read(probe(clips.pattern("a.png", frames=1)), size))
    assert [(frame.index, frame.image.shape) for frame in frames] == [(0, (3, size[1], size[0]))]
    film = next(read(probe(clips.pattern("a.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0")), size)).image
    assert (frames[0].image - film).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("missing.png", None, "there is no such file"),
        ("empty.png", b"", "the file is empty"),
        ("text.png", b"no picture " * 50, "as an image"),
        ("torn.png", b"\x89PNG\r\n\x1a\n" + bytes(300), "damaged or cut short"),
        ("torn.jpg", b"\xff\xd8\xff\xe0" + bytes(300), "damaged or cut short"),
    ],
)
@pytest.mark.parametrize("error", [StyleError, InputError])
def test_a_broken_image_is_refused(
    name: str,
    content: bytes | None,
    line: str,
    error: type[Refusal],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error) as caught:
        read_image(path, error)
    assert line in str(caught.value)
    assert path.name in caught.value.what
    assert str(caught.value).count("\n") == 2
    assert capfd.readouterr().err == ""  # libraries keep quiet


@pytest.mark.parametrize("name", ["film.mp4", "folder"])
def test_a_film_or_a_folder_is_no_style(name: str, clips: Clips) -> None:
    path = clips.folder / name
    if name == "folder":
        path.mkdir()
    else:
        clips.pattern(name)
    with pytest.raises(StyleError, match=r"it is a (video|directory)"):
        read_image(path, StyleError)


def test_a_jpeg_with_data_behind_it_is_whole_and_one_cut_short_is_not() -> None:
    ok, data = cv2.imencode(".jpg", np.full((40, 50, 3), 120, np.uint8))
    assert ok
    jpeg = data.tobytes()
    assert image_io.decode_image(jpeg + b"ftypmp42" + b"\xff\xda" + bytes(100)) is not None
    assert image_io.decode_image(jpeg[:-2]) is None


P3 = profiles.matrix_profile(profiles.DISPLAY_P3, profiles.srgb_curve())

OTHER = (profiles.SRGB, profiles.gamma_curve(1.5))


def colours(height: int = 48, width: int = 64) -> Image.Image:
    """A smooth picture of many colours, no two corners of it alike."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return Image.fromarray(np.rint(255 * np.dstack([x, y, (1 - x) * (1 - y)])).astype(np.uint8))


def by_littlecms(image: Image.Image, profile: bytes) -> np.ndarray:
    """The picture in sRGB as Pillow's ImageCms makes it, (H, W, 3) in levels."""
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, given, srgb, outputMode="RGB")
    assert converted is not None
    return np.asarray(converted).astype(float)


def both_ways(path: Path) -> np.ndarray:
    """The picture as an input and as a style, which are the same, (H, W, 3) in levels."""
    image = read_image(path, StyleError)
    source = probe(path)
    assert source.kind == "image"
    assert torch.equal(next(read(source, None)).image, image)
    assert (source.height, source.width) == image.shape[1:]
    return image.permute(1, 2, 0).numpy() * 255


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "avif", "heic", "grey.png"])
def test_colours_are_those_of_the_profile(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    options = {"webp": {"lossless": True}, "avif": {"quality": 100}, "jpg": {"quality": 95}}
    profile = P3
    if kind == "heic":
        photo = pillow_heif.from_pillow(colours())
        photo.info["icc_profile"] = P3
        photo.save(path, quality=-1)
        stored = pillow_heif.open_heif(path).to_pillow()
    else:
        picture = colours()
        if kind == "grey.png":
            picture = picture.convert("L")
            profile = profiles.grey_profile(profiles.gamma_curve(1.6))
        picture.save(path, icc_profile=profile, **options.get(kind, {}))
        stored = Image.open(path)
    with stored:
        expected = by_littlecms(stored, profile)
        without = np.abs(np.asarray(stored.convert("RGB")) - expected).mean()
    assert np.abs(both_ways(path) - expected).mean() < 0.5
    assert without > 3
    assert probe(path).warnings == ()


def test_a_real_photo_with_a_profile_is_converted(shared: Path) -> None:
    path = shared / "inputs" / "icc_p3.jpg"
    with Image.open(path) as stored:
        expected = by_littlecms(stored, stored.info["icc_profile"])
    assert np.abs(both_ways(path) - expected).mean() < 2


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_a_profile_of_srgb_changes_nothing(kind: str, tmp_path: Path) -> None:
    profile = profiles.matrix_profile(profiles.SRGB, profiles.srgb_curve())
    colours().save(tmp_path / f"plain.{kind}")
    colours().save(tmp_path / f"tagged.{kind}", icc_profile=profile)
    plain = read_image(tmp_path / f"plain.{kind}", StyleError)
    assert torch.equal(read_image(tmp_path / f"tagged.{kind}", StyleError), plain)


def test_a_camera_that_says_adobe_rgb_by_its_code_is_believed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    colours().save(tmp_path / "_DSC0001.jpg", quality=98, subsampling=0, exif=exif)
    with Image.open(tmp_path / "_DSC0001.jpg") as stored:
        levels = np.asarray(stored)
    # Colorants of Adobe RGB (1998) under D50.
    colorants = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
    profile = profiles.matrix_profile(colorants, profiles.gamma_curve(563 / 256))
    expected = by_littlecms(Image.fromarray(levels), profile)
    assert np.abs(both_ways(tmp_path / "_DSC0001.jpg") - expected).mean() < 0.6
    assert np.abs(levels - expected).mean() > 3


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_an_animation_of_a_phone_has_the_colours_of_its_profile(kind: str, tmp_path: Path) -> None:
    options = {"lossless": True} if kind == "webp" else {}
    first = colours()
    second = first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for name, profile in (("p3", P3), ("other", profiles.matrix_profile(*OTHER))):
        path = tmp_path / f"{name}.{kind}"
        first.save(path, save_all=True, append_images=[second], icc_profile=profile, **options)
    source = probe(tmp_path / f"p3.{kind}")
    shown = [frame.image.permute(1, 2, 0).numpy() * 255 for frame in read(source, None)]
    assert (source.kind, source.warnings, len(shown)) == ("animation", (), 2)
    for picture, image in zip((first, second), shown, strict=True):
        assert np.abs(image - by_littlecms(picture, P3)).mean() < 1
    style = read_image(tmp_path / f"p3.{kind}", StyleError).permute(1, 2, 0).numpy() * 255
    assert np.abs(style - shown[0]).mean() < 1
    assert any("profile" in line for line in probe(tmp_path / f"other.{kind}").warnings)


def test_sixteen_bits_stay_sixteen_through_a_profile(tmp_path: Path) -> None:
    deep = np.asarray(colours()).astype(np.uint16) * 250 + 17
    data = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    body = b"iCCPmine\0\0" + zlib.compress(P3)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "deep.png"
    path.write_bytes(data[:33] + chunk + data[33:])  # behind the header
    source = probe(path)
    assert (source.bits, source.warnings) == (16, ())
    found = both_ways(path)
    eight = Image.fromarray(np.rint(deep / 257).astype(np.uint8))
    assert np.abs(found - by_littlecms(eight, P3)).mean() < 0.5
    assert np.abs(found - np.rint(found)).mean() > 0.1  # between the levels


def test_a_profile_that_is_damaged_is_told(tmp_path: Path) -> None:
    colours().save(tmp_path / "a.png", icc_profile=P3[:150])
    assert [line for line in probe(tmp_path / "a.png").warnings if "colour profile" in line]
    assert np.abs(both_ways(tmp_path / "a.png") - np.asarray(colours())).max() < 0.01


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_inks_are_shown_as_their_profile_says(kind: str, tmp_path: Path) -> None:
    def lab(inks: tuple[int, ...]) -> tuple[int, int, int]:
        cyan, magenta, yellow, black = inks
        light = round(250 * (1 - 0.8 * black) * (1 - 0.2 * (cyan + magenta + yellow)))
        return light, 128 + 50 * (magenta - cyan), 128 + 60 * (yellow - cyan)

    profile = profiles.ink_profile(lab)
    inks = colours().convert("CMYK")
    inks.save(tmp_path / f"a.{kind}", icc_profile=profile)
    inks.save(tmp_path / f"b.{kind}")
    with Image.open(tmp_path / f"a.{kind}") as stored:
        expected = by_littlecms(stored, profile)
        ideal = np.asarray(stored.convert("RGB"))
    assert np.abs(ideal - expected).mean() > 5
    assert np.abs(both_ways(tmp_path / f"a.{kind}") - expected).max() < 0.01
    assert probe(tmp_path / f"a.{kind}").warnings == ()
    assert np.abs(both_ways(tmp_path / f"b.{kind}") - ideal).max() < 0.01
    assert any("CMYK" in line for line in probe(tmp_path / f"b.{kind}").warnings)


def test_a_picture_in_lab_is_brought_to_srgb(tmp_path: Path) -> None:
    srgb = ImageCms.createProfile("sRGB")
    lab = ImageCms.profileToProfile(
        colours(), srgb, ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.save(tmp_path / "a.tif")
    assert np.abs(both_ways(tmp_path / "a.tif") - np.asarray(colours())).mean() < 3


def test_a_heic_photo_is_whole_and_its_transparency_is_told(tmp_path: Path) -> None:
    picture = colours(700, 900)
    picture.putalpha(200)
    pillow_heif.from_pillow(picture).save(tmp_path / "a.heic", quality=-1, chroma=444)
    found = both_ways(tmp_path / "a.heic")
    assert np.abs(found - np.asarray(picture.convert("RGB"))).mean() < 1.5
    assert [line for line in probe(tmp_path / "a.heic").warnings if "transparency" in line]


def test_a_heic_photo_keeps_its_ten_bits_and_white_is_white(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 1024).astype(np.uint16)[None, :, None].repeat(64, 0).repeat(3, 2)
    photo = pillow_heif.from_bytes("RGB;16", (1024, 64), ramp.tobytes())
    photo.save(tmp_path / "a.heic", quality=-1, chroma=444)
    assert probe(tmp_path / "a.heic").bits == 16
    found = both_ways(tmp_path / "a.heic")
    assert np.abs(found - ramp / 257).mean() < 0.5
    assert found[:, -1].min() > 254.7
    assert len(np.unique(found[32, :, 1])) > 700


@pytest.mark.parametrize("main", [0, 1])
def test_of_several_pictures_in_a_heic_the_main_one_is_taken_and_told(
    main: int, tmp_path: Path
) -> None:
    photos = pillow_heif.HeifFile()
    for colour in ("red", "lime"):
        photos.add_from_pillow(Image.new("RGB", (64, 48), colour))
    photos.save(tmp_path / "burst.heic", primary_index=main, quality=90)
    assert both_ways(tmp_path / "burst.heic")[..., main].mean() > 240
    assert "2 pictures: the main one" in " ".join(probe(tmp_path / "burst.heic").warnings)


def test_the_photo_of_a_phone_is_read_in_all_its_tiles(shared: Path) -> None:
    path = shared / "inputs" / "pug.heic"
    source = probe(path)
    assert (source.kind, source.width, source.height) == ("image", 4032, 3024)
    with pillow_heif.open_heif(path).to_pillow() as stored:
        expected = by_littlecms(stored, stored.info["icc_profile"])
    found = read_image(path, StyleError).permute(1, 2, 0).numpy() * 255
    assert np.abs(found - expected).mean() < 2


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["avif", "tif"])
def test_a_picture_is_turned_as_it_says(kind: str, turn: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"a.{kind}"
    colours(64, 96).save(path, exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert np.abs(both_ways(path) - expected).mean() < 2


def test_deep_avif_keeps_its_depth(clips: Clips) -> None:
    path = clips.pattern("a.avif", "-pix_fmt", "yuv420p10le", "-c:v", "libaom-av1", frames=1)
    assert probe(path).bits == 10
    both_ways(path)


@pytest.mark.parametrize("compression", ["raw", "tga_rle"])
@pytest.mark.parametrize("name", ["a.tga", "%03d.TGA", "signed"])
def test_tga_is_read(name: str, compression: str, tmp_path: Path) -> None:
    options = {} if compression == "raw" else {"compression": "tga_rle"}
    colours().save(tmp_path / name, "TGA", **options)
    assert np.abs(both_ways(tmp_path / name) - np.asarray(colours())).max() < 0.01


@pytest.mark.parametrize("kind", ["jp2", "j2k"])
@pytest.mark.parametrize("bits", [8, 16])
def test_jpeg_2000_is_read_as_deep_as_it_is(kind: str, bits: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    picture = np.asarray(colours()).astype(np.uint8 if bits == 8 else np.uint16)
    picture = picture if bits == 8 else picture * 257
    data = cv2.imencode(".jp2", picture[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    path.write_bytes(data[1].tobytes())
    if kind == "j2k":
        colours().save(path, irreversible=False)
    expected = np.asarray(colours())
    assert np.abs(both_ways(path) - expected).mean() < 2
    assert probe(path).bits == (bits if kind == "jp2" else 8)


def test_of_several_pages_the_first_is_taken_and_told(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (64, 48), colour) for colour in ("red", "lime", "blue")]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert both_ways(tmp_path / "a.tif")[..., 0].mean() == 255
    assert probe(tmp_path / "a.tif").warnings == ("the file holds 3 pages: the first is taken",)


def test_a_thumbnail_is_no_page(tmp_path: Path) -> None:
    small = Image.new("RGB", (16, 12), "lime")
    small.encoderinfo = {"tiffinfo": {254: 1}}
    colours().save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert probe(tmp_path / "a.tif").warnings == ()


@pytest.mark.parametrize(
    "kind", ["png", "jpg", "webp", "tif", "bmp", "ppm", "jp2", "avif", "heic", "tga", "gif"]
)
def test_damaged_pictures_are_read_or_refused_in_three_lines(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / f"whole.{kind}"
    if kind == "heic":
        pillow_heif.from_pillow(colours()).save(whole)
    else:
        colours().save(whole)
    data = whole.read_bytes()
    random = np.random.default_rng(3)
    broken = [data[: len(data) * share // 100] for share in (2, 30, 60, 95)]
    for _ in range(8):
        spoilt = bytearray(data)
        for at in random.integers(2, len(data), 6):
            spoilt[at] = random.integers(256)
        broken.append(bytes(spoilt))
    for number, content in enumerate(broken):
        path = tmp_path / f"{number}.{kind}"
        path.write_bytes(content)
        for read_it in (lambda p: probe(p).kind, lambda p: read_image(p, InputError).shape):
            refusal = None
            try:
                read_it(path)
            except InputError as e:
                refusal = str(e)
            # What is cut short is never read as if it were whole; of a GIF one frame is enough.
            assert refusal or number > 3 or kind == "gif", path.name
            assert refusal is None or refusal.count("\n") == 2
    assert "Traceback" not in capfd.readouterr().err
