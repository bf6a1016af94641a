from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vidstyle.motion.edit import Edit, Flash
from vidstyle.motion.shots import ContentDifference, find_cuts
from vidstyle.motion.transitions import EditDetector

Film = NDArray[np.float32]
"""(n, h, w, 3) RGB in units of 1/255."""

HEIGHT = 54
WIDTH = 96


def draw_shot(seed: int, n: int, *, speed: float = 0.4) -> Film:
    """Draw a shot of n frames: a soft random background that pans at `speed` pixels a frame, there
    and back, and three discs that move over it.
    """
    rng = np.random.default_rng(seed)
    large = cv2.resize(rng.uniform(0, 255, (5, 14, 3)).astype(np.float32), (WIDTH + 80, HEIGHT))
    small = cv2.resize(rng.uniform(-90, 90, (14, 44, 3)).astype(np.float32), (WIDTH + 80, HEIGHT))
    background = np.clip(large + small, 0, 255)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    discs = [
        (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(-1, 1), rng.uniform(0, 255, 3))
        for _ in range(3)
    ]
    frames = []
    for t in range(n):
        # There and back, over the part that is out of sight.
        left_edge = 80 - abs(abs(speed) * t % 160 - 80)
        pan = np.array([[1, 0, -left_edge], [0, 1, 0]], np.float32)
        frame = cv2.warpAffine(background, pan, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        for left, top, step, colour in discs:
            frame[np.hypot(x - left - step * t, y - top) < 7] = colour
        frames.append(frame)
    return np.stack(frames).astype(np.float32)


def ramp(n: int, *, eased: bool = False) -> NDArray[np.float32]:
    """Return n levels between 0 and 1, both excluded, to multiply frames with."""
    x = np.arange(1, n + 1, dtype=np.float32) / (n + 1)
    return (x * x * (3 - 2 * x) if eased else x)[:, None, None, None]


def dissolve(n: int, *, eased: bool = False, speed: float = 0.4) -> Film:
    """Make a film whose frames 30 .. 29 + n mix two shots."""
    A = draw_shot(1, 30 + n, speed=speed)
    B = draw_shot(2, n + 30, speed=speed)
    share = ramp(n, eased=eased)
    return np.concatenate([A[:30], (1 - share) * A[30:] + share * B[:n], B[n:]])


def fade_through(colour: tuple[int, int, int], n: int, flat: int) -> Film:
    """Make a film that fades out in the frames 30 .. 29 + n, stays flat, and fades in as long."""
    A = draw_shot(1, 30 + n)
    B = draw_shot(2, n + 30)
    C = np.array(colour, np.float32)
    gain = ramp(n)
    out = C + (1 - gain) * (A[30:] - C)
    back = C + gain * (B[:n] - C)
    between = np.broadcast_to(C, (flat, *A.shape[1:]))
    return np.concatenate([A[:30], out, between, back, B[n:]])


def add_bars(film: Film, rows: int = 7) -> Film:
    film = film.copy()
    film[:, :rows] = 0
    film[:, -rows:] = 0
    return film


def find_edit(film: Film, *, grain: float = 2.0) -> Edit:
    noise = np.random.default_rng(0).normal(0, grain, film.shape)
    detector = EditDetector()
    for frame in np.clip(np.rint(film + noise), 0, 255).astype(np.uint8):
        detector.add(frame)
    return detector.finish()


def is_plain(edit: Edit) -> bool:
    """Return whether it is one shot without any transition."""
    return edit == Edit((0,))


def test_a_film_without_frames_has_no_shot() -> None:
    assert EditDetector().finish() == Edit(())


@pytest.mark.parametrize("n", [1, 2, 9, 80])
def test_a_shot_is_only_a_shot(n: int) -> None:
    assert is_plain(find_edit(draw_shot(1, n)))


@pytest.mark.parametrize("speed", [3.0, 8.0])
def test_a_fast_pan_is_only_a_shot(speed: float) -> None:
    assert is_plain(find_edit(draw_shot(1, 80, speed=speed)))


def test_a_cut_is_only_a_cut() -> None:
    assert find_edit(np.concatenate([draw_shot(1, 30), draw_shot(2, 30)])) == Edit((0, 30))


@pytest.mark.parametrize("eased", [False, True])
@pytest.mark.parametrize("n", [4, 6, 12, 24, 48, 72])
def test_a_dissolve_is_one_transition(n: int, eased: bool) -> None:
    # The shots pan by a twentieth of the width.
    edit = find_edit(dissolve(n, eased=eased, speed=min(0.4, 5 / n)))
    (found,) = edit.dissolves
    # The first and the last step are less than motion and grain where there are many.
    slack = 1 + n // 10
    assert abs(found.first - 30) <= slack
    assert abs(found.stop - (30 + n)) <= slack
    assert len(found.shares) == found.stop - found.first
    assert all(np.diff((0, *found.shares, 1)) >= 0)
    expected = {30 + i: share for i, share in enumerate(ramp(n, eased=eased).ravel())}
    for i, share in enumerate(found.shares):
        t = found.first + i
        assert share == pytest.approx(expected.get(t, float(t >= 30)), abs=0.1)
    assert edit.cuts == (0, found.cut)
    assert not edit.fades
    assert not edit.flashes


@pytest.mark.parametrize(("grain", "speed"), [(0.0, 0.0), (6.0, 0.4), (2.0, 0.7)])
def test_a_dissolve_is_found_in_grain_and_motion(grain: float, speed: float) -> None:
    edit = find_edit(dissolve(20, speed=speed), grain=grain)
    (found,) = edit.dissolves
    assert abs(found.first - 30) <= 2
    assert abs(found.stop - 50) <= 2
    assert edit.cuts == (0, found.cut)


BLACK = (0, 0, 0)
WHITE = (255, 255, 255)
RED = (190, 20, 30)


@pytest.mark.parametrize(
    ("colour", "barred"),
    [(BLACK, False), (BLACK, True), (WHITE, False), (WHITE, True), (RED, True)],
)
@pytest.mark.parametrize(("n", "flat"), [(6, 0), (12, 1), (24, 8), (48, 4)])
def test_a_fade_through_a_colour_has_one_cut(
    colour: tuple[int, int, int], n: int, flat: int, barred: bool
) -> None:
    film = fade_through(colour, n, flat)
    edit = find_edit(add_bars(film) if barred else film)
    middle = 30 + n + flat // 2
    assert len(edit.cuts) == 2
    assert abs(edit.cuts[1] - middle) <= 1
    out, back = edit.fades
    assert abs(out.first - 30) <= 2
    assert out.stop == back.first == edit.cuts[1]
    assert abs(back.stop - (30 + 2 * n + flat)) <= 2
    assert not edit.dissolves
    assert not edit.flashes
    tolerance = 0.05 if flat else 0.15
    assert out.colour == pytest.approx(np.array(colour) / 255, abs=tolerance)
    if flat > 2:
        assert out.gains[-1] == 0
        assert back.gains[0] == 0
    expected = dict(enumerate((1 - ramp(n)).ravel(), 30))
    for i, gain in enumerate(out.gains):
        if out.first + i in expected:
            assert gain == pytest.approx(expected[out.first + i], abs=0.1)
    assert all(np.diff(out.gains) <= 0)
    assert all(np.diff(back.gains) >= 0)


def test_a_film_may_begin_and_end_in_the_dark() -> None:
    film = fade_through((0, 0, 0), 12, 10)
    back = find_edit(film[42:])
    (fade_in,) = back.fades
    assert back.cuts == (0,)
    assert (fade_in.first, fade_in.gains[:9]) == (0, (0.0,) * 9)
    assert abs(fade_in.stop - 22) <= 1
    out = find_edit(film[:52])
    (fade_out,) = out.fades
    assert out.cuts == (0,)
    assert (fade_out.stop, fade_out.gains[-9:]) == (52, (0.0,) * 9)
    assert abs(fade_out.first - 30) <= 1


def test_flat_frames_belong_to_the_shot_that_fades() -> None:
    film = fade_through((0, 0, 0), 12, 10)
    out = find_edit(np.concatenate([film[:52], draw_shot(3, 30)]))
    assert out.cuts == (0, 52)
    assert [(fade.stop, fade.gains[-1]) for fade in out.fades] == [(52, 0.0)]
    back = find_edit(np.concatenate([draw_shot(3, 30), film[42:]]))
    assert back.cuts == (0, 30)
    assert [(fade.first, fade.gains[0]) for fade in back.fades] == [(30, 0.0)]


def test_black_frames_that_stay_make_cuts() -> None:
    dark = np.zeros((12, HEIGHT, WIDTH, 3), np.float32)
    film = np.concatenate([draw_shot(1, 30), dark, draw_shot(2, 30)])
    assert find_edit(film) == Edit((0, 30, 42))


def test_subtitles_stay_in_a_fade() -> None:
    film = fade_through((0, 0, 0), 12, 10)
    film[:, -9:-6, 30:66] = 230
    edit = find_edit(film)
    assert len(edit.fades) == 2
    assert len(edit.cuts) == 2


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("light", ["over", "white", "black"])
def test_a_flash_is_no_cut(n: int, light: str) -> None:
    film = draw_shot(1, 60)
    lit = {"over": film * 1.5 + 70, "white": film * 0 + 255, "black": film * 0}[light]
    film[30 : 30 + n] = lit[30 : 30 + n]
    assert find_edit(film) == Edit((0,), flashes=(Flash(30, 30 + n),))


@pytest.mark.parametrize("gain", [0.6, 1.6])
def test_a_switched_light_is_nothing(gain: float) -> None:
    film = draw_shot(1, 80)
    film[40:] *= gain
    assert is_plain(find_edit(film))


def darken(t: NDArray[np.int_]) -> NDArray[np.float64]:
    return np.repeat(1 - 0.7 * np.clip((t - 20) / 48, 0, 1)[:, None], 3, 1)


def set_sun(t: NDArray[np.int_]) -> NDArray[np.float64]:
    return darken(t) * (1 + np.clip((t - 20) / 48, 0, 1)[:, None] * np.array([0.3, 0, -0.4]))


@pytest.mark.parametrize("light", [darken, set_sun])
@pytest.mark.parametrize("speed", [0.0, 0.4, 1.5])
def test_light_that_changes_slowly_is_nothing(
    light: Callable[[NDArray[np.int_]], NDArray[np.float64]], speed: float
) -> None:
    film = draw_shot(1, 100, speed=speed) * light(np.arange(100))[:, None, None]
    assert is_plain(find_edit(film.astype(np.float32)))
    assert is_plain(find_edit(film[::-1].astype(np.float32)))


def test_a_wipe_is_no_dissolve() -> None:
    A = draw_shot(1, 84)
    B = draw_shot(2, 84)
    for t in range(30, 84):
        edge = min(WIDTH, (t - 29) * 4)
        A[t, :, :edge] = B[t, :, :edge]
    edit = find_edit(A)
    assert not edit.dissolves
    assert not edit.fades


def test_memory_does_not_grow_with_the_film() -> None:
    detector = EditDetector()
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for t in range(600):
        frame[:] = t % 50
        detector.add(frame)
    sizes = [
        frames.ring.nbytes for frames in (detector.fine, detector.coarse) if frames.ring is not None
    ]
    assert sum(sizes) < 8 << 20
    assert len(detector.dissolves.candidates) < 100


REAL_DISSOLVE = "nasa_320x180_two_video_streams_audio.mp4"
"""Its frames 127 to 149 are a dissolve."""


@pytest.mark.slow
def test_real_clips_have_the_cuts_they_had(shared: Path) -> None:
    from vidstyle.video.probe import probe
    from vidstyle.video.scan import scan

    for path in sorted([*(shared / "clips").iterdir(), *(shared / "training_clips").iterdir()]):
        difference = ContentDifference()
        detector = EditDetector()

        def add(
            thumbnail: NDArray[np.uint8],
            difference: ContentDifference = difference,
            detector: EditDetector = detector,
        ) -> None:
            difference.add(thumbnail)
            detector.add(thumbnail)

        scan(probe(path), add)
        edit = detector.finish()
        if path.name == REAL_DISSOLVE:
            (dissolve,) = edit.dissolves
            assert (dissolve.first, dissolve.stop) == (127, 150)
            assert edit.cuts == (0, dissolve.cut, 202)
            assert not edit.fades
        else:
            assert edit == Edit(find_cuts(difference.scores)), path.name


@pytest.mark.parametrize("size", [(4, 160), (160, 3), (16, 640), (1, 64)])
def test_a_film_of_any_shape_is_looked_at(size: tuple[int, int]) -> None:
    detector = EditDetector()
    noise = np.random.default_rng(0)
    for _ in range(8):
        detector.add(noise.integers(0, 255, (*size, 3), np.uint8))
    assert detector.finish().cuts[0] == 0


@pytest.mark.parametrize("colour", [0.0, 255.0])
@pytest.mark.parametrize("length", [8, 12, 24])
@pytest.mark.parametrize("is_end", [True, False])
def test_a_film_may_end_and_begin_in_a_fade_that_does_not_reach_its_colour(
    colour: float, length: int, is_end: bool
) -> None:
    noise = np.random.default_rng(1)
    ground = cv2.resize(noise.uniform(0, 255, (9, 30, 3)).astype(np.float32), (220, 90))
    frames = [ground[:, t // 4 : t // 4 + 160] for t in range(40)]
    gains = [*[1.0] * (40 - length), *(1 - i / length for i in range(length))]
    faded = [g * frame + (1 - g) * colour for g, frame in zip(gains, frames, strict=True)]
    detector = EditDetector()
    for frame in faded if is_end else faded[::-1]:
        detector.add(frame.clip(0, 255).round().astype(np.uint8))
    edit = detector.finish()
    assert edit.cuts == (0,)
    (fade,) = edit.fades
    if is_end:
        assert (fade.stop, fade.colour[0]) == (40, pytest.approx(colour / 255, abs=0.05))
        assert abs(fade.first - (41 - length)) <= 1
    else:
        assert fade.first == 0
        assert abs(fade.stop - (length - 1)) <= 1
