from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from vidstyle.motion.bars import BarPrecheck, Bars, find_bars

H, W, FRAMES = 120, 160, 8
BLACK, TV_BLACK, WHITE, BLUE = (0.0,) * 3, (16 / 255,) * 3, (1.0,) * 3, (0.1, 0.2, 0.6)
Colour = tuple[float, float, float]


def picture(t: int, height: int, width: int) -> Tensor:
    """A frame of a pan over coarse noise; no two have a row in common."""
    noise = torch.rand(1, 3, 40, 80, generator=torch.Generator().manual_seed(3))
    wide = torch.nn.functional.interpolate(noise, scale_factor=6, mode="bilinear")[0]
    return wide[:, 5 * t : 5 * t + height, 11 * t : 11 * t + width]


def film(bars: Bars, colour: Colour = BLACK, noise: float = 0.0) -> list[Tensor]:
    frames = []
    for t in range(FRAMES):
        frame = torch.tensor(colour)[:, None, None].expand(3, H, W).clone()
        width, height = bars.inner_size((W, H))
        frame = bars.paste(picture(t, height, width), frame)
        generator = torch.Generator().manual_seed(t)
        frames.append((frame + noise / 255 * torch.randn(3, H, W, generator=generator)).clamp(0, 1))
    return frames


def may_have_bars(frames: list[Tensor]) -> bool:
    precheck = BarPrecheck()
    for frame in frames:
        precheck.add((255 * frame).round().byte().permute(1, 2, 0).numpy())
    return precheck.may_have_bars


def test_only_the_sides_that_have_a_bar_are_named() -> None:
    assert Bars().describe() == ""
    assert Bars(12, 13).describe() == "12 above, 13 below"
    assert Bars(top=3, left=5, right=6).describe() == "3 above, 5 left, 6 right"


@pytest.mark.parametrize("noise", [0.0, 2.0])
@pytest.mark.parametrize("colour", [BLACK, TV_BLACK, WHITE, BLUE])
@pytest.mark.parametrize(
    "bars",
    [
        Bars(12, 12),
        Bars(30, 30),
        Bars(left=5, right=5),
        Bars(left=40, right=40),
        Bars(15, 15, 20, 20),
        Bars(10, 13),
        Bars(top=14),
        Bars(right=20),
    ],
)
def test_bars_are_found_to_the_pixel(bars: Bars, colour: Colour, noise: float) -> None:
    frames = film(bars, colour, noise)
    assert find_bars(frames) == bars
    assert may_have_bars(frames)


def test_a_row_that_is_half_bar_and_half_picture_belongs_to_the_bar() -> None:
    frames = film(Bars(12, 12))
    for frame in frames:
        frame[:, 12] *= 0.4
        frame[:, H - 13] *= 0.6
    assert find_bars(frames) == Bars(13, 13)


@pytest.mark.parametrize("seen", [1, 4, 6])
def test_words_and_a_logo_in_the_bar_leave_it_a_bar(seen: int) -> None:
    frames = film(Bars(24, 24))
    for frame in frames[:seen]:
        frame[:, H - 14 : H - 6, 40:110:2] = 1.0
        frame[:, 4:16, 140:156] = 0.7
    assert find_bars(frames) == Bars(24, 24)


def test_black_frames_and_those_of_a_fade_change_nothing() -> None:
    frames = film(Bars(12, 12))
    faded = [share * frames[0] for share in (0.0, 0.02, 0.1, 0.5)]
    assert find_bars([*faded, *frames]) == Bars(12, 12)
    assert may_have_bars([*faded, *frames])
    assert find_bars([torch.zeros(3, H, W)] * 8).is_empty
    assert not may_have_bars([torch.zeros(3, H, W)] * 8)
    assert find_bars([]).is_empty


Scene = Literal[
    "pan", "jagged", "gradient", "floor", "thin", "unsteady", "tiny", "lit", "textured", "fade"
]


def scene_without_bars(scene: Scene) -> list[Tensor]:
    frames = film(Bars())
    ridge = (20 + 8 * np.sin(np.arange(W) / 9)).round().astype(int)
    for t, frame in enumerate(frames):
        if scene == "jagged":  # hills before a black sky
            frame[:, torch.arange(H)[:, None] < torch.from_numpy(ridge)] = 0.0
        elif scene == "gradient":  # a sky that begins in black
            frame[:] = frame * (torch.arange(H) / H).clamp(max=1)[:, None] ** 1.5
        elif scene == "floor":  # a drawn floor below a still room
            frame[:] = picture(0, H, W)
            frame[:, 90:] = torch.tensor([0.6, 0.4, 0.2])[:, None, None]
        elif scene == "thin":
            frame[:, :1] = 0.0
            frame[:, -1:] = 0.0
        elif scene == "unsteady":  # a bar in one shot only
            frame[:, : 12 if t < 5 else 0] = 0.0
        elif scene == "tiny":  # a sign on a black stage
            frame[:, :40] = frame[:, -40:] = 0.0
            frame[:, :, :40] = frame[:, :, -40:] = 0.0
        elif scene == "lit":  # a wall that is flat, but not of one colour all the time
            frame[:, :20] = 0.2 + 0.08 * t
        elif scene == "textured":
            frame[:, :20] = 0.2 + 0.2 * frame[:, :20]
        elif scene == "fade":
            frame[:] = 0.0 if t else frame
    return frames


@pytest.mark.parametrize("scene", Scene.__args__)  # type: ignore[attr-defined]
def test_an_ordinary_film_has_no_bars(scene: Scene) -> None:
    assert find_bars(scene_without_bars(scene)).is_empty


@pytest.mark.parametrize("scene", ["pan", "textured", "lit", "unsteady"])
def test_full_frames_are_not_asked_for_where_thumbnails_show_no_bar(scene: Scene) -> None:
    frames = scene_without_bars(scene)
    assert not may_have_bars(frames)


def test_one_odd_frame_in_a_hundred_may_fill_the_bars() -> None:
    frames = film(Bars(12, 12)) * 13
    assert may_have_bars([picture(0, H, W), *frames])
    title = torch.ones(3, H, W)
    title[:, 50:70, 50:90] = 0
    assert may_have_bars([title, *frames, *frames])
    assert not may_have_bars([picture(0, H, W)] * 3 + frames)


def test_pasting_keeps_the_bars_bit_for_bit_and_cropping_is_a_view() -> None:
    bars, frame = Bars(3, 4, 5, 6), torch.rand(3, H, W)
    before = frame.clone()
    pasted = bars.paste(torch.full((3, H - 7, W - 11), 2.0), frame)
    assert torch.equal(frame, before)
    assert bars.inner_size((W, H)) == (W - 11, H - 7)
    assert bool((bars.crop(pasted) == 2).all())
    assert torch.equal(torch.where(pasted == 2, frame, pasted), before)
    bars.crop(frame).zero_()
    assert bool((frame[:, 3:-4, 5:-6] == 0).all())
    assert torch.equal(Bars().paste(before, frame), before)
    assert Bars().is_empty
    assert not bars.is_empty
