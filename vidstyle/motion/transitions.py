"""The edit of a film from its thumbnails: cuts, dissolves, fades and flashes, in one pass and in
bounded memory.

Each kind has its finder; here they are brought together. Nothing but a few numbers is kept of
frames that are long past, so a dissolve is judged some 50 frames after it, a fade-in 140.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from vidstyle.motion.dissolves import DissolveFinder, find_roughness
from vidstyle.motion.edit import Dissolve, Edit, Fade, Flash
from vidstyle.motion.fades import FadeFinder, FlatRun
from vidstyle.motion.flashes import FlashFinder, is_relit
from vidstyle.motion.recent_frames import RecentFrames
from vidstyle.motion.shots import ContentDifference, find_cuts

FINE_LONG_SIDE = 48
"""Pixels: edges are seen, and grain is not."""

COARSE_LONG_SIDE = 16
"""Pixels: what moves a little stays in its pixel."""

MIN_CUT_SCORE = 15.0
"""Of `ContentDifference`: `find_cuts` takes no less."""

MIN_CUT_CHANGE = 6.0
"""Mean difference of successive frames, in 1/255, at a cut that nothing reaches over: in the dark,
hue and saturation change a lot where hardly anything is seen to."""

MIN_CUT_RATIO = 3.0
"""Of both to their mean around."""

CUT_DELAY = 2
"""Frames after a cut that `find_cuts` looks at."""


class EditDetector:
    """Finds the cuts and the transitions of a film while its thumbnails come in.

    It keeps two rings of small pictures, and a few numbers for each frame.
    """

    def __init__(self) -> None:
        self.differences = ContentDifference()
        self.scores = self.differences.scores
        self.fine = RecentFrames(FINE_LONG_SIDE)
        self.coarse = RecentFrames(COARSE_LONG_SIDE)
        self.roughness = array("d")
        self.breaks: list[int] = []
        self.relit: set[int] = set()
        self.dissolves = DissolveFinder(self.fine, self.coarse, self.roughness, self.breaks)
        self.flashes = FlashFinder(self.coarse)
        self.fades = FadeFinder(self.fine, self.coarse, self.breaks, self.flashes.flashes)

    def add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Take the next frame, (h, w, 3) uint8 RGB of any one size."""
        self.differences.add(thumbnail)
        t = len(self.fine)
        fine = self.fine.add(thumbnail)
        self.coarse.add(fine)
        self.roughness.append(find_roughness(fine))
        if self.scores[t] >= MIN_CUT_SCORE and is_relit(self.fine.get(t - 1), fine):
            self.relit.add(t)
        self.flashes.advance()
        self._break_at(t - CUT_DELAY)
        self.fades.advance()
        self.dissolves.advance()

    def finish(self) -> Edit:
        """Return the edit, after the last frame."""
        count = len(self.fine)
        if not count:
            return Edit(())
        self.flashes.finish()
        for t in range(max(0, count - CUT_DELAY), count):
            self._break_at(t)
        self.fades.finish()
        self.dissolves.advance(end=True)
        runs = [run for run in self.fades.runs if self._is_certain(run)]
        fades, _ = join_fades(runs, count)
        dissolves = tuple(d for d in self.dissolves.dissolves if not overlaps(d, fades))
        # A dissolve from a dark shot looks like a fade-in after a cut.
        runs += [run for run in self.fades.runs if self._is_fade_at_cut(run, dissolves)]
        fades, meetings = join_fades(runs, count)
        flashes = tuple(f for f in self.flashes.flashes if not overlaps(f, (*fades, *dissolves)))
        return Edit(self._find_cuts(dissolves, fades, flashes, meetings), dissolves, fades, flashes)

    def _is_certain(self, run: FlatRun) -> bool:
        """Return whether there are flat frames, or two fades that meet.

        A fade alone that leads to no flat frame may be a thing that leaves an empty picture.
        """
        has_both = run.fade_out is not None and run.fade_in is not None
        return run.stop > run.first or has_both or run.is_film_end

    def _is_fade_at_cut(self, run: FlatRun, dissolves: tuple[Dissolve, ...]) -> bool:
        """Return whether a fade leads to a cut without flat frames, and is part of no dissolve."""
        fade = run.fade_out or run.fade_in
        return (
            fade is not None
            and not self._is_certain(run)
            and run.first in self.breaks
            and not overlaps(fade, dissolves)
        )

    def _break_at(self, t: int) -> None:
        """Remember frame `t` if it starts a shot, and neither a flash nor a lamp explains it."""
        if t < 1 or self.scores[t] < MIN_CUT_SCORE or t in self.relit:
            return
        last = self.flashes.flashes[-1] if self.flashes.flashes else None
        if last and last.first <= t <= last.stop:
            return
        for values, least in ((self.scores, MIN_CUT_SCORE), (self.flashes.changes, MIN_CUT_CHANGE)):
            around = [*values[max(1, t - 2) : t], *values[t + 1 : t + 1 + CUT_DELAY]]
            if values[t] < max(least, MIN_CUT_RATIO * sum(around) / max(len(around), 1)):
                return
        self.breaks.append(t)

    def _find_cuts(
        self,
        dissolves: tuple[Dissolve, ...],
        fades: tuple[Fade, ...],
        flashes: tuple[Flash, ...],
        meetings: tuple[int, ...],
    ) -> tuple[int, ...]:
        """Return the first frames of the shots: of hard cuts, of dissolves and between fades."""
        explained = set(self.relit)
        for flash in flashes:
            explained.update(range(flash.first, flash.stop + 1))
        transitions: tuple[Dissolve | Fade, ...] = (*dissolves, *fades)
        for transition in transitions:
            near = range(transition.first - CUT_DELAY, transition.stop + 1 + CUT_DELAY)
            explained.update(near)
        soft = {*meetings, *(dissolve.cut for dissolve in dissolves)}
        return tuple(sorted({*find_cuts(self.scores, explained=explained), *soft}))


def overlaps(one: Dissolve | Fade | Flash, others: tuple[Dissolve | Fade | Flash, ...]) -> bool:
    """Return whether a transition shares a frame with another one."""
    return any(one.first < other.stop and other.first < one.stop for other in others)


def join_fades(runs: list[FlatRun], count: int) -> tuple[tuple[Fade, ...], tuple[int, ...]]:
    """Give the flat frames to the fades next to them.

    Between a fade-out and a fade-in each takes half; where there is only one of them it takes all,
    and the other shot begins or ends with a hard cut.

    Returns (the fades, the first frames of shots that they make).
    """
    fades: list[Fade] = []
    cuts: list[int] = []
    for run in runs:
        out = run.fade_out
        back = run.fade_in
        if out and back:
            middle = (run.first + run.stop) // 2
        elif out:
            middle = run.stop
        elif back:
            middle = run.first
        else:
            continue
        joined: list[Fade] = []
        if out:
            flat = (0.0,) * (middle - run.first)
            joined.append(Fade(out.first, middle, out.gains + flat, out.colour))
        if back:
            flat = (0.0,) * (run.stop - middle)
            joined.append(Fade(middle, back.stop, flat + back.gains, back.colour))
        if any(overlaps(fade, tuple(fades)) for fade in joined):
            continue
        fades += joined
        if 0 < middle < count:
            cuts.append(middle)
    return tuple(sorted(fades, key=lambda fade: fade.first)), tuple(cuts)
