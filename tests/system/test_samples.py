"""The samples are what they say: the scene's ground truth holds on its own pictures, and the files
match it.
"""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from sample_videos import make_samples, mosaic, night, scene

SAMPLES = Path(scene.__file__).parent
SMALL = (320, 180)
FRAMES = [1, 24, 47]


@lru_cache
def picture(t: int, size: tuple[int, int] = scene.SIZE) -> NDArray[np.float32]:
    return scene.frame(t, size).astype(np.float32)


def sample(image: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """`image` at (x, y) + flow, bilinear."""
    y, x = np.indices(flow.shape[1:], np.float32)
    return cv2.remap(image, x + flow[0], y + flow[1], cv2.INTER_LINEAR)


def inside_layers(flow: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """True away from the edges between layers, where a pixel mixes colours that move
    differently.
    """
    jump = cv2.morphologyEx(flow.transpose(1, 2, 0), cv2.MORPH_GRADIENT, np.ones((3, 3))).max(-1)
    margin = 2 * round(size[0] / 320) + 1
    return cv2.dilate((jump > 0.1).astype(np.uint8), np.ones((margin, margin))) == 0


def error(
    t: int, flow: NDArray[np.float32], size: tuple[int, int] = scene.SIZE
) -> NDArray[np.float32]:
    return np.abs(sample(picture(t - 1, size), flow) - picture(t, size)).max(-1)


@pytest.mark.parametrize("t", FRAMES)
@pytest.mark.parametrize(("size", "share"), [(scene.SIZE, 0.25), (SMALL, 0.4)])
def test_the_previous_frame_warped_by_the_flow_is_this_frame(t, size, share):
    """Up to what bilinear sampling blurs, which is more where a pixel holds more detail."""
    flow = scene.flow_t_to_prev(t, size)
    safe = inside_layers(flow, size) & ~scene.occluded(t, size)
    assert safe.mean() > 0.6
    off = error(t, flow, size)[safe]
    assert np.median(off) < 2
    assert np.percentile(off, 90) < 10
    unmoved = np.abs(picture(t - 1, size) - picture(t, size)).max(-1)[safe]
    assert off.mean() < share * unmoved.mean()


@pytest.mark.parametrize("nudge", [(0.25, 0), (-0.25, 0), (0, 0.25), (0, -0.25)])
def test_a_quarter_of_a_pixel_beside_the_flow_fits_worse(nudge):
    t = 24
    flow = scene.flow_t_to_prev(t)
    safe = inside_layers(flow, scene.SIZE) & ~scene.occluded(t)
    beside = flow + np.array(nudge, np.float32)[:, None, None]
    assert (error(t, flow)[safe] ** 2).mean() < 0.8 * (error(t, beside)[safe] ** 2).mean()


@pytest.mark.parametrize("t", FRAMES)
def test_the_two_flows_are_each_other_s_inverse_where_nothing_is_hidden(t):
    back, forth = scene.flow_t_to_prev(t), scene.flow_prev_to_t(t)
    safe = inside_layers(back, scene.SIZE) & ~scene.occluded(t)
    round_trip = np.hypot(*(back + sample(forth.transpose(1, 2, 0), back).transpose(2, 0, 1)))
    assert np.percentile(round_trip[safe], 99) < 0.02
    assert round_trip[scene.occluded(t)].mean() > 1


@pytest.mark.parametrize("t", FRAMES)
def test_what_is_occluded_can_not_be_warped(t):
    hidden = scene.occluded(t)
    assert 0.003 < hidden.mean() < 0.05
    assert error(t, scene.flow_t_to_prev(t))[hidden].mean() > 40


def test_the_balloon_uncovers_what_lies_behind_it_and_hides_what_lies_ahead():
    t = 24
    flow, hidden = scene.flow_t_to_prev(t), scene.occluded(t)
    balloon = flow[0] < -2  # it alone moves to the right
    columns = np.flatnonzero(balloon[100])
    left, right = columns[0], columns[-1]
    assert right - left > 80
    assert hidden[100, left - 3 : left].all()
    assert not hidden[100, left : right + 8].any()


def test_what_enters_the_frame_is_occluded():
    t = 24
    flow, hidden = scene.flow_t_to_prev(t), scene.occluded(t)
    entering = np.arange(scene.WIDTH) + flow[0] > scene.WIDTH - 1
    assert entering.any()
    assert hidden[entering].all()


def test_motion_is_smooth_enough_to_track_and_large_enough_to_matter():
    lengths = [np.hypot(*scene.flow_t_to_prev(t)) for t in FRAMES]
    assert all(1 < length.mean() < 4 and length.max() < 8 for length in lengths)


def test_flow_scales_with_the_size():
    large, small = scene.flow_t_to_prev(24), scene.flow_t_to_prev(24, SMALL)
    same = inside_layers(small, SMALL)
    halved = (
        cv2.resize(large.transpose(1, 2, 0), SMALL, interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
        / 2
    )
    assert np.percentile(np.abs(halved - small)[:, same], 95) < 0.02


def test_the_scene_is_the_same_every_time():
    first = [scene.frame(7, SMALL), scene.flow_t_to_prev(7, SMALL), scene.occluded(7, SMALL)]
    scene._pieces.cache_clear()
    scene._alpha.cache_clear()
    again = [scene.frame(7, SMALL), scene.flow_t_to_prev(7, SMALL), scene.occluded(7, SMALL)]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("call", "t"),
    [
        (scene.frame, -1),
        (scene.frame, scene.FRAMES),
        (scene.flow_t_to_prev, 0),
        (scene.flow_prev_to_t, 0),
        (scene.occluded, 0),
    ],
)
def test_frames_that_do_not_exist_are_refused(call, t):
    with pytest.raises(ValueError, match="outside"):
        call(t)


def decode(name: str) -> NDArray[np.float32]:
    """(N, H, W, 3) RGB."""
    capture = cv2.VideoCapture(str(SAMPLES / name))
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1][..., ::-1].astype(np.float32))
    capture.release()
    return np.stack(frames)


