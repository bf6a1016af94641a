from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.flows import remembered_flow
from vidstyle.rendering import models
from vidstyle.rendering.models import load_flow

# Mean end-point errors in pixels on ground truth: (DIS, RAFT-small).
EPE = {
    "sintel_alley_1_clean_2": (0.235, 0.194),
    "sintel_cave_2_clean_2": (1.33, 0.84),
    "sintel_market_5_clean_2": (17.05, 3.83),
    "sintel_temple_3_final_22": (43.7, 10.8),
    "middlebury_RubberWhale": (0.114, 0.226),
    "middlebury_Urban2": (0.448, 0.370),
}


def image(path: Path) -> torch.Tensor:
    return torch.from_numpy(cv2.imread(str(path))[:, :, ::-1].astype("float32") / 255).permute(
        2, 0, 1
    )


def ground_truth(path: Path) -> np.ndarray:
    raw = np.fromfile(path, np.float32)
    w, h = raw[1:3].view(np.int32)
    return raw[3:].reshape(h, w, 2).transpose(2, 0, 1)


def error(name: str, folder: Path) -> float:
    flow = remembered_flow(name)(image(folder / "frame1.png"), image(folder / "frame2.png"))
    truth = ground_truth(folder / "flow12.flo")
    valid = np.abs(truth).max(0) < 1e8
    if (folder / "invalid.png").exists():
        valid &= cv2.imread(str(folder / "invalid.png"), cv2.IMREAD_GRAYSCALE) < 128
    return float(np.sqrt(((flow.numpy() - truth) ** 2).sum(0))[valid].mean())


@pytest.mark.parametrize("scene", EPE)
def test_dis_reaches_its_known_accuracy(shared: Path, scene: str) -> None:
    assert error("dis", shared / "flow_gt" / scene) == pytest.approx(EPE[scene][0], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("scene", EPE)
def test_raft_small_reaches_its_known_accuracy_with_the_weights_of_torch_hub(
    shared: Path, scene: str
) -> None:
    assert error("raft-small", shared / "flow_gt" / scene) == pytest.approx(EPE[scene][1], rel=0.1)


def shifted_pair(h: int, w: int, dx: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = np.random.default_rng(0).random((h, w + 32, 3)).astype(np.float32)
    texture = torch.from_numpy(cv2.GaussianBlur(noise, (0, 0), 2)).permute(2, 0, 1)
    texture = (texture - texture.min()) / (texture.max() - texture.min())
    return texture[:, :, 16 : 16 + w], texture[:, :, 16 - dx : 16 - dx + w]


@pytest.mark.parametrize(("h", "w"), [(64, 96), (33, 47), (16, 16), (20, 300)])
def test_dis_points_from_the_first_image_into_the_second_at_every_size(h: int, w: int) -> None:
    a, b = shifted_pair(h, w, 2)  # what is at x in a is at x + 2 in b
    flow = load_flow("dis")(a, b)
    assert flow.shape == (2, h, w)
    if min(h, w) >= 32:
        assert flow[0].median() == pytest.approx(2, abs=0.2)
        assert flow[1].abs().median() < 0.2


@pytest.mark.parametrize("name", ["raft-small", "raft-large"])
def test_raft_takes_any_size_and_loads_a_state_dict_of_torchvision(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import optical_flow

    torch.manual_seed(0)
    model = getattr(optical_flow, name.replace("-", "_"))(weights=None)
    monkeypatch.setattr(models, "load_weights", lambda *_: (model.state_dict(), "0" * 64))
    flow = load_flow(name)
    a, b = shifted_pair(50, 139, 1)
    assert flow(a, b).shape == (2, 50, 139)
    assert flow.digest == "0" * 64
    assert torch.equal(flow(a, b), flow(a, b))


def test_an_unknown_estimator_is_named() -> None:
    with pytest.raises(ValueError, match="deepflow"):
        load_flow("deepflow")
