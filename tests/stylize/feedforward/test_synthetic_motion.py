"""Films made from stills: flow and mask say exactly what the frame before shows."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.motion.warp import warp
from vidstyle.stylize.feedforward import synthetic_motion
from vidstyle.stylize.feedforward.synthetic_motion import Pose, SyntheticFilm, warp_bicubic

SIZE = 64


def smooth_picture(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 4, 9, 12, generator=generator)
    return F.interpolate(coarse, (150, 200), mode="bicubic", align_corners=True)[0].clamp(0, 1)


@pytest.mark.parametrize("seed", range(12))
def test_the_frame_before_along_the_flow_is_the_frame_wherever_the_mask_trusts_it(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic_motion, "NOISE", 0.0)
    monkeypatch.setattr(synthetic_motion, "LIGHT_SHARE", 0.0)
    film = SyntheticFilm((smooth_picture(1), smooth_picture(2)), SIZE, random.Random(seed))
    before = film.next()
    assert not before.mask.any()
    shares = []
    for _ in range(4):
        frame = film.next()
        trusted = frame.mask[0] > 0.99
        error = (warp(before.image, frame.flow) - frame.image).abs().amax(0)
        assert not trusted.any() or float(error[trusted].max()) < 0.02
        shares.append(float(trusted.float().mean()))
        before = frame
    assert max(shares) > 0.3


def test_what_comes_into_view_and_what_was_covered_is_not_trusted() -> None:
    found = 0
    for seed in range(40):
        film = SyntheticFilm((smooth_picture(1), smooth_picture(2)), SIZE, random.Random(seed))
        film.next()
        frame = film.next()
        outside = ((frame.flow + film.pixels).abs() > (SIZE - 1) / 2).any(0)
        assert not frame.mask[0][outside].any()
        found += int(outside.any())
    assert found > 10


def test_a_pose_is_undone() -> None:
    pose = Pose(1.3, 0.4, (5.0, -2.0))
    points = torch.rand(2, 7, 9, generator=torch.Generator().manual_seed(1)) * 50
    assert torch.allclose(pose.invert(pose.apply(points)), points, atol=1e-4)


def test_the_same_seed_makes_the_same_film() -> None:
    def make() -> list[Tensor]:
        film = SyntheticFilm((smooth_picture(1), smooth_picture(2)), SIZE, random.Random(5))
        return [film.next().image for _ in range(3)]

    assert all(torch.equal(a, b) for a, b in zip(make(), make(), strict=True))


def test_without_flow_the_quick_warp_changes_nothing() -> None:
    image = smooth_picture(3)[:3]
    assert torch.allclose(warp_bicubic(image, torch.zeros(2, 150, 200)), image, atol=1e-4)
