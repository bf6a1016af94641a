"""The layers of a render: whatever the film, every frame is put together from what is painted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.edited_films import BLACK
from vidstyle.motion.edit import Dissolve, Edit, Fade, Flash
from vidstyle.rendering.layers import (
    LEAST_GAIN,
    FrameRange,
    KeyframeImage,
    LayerPlan,
    plan_layers,
)

COUNT = 60

DISSOLVE = Dissolve(18, 23, (0.1, 0.3, 0.5, 0.7, 0.9))
LATER = Dissolve(40, 42, (0.2, 0.6))
FADE_IN = Fade(0, 4, (0.0, 0.1, 0.4, 0.8), BLACK)
FADE_OUT = Fade(56, 60, (0.8, 0.4, 0.1, 0.0), BLACK)
FLASH = Flash(16, 18)

EDITS = {
    "one shot": Edit((0,)),
    "cuts": Edit((0, 20, 21, 45)),
    "dissolves": Edit((0, DISSOLVE.cut, 30, LATER.cut), (DISSOLVE, LATER)),
    "fades": Edit((0, 30), fades=(FADE_IN, FADE_OUT)),
    "flashes": Edit((0, 30), flashes=(FLASH, Flash(31, 32))),
    "all": Edit((0, DISSOLVE.cut, LATER.cut), (DISSOLVE, LATER), (FADE_IN, FADE_OUT), (FLASH,)),
}

PARTS = [
    FrameRange(0, COUNT),
    FrameRange(0, 20),
    FrameRange(2, 41),
    FrameRange(17, 19),
    FrameRange(19, 22),
    FrameRange(20, 21),
    FrameRange(22, 60),
    FrameRange(41, 42),
    FrameRange(58, 60),
    FrameRange(1, 2),
]

KEYFRAMES: list[tuple[int, ...]] = [(), (10,), (26, 27), (6, 12, 35), (25, 36, 52)]


def keyframe(index: int) -> KeyframeImage:
    return KeyframeImage(index, Path(f"{index}.png"), f"{index:064x}")


def cases() -> Iterator[tuple[str, FrameRange, tuple[int, ...], bool]]:
    for name, part, keyframes in itertools.product(EDITS, PARTS, KEYFRAMES):
        inside = tuple(i - part.first for i in keyframes if i in part)
        if len(inside) == len(keyframes):
            yield from ((name, part, inside, is_loop) for is_loop in (False, True))


def plan(name: str, part: FrameRange, keyframes: tuple[int, ...], is_loop: bool) -> LayerPlan:
    painted = [keyframe(index) for index in keyframes]
    return plan_layers(EDITS[name], COUNT, part, painted, is_loop=is_loop)


@pytest.mark.parametrize(("name", "part", "keyframes", "is_loop"), list(cases()))
def test_every_frame_is_put_together_from_the_layers_that_show_it(
    name: str, part: FrameRange, keyframes: tuple[int, ...], is_loop: bool
) -> None:
    planned = plan(name, part, keyframes, is_loop)
    anchors = [layer.anchor for layer in planned.layers]
    assert len(set(anchors)) == len(anchors)
    for layer in planned.layers:
        assert layer.is_loop == (layer.anchor == len(part))
        assert layer.anchor in layer.frames or layer.is_loop
        order = [*layer.forward, *layer.backward]
        expected = {*layer.frames.indices, layer.anchor}
        assert (set(order), len(order)) == (expected, len(expected))
        assert layer.frames.first >= 0
        assert layer.frames.stop <= len(part)
    for index in range(len(part)):
        shares = planned.shares(index)
        assert sum(share for _, share in shares) == pytest.approx(1)
        assert all(0 < share <= 1 and index in layer.frames for layer, share in shares)
        showing = [layer for layer in planned.layers if index in layer.frames]
        assert showing == [layer for layer, _ in shares]
        mixtures = [one for one in planned.mixtures if index in one.frames]
        assert len(mixtures) == len(shares) - 1
    for index in keyframes:
        [(layer, share)] = planned.shares(index)
        assert (layer.anchor, share) == (index, 1)
        assert layer.keyframe == keyframe(index)
    assert [one.anchor for one in planned.layers if one.keyframe] == list(keyframes)


@pytest.mark.parametrize(("name", "part", "keyframes", "is_loop"), list(cases()))
def test_a_frame_is_painted_from_a_source_between_it_and_the_anchor_that_shows_the_shot(
    name: str, part: FrameRange, keyframes: tuple[int, ...], is_loop: bool
) -> None:
    planned = plan(name, part, keyframes, is_loop)
    for layer in planned.layers:
        for index in layer.frames.indices:
            source = planned.source_index(layer, index)
            assert min(index, layer.anchor) <= source <= max(index, layer.anchor)
            assert planned.is_usable(source) or source == layer.anchor
            assert source == index or not planned.is_usable(index)


def test_a_part_has_the_shares_that_its_frames_have_in_the_whole() -> None:
    whole = plan("dissolves", FrameRange(0, COUNT), (), False)
    for part in PARTS:
        if len(part) == 1:
            continue
        planned = plan("dissolves", part, (), False)
        for index in range(len(part)):
            shares = [share for _, share in planned.shares(index)]
            assert shares == [share for _, share in whole.shares(part.first + index)]


@pytest.mark.parametrize("index", [18, 20, 22])
def test_a_single_frame_of_a_dissolve_is_painted_as_it_is(index: int) -> None:
    planned = plan("dissolves", FrameRange(index, index + 1), (), False)
    assert len(planned.layers) == 1
    assert planned.dissolve_at(0) is None


def test_a_shot_begins_with_its_first_frame_that_is_lit_and_alone() -> None:
    def anchors(name: str, part: FrameRange) -> list[int]:
        return [layer.anchor + part.first for layer in plan(name, part, (), False).layers]

    assert anchors("cuts", FrameRange(0, COUNT)) == [0, 20, 21, 45]
    assert anchors("dissolves", FrameRange(0, COUNT)) == [0, 23, 30, 42]
    assert anchors("dissolves", FrameRange(19, 22)) == [19, 21]
    assert anchors("fades", FrameRange(0, COUNT)) == [4, 30]
    assert anchors("fades", FrameRange(0, 3)) == [2], "the best lit one"
    assert anchors("flashes", FrameRange(16, 30)) == [18]


def test_too_dark_a_frame_is_painted_from_the_next_one_that_is_lit() -> None:
    planned = plan("fades", FrameRange(0, COUNT), (), False)
    first, last = planned.layers
    assert min(gain for gain in FADE_IN.gains if gain >= LEAST_GAIN) == 0.4
    assert [planned.source_index(first, i) for i in range(5)] == [2, 2, 2, 3, 4]
    assert [planned.source_index(last, i) for i in range(56, 60)] == [56, 57, 57, 57]


def test_a_flash_is_painted_from_the_frame_before_it() -> None:
    planned = plan("flashes", FrameRange(0, COUNT), (), False)
    assert [planned.source_index(planned.layers[0], i) for i in (15, 16, 17, 18)] == [
        15,
        15,
        15,
        18,
    ]


def test_a_loop_is_not_closed_where_an_end_is_mixed_or_faded() -> None:
    whole = FrameRange(0, COUNT)
    assert plan("one shot", whole, (), True).layers[-1].is_loop
    assert not plan("fades", whole, (), True).layers[-1].is_loop
    assert not plan("dissolves", FrameRange(19, COUNT), (), True).layers[-1].is_loop
