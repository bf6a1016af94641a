"""The hold: what it keeps, what it lets go, and that it depends on source frames alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.helpers.films import Shift, noise, texture
from vidstyle.frames import Motion, quantise
from vidstyle.motion.correspondence import link_earlier_frames
from vidstyle.motion.hold import HoldTracker, record_source
from vidstyle.motion.static import StaticTracker

NO_FLOW = Shift(())
"""Sees no motion."""


def track(
    frames: Sequence[Tensor], reach: int = 1, distances: tuple[int, ...] = (1,)
) -> tuple[list[Motion], list[Tensor]]:
    """The links and the records of frames in a row, all trusted by their flow."""
    tracker = HoldTracker(reach)
    tracker.start(record_source(frames[0]))
    links = []
    records = [tracker.records[0]]
    for t in range(1, len(frames)):
        earlier = frames[max(0, t - reach) : t][::-1]
        links.append(
            link_earlier_frames(frames[t], earlier, NO_FLOW, distances, "plain", tracker=tracker)
        )
        records.append(tracker.records[0])
    return links, records


def steady(count: int = 8) -> list[Tensor]:
    return [texture(1)] * count


def noisy(count: int = 8) -> list[Tensor]:
    return [*(texture(1) + noise(count, 2 / 255)).clamp(0, 1)]


def fading(count: int = 8) -> list[Tensor]:
    return [(1 - 0.08 * t) * texture(1) for t in range(count)]


def brightening(count: int = 8) -> list[Tensor]:
    return [0.5 * texture(1) + 0.04 * t for t in range(count)]


@pytest.mark.parametrize("film", [steady, noisy, fading, brightening])
def test_what_stays_is_held_in_full_in_whatever_light(film: object) -> None:
    links, _ = track(film())  # type: ignore[operator]
    for motion in links:
        assert motion.hold is not None
        assert bool((motion.hold == 1).all())
        assert bool((motion.mask == 1).all())


@pytest.mark.parametrize("length", [6, 12, 24])
def test_what_dissolves_away_is_let_go_although_every_step_is_small(length: int) -> None:
    still = texture(1)
    still[:, 14:34, 20:44] = torch.tensor([0.9, 0.1, 0.1]).view(3, 1, 1)
    gone = texture(1)
    gone[:, 14:34, 20:44] = torch.tensor([0.1, 0.2, 0.9]).view(3, 1, 1)
    shares = [0.0, *((t + 1) / length for t in range(length)), 1.0, 1.0]
    links, records = track([torch.lerp(still, gone, share) for share in shares])
    middle = (slice(None), slice(20, 28), slice(27, 37))
    held = [float(motion.hold[middle].mean()) for motion in links if motion.hold is not None]
    assert min(held) == 0
    assert held[-1] > 0.9, "what has come is held again"
    outside = (slice(None), slice(0, 48), slice(54, 64))
    assert all(bool((motion.mask[outside] == 1).all()) for motion in links)
    now = record_source(gone)
    before = record_source(still)
    assert (records[-1] - now)[middle].abs().max() < 0.3 * (before - now)[middle].abs().max()


@pytest.mark.parametrize(("reach", "distances"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 4))])
def test_from_its_last_records_it_goes_on_as_if_it_had_not_stopped(
    reach: int, distances: tuple[int, ...]
) -> None:
    frames = [torch.lerp(texture(1), texture(2), t / 9) for t in range(10)]
    links, records = track(frames, reach, distances)
    for begin in range(reach, len(frames)):
        tracker = HoldTracker(reach)
        for record in records[begin - reach : begin]:
            tracker.start(quantise(record))
        earlier = frames[begin - reach : begin][::-1]
        motion = link_earlier_frames(
            frames[begin], earlier, NO_FLOW, distances, "plain", tracker=tracker
        )
        assert torch.equal(motion.mask, links[begin - 1].mask)
        assert torch.equal(tracker.records[0], records[begin])


@pytest.mark.parametrize("distances", [(1,), (1, 2), (1, 2, 4)])
def test_the_masks_of_all_links_are_together_at_most_one(distances: tuple[int, ...]) -> None:
    frames = [torch.lerp(texture(1), texture(2), t / 9) for t in range(10)]
    links, _ = track(frames, distances[-1], distances)
    for motion in links:
        masks = [motion.mask, *(farther.mask for farther in motion.farther.values())]
        assert float(sum(masks).max()) <= 1 + 1e-6  # type: ignore[union-attr]


@pytest.mark.parametrize("strength", [0.05, 0.1, 0.2, 0.4, 0.8])
def test_what_has_changed_a_little_and_then_rests_is_static_before_long(strength: float) -> None:
    """However far it was held: a record that came nearer and nearer would never arrive."""
    before = texture(1)
    after = before.clone()
    after[:, 10:30, 20:50] = torch.lerp(before, texture(2), strength)[:, 10:30, 20:50]
    until_static = 3
    static = StaticTracker(until_static)
    tracker = HoldTracker()
    static.track(before)
    tracker.start(record_source(before))
    earlier = before
    for t in range(1, until_static + 8):
        regions = static.track(after)
        motion = link_earlier_frames(
            after, [earlier], NO_FLOW, (1,), "photometric", regions, tracker
        )
        earlier = after
        if t > until_static + 4:
            assert motion.all_static


@pytest.mark.parametrize(("width", "is_held"), [(1, True), (3, True), (12, False)])
def test_what_departs_is_an_area_and_no_line(width: int, *, is_held: bool) -> None:
    ground = torch.full((3, 48, 64), 0.5)
    changed = ground.clone()
    changed[:, :, 26 : 26 + width] = 0.95
    tracker = HoldTracker()
    # Not blurred, as the rim of a patch of wrong flow comes out.
    tracker.start(to_record(ground))
    tracker.look(ground)
    tracker.present = to_record(changed)
    still = Motion(torch.zeros(2, 48, 64), torch.ones(1, 48, 64))
    assert bool((tracker.trust(1, still) >= 1).all()) == is_held


def to_record(image: Tensor) -> Tensor:
    """A record of greys, with sharp edges."""
    return torch.stack([image[0], torch.full_like(image[0], 0.5), torch.full_like(image[0], 0.5)])
