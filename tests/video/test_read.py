from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch import Tensor

from tests.helpers import profiles
from vidstyle.errors import DecodeError
from vidstyle.video import ffmpeg
from vidstyle.video.probe import probe
from vidstyle.video.read import fit, read
from vidstyle.video.scan import scan
from vidstyle.video.seek import SeekIndex

if TYPE_CHECKING:
    from tests.helpers.clips import Clips

COLOURS = np.array(
    [[r, g, b] for r in (0, 0.5, 1) for g in (0, 0.5, 1) for b in (0, 0.5, 1)]
    + [[0.2, 0.4, 0.1], [0.8, 0.6, 0.5]]
)


def middles(image: Tensor, count: int) -> np.ndarray:
    """The colour in the middle of each of `count` patches side by side, (n, 3)."""
    width = image.shape[2] // count
    return image[:, image.shape[1] // 2, width // 2 :: width].T.numpy()


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("bits", "pixels", "codec"),
    [
        (8, "yuv444p", "ffv1"),
        (8, "yuv420p", "ffv1"),
        (10, "yuv444p10le", "ffv1"),
        (10, "yuv420p10le", "ffv1"),
        (8, "yuv420p", "libx264"),
        (10, "yuv422p10le", "libx264"),
    ],
)
def test_tagged_colours_are_read_back(  # every decoded value against the colour that was put in
    matrix: str, full: bool, bits: int, pixels: str, codec: str, clips: Clips
) -> None:
    color_range = "pc" if full else "tv"
    tags = (
        f"setparams=colorspace={matrix}:range={color_range}:color_trc=bt709:color_primaries=bt709"
    )
    known = {"bt709": "bt709"}.get(matrix, "bt601")
    ranges = f"in_range={color_range}:out_range={color_range}"
    chroma = f"scale={ranges}:in_color_matrix={known}:out_color_matrix={known}"
    options = [
        "-vf",
        f"{tags},{chroma},format={pixels},{tags}",
        "-c:v",
        codec,
        *(["-qp", "0"] if codec != "ffv1" else []),
    ]
    options += ["-colorspace", matrix, "-color_range", color_range, "-bitexact"]
    path = clips.patches("a.mkv", COLOURS, matrix, full, *options, bits=bits)
    source = probe(path)
    assert (source.matrix, source.color_range, source.bits) == (matrix, color_range, bits)
    frame = next(read(source, None))
    error = np.abs(middles(frame.image, len(COLOURS)) - COLOURS).max() * 255
    assert error < (1.9 if bits == 8 else 0.5)  # what rounding to YCbCr of so many bits costs
    assert middles(frame.image, len(COLOURS))[26].tolist() == pytest.approx(
        [1, 1, 1], abs=1e-4
    )  # white is white


@pytest.mark.parametrize(("height", "matrix"), [(32, "smpte170m"), (720, "bt709")])
def test_untagged_colours_are_read_as_their_size_says(
    height: int, matrix: str, clips: Clips
) -> None:
    colours = COLOURS[::3]
    path = clips.patches(
        "a.mkv", colours, matrix, False, "-c:v", "ffv1", tile=(32, height), frames=1
    )
    frame = next(read(probe(path), None))
    assert np.abs(middles(frame.image, len(colours)) - colours).max() * 255 < 2


