"""What the benchmark of the mask compares is what it says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.mask import Scene, draw_frontiers, score_masks, threshold_mask
from vidstyle.motion.occlusion import find_occlusions
from vidstyle.motion.warp import points_outside


def test_precision_recall_and_f1_count_all_scenes_together() -> None:
    hidden = [torch.tensor([[True, True, False, False]]), torch.tensor([[True, False]])]
    found = [torch.tensor([[True, False, True, False]]), torch.tensor([[True, False]])]
    assert score_masks(found, hidden) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
    )
    assert score_masks(hidden, hidden) == (1, 1, pytest.approx(1))
    assert score_masks([~h for h in hidden], hidden)[2] == 0


def test_a_threshold_at_factor_1_is_that_of_the_plain_formula_and_a_larger_one_finds_less() -> None:
    there, back = torch.randn(2, 2, 40, 60, generator=torch.Generator().manual_seed(0)) * 2
    assert torch.equal(
        threshold_mask(there, back, 1), find_occlusions(there, back) | points_outside(there)
    )
    assert bool((threshold_mask(there, back, 4) <= threshold_mask(there, back, 1)).all())
    assert threshold_mask(there, back, 4).sum() < threshold_mask(there, back, 1).sum()


def test_a_scene_hides_what_is_occluded_or_invalid(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    occluded_, invalid = np.zeros((2, 20, 30), np.uint8)
    occluded_[:5], invalid[:, :3] = 255, 255
    named = {"frame1": picture, "frame2": picture, "occlusions": occluded_, "invalid": invalid}
    for name, image in named.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    scene = Scene.read(tmp_path)
    assert torch.equal(scene.hidden, torch.from_numpy((occluded_ > 0) | (invalid > 0)))
    assert scene.frames[0].shape == (3, 20, 30)


def test_the_plot_is_a_png() -> None:
    data = draw_frontiers({"moved": [(0.3, 0.8), (0.5, 0.6)]}, {"plain": (0.35, 0.76)})
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.std() > 0
