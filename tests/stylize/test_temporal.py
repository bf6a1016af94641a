"""A frame gets its start and its temporal targets from the frames before it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers.features import TinyFeatures
from tests.stylize.optimising import build_stylizer, optimiser
from vidstyle.frames import Frame, Motion, quantise
from vidstyle.motion.warp import warp
from vidstyle.stylize.disocclusion import match_colours
from vidstyle.stylize.engine import State
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.optimise import stylizer as stylizers
from vidstyle.stylize.optimise.schedule import Schedule
from vidstyle.stylize.optimise.terms import TemporalTerm
from vidstyle.stylize.resample import CANVAS_MARGIN, remove_margin
from vidstyle.stylize.temporal import (
    STATIC_SEAM,
    LinkedImage,
    TemporalTarget,
    blend_with_neighbour,
    keep_static_pixels,
    start_image,
)

H, W = 48, 64
Picture = Callable[..., Tensor]


def linked(mask: Tensor, x: float = 0.0, y: float = 0.0) -> Motion:
    return Motion(torch.tensor([x, y]).view(2, 1, 1).expand(2, H, W).contiguous(), mask)


def still(mask: float = 1.0) -> Motion:
    return linked(torch.full((1, H, W), mask))


def left_of(column: int) -> Tensor:
    mask = torch.zeros(1, H, W)
    mask[:, :, :column] = 1
    return mask


def test_the_start_is_the_warped_previous_frame_wherever_the_mask_is_above_zero(
    picture: Picture,
) -> None:
    flow = torch.tensor([3.0, -2.0]).view(2, 1, 1).expand(2, H, W).contiguous()
    mask = torch.zeros(1, H, W)
    mask[:, :, 20:] = 0.01
    previous = picture(H, W, 1)
    start, (target,) = start_image(picture(H, W, 2), [LinkedImage(previous, Motion(flow, mask))])
    warped = target.image
    assert torch.equal(warped, warp(previous, flow))
    assert torch.equal(target.mask, mask)
    assert torch.equal(start[:, :, 20:], warped[:, :, 20:])
    assert not torch.equal(start[:, :, :20], warped[:, :, :20])


def test_newly_visible_pixels_start_from_the_frame_in_the_colours_of_the_stylised_surroundings(
    picture: Picture,
) -> None:
    frame = picture(H, W, 2)
    stylised = (0.4 * frame + torch.tensor([0.5, 0.1, 0.0]).view(3, 1, 1)).clamp(
        0, 1
    )  # another palette
    motion = still()
    motion.mask[:, 16:32, 24:40] = 0
    hidden = stylised.clone()
    hidden[:, 16:32, 24:40] = 0.5  # nothing may be taken from there
    start, _ = start_image(frame, [LinkedImage(hidden, motion)])
    patch = (slice(None), slice(16, 32), slice(24, 40))
    to_truth = (start[patch] - stylised[patch]).abs().mean()
    assert to_truth < 0.25 * (frame[patch] - stylised[patch]).abs().mean(), (
        "the raw frame shows through"
    )
    assert to_truth < 0.5 * (start[patch].mean() - stylised[patch]).abs().mean(), (
        "it is a flat haze"
    )


def test_with_nothing_to_follow_the_frame_takes_the_palette_of_the_previous_picture(
    picture: Picture,
) -> None:
    frame, previous = picture(H, W, 2), picture(H, W, 3) * 0.3
    start, _ = start_image(frame, [LinkedImage(previous, still(0.0))])
    assert start.mean() == pytest.approx(float(previous.mean()), abs=0.05)
    assert torch.equal(start, match_colours(frame, previous))


@pytest.mark.parametrize("column", [0, 20, W])
def test_with_one_link_or_with_others_that_show_nothing_the_start_is_that_of_one_frame(
    picture: Picture, column: int
) -> None:
    frame, previous, other = picture(H, W, 2), picture(H, W, 1), picture(H, W, 3)
    motion = linked(left_of(column), 1.5, -2)
    start, (target,) = start_image(frame, [LinkedImage(previous, motion)])
    for farther in ([], [LinkedImage(other, linked(torch.zeros(1, H, W), 3))]):
        got, targets = start_image(frame, [LinkedImage(previous, motion), *farther])
        assert torch.equal(got, start)
        assert torch.equal(targets[0].image, target.image)
        assert len(targets) == 1 + len(farther)


def test_each_pixel_starts_from_the_closest_frame_that_shows_it(picture: Picture) -> None:
    frame, images = picture(H, W, 9), [picture(H, W, seed) for seed in range(3)]
    seen = [left_of(16), left_of(32) - left_of(16), left_of(48) - left_of(32)]
    links = [
        LinkedImage(image, linked(mask, x))
        for image, mask, x in zip(images, seen, (2, 0, -3), strict=True)
    ]
    start, targets = start_image(frame, links)
    for number in range(3):
        part = (slice(None), slice(None), slice(16 * number, 16 * number + 16))
        assert torch.equal(start[part], targets[number].image[part])
    rest = start[:, :, 48:]  # seen by none: filled, in the colours around
    assert not any(
        torch.equal(rest, image[:, :, 48:]) for image in (frame, *(t.image for t in targets))
    )


def test_the_blend_is_ruders_equation() -> None:
    image, warped = torch.full((3, 1, 3), 0.2), torch.full((3, 1, 3), 1.0)
    mask = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3)
    target = TemporalTarget(warped, mask)
    for delta in (0.0, 0.25, 0.5, 1.0):
        got = blend_with_neighbour(image, target, delta)
        by_hand = [
            delta * c * 1.0 + (1 - delta) * 0.2 + delta * (1 - c) * 0.2 for c in (0.0, 0.5, 1.0)
        ]
        assert got[0, 0].tolist() == pytest.approx(by_hand)
    assert torch.equal(blend_with_neighbour(image, target, 0.0), image)
    assert blend_with_neighbour(image, target, 1.0)[0, 0, 2] == 1.0


class Seen:
    """Stands in for the optimiser: takes down its starts and its temporal terms, and changes
    nothing.
    """

    def __init__(self) -> None:
        self.starts: list[Tensor] = []
        self.terms: list[list[TemporalTerm]] = []

    def __call__(
        self,
        objective: Objective,
        start: Tensor,
        schedule: Schedule,
        rate_scale: Tensor | None = None,
    ) -> tuple[Tensor, int]:
        self.starts.append(inner(start))
        self.terms.append([term for term in objective.terms if isinstance(term, TemporalTerm)])
        return start, schedule.iterations


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    spy = Seen()
    monkeypatch.setattr(stylizers, "minimise", spy)
    return spy


def inner(image: Tensor) -> Tensor:
    return remove_margin(image, CANVAS_MARGIN)


@pytest.mark.parametrize("norm", ["squared", "smooth-l1"])
def test_a_frame_has_one_temporal_term_for_each_link_with_its_own_mask(
    tiny: TinyFeatures, picture: Picture, seen: Seen, norm: str
) -> None:
    settings = optimiser(reach=4, temporal_weight=7.0, temporal_norm=norm)
    s = build_stylizer(settings, tiny, [picture(40, 56, 9)], (H, W))
    images = {j: picture(H, W, j) for j in (1, 2, 3, 4)}
    masks = {1: left_of(10), 2: left_of(30) - left_of(10), 4: left_of(60) - left_of(30)}
    farther = {j: linked(masks[j]) for j in (2, 4)}
    motion = Motion(torch.zeros(2, H, W), masks[1], farther)
    state = State(images[1], {j: images[j] for j in (2, 3, 4)})
    step = s.step(state, Frame(0, picture(H, W, 8)), motion)
    image = step.image
    assert len(seen.terms[0]) == 3
    for term, j in zip(seen.terms[0], (1, 2, 4), strict=True):
        assert (term.weight, term.norm) == (7.0, norm)
        assert torch.equal(inner(term.warped), images[j])
        assert torch.equal(inner(term.mask), masks[j])
    assert torch.equal(image, quantise(image))
    assert {j: id(x) for j, x in step.state.images.items()} == {
        1: id(image), **{j + 1: id(images[j]) for j in (1, 2, 3)}
    }  # fmt: skip


@pytest.mark.parametrize("hold", [False, True])
def test_a_later_pass_starts_from_the_blend_and_is_held_to_its_neighbour_only_when_asked(
    tiny: TinyFeatures, picture: Picture, seen: Seen, hold: bool
) -> None:
    s = build_stylizer(optimiser(blend=0.25), tiny, [picture(40, 56, 9)], (H, W))
    frame, image, beside = (picture(H, W, seed) for seed in range(3))
    motion = linked(left_of(30), 2, 0)
    step = s.revise(State(beside), Frame(0, frame), motion, image, temporal_loss=hold)
    warped = torch.cat([beside[:, :, 2:], beside[:, :, -1:], beside[:, :, -1:]], 2)
    assert step.iterations == 8  # those of a frame that has a predecessor
    assert torch.equal(
        seen.starts[0], blend_with_neighbour(image, TemporalTarget(warped, motion.mask), 0.25)
    )
    assert [torch.equal(inner(term.warped), warped) for term in seen.terms[0]] == [True] * hold
    assert torch.equal(step.image, quantise(seen.starts[0]))
    assert step.state.image is step.image
    # the first frame of a shot
    s.revise(State(), Frame(0, frame), None, image, temporal_loss=hold)
    assert torch.equal(seen.starts[1], image)
    assert seen.terms[1] == []


def test_what_rests_is_kept_what_moves_is_not_and_between_the_change_is_gradual() -> None:
    made, before = torch.full((3, H, W), 0.8), torch.full((3, H, W), 0.2)
    rest = torch.zeros(1, H, W, dtype=torch.bool)
    rest[:, :, W // 2 :] = True
    motion = Motion(torch.zeros(2, H, W), torch.ones(1, H, W), static=rest)
    kept = keep_static_pixels(made, before, motion)
    assert torch.equal(kept[:, :, : W // 2], made[:, :, : W // 2]), (
        "what moves is what was made of it"
    )
    assert torch.equal(kept[:, :, W // 2 + STATIC_SEAM :], before[:, :, W // 2 + STATIC_SEAM :])
    steps = kept[0, 0].diff()
    assert bool((steps <= 1e-6).all())
    assert steps.abs().max() < 0.6 / STATIC_SEAM * 1.5, "a seam"


def test_nothing_is_kept_of_what_moves_however_small_it_is() -> None:
    made, before = torch.full((3, H, W), 0.8), torch.full((3, H, W), 0.2)
    for side in (1, 3, 9):
        settled = torch.ones(1, H, W, dtype=torch.bool)
        settled[:, 20 : 20 + side, 30 : 30 + side] = False
        kept = keep_static_pixels(
            made, before, Motion(torch.zeros(2, H, W), torch.ones(1, H, W), static=settled)
        )
        assert torch.equal(kept[:, ~settled[0]], made[:, ~settled[0]])
        assert torch.equal(kept[:, 40:], before[:, 40:])


def test_nothing_is_kept_where_rest_was_not_looked_for() -> None:
    made = torch.rand(3, H, W, generator=torch.Generator().manual_seed(3))
    motion = Motion(torch.zeros(2, H, W), torch.ones(1, H, W))
    assert torch.equal(keep_static_pixels(made, torch.zeros(3, H, W), motion), made)