def test_ten_bits_are_not_cut_to_eight(clips: Clips) -> None:
    greys = np.linspace(0.4, 0.42, 16)[:, None].repeat(3, axis=1)
    path = clips.patches(
        "a.mkv", greys, "bt709", False, "-c:v", "ffv1", "-colorspace", "bt709", bits=10
    )
    frame = next(read(probe(path), None))
    assert len(np.unique(middles(frame.image, 16)[:, 0])) > 12  # 8 bit would tell 5 of them apart


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_becomes_a_picture_of_ordinary_brightness(transfer: str, clips: Clips) -> None:
    # PQ and HLG signals of black, 18 % grey, reference white (203 cd/m2) and the brightest.
    signal = {"smpte2084": [0.0, 0.38, 0.58, 1.0], "arib-std-b67": [0.0, 0.38, 0.75, 1.0]}[transfer]
    greys = np.array(signal)[:, None].repeat(3, axis=1)
    tags = ("-colorspace", "bt2020nc", "-color_trc", transfer, "-color_primaries", "bt2020")
    parameters = (
        f"setparams=colorspace=bt2020nc:color_trc={transfer}:color_primaries=bt2020:range=tv"
    )
    path = clips.patches(
        "a.mkv", greys, "bt2020nc", False, "-vf", parameters, *tags, "-c:v", "ffv1", bits=10
    )
    source = probe(path)
    assert source.hdr
    shown = middles(next(read(source, None)).image, 4)
    assert np.ptp(shown, axis=1).max() < 0.01  # grey stays grey
    black, grey, white, brightest = shown[:, 0]
    assert black < 0.02
    assert 0.3 < grey < 0.6
    assert 0.7 < white <= 1
    assert white < brightest <= 1


def test_wide_primaries_are_brought_to_ours(clips: Clips) -> None:
    # Colours inside both gamuts, light in BT.709 as given; the matrix is that of ITU-R BT.2087, the
    # curve BT.1886's.
    def curve(light: np.ndarray) -> np.ndarray:
        return light ** (1 / 2.4)

    expected = np.array([[0.6, 0.2, 0.1], [0.1, 0.5, 0.2], [0.2, 0.3, 0.7], [0.5, 0.5, 0.5]])
    to_2020 = np.array(
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    tags = ("-colorspace", "bt2020nc", "-color_trc", "bt2020-10", "-color_primaries", "bt2020")
    parameters = "setparams=colorspace=bt2020nc:color_trc=bt2020-10:color_primaries=bt2020:range=tv"
    wide = curve(expected @ to_2020.T)
    path = clips.patches(
        "a.mkv", wide, "bt2020nc", False, "-vf", parameters, *tags, "-c:v", "ffv1", bits=10
    )
    shown = middles(next(read(probe(path), None)).image, 4)
    assert np.abs(shown - curve(expected)).max() * 255 < 3


D65 = (0.3127, 0.3290)
BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
PRIMARIES = {
    # name: (red, green and blue, white, matrix) in CIE 1931 (x, y), of ITU-T H.273, table 2
    "smpte432": (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65, "bt709"),
    "smpte431": (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351), "bt709"),
    "smpte170m": (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65, "smpte170m"),
    "smpte240m": (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65, "bt709"),
    "bt470bg": (((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)), D65, "bt470bg"),
    "ebu3213": (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), D65, "smpte170m"),
    "bt2020": (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65, "bt2020nc"),
}


def xyz(point: tuple[float, float]) -> np.ndarray:
    return np.array([point[0] / point[1], 1, (1 - point[0] - point[1]) / point[1]])


def to_xyz(primaries: tuple[tuple[float, float], ...], white: tuple[float, float]) -> np.ndarray:
    """The matrix from linear RGB to XYZ (SMPTE RP 177)."""
    columns = np.stack([xyz(point) for point in primaries], axis=1)
    return columns * np.linalg.solve(columns, xyz(white))


def adapt(white: tuple[float, float]) -> np.ndarray:
    """Bradford's matrix from a white to D65."""
    cones = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    return np.linalg.inv(cones) @ np.diag((cones @ xyz(D65)) / (cones @ xyz(white))) @ cones


@pytest.mark.parametrize("transfer", ["bt709", "iec61966-2-1", "unknown"])
@pytest.mark.parametrize("primaries", PRIMARIES)
def test_tagged_primaries_are_converted_in_linear_light(
    primaries: str, transfer: str, clips: Clips
) -> None:
    given, white, matrix = PRIMARIES[primaries]
    colours = np.array([[x, y, z] for x in (0.2, 0.5, 0.9) for y in (0.3, 0.8) for z in (0.2, 0.7)])
    colours = np.vstack([colours, [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]]])
    if primaries == "smpte432" or transfer == "iec61966-2-1":
        light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    else:
        light = colours**2.4
    convert = np.linalg.inv(to_xyz(BT709, D65)) @ adapt(white) @ to_xyz(given, white)
    light = (light @ convert.T).clip(0, 1)
    if primaries == "smpte432" or transfer == "iec61966-2-1":
        expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    else:
        expected = light ** (1 / 2.4)
    tags = f"setparams=colorspace={matrix}:color_trc={transfer}:color_primaries={primaries}"
    path = clips.patches(
        "a.mkv", colours, matrix, False, "-vf", f"{tags}:range=tv", "-c:v", "ffv1", bits=10
    )
    assert probe(path).primaries == primaries
    shown = middles(next(read(probe(path), None)).image, len(colours))
    # The white of cinemas is adapted by another rule than Bradford's.
    error = np.abs(shown - expected) * 255
    assert error.mean() < (2 if white != D65 else 0.5)
    assert error.max() < (12 if white != D65 else 2)
    assert shown[-1] == pytest.approx([1, 1, 1], abs=0.002)


