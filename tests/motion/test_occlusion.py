from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.flows import remembered_flow
from vidstyle.motion.occlusion import (
    find_occlusions,
    motion_boundary,
    photometric_reliability,
    reliability,
    smooth_mask,
)
from vidstyle.rendering.models import load_flow

H, W = 48, 64


def constant(dx: float, dy: float) -> torch.Tensor:
    return torch.tensor([dx, dy], dtype=torch.float32).view(2, 1, 1).expand(2, H, W).clone()


def moving_square(
    dx: int,
) -> tuple[torch.Tensor, torch.Tensor, tuple[slice, slice], tuple[slice, slice]]:
    """A square that moved `dx` to the right over a still ground: both flows, its place in t, and
    what it left.
    """
    y, x0, side = 16, 20, 16
    t_to_prev, prev_to_t = constant(0, 0), constant(0, 0)
    prev_to_t[0, y : y + side, x0 : x0 + side] = dx
    t_to_prev[0, y : y + side, x0 + dx : x0 + dx + side] = -dx
    return (
        t_to_prev,
        prev_to_t,
        (slice(y, y + side), slice(x0 + dx, x0 + dx + side)),
        (slice(y, y + side), slice(x0, x0 + dx)),
    )


def test_the_mask_is_one_where_both_flows_agree() -> None:
    mask = reliability(constant(3, -2), constant(-3, 2))
    assert mask.shape == (1, H, W)
    assert torch.equal(mask[0, 5:, :-6], torch.ones(H - 5, W - 6))


def test_what_came_from_outside_the_frame_is_not_trusted() -> None:
    mask = reliability(
        constant(10, 0), constant(-10, 0)
    )  # the last ten columns come from beyond the right edge
    assert torch.equal(mask[0, :, -8:], torch.zeros(H, 8))
    assert mask[0, :, -10:-8].max() < 0.5, "the smoothing reaches two pixels in"
    assert mask[0, :, :-12].min() == 1


def test_the_mask_is_zero_on_uncovered_ground_in_the_coordinates_of_the_later_frame() -> None:
    t_to_prev, prev_to_t, square, uncovered = moving_square(6)
    mask = reliability(t_to_prev, prev_to_t)[0]
    assert mask[uncovered].max() == 0, "newly visible ground counts as trusted"
    inner = (
        slice(square[0].start + 3, square[0].stop - 3),
        slice(square[1].start + 3, square[1].stop - 3),
    )
    assert mask[inner].min() == 1, "the inside of the moving square is not trusted"
    assert mask[:10].min() == 1, "the still ground is not trusted"


def test_the_smoothing_eats_into_the_reliable_side_only() -> None:
    t_to_prev, prev_to_t, _, uncovered = moving_square(6)
    assert not bool(
        (reliability(t_to_prev, prev_to_t)[0][find_occlusions(t_to_prev, prev_to_t)] > 0).any()
    )
    assert bool(find_occlusions(t_to_prev, prev_to_t)[uncovered].all())


def test_the_photometric_mask_takes_for_occluded_only_what_the_colours_call_so_too() -> None:
    t_to_prev, prev_to_t, _, uncovered = moving_square(6)
    ground = torch.zeros(3, H, W)
    alike, other = ground.clone(), ground.clone()
    other[:, uncovered[0], uncovered[1]] = 0.5
    lifted = photometric_reliability(t_to_prev, prev_to_t, alike, ground)
    believed = photometric_reliability(t_to_prev, prev_to_t, other, ground)[0]
    assert torch.equal(lifted, torch.ones(1, H, W))
    assert believed[uncovered].max() == 0
    assert bool((believed >= reliability(t_to_prev, prev_to_t)[0]).all()), (
        "colours lift, they never condemn"
    )


def test_the_photometric_mask_is_the_plain_one_where_no_colours_agree() -> None:
    generator = torch.Generator().manual_seed(6)
    for _ in range(5):
        flows = [torch.randn(2, H, W, generator=generator) * 3 for _ in range(2)]
        frames = torch.zeros(3, H, W), torch.ones(3, H, W)
        assert torch.equal(photometric_reliability(*flows, *frames), reliability(*flows))