def test_the_balloon_clip_is_the_scene():
    clip = decode("balloon.mp4")
    assert clip.shape == (scene.FRAMES, scene.HEIGHT, scene.WIDTH, 3)
    for t in (0, 24, 47):
        assert (
            np.abs(clip[t] - picture(t)).mean() < 8
        )  # compression, and some OpenCV versions' colours


def test_the_cut_is_where_it_is_said_to_be():
    clip = decode("cut.mp4")
    assert clip.shape == (make_samples.CUT_FRAMES, *make_samples.CUT_SIZE[::-1], 3)
    change = np.abs(np.diff(clip, axis=0)).mean((1, 2, 3))
    assert change.argmax() == make_samples.CUT_FRAME - 1
    assert change.max() > 2.5 * np.sort(change)[-2]


@pytest.mark.parametrize(("name", "sound"), [("balloon.mp4", False), ("cut.mp4", True)])
def test_the_clips_are_tagged_and_carry_the_sound_they_should(name, sound):
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    report = subprocess.run(
        [ffmpeg, "-i", SAMPLES / name], capture_output=True, text=True, check=False
    ).stderr
    assert re.search(r"Video: h264.*yuv420p\(tv, bt709, progressive\).* 24 fps", report)
    assert bool(re.search(r"Audio: aac.*48000 Hz, stereo", report)) == sound


@pytest.mark.parametrize(
    ("name", "size"), [("strokes.jpg", night.SIZE), ("mosaic.jpg", mosaic.SIZE)]
)
def test_the_paintings_are_colourful_and_full_of_strokes(name, size):
    image = cv2.imread(str(SAMPLES / name))
    assert image.shape == (*size[::-1], 3)
    grey = image.mean(-1).astype(np.float32)
    middle = cv2.GaussianBlur(grey, (0, 0), 2) - cv2.GaussianBlur(
        grey, (0, 0), 8
    )  # strokes of 6 to 20 pixels
    assert middle.std() > 8
    assert image.astype(np.float32).std((0, 1)).min() > 25


def test_the_paintings_have_different_palettes():
    strokes, stones = (
        cv2.imread(str(SAMPLES / name)).mean((0, 1)) for name in ("strokes.jpg", "mosaic.jpg")
    )
    assert strokes[0] > strokes[2] + 10  # blue above red
    assert stones[2] > stones[0] + 30


@pytest.mark.parametrize("name", ["balloon.mp4", "cut.mp4", "strokes.jpg", "mosaic.jpg"])
def test_every_sample_is_of_a_few_hundred_kilobytes(name):
    assert 60_000 < (SAMPLES / name).stat().st_size < 500_000
