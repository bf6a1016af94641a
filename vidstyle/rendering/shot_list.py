"""The shots of a film and the transitions between and inside them, as a list (`--list-shots`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.rendering.survey import survey_film
from vidstyle.units import counted
from vidstyle.video.probe import probe

if TYPE_CHECKING:
    from vidstyle.frames import Timeline
    from vidstyle.motion.edit import Edit


@dataclass(frozen=True)
class Stretch:
    """A shot, or a transition: its frames `first` .. `last` of the file, and the second at which it
    begins.
    """

    kind: str
    first: int
    last: int
    seconds: float

    @property
    def text(self) -> str:
        """It in a line."""
        frames = f"{self.first}-{self.last}" if self.last > self.first else str(self.first)
        return f"{self.kind:<10} {self.seconds:>9.3f} s   frames {frames}"


@dataclass(frozen=True)
class ShotList:
    """The shots of a film with its transitions, in the order in which they begin.

    A shot that comes in by a dissolve begins where it has half of the picture.
    """

    input: str
    frames: int
    stretches: tuple[Stretch, ...]
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """The list in lines for a terminal."""
        shots = sum(one.kind == "shot" for one in self.stretches)
        head = f"{self.input}: {counted(self.frames, 'frame')}, {counted(shots, 'shot')}"
        lines = ["" if one.kind == "shot" else "  " for one in self.stretches]
        return "\n".join(
            [head, *(lead + one.text for lead, one in zip(lines, self.stretches, strict=True))]
        )


def list_shots(path: Path) -> ShotList:
    """Decode a film and list its shots. Raises InputError when it cannot be read."""
    source = probe(path)
    seen = survey_film(source)
    scanned = seen.scanned
    warnings = list(source.warnings)
    if scanned.missing:
        warnings.append(f"{path} is damaged: {scanned.missing} frames are missing")
    stretches = list_stretches(seen.edit, scanned.timeline)
    return ShotList(str(path), len(scanned.timeline), stretches, tuple(warnings))


def list_stretches(edit: Edit, timeline: Timeline) -> tuple[Stretch, ...]:
    """List shots and transitions in the order in which they begin, a shot before what is in it."""
    ends = (*edit.cuts[1:], len(timeline))
    ranges = [("shot", first, stop) for first, stop in zip(edit.cuts, ends, strict=True)]
    ranges += [("dissolve", one.first, one.stop) for one in edit.dissolves]
    for fade in edit.fades:
        is_rising = fade.gains[-1] > fade.gains[0]
        ranges.append(("fade in" if is_rising else "fade out", fade.first, fade.stop))
    ranges += [("flash", one.first, one.stop) for one in edit.flashes]
    ranges.sort(key=lambda one: (one[1], one[0] != "shot"))
    return tuple(
        Stretch(kind, first, stop - 1, float(timeline.pts[first] * timeline.time_base))
        for kind, first, stop in ranges
    )
