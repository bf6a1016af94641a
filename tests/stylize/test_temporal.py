"""What a frame takes from several others: where it starts from, what it is held to, and what is
remembered for it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers.features import TinyFeatures
from vidstyle.config.settings import RenderConfig
from vidstyle.frames import Frame, Motion, quantise
from vidstyle.stylize.objective import Objective, Temporal
from vidstyle.stylize.optimise import engine as stepping
from vidstyle.stylize.optimise.engine import State, Stylizer
from vidstyle.stylize.optimise.minimise import Schedule
from vidstyle.stylize.temporal import SEAM, blended, kept_where_settled, start_image

H, W = 48, 64
Picture = Callable[..., Tensor]
Settings = Callable[..., RenderConfig]


def linked(mask: Tensor, x: float = 0.0, y: float = 0.0) -> Motion:
    return Motion(torch.tensor([x, y]).view(2, 1, 1).expand(2, H, W).contiguous(), mask)


def left_of(column: int) -> Tensor:
    mask = torch.zeros(1, H, W)
    mask[:, :, :column] = 1
    return mask


@pytest.mark.parametrize("column", [0, 20, W])
def test_with_one_link_or_with_others_that_show_nothing_the_start_is_that_of_one_frame(
    picture: Picture, column: int
) -> None:
    frame, previous, other = picture(H, W, 2), picture(H, W, 1), picture(H, W, 3)
    motion = linked(left_of(column), 1.5, -2)
    start, (warped,) = start_image(frame, [(previous, motion)])
    for farther in ([], [(other, linked(torch.zeros(1, H, W), 3))]):
        got, held = start_image(frame, [(previous, motion), *farther])
        assert torch.equal(got, start)
        assert torch.equal(held[0], warped)
        assert len(held) == 1 + len(farther)


def test_each_pixel_starts_from_the_closest_frame_that_shows_it(picture: Picture) -> None:
    frame, images = picture(H, W, 9), [picture(H, W, seed) for seed in range(3)]
    seen = [left_of(16), left_of(32) - left_of(16), left_of(48) - left_of(32)]
    links = [
        (image, linked(mask, x)) for image, mask, x in zip(images, seen, (2, 0, -3), strict=True)
    ]
    start, held = start_image(frame, links)
    for number in range(3):
        part = (slice(None), slice(None), slice(16 * number, 16 * number + 16))
        assert torch.equal(start[part], held[number][part])
    rest = start[:, :, 48:]  # seen by none: filled, in the colours around
    assert not any(torch.equal(rest, image[:, :, 48:]) for image in (frame, *held))


def test_the_blend_is_ruders_equation() -> None:
    image, warped = torch.full((3, 1, 3), 0.2), torch.full((3, 1, 3), 1.0)
    mask = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3)
    for delta in (0.0, 0.25, 0.5, 1.0):
        got = blended(image, warped, mask, delta)
        by_hand = [
            delta * c * 1.0 + (1 - delta) * 0.2 + delta * (1 - c) * 0.2 for c in (0.0, 0.5, 1.0)
        ]
        assert got[0, 0].tolist() == pytest.approx(by_hand)
    assert torch.equal(blended(image, warped, mask, 0.0), image)
    assert blended(image, warped, mask, 1.0)[0, 0, 2] == 1.0


def test_the_state_reaches_as_far_back_as_it_must_and_no_farther() -> None:
    frames = [torch.full((1,), float(t)) for t in range(20)]
    for reach in (1, 2, 8):
        state = State()
        for t, frame in enumerate(frames):
            assert {j: int(image) for j, image in state.images.items()} == {
                j: t - j for j in range(1, min(reach, t) + 1)
            }
            state = state.followed_by(frame, reach)


class Seen:
    """Stands in for the optimiser: takes down its starts and its temporal terms, and changes
    nothing.
    """

    def __init__(self) -> None:
        self.starts: list[Tensor] = []
        self.terms: list[list[Temporal]] = []

    def __call__(
        self, objective: Objective, start: Tensor, schedule: Schedule, pace: Tensor | None = None
    ) -> tuple[Tensor, int]:
        self.starts.append(
            start[:, stepping.MARGIN : -stepping.MARGIN, stepping.MARGIN : -stepping.MARGIN]
        )
        self.terms.append([term for term in objective.terms if isinstance(term, Temporal)])
        return start, schedule.iterations


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    spy = Seen()
    monkeypatch.setattr(stepping, "minimise", spy)
    return spy


def inner(image: Tensor) -> Tensor:
    return image[:, stepping.MARGIN : -stepping.MARGIN, stepping.MARGIN : -stepping.MARGIN]


@pytest.mark.parametrize("norm", ["squared", "smooth-l1"])
def test_a_frame_has_one_temporal_term_for_each_link_with_its_own_mask(
    tiny: TinyFeatures, picture: Picture, settings: Settings, seen: Seen, norm: str
) -> None:
    config = settings(long_term=4, temporal_weight=7.0, temporal_norm=norm)
    s = Stylizer(tiny, [picture(40, 56, 9)], (H, W), config, torch.device("cpu"))
    images = {j: picture(H, W, j) for j in (1, 2, 3, 4)}
    masks = {1: left_of(10), 2: left_of(30) - left_of(10), 4: left_of(60) - left_of(30)}
    farther = {j: linked(masks[j]) for j in (2, 4)}
    motion = Motion(torch.zeros(2, H, W), masks[1], farther)
    state, image, _ = s.step(
        State(images[1], {j: images[j] for j in (2, 3, 4)}), Frame(0, picture(H, W, 8)), motion
    )
    assert len(seen.terms[0]) == 3
    for term, j in zip(seen.terms[0], (1, 2, 4), strict=True):
        assert (term.weight, term.norm) == (7.0, norm)
        assert torch.equal(inner(term.warped), images[j])
        assert torch.equal(inner(term.mask), masks[j])
    assert torch.equal(image, quantise(image))
    assert {j: id(x) for j, x in state.images.items()} == {
        1: id(image), **{j + 1: id(images[j]) for j in (1, 2, 3)}
    }  # fmt: skip


@pytest.mark.parametrize("hold", [False, True])
def test_a_later_pass_starts_from_the_blend_and_is_held_to_its_neighbour_only_when_asked(
    tiny: TinyFeatures, picture: Picture, settings: Settings, seen: Seen, hold: bool
) -> None:
    s = Stylizer(
        tiny, [picture(40, 56, 9)], (H, W), settings(passes=4, blend=0.25), torch.device("cpu")
    )
    frame, image, beside = (picture(H, W, seed) for seed in range(3))
    motion = linked(left_of(30), 2, 0)
    made, done = s.revise(Frame(0, frame), image, beside, motion, hold=hold)
    warped = torch.cat([beside[:, :, 2:], beside[:, :, -1:], beside[:, :, -1:]], 2)
    assert done == 8  # those of a frame that has a predecessor
    assert torch.equal(seen.starts[0], blended(image, warped, motion.mask, 0.25))
    assert [torch.equal(inner(term.warped), warped) for term in seen.terms[0]] == [True] * hold
    assert torch.equal(made, quantise(seen.starts[0]))
    s.revise(Frame(0, frame), image, None, None, hold=hold)  # the first of a shot
    assert torch.equal(seen.starts[1], image)
    assert seen.terms[1] == []


def test_what_rests_is_kept_what_moves_is_not_and_between_the_change_is_gradual() -> None:
    made, before = torch.full((3, H, W), 0.8), torch.full((3, H, W), 0.2)
    rest = torch.zeros(1, H, W, dtype=torch.bool)
    rest[:, :, W // 2 :] = True
    motion = Motion(torch.zeros(2, H, W), torch.ones(1, H, W), static=rest)
    kept = kept_where_settled(made, before, motion)
    assert torch.equal(kept[:, :, : W // 2], made[:, :, : W // 2]), (
        "what moves is what was made of it"
    )
    assert torch.equal(kept[:, :, W // 2 + SEAM :], before[:, :, W // 2 + SEAM :])
    steps = kept[0, 0].diff()
    assert bool((steps <= 1e-6).all())
    assert steps.abs().max() < 0.6 / SEAM * 1.5, "a seam"


def test_nothing_is_kept_of_what_moves_however_small_it_is() -> None:
    made, before = torch.full((3, H, W), 0.8), torch.full((3, H, W), 0.2)
    for side in (1, 3, 9):
        settled = torch.ones(1, H, W, dtype=torch.bool)
        settled[:, 20 : 20 + side, 30 : 30 + side] = False
        kept = kept_where_settled(
            made, before, Motion(torch.zeros(2, H, W), torch.ones(1, H, W), static=settled)
        )
        assert torch.equal(kept[:, ~settled[0]], made[:, ~settled[0]])
        assert torch.equal(kept[:, 40:], before[:, 40:])


def test_nothing_is_kept_where_rest_was_not_looked_for() -> None:
    made = torch.rand(3, H, W, generator=torch.Generator().manual_seed(3))
    motion = Motion(torch.zeros(2, H, W), torch.ones(1, H, W))
    assert torch.equal(kept_where_settled(made, torch.zeros(3, H, W), motion), made)
