"""Dissolves: S_t = (1 - a) A_t + a B_t, found in small pictures of a film.

Three things hold in a dissolve together, and in nothing else that films show:

- The pictures lie on the line from A to B: of |S_t - A - a (B - A)|^2 little is left. Where things
  only move from A to B, the picture half way resembles neither.
- Contrast sags: with V the mean squared difference of neighbours, and C that of A with B,
  V_t = (1 - a)^2 V_A + a^2 V_B + 2a(1 - a) C, half of the mean of V_A and V_B in the middle where
  the shots have nothing in common. In motion, and in a wipe, V stays between V_A and V_B. It needs
  no pixel to stay where it is, so it tells dissolves with much motion.
- A and B have different structure. Light that changes also mixes a picture with another, but the
  other has the same edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidstyle.motion.edit import Dissolve
from vidstyle.motion.ramps import Ramp, fit_ramp
from vidstyle.motion.recent_frames import (
    RecentFrames,
    SmallPicture,
    correlate,
    find_gradients,
    relight,
)

HALF_WIDTHS = np.array([3, 4, 6, 8, 12, 16, 24, 32, 42])
"""Frames from the middle to the frames that are taken for A and B: the shortest dissolve has 4
frames, the longest about 72."""

DISSOLVE_REACH = 14
"""Frames outside of the window that the ends of a dissolve are looked for in."""

DISSOLVE_DELAY = int(HALF_WIDTHS.max()) + DISSOLVE_REACH
"""Frames after a middle that are needed to judge it."""

MAX_SAG = 0.88
"""Of V in the middle against the mean of its ends, from which on a middle is looked at."""

MIN_DIFFERENCE = 7.0
"""Root mean square of B - A, in 1/255, from which on A and B are two pictures: at a sixth of the
thumbnails' size noise has less than 1."""

MAX_OFF_LINE = 0.3
"""Part of |B - A|^2 that the pictures may be off the line. A moving picture has 0.5 and more, a
wipe 0.25 in its middle; a dissolve with fast motion in both shots comes near that."""

MIN_SAG_RATIO = 0.6
"""The sag of V against that of the equation. Motion has about 0, 19 of 20 dissolves 0.7 and more.
"""

MAX_SAG_RATIO = 1.7
"""More is a dip to a flat colour."""

MAX_STRUCTURE = 0.35
"""Correlation of the gradients of A and B: one picture in another light has more; 49 of 50 pairs of
shots have less than 0.2."""

MAX_LIGHT_RATIO = 1.1
"""Of what the mixture leaves of the pictures to what another light on A or B leaves of them: more
means that things move and the light changes."""

MAX_DOUBTFUL_LIGHT_RATIO = 0.7
"""The same where light explains most of the step from A to B: there is little of B to be seen."""

MIN_NOVELTY = 0.03
"""Part of |B - A|^2 that light does not explain."""

MIN_NEW_CONTRAST = 0.6
"""Part of B's squared contrast that light does not explain."""

MAX_DISSOLVE_ERROR = 0.13
"""Root mean square of the shares about the ramp."""

MAX_CLEAN_RAMP_ERROR = 0.03
MAX_CLEAN_SAG_ERROR = 0.05
MAX_CLEAN_STRUCTURE = 0.1
MIN_CLEAN_NEW_CONTRAST = 0.85
"""Of a dissolve that needs no comparison with light: changing light over motion never had all four
at the same time."""

MEASUREMENT_VARIANCE = np.float32(4.0)
"""Of a pixel, in 1/255^2, above that by motion: grain and rounding."""

MIDDLE_SHARES = (0.15, 0.85)
"""Shares between which both shots are seen well enough to judge."""

MAX_WIDENINGS = 4
"""Times that ends are looked for further out: in motion the middle of a dissolve looks like a
shorter one, and fits better."""

SHORTEST_DISSOLVE = 3
"""Frames: two mixed frames at a cut come from a change of the frame rate."""

LONGEST_DISSOLVE = 90
"""Frames."""


