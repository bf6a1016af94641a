"""Motion that is seen at a smaller size than the frames'."""

from __future__ import annotations

import pytest
import torch

from vidstyle.frames import Motion
from vidstyle.motion.coarse import enlarge_motion, notice_small_changes, shrink_frame


@pytest.mark.parametrize(
    ("size", "longest", "small"),
    [
        ((360, 640), 480, (180, 320)),
        ((361, 641), 480, (181, 321)),
        ((480, 270), 480, (480, 270)),
        ((1080, 1920), 480, (270, 480)),
        ((36, 64), None, (36, 64)),
    ],
)
def test_a_frame_is_shrunk_by_a_whole_number(
    size: tuple[int, int], longest: int | None, small: tuple[int, int]
) -> None:
    image = torch.full((3, *size), 0.25)
    seen = shrink_frame(image, longest)
    assert seen.shape == (3, *small)
    assert float((seen - 0.25).abs().max()) < 1e-6


def test_flow_is_in_pixels_of_the_large_frame_and_what_rests_stays_exact() -> None:
    flow = torch.tensor([1.5, -0.5]).view(2, 1, 1).expand(2, 6, 10).clone()
    static = torch.zeros(1, 6, 10, dtype=torch.bool)
    static[:, :, :4] = True
    flow[:, static[0]] = 0
    mask = torch.where(static, 1.0, 0.5)
    hold = torch.full((1, 6, 10), 0.75)
    motion = Motion(flow, mask, {3: Motion(flow, 0.1 * mask)}, static, hold)
    large = enlarge_motion(motion, (12, 20))
    assert large.static is not None
    assert large.hold is not None
    assert torch.equal(large.static[0, :, :8], torch.ones(12, 8, dtype=torch.bool))
    assert not large.static[0, :, 8:].any()
    assert not large.flow_t_to_prev[:, :, :8].any()
    assert bool((large.mask[:, :, :8] == 1).all())
    far = large.flow_t_to_prev[:, :, 10:]
    assert torch.allclose(far, torch.tensor([3.0, -1.0]).view(2, 1, 1).expand_as(far))
    assert torch.allclose(large.hold, torch.full((1, 12, 20), 0.75))
    assert large.farther[3].mask.shape == (1, 12, 20)


def test_motion_of_that_size_stays_as_it_is() -> None:
    motion = Motion(torch.rand(2, 5, 7), torch.rand(1, 5, 7))
    assert enlarge_motion(motion, (5, 7)) is motion


def test_what_changes_on_still_ground_is_painted_however_small_it_is() -> None:
    before = torch.full((3, 40, 60), 0.2)
    frame = before.clone()
    frame[:, 20, 30] = 0.9
    still = torch.ones(1, 40, 60, dtype=torch.bool)
    motion = Motion(torch.zeros(2, 40, 60), torch.ones(1, 40, 60), static=still)
    noticed = notice_small_changes(motion, frame, before)
    assert noticed.static is not None
    assert not noticed.static[0, 18:23, 28:33].any()
    assert not noticed.mask[0, 18:23, 28:33].any()
    assert bool(noticed.static[0, :, :20].all())
    assert bool((noticed.mask[0, :, :20] == 1).all())
    assert torch.equal(notice_small_changes(motion, before, before).mask, motion.mask)
