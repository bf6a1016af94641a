"""The edit list of the frames that are compared: where shots begin, and which frames are
transitions.

Frames are counted from the first one of the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vidstyle.motion.edit import Dissolve, Edit, Fade, Flash
    from vidstyle.rendering.layers import FrameRange

TransitionKind = Literal["dissolve", "fade", "flash"]

PLURALS: dict[TransitionKind, str] = {"dissolve": "dissolves", "fade": "fades", "flash": "flashes"}


@dataclass(frozen=True)
class Transition:
    """The frames `first` .. `stop` - 1, in which the source does not show one shot as it is lit.

    Args:
        kind: a "dissolve" mixes two shots, a "fade" leads to or from a flat colour, and a "flash"
            makes up to three frames within a shot unlike those around.
    """

    kind: TransitionKind
    first: int
    stop: int

    @property
    def parts_shots(self) -> bool:
        """True where what comes after it is not measured against what comes before it."""
        return self.kind != "flash"


def list_shot_starts(edit: Edit, part: FrameRange) -> tuple[int, ...]:
    """List the first frames of the shots in a part of the source, 0 included."""
    return (0, *(cut - part.first for cut in edit.cuts if part.first < cut < part.stop))


def list_transitions(edit: Edit, part: FrameRange) -> tuple[Transition, ...]:
    """List the transitions in a part of the source, in order; of one that is there in part, the
    frames that are there.
    """
    by_kind: dict[TransitionKind, tuple[Dissolve | Fade | Flash, ...]] = {
        "dissolve": edit.dissolves,
        "fade": edit.fades,
        "flash": edit.flashes,
    }
    transitions = [
        Transition(
            kind, max(one.first, part.first) - part.first, min(one.stop, part.stop) - part.first
        )
        for kind, some in by_kind.items()
        for one in some
        if one.first < part.stop and one.stop > part.first
    ]
    return tuple(sorted(transitions, key=lambda transition: transition.first))


def count_in_words(shots: Iterable[int], transitions: Iterable[Transition]) -> str:
    """Write how many shots and how many transitions of each kind there are: "3 shots, 1 dissolve,
    2 fades".
    """
    shot_count = len(tuple(shots))
    words = [f"{shot_count} shot" if shot_count == 1 else f"{shot_count} shots"]
    kinds = [transition.kind for transition in transitions]
    for kind, plural in PLURALS.items():
        if count := kinds.count(kind):
            words.append(f"{count} {kind if count == 1 else plural}")
    return ", ".join(words)
