"""Fades: S_t = g L_t + (1 - g) C, between a shot L and a flat colour C, found in small pictures of
a film.

A fade is looked for at each end of the frames that are flat, or where contrast falls to a fraction
for a moment: so light that changes slowly and stays above nothing is no fade. Going away from
there, a fade must show the same picture more and more: |S_t - C| grows along a ramp, and contrast
grows in the same proportion. What comes into an empty picture grows as well, but changes.

Bars at the picture's edges and subtitles need not fade: gains are measured where the flat frame has
the colour C.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vidstyle.motion.edit import Fade, Flash
from vidstyle.motion.ramps import rise
from vidstyle.motion.recent_frames import RecentFrames, SmallPicture, correlate

CENTRE_ROWS = (0.25, 0.7)
"""Part of the height in which contrast is measured: between bars, above subtitles."""

CENTRE_COLUMNS = (0.15, 0.85)
"""Part of the width in which contrast is measured."""

MAX_FLAT_CONTRAST = 0.6
"""Root mean square from the mean colour, in 1/255, of a frame that is flat: grain of 5/255 in a
thumbnail has 0.3 at a tenth of its size."""

FLAT_SLACK = 0.25
"""More contrast, in 1/255, than the flattest frame of a run, that is still flat."""

COLOUR_SLACK = 1.5
"""Difference in colour, in 1/255, from the flattest frame of a run, that is still flat."""

MAX_COLOUR_STEP = 10.0
"""Difference in colour, in 1/255, of successive flat frames of one run: its first and last ones may
still be fading."""

MAX_VALLEY = 0.26
"""Of the contrast around it, to which contrast falls between two shots that fade without a flat
frame, and the gain there: a fade of 3 frames ends at a quarter."""

MAX_FIRST_GAIN = 0.4
"""Gain of the frame next to the flat ones."""

VALLEY_REACH = 24
"""Frames around a valley in which the contrast is looked at: a fade that is longer ends so near to
flat that its last frames count as flat."""

COLOUR_TOLERANCE = 7.0
"""Greatest difference from C, in 1/255, of a pixel of a flat frame."""

EXTRAPOLATED_TOLERANCE = 24.0
"""The same of what two frames of a fade lead to: their noise is several times as great there."""

MIN_FADING_SHARE = 0.3
"""Of the pixels, that must lead to one colour."""

MAX_SUBTITLE_SHARE = 0.15
"""Of the pixels of a flat frame between the bars, that may have another colour."""

SUBTITLE_ROWS = 0.65
"""Part of the height below which letters are expected."""

MAX_FOREIGN_SHARE = 0.004
"""Of the pixels above: a ball on black is a picture."""

MAX_BAR = 0.3
"""Of a side, that bars on each end of it may take."""

SHORTEST_FADE = 3
"""Frames that are neither flat nor lit. Compression spreads a cut over one or two."""

LONGEST_FADE = 130
"""Frames."""

MAX_FILM_END_GAIN = 0.05
"""Gain of the first or the last frame of a film that fades there without a flat frame."""

MAX_FRAMES_BEYOND = 2.5
"""Frames after which such a fade would be flat if it went on: the fade of an editing program ends
with the frame that would be."""

LIT_FRAMES = 10
"""Frames next to the ramp that show that it has ended."""

MIN_GAIN = 0.985
"""Gain from which on a frame is fully lit."""

MAX_FADE_ERROR = 0.07
"""Root mean square of the gains about the ramp."""

MIN_LIKENESS = 0.77
"""Mean correlation of the structure of successive frames with a gain of `MIN_SHOWN` or more."""

MIN_LIT_LIKENESS = 0.65
"""Mean correlation of their structure with that of the lit frame, where no frame is flat. A car
that drives out of an empty picture has 0.35 to 0.6; a fade of 48 frames over a pan may have no
more."""

MIN_SHOWN = 0.2
"""Gain from which on structure is seen above noise."""

MAX_CONTRAST_ERROR = 0.15
"""Root mean square of contrast about the gains, relative to the lit frame's."""

MIN_LIT_DIFFERENCE = 6.0
"""Mean difference of the lit frame from C, in 1/255."""

FADE_DELAY = LONGEST_FADE + LIT_FRAMES
"""Frames after a flat frame that are needed to judge the fade-in from it."""

FLAT_FRAMES = 24
"""Frames at each end of a flat run that are looked at."""


@dataclass
class FlatRun:
    """The frames `first` .. `stop` - 1 that are flat; none where two shots meet in a valley.

    Args:
        fade_out, fade_in: that lead to it and from it, without its frames.
        is_film_end: it would come before the first frame of the film, or after the last.
    """

    first: int
    stop: int
    fade_out: Fade | None = None
    fade_in: Fade | None = None
    is_film_end: bool = False


