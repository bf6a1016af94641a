"""The edit of a source, in the frames of a result that was made from a part of it."""

from __future__ import annotations

import pytest

from vidstyle.evaluation.edit_list import (
    Transition,
    count_in_words,
    list_shot_starts,
    list_transitions,
)
from vidstyle.motion.edit import Dissolve, Edit, Fade, Flash
from vidstyle.rendering.layers import FrameRange

EDIT = Edit(
    cuts=(0, 12, 40),
    dissolves=(Dissolve(10, 14, (0.2, 0.4, 0.6, 0.8)),),
    fades=(Fade(30, 40, (0.5,) * 10, (0.0,) * 3), Fade(40, 44, (0.5,) * 4, (0.0,) * 3)),
    flashes=(Flash(20, 22),),
)


def test_the_whole_source_has_its_own_edit() -> None:
    part = FrameRange(0, 60)
    assert list_shot_starts(EDIT, part) == (0, 12, 40)
    assert list_transitions(EDIT, part) == (
        Transition("dissolve", 10, 14),
        Transition("flash", 20, 22),
        Transition("fade", 30, 40),
        Transition("fade", 40, 44),
    )


def test_of_a_part_only_what_is_in_it_is_listed_and_counted_from_its_first_frame() -> None:
    part = FrameRange(13, 35)
    assert list_shot_starts(EDIT, part) == (0,)
    assert list_transitions(EDIT, part) == (
        Transition("dissolve", 0, 1),
        Transition("flash", 7, 9),
        Transition("fade", 17, 22),
    )
    assert list_transitions(EDIT, FrameRange(14, 20)) == ()
    assert list_shot_starts(EDIT, FrameRange(12, 40)) == (0,)
    assert list_shot_starts(Edit(()), FrameRange(0, 1)) == (0,)


@pytest.mark.parametrize(
    ("shots", "kinds", "words"),
    [
        ((0,), (), "1 shot"),
        ((0, 4), ("flash",), "2 shots, 1 flash"),
        ((0, 4, 9), ("fade", "dissolve", "fade"), "3 shots, 1 dissolve, 2 fades"),
        ((0,), ("flash", "flash", "dissolve", "dissolve"), "1 shot, 2 dissolves, 2 flashes"),
    ],
)
def test_shots_and_transitions_are_counted_in_words(
    shots: tuple[int, ...], kinds: tuple[str, ...], words: str
) -> None:
    transitions = [Transition(kind, 0, 1) for kind in kinds]  # type: ignore[arg-type]
    assert count_in_words(shots, transitions) == words
