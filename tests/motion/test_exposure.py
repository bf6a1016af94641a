"""Changes of light: found where the whole frame changes, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.films import noise, texture
from vidstyle.motion.exposure import estimate_exposure, match_exposure

CHANGES = [(0.4, 0.0), (0.7, 0.2), (1.0, 0.1), (1.2, -0.1), (1.05, 0.05)]


@pytest.mark.parametrize(("gain", "offset"), CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_gain_and_an_offset_are_found(gain: float, offset: float, seed: int) -> None:
    image = texture(seed)
    exposure = estimate_exposure(image, gain * image + offset)
    assert exposure is not None
    torch.testing.assert_close(exposure.gain, torch.full((3, 1, 1), gain), rtol=1e-3, atol=0)
    torch.testing.assert_close(exposure.offset, torch.full((3, 1, 1), offset), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("gain", "offset"), CHANGES)
def test_they_are_found_around_something_that_moves(gain: float, offset: float) -> None:
    image = texture(1)
    other = gain * image + offset
    other[:, 10:24, 10:30] = texture(2, (14, 20))
    exposure = estimate_exposure(image, other)
    assert exposure is not None
    assert float((exposure.gain - gain).abs().max()) < 0.05
    assert float((exposure.offset - offset).abs().max()) < 0.05


def others() -> dict[str, Tensor]:
    """Frames that differ from `texture(1)` by something other than light."""
    image = texture(1)
    return {
        "the same": image,
        "noise": image + noise(1, 2 / 255)[0],
        "a pan": texture(1, (48, 80))[:, :, 8:72],
        "another picture": texture(2),
        "half a dissolve": (image + texture(2)) / 2,
    }


@pytest.mark.parametrize("name", others())
def test_what_moves_or_comes_in_is_no_change_of_light(name: str) -> None:
    image = texture(1)
    assert match_exposure(image, others()[name]) is image


@pytest.mark.parametrize(("gain", "offset"), CHANGES)
def test_a_frame_is_brought_into_the_light_of_another(gain: float, offset: float) -> None:
    image = texture(1)
    other = (gain * image + offset).clamp(0, 1)
    matched = match_exposure(image, other)
    assert float((matched - other).abs().mean()) < 0.01
    assert float(matched.min()) >= 0
    assert float(matched.max()) <= 1