def test_what_came_from_outside_the_frame_stays_untrusted_whatever_its_colours() -> None:
    grey = torch.full((3, H, W), 0.5)
    mask = photometric_reliability(constant(10, 0), constant(-10, 0), grey, grey)
    assert torch.equal(mask[0, :, -8:], torch.zeros(H, 8))


def test_a_forward_backward_error_is_judged_by_equation_5() -> None:
    for error, expected in ((0.70, False), (0.72, True)):  # 0.5 + 0.01 * ~0 between 0.49 and 0.5184
        assert bool(find_occlusions(constant(0, 0), constant(error, 0)).all()) is expected
    # At 20 px the tolerance is 0.5 + 0.01 * (400 + ~400): an error of 2.9 px passes, one of 3.1
    # does not.
    for error, expected in ((2.7, False), (3.1, True)):
        t_to_prev = constant(20, 0)
        assert bool(find_occlusions(t_to_prev, constant(-20 + error, 0))[:, :40].all()) is expected


def test_a_motion_boundary_is_judged_by_equation_7() -> None:
    flow = constant(0, 0)
    flow[0, :, 30:] = (
        0.1  # a step of 0.1 is a central difference of 0.05: 0.0025 > 0.002 + 0.01 * 0.01
    )
    found = motion_boundary(flow)
    assert bool(found[:, 29:31].all())
    assert not bool(found[:, :29].any() or found[:, 31:].any())
    flow[0, :, 30:] = 0.08  # 0.0016 < 0.002
    assert not bool(motion_boundary(flow).any())


def test_the_gaussian_is_opencvs() -> None:
    image = torch.rand(H, W, generator=torch.Generator().manual_seed(3))
    expected = cv2.GaussianBlur(image.numpy(), (5, 5), 0.8, borderType=cv2.BORDER_REPLICATE)
    assert np.allclose(smooth_mask(image).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("t", [1, 9])
def test_on_the_sample_scene_the_mask_covers_what_is_known_to_be_occluded(t: int) -> None:
    from sample_videos import scene

    mask = reliability(
        torch.from_numpy(scene.flow_t_to_prev(t)), torch.from_numpy(scene.flow_prev_to_t(t))
    )[0].numpy()
    hidden = scene.occluded(t)
    assert mask[hidden].mean() < 0.15
    away = cv2.dilate(hidden.astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    assert mask[away].mean() > 0.9


def sintel(folder: Path) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Frames 1 and 2, and which pixels of frame 1 are not seen in frame 2."""
    a, b = (
        torch.from_numpy(
            cv2.imread(str(folder / f"frame{i}.png"))[:, :, ::-1].astype("float32") / 255
        ).permute(2, 0, 1)
        for i in (1, 2)
    )
    hidden = [
        cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 127
        for name in ("occlusions", "invalid")
    ]
    return a, b, hidden[0] | hidden[1]


def test_on_sintel_the_mask_finds_most_of_the_true_occlusions(shared: Path) -> None:

    a, b, hidden = sintel(shared / "flow_gt" / "sintel_cave_2_clean_2")
    flow = load_flow("dis")
    mask = reliability(flow(a, b), flow(b, a))[0].numpy()
    assert mask[hidden].mean() < 0.35
    assert mask[~hidden].mean() > 0.9


@pytest.mark.slow
def test_on_sintel_the_photometric_mask_is_beyond_what_thresholds_of_the_plain_one_reach(
    shared: Path,
) -> None:

    flow, found = (
        remembered_flow("raft-small"),
        np.zeros(3),
    )  # true positives, positives of the mask, of the truth
    for scene in ("alley_1_clean_2", "cave_2_clean_2", "market_5_clean_2", "bandage_1_final_35"):
        a, b, hidden = sintel(shared / "flow_gt" / f"sintel_{scene}")
        mask = photometric_reliability(flow(a, b), flow(b, a), a, b)[0].numpy() < 0.5
        found += (mask & hidden).sum(), mask.sum(), hidden.sum()
    precision, recall = found[0] / found[1], found[0] / found[2]
    assert recall >= 0.76
    assert 2 * precision * recall / (precision + recall) >= 0.50
