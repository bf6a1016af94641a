"""What links a frame to those before it: how far back, and which of several links counts where."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.films import shifted, texture
from vidstyle.motion.correspondence import closest_first, link_earlier_frames, link_frames
from vidstyle.motion.occlusion import photometric_reliability, reliability
from vidstyle.motion.static import StaticRegions
from vidstyle.motion.warp import warp
from vidstyle.rendering.models import load_flow


def mask(*values: float) -> Tensor:
    """(1, 1, W)."""
    return torch.tensor(values).view(1, 1, -1)


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([mask(0.0, 0.25, 1.0)], [mask(0.0, 0.25, 1.0)]),  # one link: the mask itself
        (
            [mask(1.0, 0.0, 0.0), mask(1.0, 1.0, 0.0)],
            [mask(1.0, 0.0, 0.0), mask(0.0, 1.0, 0.0)],
        ),  # the first wins
        (
            [mask(1.0, 0.0), mask(0.0, 1.0)],
            [mask(1.0, 0.0), mask(0.0, 1.0)],
        ),  # disjoint: nothing is taken away
        ([mask(0.25), mask(1.0), mask(1.0)], [mask(0.25), mask(0.75), mask(0.0)]),
        # The masks of the closer ones are taken away, not what was left of them.
        ([mask(0.75), mask(0.5), mask(1.0)], [mask(0.75), mask(0.0), mask(0.0)]),
        ([mask(0.0), mask(0.0), mask(0.5)], [mask(0.0), mask(0.0), mask(0.5)]),
    ],
)
def test_a_longer_link_counts_where_the_closer_ones_leave_something(
    masks: list[Tensor], expected: list[Tensor]
) -> None:
    for weights, wanted in zip(closest_first(masks), expected, strict=True):
        assert torch.equal(weights, wanted)


def test_the_weights_of_all_links_are_together_at_most_one_and_never_negative() -> None:
    masks = list(torch.rand(6, 1, 9, 11, generator=torch.Generator().manual_seed(0)))
    weights = closest_first(masks)
    assert torch.equal(weights[0], masks[0])
    assert all(float(w.min()) >= 0 for w in weights)
    assert float(torch.stack(weights).sum(0).max()) <= 1 + 1e-6


def test_a_link_is_the_flow_there_and_the_mask_of_both_directions() -> None:
    frame, other = shifted(texture(1, (60, 80)), 2, (3, 0))
    flow = load_flow("dis")
    for a, b in ((frame, other), (other, frame)):
        found, plain = link_frames(a, b, flow, "photometric"), link_frames(a, b, flow, "plain")
        assert torch.equal(found.flow_t_to_prev, flow(a, b))
        assert torch.equal(found.mask, photometric_reliability(flow(a, b), flow(b, a), a, b))
        assert torch.equal(plain.flow_t_to_prev, flow(a, b))
        assert torch.equal(plain.mask, reliability(flow(a, b), flow(b, a)))
        middle = (slice(None), slice(12, 36), slice(12, 50))
        assert (warp(b, found.flow_t_to_prev) - a)[middle].abs().mean() < 0.02
        assert found.mask[middle].mean() > 0.9


def half_at_rest(reference: Tensor) -> StaticRegions:
    rest = torch.zeros(1, *reference.shape[1:], dtype=torch.bool)
    rest[:, :, : rest.shape[2] // 2] = True
    settled = rest.clone()
    settled[:, : rest.shape[1] // 2] = False
    return StaticRegions(reference, rest, settled)


@pytest.mark.parametrize("distances", [(1,), (1, 2)])
def test_what_rests_stays_where_it_is_and_the_others_are_linked_to_the_reference(
    distances: tuple[int, ...],
) -> None:
    newest, previous, oldest, reference = (texture(seed, (40, 64)) for seed in range(4))
    flow, resting = load_flow("dis"), half_at_rest(texture(3, (40, 64)))
    motion = link_earlier_frames(
        newest, [previous, oldest], flow, distances, "photometric", resting
    )
    alone = link_frames(newest, reference, flow, "photometric")
    rest = resting.static[0]
    assert bool((motion.flow_t_to_prev[:, rest] == 0).all())
    assert bool((motion.mask[:, rest] == 1).all())
    assert torch.equal(motion.flow_t_to_prev[:, ~rest], alone.flow_t_to_prev[:, ~rest])
    assert torch.equal(motion.mask[:, ~rest], alone.mask[:, ~rest])
    assert motion.static is not None
    assert torch.equal(motion.static, resting.long_static)
    assert not motion.all_static
    assert all(bool((farther.mask[:, rest] == 0).all()) for farther in motion.farther.values())
    assert [*motion.farther] == list(distances[1:])


@pytest.mark.parametrize("settled", [False, True])
def test_where_all_of_a_frame_rests_no_flow_is_looked_for(settled: bool) -> None:
    def flow(a: Tensor, b: Tensor) -> Tensor:
        raise AssertionError("a flow was asked for")

    frame = texture(0, (40, 64))
    everywhere = torch.ones(1, 40, 64, dtype=torch.bool)
    motion = link_earlier_frames(
        frame,
        [frame] * 3,
        flow,
        (1, 2),
        "plain",
        StaticRegions(frame, everywhere, everywhere & settled),
    )  # type: ignore[arg-type]
    assert bool((motion.flow_t_to_prev == 0).all())
    assert bool((motion.mask == 1).all())
    assert motion.all_static == settled


@pytest.mark.parametrize(
    ("distances", "there", "expected"),
    [((1,), 9, [1]), ((1, 2, 4), 9, [1, 2, 4]), ((1, 2, 4), 3, [1, 2]), ((1, 2, 4, 8), 1, [1])],
)
def test_a_frame_is_linked_directly_to_each_distance_that_its_shot_reaches(
    distances: tuple[int, ...], there: int, expected: list[int]
) -> None:
    asked: list[tuple[int, int]] = []

    def flow(a: Tensor, b: Tensor) -> Tensor:
        asked.append((number(a), number(b)))
        return torch.zeros(2, *a.shape[1:])

    frames = [texture(seed, (24, 32)) for seed in range(there + 1)]

    def number(image: Tensor) -> int:
        return next(t for t, frame in enumerate(frames) if torch.equal(frame, image))

    newest, *earlier = reversed(frames)
    motion = link_earlier_frames(newest, earlier, flow, distances, "plain")  # type: ignore[arg-type]
    assert [1, *motion.farther] == expected
    assert asked == [pair for j in expected for pair in ((there, there - j), (there - j, there))]
    assert all(
        float(farther.mask.max()) == 0 for farther in motion.farther.values()
    )  # the closest one sees it all
