from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vidstyle.motion.titles import TITLE_REACH, find_titles

H, W = 120, 216
FRAMES = 30


def picture(x: int, y: int, seed: int = 0) -> Tensor:
    """A view of coarse noise from the place (x, y) on."""
    noise = torch.rand(1, 3, 60, 100, generator=torch.Generator().manual_seed(seed))
    wide = torch.nn.functional.interpolate(noise, scale_factor=5, mode="bilinear")[0]
    return 0.2 + 0.5 * wide[:, y : y + H, x : x + W]


def pan(frames: int = FRAMES, step: tuple[int, int] = (4, 2), noise: float = 0.0) -> list[Tensor]:
    film = []
    for t in range(frames):
        grain = torch.randn(3, H, W, generator=torch.Generator().manual_seed(t))
        film.append(picture(step[0] * t, step[1] * t) + noise / 255 * grain)
    return film


def letters(thickness: int) -> Tensor:
    canvas = np.zeros((H, W), np.uint8)
    cv2.putText(canvas, "The end", (30, 80), 0, 1.0, 255, thickness, cv2.LINE_AA)
    return torch.from_numpy(canvas.astype(np.float32) / 255)


INK, OUTLINE = letters(2), letters(5)


def burn(frame: Tensor, opacity: float = 1.0) -> Tensor:
    framed = frame * (1 - opacity * OUTLINE)
    return torch.lerp(framed, torch.ones_like(frame), opacity * INK)


def film_with_title(
    first: int, stop: int, noise: float = 0.0, opacity: float = 1.0
) -> list[Tensor]:
    film = pan(noise=noise)
    return [burn(f, opacity) if first <= t < stop else f for t, f in enumerate(film)]


def recall(mask: Tensor) -> float:
    return float(mask[0][INK > 0.5].mean())


def false_share(mask: Tensor) -> float:
    near = cv2.dilate((OUTLINE > 0).byte().numpy(), np.ones((13, 13), np.uint8))
    return float(mask[0][torch.from_numpy(near == 0)].mean())


@pytest.mark.parametrize(
    ("noise", "opacity"), [(0.0, 1.0), (2.0, 1.0), (4.0, 1.0), (0.0, 0.8), (2.0, 0.8)]
)
def test_letters_over_a_pan_are_found_and_hardly_anything_else(
    noise: float, opacity: float
) -> None:
    masks = list(find_titles(film_with_title(0, FRAMES, noise, opacity)))
    assert len(masks) == FRAMES
    for mask in masks:
        assert mask.shape == (1, H, W)
        assert recall(mask) > 0.95
        assert false_share(mask) < 0.005
        assert float(mask.min()) >= 0
        assert float(mask.max()) <= 1


@pytest.mark.parametrize(("first", "stop"), [(0, 15), (5, 22), (14, 30)])
def test_the_mask_comes_and_goes_with_the_title_and_is_steady_between(
    first: int, stop: int
) -> None:
    masks = list(find_titles(film_with_title(first, stop)))
    for t, mask in enumerate(masks):
        if first <= t < stop:
            assert recall(mask) > 0.95
        else:
            assert not bool(mask.any())
    shown = masks[first:stop]
    changes = [float((a - b).abs().mean()) for a, b in zip(shown[1:], shown[:-1], strict=True)]
    assert max(changes) < 0.01


def test_what_is_gone_within_half_a_second_is_no_title() -> None:
    assert not any(bool(mask.any()) for mask in find_titles(film_with_title(8, 18)))


def test_the_mask_keeps_the_outline_and_has_a_soft_edge() -> None:
    mask = list(find_titles(film_with_title(0, FRAMES)))[15][0]
    assert float(mask[OUTLINE > 0.5].mean()) > 0.95
    assert bool(((mask > 0.2) & (mask < 0.8)).any())


Scene = Literal["pan", "horizontal pan", "horizon", "still", "still with a cut", "flat", "short"]


def scene_without_titles(scene: Scene) -> list[Tensor]:
    if scene == "pan":
        return pan(noise=3.0)
    if scene in {"horizontal pan", "horizon"}:
        film = pan(step=(5, 0))
        for frame in film:
            # A horizon lasts in a pan along it, as does the flat sky above.
            frame[:, : 40 if scene == "horizon" else 0] = 0.95
        return film
    if scene == "still":  # letters are seen, but nothing tells them from a sign on a wall
        return [burn(picture(0, 0)) for _ in range(FRAMES)]
    if scene == "still with a cut":
        return [burn(picture(0, 0, seed=t // 15)) for t in range(FRAMES)]
    if scene == "flat":
        return [torch.full((3, H, W), 0.5)] * FRAMES
    return film_with_title(0, TITLE_REACH)[:TITLE_REACH]


@pytest.mark.parametrize("scene", Scene.__args__)  # type: ignore[attr-defined]
def test_a_film_without_titles_that_can_be_told_has_empty_masks(scene: Scene) -> None:
    film = scene_without_titles(scene)
    masks = list(find_titles(film))
    assert len(masks) == len(film)
    assert not any(bool(mask.any()) for mask in masks)


@pytest.mark.parametrize(("start", "stop"), [(2, 30), (5, 28), (1, 26)])
def test_the_masks_are_the_same_wherever_the_work_began(start: int, stop: int) -> None:
    film = film_with_title(4, 21, noise=1.0)
    whole, part = list(find_titles(film)), list(find_titles(film[start:stop]))
    assert len(part) == stop - start
    for t in range(start + TITLE_REACH, stop - TITLE_REACH):
        assert torch.equal(whole[t], part[t - start])


def test_a_film_of_one_span_has_its_title_in_all_frames() -> None:
    film = film_with_title(0, FRAMES)[: TITLE_REACH + 1]
    assert min(recall(mask) for mask in find_titles(film)) > 0.95


def test_masks_come_as_soon_as_the_frames_they_depend_on() -> None:
    read = 0

    def frames() -> object:
        nonlocal read
        for frame in film_with_title(0, FRAMES):
            read += 1
            yield frame

    for t, _ in enumerate(find_titles(frames())):  # type: ignore[arg-type]
        assert read == min(t + TITLE_REACH + 1, FRAMES)