class FadeFinder:
    """Finds flat frames and the fades next to them while the frames come in.

    Args:
        fine, coarse: the film's frames, at two sizes.
        breaks: cuts so far, by frame: no fade reaches over one.
        flashes: those so far: a fade goes on behind them.
    """

    def __init__(
        self,
        fine: RecentFrames,
        coarse: RecentFrames,
        breaks: Sequence[int],
        flashes: Sequence[Flash],
    ) -> None:
        self.fine = fine
        self.coarse = coarse
        self.breaks = breaks
        self.flashes = flashes
        self.contrasts = array("d")
        self.means = array("f")
        """Three for each frame."""
        self.current: FlatRun | None = None
        self.colour = np.zeros(3, np.float32)
        self.waiting: list[FlatRun] = []
        self.runs: list[FlatRun] = []

    def advance(self) -> None:
        """Look at the newest frame."""
        t = len(self.contrasts)
        picture = self.coarse.get(t)
        self.contrasts.append(find_contrast(picture))
        self.means.extend(centre(picture).mean((0, 1)).tolist())
        colour = self._find_flat_colour(t)
        if t == 0 and colour is None:
            before = FlatRun(0, 0, is_film_end=True)
            self.runs.append(before)
            self.waiting.append(before)
        if self.current and (
            colour is None or np.abs(colour - self.colour).max() > MAX_COLOUR_STEP
        ):
            self._end_run()
        if colour is not None:
            if self.current is None:
                self.current = FlatRun(t, t + 1)
            self.colour = colour
            self.current.stop = t + 1
            if self.current.stop - self.current.first == FLAT_FRAMES:
                self._find_fade_out(self.current)
        self._find_valley(t - VALLEY_REACH)
        while self.waiting and t - self.waiting[0].stop >= FADE_DELAY:
            self._find_fade_in(self.waiting.pop(0))

    def finish(self) -> None:
        """Judge all that is left at the end of the film."""
        if self.current:
            self._end_run()
        count = len(self.contrasts)
        for t in range(max(0, count - VALLEY_REACH), count):
            self._find_valley(t)
        for run in self.waiting:
            self._find_fade_in(run)
        if count and not (self.runs and self.runs[-1].stop == count):
            after = FlatRun(count, count, is_film_end=True)
            after.fade_out = self._find_fade(count - 1, -1, flat=None)
            self.runs.append(after)
        for run in self.runs:
            if run.is_film_end and not leads_to_flat(run):
                run.fade_out = None
                run.fade_in = None
        self.runs.sort(key=lambda run: run.first)

    def _find_flat_colour(self, t: int) -> NDArray[np.float32] | None:
        """Return C if frame `t` is flat apart from bars and letters."""
        if self.contrasts[t] > MAX_FLAT_CONTRAST:
            return None
        colour = self._mean_of(t)
        picture = self.fine.get(t)
        foreign = find_foreign(picture, colour)
        rows, columns = trim_bars(picture, foreign)
        inside = foreign[rows, columns]
        above = foreign[rows.start : round(SUBTITLE_ROWS * len(foreign)), columns]
        is_flat = inside.mean() <= MAX_SUBTITLE_SHARE and above.mean() <= MAX_FOREIGN_SHARE
        return colour if is_flat else None

    def _end_run(self) -> None:
        """Close the current run; its fade-in is judged when enough frames are there."""
        run = self.current
        self.current = None
        if run is None:
            return
        if run.stop - run.first < FLAT_FRAMES:
            self._find_fade_out(run)
        flattest = self._find_flattest(max(run.first, run.stop - FLAT_FRAMES), run.stop)
        while not self._matches(run.stop - 1, flattest):
            run.stop -= 1
        self.runs.append(run)
        self.waiting.append(run)

    def _mean_of(self, t: int) -> NDArray[np.float32]:
        """Return the mean colour (3,) of the middle of a frame."""
        return np.array(self.means[3 * t : 3 * t + 3], np.float32)

    def _find_flattest(self, first: int, stop: int) -> int:
        return min(range(first, stop), key=self.contrasts.__getitem__)

    def _matches(self, t: int, flattest: int) -> bool:
        """Return whether a frame is as flat as the flattest of its run, and of its colour."""
        step = np.abs(self._mean_of(t) - self._mean_of(flattest)).max()
        return self.contrasts[t] <= self.contrasts[flattest] + FLAT_SLACK and bool(
            step <= COLOUR_SLACK
        )

    def _find_fade_out(self, run: FlatRun) -> None:
        flattest = self._find_flattest(run.first, min(run.first + FLAT_FRAMES, run.stop))
        while not self._matches(run.first, flattest):
            run.first += 1
        run.fade_out = self._find_fade(run.first - 1, -1, flat=run.first)

    def _find_fade_in(self, run: FlatRun) -> None:
        run.fade_in = self._find_fade(
            run.stop, 1, flat=run.stop - 1 if run.stop > run.first else None
        )

    def _find_valley(self, t: int) -> None:
        """Look whether contrast is lowest in frame `t`, and shots fade to and from there."""
        K = self.contrasts
        if t < 1 or t + 2 > len(K) or K[t] > min(K[max(0, t - 3) : t + 4]):
            return
        before = max(K[max(0, t - VALLEY_REACH) : t])
        after = max(K[t + 1 : t + 1 + VALLEY_REACH])
        # Where a shot ends at the valley, it need not rise on both sides.
        ends = not {t, t + 1}.isdisjoint(self.breaks)
        side = max(before, after) if ends else min(before, after)
        if K[t] > MAX_VALLEY * side or any(
            run.first - SHORTEST_FADE <= t <= run.stop + SHORTEST_FADE for run in self.runs[-2:]
        ):
            return
        if min(K[max(0, t - SHORTEST_FADE) : t + 1 + SHORTEST_FADE]) <= MAX_FLAT_CONTRAST:
            return
        near = self.coarse.span(max(0, t - 1), min(t + 3, len(K)))
        middles = [centre(picture) - centre(picture).mean((0, 1)) for picture in near]
        likeness = [correlate(a, b) for a, b in pairwise(middles)]
        meeting = max(0, t - 1) + 1 + int(np.argmin(likeness))
        run = FlatRun(meeting, meeting, self._find_fade(meeting - 1, -1, flat=None))
        self.runs.append(run)
        self.waiting.append(run)
        self.waiting.sort(key=lambda run: run.stop)

    def _without_flashes(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take for the frames of a flash the one before it."""
        result = frames.copy()
        for flash in self.flashes:
            inside = (frames >= flash.first) & (frames < flash.stop)
            result[inside] = max(flash.first - 1, self.fine.oldest)
        return result

    def _find_fade(self, edge: int, step: int, *, flat: int | None) -> Fade | None:
        """Find the fade of the frames `edge`, `edge` + `step` ...

        Args:
            edge: the frame next to the flat ones.
            step: the direction away from them, -1 (fade-out) or 1 (fade-in).
            flat: a flat frame, if there is one.
        """
        if step < 0:
            low = max(self.fine.oldest, max((b for b in self.breaks if b <= edge), default=0))
            room = edge - low + 1
        else:
            high = min((b for b in self.breaks if b > edge), default=len(self.fine))
            room = min(high, len(self.fine)) - edge
        room = min(room, LONGEST_FADE + LIT_FRAMES)
        if room < SHORTEST_FADE:
            return None
        S = self.fine.select(self._without_flashes(edge + step * np.arange(room)))
        if flat is None:
            end = extrapolate(S[0], S[1])
            colour = np.median(centre(end).reshape(-1, 3), 0)
            fading = np.abs(end - colour).max(2) <= EXTRAPOLATED_TOLERANCE
            if fading.mean() < MIN_FADING_SHARE:
                return None
        else:
            picture = self.fine.get(flat)
            colour = np.median(picture[~find_foreign(picture, centre(picture).mean((0, 1)))], 0)
            fading = ~find_foreign(picture, colour)
        X = S[:, fading] - colour
        gains = find_gains(X, MIN_LIT_LIKENESS if flat is None else -1.0)
        if gains is None or gains[0] > (MAX_VALLEY if flat is None else MAX_FIRST_GAIN):
            return None
        if step < 0:
            first = edge - len(gains) + 1
            gains = gains[::-1]
        else:
            first = edge
        red, green, blue = (float(c) for c in np.clip(colour / 255, 0, 1))
        return Fade(first, first + len(gains), tuple(gains.tolist()), (red, green, blue))


def leads_to_flat(run: FlatRun) -> bool:
    """Tell whether the fade at the film's end would be flat a few frames on, and is no light that
    goes down to a part.
    """
    fade = run.fade_in or run.fade_out
    if fade is None:
        return False
    rising = fade.gains if fade.gains[0] < fade.gains[-1] else fade.gains[::-1]
    step = rising[1] - rising[0]
    return rising[0] <= max(MAX_FILM_END_GAIN, MAX_FRAMES_BEYOND * step)


def find_gains(X: NDArray[np.float32], min_lit_likeness: float) -> NDArray[np.float64] | None:
    """Return the gains of a fade-in, as many as it has frames, or None where it is none.

    Args:
        X: (n, pixels, 3), S_t - C of frames that begin next to the flat ones.
        min_lit_likeness: correlation of the structure with that of the lit frame.
    """
    brightness = np.abs(X).mean((1, 2), dtype=np.float64)
    centred = X - X.mean(1, keepdims=True)
    likeness = np.array([correlate(a, b) for a, b in pairwise(centred)])
    # Where the next picture is another one, the shot ends.
    other = np.flatnonzero((likeness < 0.4) & (brightness[:-1] > 0.1 * brightness.max()))
    if len(other):
        brightness = brightness[: other[0] + 1]
    length, error = fit_fade(brightness)
    if length < SHORTEST_FADE or error > MAX_FADE_ERROR:
        return None
    lit = brightness[min(length, len(brightness) - 1)]
    gains: NDArray[np.float64] = np.maximum.accumulate(brightness[:length] / lit)
    gains = gains[: int(np.searchsorted(gains, MIN_GAIN))]
    if lit < MIN_LIT_DIFFERENCE or ((gains > 0.04) & (gains < 0.96)).sum() < SHORTEST_FADE:
        return None
    shown = gains > MIN_SHOWN
    steps = likeness[: len(gains)][shown[: len(likeness)]]
    last = centred[min(length, len(X) - 1)]
    lit_likeness = np.mean([correlate(x, last) for x in centred[: len(gains)][shown]])
    contrast = centred.std((1, 2))
    proportion = contrast[: len(gains)] / max(float(contrast[min(length, len(X) - 1)]), 1e-6)
    if (len(steps) and steps.mean() < MIN_LIKENESS) or lit_likeness < min_lit_likeness:
        return None
    if np.sqrt(np.mean((proportion - gains)[shown] ** 2)) > MAX_CONTRAST_ERROR:
        return None
    return gains


def fit_fade(brightness: NDArray[np.float64]) -> tuple[int, float]:
    """Return (frames before the first one that is fully lit, root mean square of what the ramp
    leaves), by least squares over lengths and shapes.

    Up to two of the first frames of a fade may be so dark that they count as flat: the ramp may
    have begun before.
    """
    best = (0, np.inf)
    for length in range(SHORTEST_FADE, min(len(brightness), LONGEST_FADE) + 1):
        curve = brightness[: length + LIT_FRAMES]
        for missing in (0, 1, 2):
            x = (np.arange(len(curve)) + 1 + missing) / (length + 1 + missing)
            for eased in (False, True):
                levels = rise(x, eased)
                height = float(levels @ curve) / float(levels @ levels)
                error = float(np.sqrt(np.mean((curve - height * levels) ** 2)))
                if height > 0 and error / height < best[1]:
                    best = (length, error / height)
    return best


def extrapolate(nearest: SmallPicture, next_nearest: SmallPicture) -> SmallPicture:
    """Return what a fade leads to, from its two frames next to that: S_1 - C = k (S_2 - C), and k
    from the contrast of their middles.
    """
    a = centre(nearest) - centre(nearest).mean((0, 1))
    b = centre(next_nearest) - centre(next_nearest).mean((0, 1))
    k = np.float32(np.clip(np.vdot(a, b) / max(float(np.vdot(b, b)), 1e-6), 0, 0.95))
    return np.clip((nearest - k * next_nearest) / (1 - k), 0, 255)


def centre(picture: SmallPicture) -> SmallPicture:
    """Return the middle of a picture, which neither bars nor subtitles reach."""
    height = picture.shape[0]
    width = picture.shape[1]
    top = round(CENTRE_ROWS[0] * height)
    left = round(CENTRE_COLUMNS[0] * width)
    return picture[
        top : max(top + 1, round(CENTRE_ROWS[1] * height)),
        left : max(left + 1, round(CENTRE_COLUMNS[1] * width)),
    ]


def find_contrast(picture: SmallPicture) -> float:
    """Return the root mean square from the mean colour, in 1/255, over the middle of a picture."""
    middle = centre(picture)
    return float(np.sqrt(np.mean((middle - middle.mean((0, 1))) ** 2)))


def find_foreign(picture: SmallPicture, colour: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return True (h, w) where a picture has not this colour."""
    foreign: NDArray[np.bool_] = np.abs(picture - colour).max(2) > COLOUR_TOLERANCE
    return foreign


def trim_bars(picture: SmallPicture, foreign: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns between bars: edges, each of one other colour."""
    slices = []
    for axis in (0, 1):
        lines = np.moveaxis(picture, axis, 0)
        most = round(MAX_BAR * len(lines))
        spread = lines.max(1) - lines.min(1)
        bars = (spread.max(1) <= 2 * COLOUR_TOLERANCE) & foreign.all(1 - axis)
        top = next((i for i in range(most) if not bars[i]), most)
        bottom = next((i for i in range(most) if not bars[-1 - i]), most)
        # The line at a bar's edge is half of it.
        slices.append(slice(top + (top > 0), len(lines) - bottom - (bottom > 0)))
    return slices[0], slices[1]
