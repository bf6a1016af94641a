from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.motion.static import StaticTracker, find_static

H, W = 96, 160
REACH = 2  # a 64th of the long side


def texture(seed: int = 0) -> Tensor:
    noise = torch.rand(1, 3, H, W + 64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 5, 1, 2)[0]


def noise(level: float, seed: int) -> Tensor:
    return level / 255 * torch.randn(3, H, W, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("level", [0.0, 1.0, 2.0])
def test_a_still_rests_whatever_noise_is_on_it(level: float) -> None:
    picture, register = texture()[:, :, :W], StaticTracker()
    for t in range(30):
        found = register.track(picture + noise(level, t))
        assert bool(found.static.all())
        assert bool(found.long_static.all()), "it had its time in the first frame"
        assert torch.equal(found.reference, picture + noise(level, 0)), (
            "the first frame stays the reference"
        )


def test_noise_moves_nothing_at_the_edges_and_in_the_corners_either() -> None:
    picture, register = texture()[:, :24, :32], StaticTracker()
    for t in range(200):
        assert bool(register.track(picture + noise(2, t)[:, :24, :32]).static.all())


def test_what_moves_does_not_rest_and_neither_does_what_is_near_it() -> None:
    before = texture()[:, :, :W]
    after = before.clone()
    after[:, 40:56, 60:80] = 0.5 * before[:, 40:56, 60:80]
    rest = find_static(after, before)[0]
    assert not bool(rest[40 - REACH : 56 + REACH, 60 - REACH : 80 + REACH].any())
    assert bool(rest[:34].all() and rest[62:].all() and rest[:, :54].all() and rest[:, 86:].all())


def test_a_bare_table_rests_close_to_what_moves_over_it() -> None:
    before = texture()[:, :, :W]
    before[:, 48:] = 0.9
    after = before.clone()
    after[:, 20:60, 60:80] = texture(1)[:, 20:60, 60:80]
    rest = find_static(after, before)[0]
    assert bool(rest[66:].all())
    assert not bool(rest[20:60, 60:80].any())


def test_the_bare_middle_of_what_moves_does_not_rest() -> None:
    before = texture()[:, :, :W]
    before[:, 30:50, 50:70] = 0.7  # a cup without a pattern
    after = texture()[:, :, :W]
    after[:, 30:50, 54:74] = 0.7
    assert bool((after[:, 30:50, 58:66] == before[:, 30:50, 58:66]).all()), (
        "its middle must look as it did"
    )
    rest = find_static(after, before)[0]
    assert not bool(rest[30:50, 50:74].any())
    assert bool(rest[:, :40].all() and rest[:, 90:].all())


def test_nothing_rests_where_the_camera_moves_not_even_a_bare_wall() -> None:
    wide = texture()
    wide[:, :70] = 0.5  # 73 % of the frame
    assert not bool(find_static(wide[:, :, 2 : W + 2], wide[:, :, :W]).any())


def test_motion_too_slow_to_be_seen_between_two_frames_is_seen_against_the_reference() -> None:
    def frame(t: int) -> Tensor:  # 1/20 of a pixel a frame
        share = t / 20
        a, b = (
            texture()[:, :, int(share) : int(share) + W],
            texture()[:, :, int(share) + 1 : int(share) + 1 + W],
        )
        return torch.lerp(a, b, share - int(share))

    register, lag = StaticTracker(), []
    assert bool(find_static(frame(1), frame(0)).all()), (
        "the test needs a motion that two frames do not show"
    )
    for t in range(60):
        found = register.track(frame(t))
        registered = torch.where(found.static, found.reference, frame(t))
        lag.append(float((registered - frame(t)).abs().mean()))
    assert max(lag) <= 4 / 255, "the picture stays behind"
    assert max(lag) == pytest.approx(max(lag[30:]), rel=0.5), "and ever farther"


def test_a_new_shot_has_a_new_reference() -> None:
    for seed in (0, 1):
        register = StaticTracker()
        first = texture(seed)[:, :, :W]
        found = register.track(first)
        assert torch.equal(found.reference, first)
        assert bool(found.static.all())


def test_the_reference_is_the_frame_where_it_moved_and_the_old_one_where_it_rested() -> None:
    register = StaticTracker()
    first = texture()[:, :, :W]
    second = first + noise(1, 7)
    second[:, :20, :20] = 1.0
    register.track(first)
    rest = register.track(second).static
    reference = register.track(second).reference
    assert torch.equal(reference, torch.where(rest, first, second))
    assert bool(rest.any())
    assert not bool(rest[0, :20, :20].any())


@pytest.mark.parametrize("settling", [0, 1, 6])
def test_what_moved_settles_when_it_has_rested_for_long_and_the_rest_is_settled_all_the_time(
    settling: int,
) -> None:
    before = texture()[:, :, :W]
    after = before.clone()
    after[:, 20:60, 60:100] = texture(1)[:, 20:60, 60:100]
    register = StaticTracker(settling)
    register.track(before)
    moved = register.track(after)
    assert not bool(moved.long_static[0, 20:60, 60:100].any())
    for t in range(1, settling + 4):
        found = register.track(after)
        assert bool(found.static.all())
        assert bool(found.long_static.all()) == (t > settling)
        assert torch.equal(found.long_static, found.static if t > settling else moved.static)