@pytest.mark.parametrize("primaries", ["unknown", "bt709", "bt470m", "film"])
def test_colours_without_foreign_primaries_are_left_alone(primaries: str, clips: Clips) -> None:
    tags = f"setparams=colorspace=smpte170m:color_trc=bt709:color_primaries={primaries}:range=tv"
    path = clips.patches("a.mkv", COLOURS, "smpte170m", False, "-vf", tags, "-c:v", "ffv1", bits=10)
    source = probe(path)
    shown = middles(next(read(source, None)).image, len(COLOURS))
    assert np.abs(shown - COLOURS).max() * 255 < 0.5
    told = [line for line in source.warnings if "primaries" in line]
    assert bool(told) is (primaries in ("bt470m", "film"))


def test_a_real_video_in_display_p3_is_converted(shared: Path) -> None:
    source = probe(shared / "inputs" / "display_p3_video.mp4")
    assert source.primaries == "smpte432"
    given = next(read(replace(source, primaries="bt709"), None)).image
    profile = profiles.matrix_profile(profiles.DISPLAY_P3, profiles.srgb_curve())
    levels = (given.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    converted = ImageCms.profileToProfile(
        Image.fromarray(levels),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    assert converted is not None
    shown = next(read(source, None)).image.permute(1, 2, 0).numpy() * 255
    assert np.abs(shown - np.asarray(converted)).mean() < 2
    assert np.abs(shown - levels).mean() > 10


def test_wide_high_dynamic_range_has_the_colours_of_its_primaries(clips: Clips) -> None:
    # The same light in two sets of primaries.
    light = np.array([[0.3, 0.1, 0.05], [0.1, 0.3, 0.1], [0.1, 0.1, 0.3], [0.2, 0.2, 0.2]])
    shown = []
    for primaries, matrix in (("bt2020", "bt2020nc"), ("smpte432", "bt709")):
        convert = np.linalg.solve(to_xyz(PRIMARIES[primaries][0], D65), to_xyz(BT709, D65))
        cube = (light @ convert.T / 10000 * 203) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * cube) / (1 + 18.6875 * cube)) ** 78.84375  # PQ
        tags = f"setparams=colorspace={matrix}:color_trc=smpte2084:color_primaries={primaries}"
        options = ("-vf", f"{tags}:range=tv", "-c:v", "ffv1")
        path = clips.patches(f"{primaries}.mkv", signal, matrix, False, *options, bits=10)
        assert probe(path).hdr
        shown.append(middles(next(read(probe(path), None)).image, len(light)))
    assert np.abs(shown[0] - shown[1]).max() * 255 < 3


