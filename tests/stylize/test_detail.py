"""The detail map: faces and figures first, then edges; carried along, without a flicker of its
own.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.frames import Motion
from vidstyle.stylize.detail import (
    EDGE_SHARE,
    FACE_SHARE,
    FIGURE_EDGE_SHARE,
    FIGURE_SEARCH_INTERVAL,
    FIGURE_SHARE,
    DetailTracker,
    combine,
    find_edges,
    observe,
)

H = 48
W = 64


class Search:
    """Finds what it was told to, and counts how often it was asked."""

    def __init__(self, figure: float = 0.0, face: float = 0.0) -> None:
        self.found = torch.tensor([figure, face])
        self.calls = 0

    def __call__(self, image: Tensor) -> Tensor:
        self.calls += 1
        return self.found.view(2, 1, 1).expand(2, 6, 8).clone()


def noise(seed: int, strength: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + strength * (torch.rand(3, H, W, generator=generator) - 0.5)


def square() -> Tensor:
    image = torch.full((3, H, W), 0.2)
    image[:, 16:32, 24:40] = 0.9
    return image


def move(pixels: float, mask: float = 1.0) -> Motion:
    flow = torch.zeros(2, H, W)
    flow[0] = -pixels
    return Motion(flow, torch.full((1, H, W), mask))


@pytest.mark.parametrize("size", [(48, 64), (31, 50), (400, 900), (17, 16)])
def test_its_values_lie_between_0_and_1_at_every_size(size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    detail = combine(observe(image, Search(0.6, 0.3)))
    assert detail.shape[0] == 1
    assert max(detail.shape) <= 320
    assert 0 <= float(detail.min()) <= float(detail.max()) <= 1


def test_edges_matter_where_they_are_and_an_empty_frame_has_none() -> None:
    edges = find_edges(square())[0]
    assert float(edges[15:17, 28:36].mean()) > 0.5
    assert float(edges[:6, :6].mean()) < 0.05
    assert float(find_edges(torch.full((3, H, W), 0.4)).max()) == 0
    assert float(find_edges(noise(1, 0.01)).max()) < 0.3


def test_a_face_matters_more_than_the_edges_of_a_figure_and_these_more_than_others() -> None:
    # In the order edges, figure, face: nothing, a plain dress, a window, a sleeve, an eye.
    values = [
        float(combine(torch.tensor(observed).view(3, 1, 1)))
        for observed in ((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1))
    ]
    expected = [0, FIGURE_SHARE, EDGE_SHARE, FIGURE_EDGE_SHARE, FACE_SHARE]
    assert values == pytest.approx(expected)
    assert values == sorted(values)


def test_on_still_ground_it_never_changes() -> None:
    tracker = DetailTracker(Search(0.4, 0.1))
    tracker.start(square())
    first = tracker.map
    for step in range(1, 3 * FIGURE_SEARCH_INTERVAL):
        tracker.search = Search(0.1 * (step % 10), 0.5)
        # Half of it is still, and the other half is something else each time.
        image = square()
        image[:, :, W // 2 :] = noise(step)[:, :, W // 2 :]
        motion = move(0)
        motion.mask[:, :, W // 2 :] = 0
        tracker.advance(image, motion, step)
        assert torch.equal(tracker.map[:, :, : W // 2], first[:, :, : W // 2])
    assert not torch.equal(tracker.map, first)


def test_it_moves_with_what_it_belongs_to() -> None:
    tracker = DetailTracker(Search())
    image = square()
    tracker.start(image)
    first = tracker.map
    tracker.advance(image.roll(4, 2), move(4), 1)
    assert torch.allclose(tracker.map[:, :, 8:], first.roll(4, 2)[:, :, 8:], atol=0.01)


@pytest.mark.parametrize(("mask", "often"), [(1.0, 2), (0.0, 2 * FIGURE_SEARCH_INTERVAL)])
def test_figures_are_looked_for_every_few_frames_and_at_once_where_much_is_new(
    mask: float, often: int
) -> None:
    search = Search()
    tracker = DetailTracker(search)
    tracker.start(square())
    search.calls = 0
    for step in range(1, 2 * FIGURE_SEARCH_INTERVAL + 1):
        tracker.advance(noise(step), move(0.5, mask), step)
    assert search.calls == often


def test_it_goes_on_from_what_was_kept_as_if_nothing_had_happened() -> None:
    tracker = DetailTracker(Search(0.5, 0.2))
    tracker.start(square())
    tracker.advance(noise(1), move(1.5, 0.7), 1)
    assert tracker.observed is not None
    other = DetailTracker(Search(0.5, 0.2))
    other.resume(tracker.observed.clone())
    for one in (tracker, other):
        one.advance(noise(2), move(0.5, 0.8), 2)
    assert torch.equal(tracker.map, other.map)


def test_figures_are_looked_for_where_every_second_frame_repeats_the_one_before() -> None:
    search = Search(0.9, 0.9)
    tracker = DetailTracker(search)
    tracker.start(noise(1))
    before = search.calls
    for step in range(1, 4 * FIGURE_SEARCH_INTERVAL):
        if step % 2:
            tracker.advance(noise(1), move(1.0), step)
        else:
            tracker.revisit(noise(1), step)
    assert search.calls - before == 3