@dataclass(frozen=True)
class Candidate:
    """A middle, how far from it A and B were taken, and how strongly it looks like a dissolve."""

    middle: int
    half_width: int
    evidence: float

    def narrow(self) -> Candidate:
        """Return the same with a third of the width: of a short dissolve within much motion."""
        return Candidate(self.middle, max(int(HALF_WIDTHS[0]), self.half_width // 3), self.evidence)


@dataclass(frozen=True)
class Measures:
    """The figures that tell a dissolve from motion and from light; see the constants named so."""

    difference: float
    off_line: float
    sag: float
    structure: float
    light_ratio: float
    novelty: float
    new_contrast: float
    ramp_error: float

    def show_dissolve(self) -> bool:
        """Return whether all that makes a dissolve holds."""
        return (
            self.difference >= MIN_DIFFERENCE
            and self.ramp_error <= MAX_DISSOLVE_ERROR
            and self.off_line <= MAX_OFF_LINE
            and MIN_SAG_RATIO <= self.sag <= MAX_SAG_RATIO
            and self.structure <= MAX_STRUCTURE
            and (self.is_clean() or self.light_ratio <= self.max_light_ratio())
        )

    def is_clean(self) -> bool:
        """Return whether the equation holds so well that light is out of the question."""
        return (
            self.ramp_error <= MAX_CLEAN_RAMP_ERROR
            and abs(self.sag - 1) <= MAX_CLEAN_SAG_ERROR
            and self.structure <= MAX_CLEAN_STRUCTURE
            and self.new_contrast >= MIN_CLEAN_NEW_CONTRAST
        )

    def max_light_ratio(self) -> float:
        """Return how much of what light leaves the mixture may leave."""
        doubtful = self.novelty < MIN_NOVELTY or self.new_contrast < MIN_NEW_CONTRAST
        return MAX_DOUBTFUL_LIGHT_RATIO if doubtful else MAX_LIGHT_RATIO


class DissolveFinder:
    """Finds dissolves while the frames come in.

    Args:
        fine, coarse: the film's frames, at two sizes.
        roughness: V of every frame, by `find_roughness`.
        breaks: cuts so far, by frame: no shot reaches over one.
    """

    def __init__(
        self,
        fine: RecentFrames,
        coarse: RecentFrames,
        roughness: Sequence[float],
        breaks: Sequence[int],
    ) -> None:
        self.fine = fine
        self.coarse = coarse
        self.roughness = roughness
        self.breaks = breaks
        self.middle = 0
        self.candidates: list[Candidate] = []
        self.dissolves: list[Dissolve] = []

    def advance(self, *, end: bool = False) -> None:
        """Judge the middles whose surroundings are there, or at the `end` of the film all."""
        while self.middle < len(self.fine) - (0 if end else DISSOLVE_DELAY):
            candidate = self._judge(self.middle)
            if candidate:
                self.candidates.append(candidate)
            self.middle += 1
            if self.candidates and (
                self.middle - self.candidates[-1].middle > 4
                or self.middle - self.candidates[0].middle > LONGEST_DISSOLVE
            ):
                self._settle()
        if end:
            self._settle()

    def _judge(self, middle: int) -> Candidate | None:
        """Return the best candidate with this middle."""
        reach = min(middle - self.fine.oldest, len(self.fine) - 1 - middle)
        sag = [
            self.roughness[middle] * 2
            < MAX_SAG * (self.roughness[middle - w] + self.roughness[middle + w])
            if w <= reach
            else False
            for w in HALF_WIDTHS
        ]
        widths = HALF_WIDTHS[sag]
        if not len(widths):
            return None
        A = self.coarse.select(middle - widths).reshape(len(widths), -1)
        B = self.coarse.select(middle + widths).reshape(len(widths), -1)
        D = B - A
        M = self.coarse.get(middle).ravel() - A
        DD = np.maximum((D * D).sum(1), 1e-9)
        share = (M * D).sum(1) / DD
        off_line = ((M - share[:, None] * D) ** 2).sum(1) / DD
        fitting = (
            (share > 0.2)
            & (share < 0.8)
            & (off_line < MAX_OFF_LINE)
            & (np.sqrt(DD / D.shape[1]) > MIN_DIFFERENCE)
        )
        if not fitting.any():
            return None
        evidence = np.where(fitting, DD * (1 - off_line / MAX_OFF_LINE), 0)
        best = int(evidence.argmax())
        return Candidate(middle, int(widths[best]), float(evidence[best]))

    def _settle(self) -> None:
        """Turn the candidates of one place into dissolves."""
        left = sorted(self.candidates, key=lambda candidate: -candidate.evidence)
        self.candidates = []
        tries = 0
        while left and tries < 6:
            tries += 1
            dissolve = self._fit(left[0]) or self._fit(left[0].narrow())
            if dissolve and not any(
                dissolve.first < other.stop and other.first < dissolve.stop
                for other in self.dissolves
            ):
                self.dissolves.append(dissolve)
                left = [c for c in left if not dissolve.first - 4 <= c.middle < dissolve.stop + 4]
            else:
                left = [c for c in left[1:] if abs(c.middle - left[0].middle) > 2]
        self.dissolves.sort(key=lambda dissolve: dissolve.first)

    def _fit(self, candidate: Candidate) -> Dissolve | None:
        """Find the ends and the shares of a candidate; None where it is no dissolve."""
        w = candidate.half_width
        dissolve = self._refine(candidate.middle - w, candidate.middle + w, joint=False)
        for _ in range(MAX_WIDENINGS):
            if dissolve is None:
                break
            margin = (dissolve.stop - dissolve.first) // 2
            A = dissolve.first - 1 - margin
            wider = self._refine(A, dissolve.stop + margin, joint=True)
            if wider is None or wider.stop - wider.first <= dissolve.stop - dissolve.first:
                break
            dissolve = wider
        return dissolve

    def _refine(self, A: int, B: int, *, joint: bool) -> Dissolve | None:
        """Find the dissolve near the frames `A` and `B`.

        Args:
            joint: fit V as well from the beginning, and not only when A and B are known roughly.
        """
        t = (A + B) // 2
        low = max(self.fine.oldest, max((b for b in self.breaks if b <= t), default=0))
        high = min(len(self.fine), min((b for b in self.breaks if b > t), default=10**9))
        if not low <= A <= B < high:
            return None
        weights: SmallPicture | None = None
        ramp: Ramp | None = None
        for _ in range(3):
            start = max(low, A - DISSOLVE_REACH)
            stop = min(high, B + DISSOLVE_REACH + 1)
            shares = self._estimate_shares(start, stop, A, B, weights)
            firsts = np.arange(start + 1, t + 1)
            stops = np.arange(t, stop)
            rough: NDArray[np.float64] | None = None
            if joint or weights is not None:
                rough = np.array(self.roughness[start:stop])
            if weights is not None:
                slack = min(DISSOLVE_REACH, 3 + (B - A) // 4)
                firsts = firsts[np.abs(firsts - 1 - A) <= slack]
                stops = stops[np.abs(stops - B) <= slack]
            ramp = fit_ramp(
                shares, firsts, stops, start=start, shortest=SHORTEST_DISSOLVE, squares=rough
            )
            if ramp is None or ramp.stop - ramp.first > LONGEST_DISSOLVE:
                return None
            A = ramp.first - 1
            B = ramp.stop
            variance = self._find_variance(max(low, A - 7), A + 1)
            variance += self._find_variance(B, min(high, B + 8))
            weights = np.reciprocal(variance + MEASUREMENT_VARIANCE)
            t = (A + B) // 2
        return self._verify(ramp) if ramp else None

    def _estimate_shares(
        self, start: int, stop: int, A: int, B: int, weights: SmallPicture | None
    ) -> NDArray[np.float64]:
        """Return the shares of B in frames `start` .. `stop` - 1: (S_t - A) W D / (D W D)."""
        first = self.fine.get(A)
        D = self.fine.get(B) - first
        WD = D if weights is None else D * weights
        S = self.fine.span(start, stop) - first
        shares = S.reshape(len(S), -1) @ WD.ravel() / max(float(np.vdot(D, WD)), 1e-9)
        return shares.astype(np.float64)

    def _find_variance(self, first: int, stop: int) -> SmallPicture:
        """Return each pixel's variance over some frames of one shot."""
        variance: SmallPicture = self.fine.span(first, stop).var(0)
        return variance

    def _verify(self, ramp: Ramp) -> Dissolve | None:
        """Return the dissolve of this ramp if all that makes one holds."""
        measures = self._measure(ramp)
        if measures is None or not measures.show_dissolve():
            return None
        frames = np.arange(ramp.first, ramp.stop)
        return Dissolve(ramp.first, ramp.stop, tuple(ramp.levels(frames).tolist()))

    def _measure(self, ramp: Ramp) -> Measures | None:
        """Measure what tells a dissolve; None where no frame is in the middle of it."""
        frames = np.arange(ramp.first, ramp.stop)
        shares = ramp.levels(frames)
        middle = (shares > MIDDLE_SHARES[0]) & (shares < MIDDLE_SHARES[1])
        if not middle.any():
            return None
        frames = frames[middle]
        shares = shares[middle]
        before = self.coarse.get(ramp.first - 1)
        after = self.coarse.get(ramp.stop)
        D = after - before
        DD = max(float(np.vdot(D, D)), 1e-9)
        pictures = self.coarse.select(frames)
        mixtures = before + shares[:, None, None, None].astype(np.float32) * D
        off_line = float(np.mean(((pictures - mixtures) ** 2).sum((1, 2, 3))))
        relit = min(
            float(np.mean([relight(end, picture) for picture in pictures]))
            for end in (before, after)
        )
        new = relight(before, after)
        contrast = after - after.mean((0, 1))
        gradients_A = find_gradients(self.fine.get(ramp.first - 1))
        gradients_B = find_gradients(self.fine.get(ramp.stop))
        structure = correlate(gradients_A, gradients_B)
        V = np.array(self.roughness[frames[0] : frames[-1] + 1])
        V_A = self.roughness[ramp.first - 1]
        V_B = self.roughness[ramp.stop]
        C = structure * float(np.sqrt(V_A * V_B))
        chord = (1 - shares) * V_A + shares * V_B
        # (1 - a) V_A + a V_B less the equation's V.
        expected = shares * (1 - shares) * (V_A + V_B - 2 * C)
        return Measures(
            difference=float(np.sqrt(DD / D.size)),
            off_line=off_line / DD,
            sag=float((chord - V).sum() / max(expected.sum(), 1e-9)),
            structure=structure,
            light_ratio=off_line / max(relit, 1e-9),
            novelty=min(new, relight(after, before)) / DD,
            new_contrast=new / max(float(np.vdot(contrast, contrast)), 1e-9),
            ramp_error=ramp.error,
        )


def find_roughness(picture: SmallPicture) -> float:
    """Return V, the mean squared difference of neighbours."""
    gradients = find_gradients(picture)
    return float(np.vdot(gradients, gradients)) / gradients.size