@pytest.mark.parametrize(
    "pixels", ["bgr0", "bgra", "gbrp12le", "gbrap10le", "gray", "gray16le", "yuva444p"]
)
def test_other_pixel_formats_show_the_same_picture(pixels: str, clips: Clips) -> None:
    plain = next(
        read(probe(clips.pattern("plain.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0")), None)
    ).image
    other = next(
        read(probe(clips.pattern("other.mkv", "-c:v", "ffv1", "-pix_fmt", pixels)), None)
    ).image
    if pixels.startswith("gray"):
        assert torch.equal(other[0], other[1])
        plain = (plain * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
    assert (plain - other).abs().mean() < 2 / 255


def marked(clips: Clips) -> Path:
    """Twenty frames at uneven times, frame n a grey of n / 100."""
    raw = clips.folder / "grey.raw"
    raw.write_bytes(
        b"".join(
            bytes([round(16 + 2.19 * n)] * 32 * 32) + bytes([128] * 32 * 16) for n in range(20)
        )
    )
    given = (
        "-f",
        "rawvideo",
        "-pixel_format",
        "yuv420p",
        "-video_size",
        "32x32",
        "-i",
        ffmpeg.local(raw),
    )
    times = (
        "-vf",
        "settb=1/90000,setpts=3000*N+500*N*N",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/90000",
    )
    return clips.make(
        "marked.mp4", *given, *times, "-g", "5", "-qp", "0", "-video_track_timescale", "90000"
    )


@pytest.mark.parametrize(
    ("first", "stop"), [(0, None), (0, 20), (7, 12), (7, None), (19, 20), (5, 5)]
)
def test_the_frames_asked_for_come_by_number_whatever_their_times(
    first: int, stop: int | None, clips: Clips
) -> None:
    path = marked(clips)
    frames = list(read(probe(path), (32, 32), first, stop))
    assert [frame.index for frame in frames] == list(range(first, 20 if stop is None else stop))
    for frame in frames:
        assert frame.image.shape == (3, 32, 32)
        assert frame.image.dtype == torch.float32
        assert float(frame.image.mean()) == pytest.approx(frame.index / 100, abs=0.004)


def pairs(index: SeekIndex) -> list[tuple[int, int]]:
    """Parts of a clip: at, before and after its first and last key frames, and to its end."""
    count = len(index.times)
    if len(index.key_frames) < 2:
        return []
    key_frames = sorted({index.key_frames[1], index.key_frames[-1]})
    starts = [key_frame + off for key_frame in key_frames for off in (-1, 0, 1)]
    parts = [(first, min(first + 3, count)) for first in starts if first < count]
    return [*parts, (key_frames[-1], count), (key_frames[0] - 1, key_frames[-1] + 1)]


def check_seeking(path: Path, *, safe: bool = True) -> SeekIndex:
    """Compares what is read by seeking with the same frames decoded from the first one on, and
    counts what was decoded for it.

    Args:
        safe: the key frames are where the container says they are.
    """
    source = probe(path)
    index = scan(source).seek_index
    size = fit(source.width, source.height, 32)
    images = [frame.image for frame in read(source, size)]
    assert len(images) == len(index.times)
    for first, stop in pairs(index):
        times: list[int] = []
        frames = list(read(source, size, first, stop, index, times.append))
        assert [frame.index for frame in frames] == list(range(first, stop))
        assert all(torch.equal(frame.image, images[frame.index]) for frame in frames)
        if safe and (key_frame := index.key_frame_before(first)):
            begun = max(times[0], index.times[key_frame])
            assert index.times.index(begun) == key_frame
            assert stop - first <= len(times) <= stop - key_frame
    return index


@pytest.mark.parametrize(("folder", "divided"), [("clips", 4), ("inputs", 6), (None, 0)])
def test_seeking_gives_the_same_frames_of_every_real_clip(
    folder: str | None, divided: int, samples: Path, request: pytest.FixtureRequest
) -> None:
    undecodable = {"yuv410p_128x98_ffv1.mkv"}
    root = request.getfixturevalue("shared") / folder if folder else samples
    paths = [path for path in sorted(root.iterdir()) if path.name not in undecodable]
    others = (".py", ".md", ".jpg", ".png", ".heic", ".dng")
    moving = [path for path in paths if path.is_file() and path.suffix not in others]
    sought = [check_seeking(path) for path in moving if probe(path).kind == "video"]
    assert sum(len(index.key_frames) > 1 for index in sought) >= divided


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", []),
        ("a.mkv", []),
        ("a.ts", []),
        ("a.mov", ["-c:v", "prores_ks"]),
        ("a.flv", ["-c:v", "libx264"]),
        ("a.avi", ["-c:v", "mpeg4"]),
        ("a.webm", ["-c:v", "libvpx-vp9"]),
        ("open.mp4", ["-x264-params", "open-gop=1:bframes=3:scenecut=0"]),
        ("open.mkv", ["-x264-params", "open-gop=1:bframes=3:scenecut=0"]),
        ("late.mp4", ["-output_ts_offset", "100"]),
        ("fragments.mp4", ["-movflags", "+frag_keyframe+empty_moov"]),
    ],
)
def test_seeking_decodes_from_the_key_frame_in_every_container(
    name: str, options: list[str], clips: Clips
) -> None:
    path = clips.pattern(name, "-g", "12", *options, frames=40, rate="25")
    assert len(check_seeking(path).key_frames) > 1


def test_seeking_goes_by_exact_times_where_the_rate_varies(clips: Clips) -> None:
    options = ("-g", "8", "-c:v", "libx264")
    path = clips.timed("variable.mp4", "3000*N+100*N*N", *options, frames=30)
    index = check_seeking(path)
    assert index.times == tuple(3000 * n + 100 * n * n for n in range(30))
    assert len(index.key_frames) == 4


@pytest.mark.parametrize(
    ("name", "options"),
    [
        # Packets called key frames after which the picture is renewed bit by bit.
        ("refresh.mp4", ["-x264-params", "intra-refresh=1:keyint=12:bframes=0"]),
        ("unsorted.avi", ["-c:v", "mpeg4", "-bf", "2", "-g", "12"]),
        ("a.gif", []),
        ("a.h264", ["-g", "12"]),
    ],
)
def test_where_seeking_is_not_certain_the_frames_are_the_same(
    name: str, options: list[str], clips: Clips
) -> None:
    check_seeking(clips.pattern(name, *options, frames=40, rate="25"), safe=False)


def test_a_frame_that_is_not_what_was_scanned_is_decoded_from_the_start(clips: Clips) -> None:
    source = probe(clips.pattern("short.mp4", "-g", "5", frames=20))
    index = scan(source).seek_index
    images = [frame.image for frame in read(source, None)]
    for wrong in (10, 12):
        checksums = [c + (n == wrong) for n, c in enumerate(index.checksums)]
        other = replace(index, checksums=tuple(checksums))
        frames = list(read(source, None, 10, None, other))
        assert [frame.index for frame in frames] == list(range(10, 20))
        assert all(torch.equal(frame.image, images[frame.index]) for frame in frames)


def test_a_part_beyond_the_end_is_an_error_with_an_index_too(clips: Clips) -> None:
    source = probe(clips.pattern("short.mp4", "-g", "5", frames=20))
    index = scan(source).seek_index
    with pytest.raises(DecodeError) as caught:
        list(read(source, None, 10, 25, index))
    assert caught.value.missing == 5


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [None, 128])
def test_the_picture_is_turned_once(turn: int, size: int | None, clips: Clips) -> None:
    upright = clips.patches(
        "upright.mp4", COLOURS[[0, 6, 18, 26]], "smpte170m", False, "-qp", "0", tile=(16, 32)
    )
    turned = clips.turned(upright, turn)
    source = probe(turned)
    image = next(
        read(source, None if size is None else fit(source.width, source.height, size))
    ).image
    plain = next(read(probe(upright), None if size is None else fit(64, 32, size))).image
    expected = torch.rot90(plain, turn // 90, dims=(1, 2))  # both count counter-clockwise
    assert image.shape == expected.shape
    assert (image - expected).abs().max() < 0.02


@pytest.mark.parametrize("size", [(32, 24), (200, 100), (64, 48)])
def test_frames_have_the_size_asked_for_and_the_same_content(
    size: tuple[int, int], clips: Clips
) -> None:
    source = probe(clips.pattern("a.mkv", "-vf", "gblur=3", "-c:v", "ffv1", "-pix_fmt", "bgr0"))
    whole = next(read(source, None)).image
    image = next(read(source, size)).image
    assert image.shape == (3, size[1], size[0])
    expected = torch.nn.functional.interpolate(
        whole[None], (size[1], size[0]), mode="bicubic", antialias=True
    )[0]
    assert (image - expected).abs().mean() < 0.01


@pytest.mark.parametrize("seeking", [False, True])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_closing_the_iterator_ends_the_decoder(
    before: int, seeking: bool, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = probe(clips.pattern("long.mp4", "-g", "50", frames=600, rate="60", size=(160, 120)))
    part = (60, None, scan(source).seek_index) if seeking else ()
    pids: list[int] = []
    running = ffmpeg.running

    @contextlib.contextmanager
    def noted(*args: object, **options: object) -> Iterator[ffmpeg.Child]:
        with running(*args, **options) as child:  # type: ignore[arg-type]
            pids.append(child.pid)
            yield child

    monkeypatch.setattr(ffmpeg, "running", noted)
    frames = read(source, None, *part)
    for _ in range(before):
        next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert len(pids) == (before > 0)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_decoder_that_breaks_off_says_how_many_frames_are_missing(clips: Clips) -> None:
    whole = clips.pattern(
        "whole.mp4", "-movflags", "+faststart", "-g", "5", frames=100, size=(160, 120)
    )
    short = clips.folder / "short.mp4"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = probe(short)
    found = scan(source)
    delivered = len(found.timeline)
    assert len(list(read(source, (32, 24), 0, delivered))) == delivered
    frames = []
    with pytest.raises(DecodeError) as caught:
        frames.extend(frame.index for frame in read(source, (32, 24), 10, 100))
    assert caught.value.missing == 100 - delivered
    assert short.name in caught.value.what


def test_a_sound_file_that_is_shorter_than_asked_for_is_an_error(clips: Clips) -> None:
    with pytest.raises(DecodeError) as caught:
        list(read(probe(clips.pattern()), None, 0, 12))
    assert caught.value.missing == 2


@pytest.mark.parametrize(
    ("size", "long_side", "expected"),
    [
        ((1920, 1080), None, (1920, 1080)),
        ((1920, 1080), 320, (320, 180)),
        ((1080, 1920), 320, (180, 320)),
        ((321, 241), 96, (96, 72)),
        ((640, 272), 96, (96, 40)),
        ((100, 50), 400, (400, 200)),
        ((2000, 40), 320, (320, 16)),
        ((512, 512), 16, (16, 16)),
    ],
)
def test_fit_keeps_the_aspect(
    size: tuple[int, int], long_side: int | None, expected: tuple[int, int]
) -> None:
    assert fit(*size, long_side) == expected


def test_lines_that_cannot_be_read_make_decoding_begin_at_the_start(clips: Clips) -> None:
    clip = clips.pattern("keys.mp4", "-g", "5", frames=20)
    source = probe(clip)
    index = scan(source).seek_index
    whole = [frame.image for frame in read(source, None)]
    told: list[int] = []

    def fail(time: int) -> None:
        told.append(time)
        raise ValueError("nobody listens")

    part = list(read(source, None, 12, 15, index, fail))
    assert told
    assert [frame.index for frame in part] == [12, 13, 14]
    assert all(torch.equal(frame.image, whole[frame.index]) for frame in part)


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        ("yuv410p", (128, 98)),
        ("yuv410p", (126, 96)),
        ("yuv410p", (127, 97)),
        ("yuv411p", (126, 97)),
        ("yuv411p", (125, 96)),
    ],
)
def test_coarse_chroma_is_read_at_every_size(
    clips: Clips, pixels: str, size: tuple[int, int]
) -> None:
    colour = f"color=0x4080c0:s={size[0]}x{size[1]}:r=10:d=0.3,format={pixels}"
    source = probe(clips.make("coarse.nut", "-f", "lavfi", "-i", colour, "-c:v", "rawvideo"))
    assert len(scan(source).timeline) == 3
    frames = list(read(source, None))
    assert len(frames) == 3
    expected = torch.tensor([0x40, 0x80, 0xC0]).view(3, 1, 1) / 255
    assert (frames[0].image - expected).abs().max() < 3 / 255
    assert tuple(next(read(source, (64, 48))).image.shape) == (3, 48, 64)


def test_coarse_chroma_of_a_real_file_is_read(shared: Path) -> None:
    source = probe(shared / "inputs/yuv410p_128x98_ffv1.mkv")
    assert len(list(read(source, None))) == len(scan(source).timeline) == 10
