"""The stylisation of the frames of one render by the feed-forward network."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vidstyle.frames import Frame, Motion, quantise
from vidstyle.motion.warp import warp_quick
from vidstyle.stylize import oklab
from vidstyle.stylize.engine import FrameCost, Observer, ShotSamples, State, Step
from vidstyle.stylize.feedforward.painter import FoldedNetwork, NetworkStyle
from vidstyle.stylize.feedforward.settings import FeedforwardSettings
from vidstyle.stylize.feedforward.statistics import (
    SampleSource,
    StatisticsSource,
    crop_middle,
    measure_fine_energy,
    mix_samples,
)
from vidstyle.stylize.temporal import damp_finest_octave, keep_static_pixels

if TYPE_CHECKING:
    from vidstyle.stylize.feedforward.network import StyleNetwork

FOLLOWED_SAMPLES = 4
"""Samples of a shot by which its frames are normalised. With the two around a frame colours changed
as samples came and went: in 300 frames, without links, by 4 of 255 (`benchmarks/RESULTS.md`)."""

TRANSITION_TRUST = 0.6
"""How far the previous frame is trusted while the mixture of styles changes: in full, the picture
keeps the shapes of the style that it has left."""

MASK_GAIN = 2.0
"""The factor of the mask where it falls off: as the weight of a loss a soft edge is careful, as the
share of two pictures it makes both pale. With it the warping error of bedroom x munch fell by a
fifth (`benchmarks/RESULTS.md`)."""

MEAN_DAMPING = 0.005
"""The part of the lightness of the finest octave that a warp takes away while it is as strong as in
a picture without a past."""

DAMPING_GAIN = 0.06
"""How much more is taken away where it is twice as strong. With the same part in every frame, a
camera that went forth and back had lost a quarter of its gradient energy after 300 frames, and had
it again after 600; without any it had four times as much (`benchmarks/RESULTS.md`)."""

MAX_DAMPING = 0.04
"""As much as the optimiser takes, whose iterations bring strokes back."""

COLOUR_DAMPING_RATIO = 3.0
"""Of what is taken away of colour to what is of lightness."""

LEAST_FINE_ENERGY = 1e-8
"""A picture that has less is plain."""

TIMED_FRAMES = 3


class FeedforwardStylizer:
    """Stylises frames of one size in one style, or in blends of several.

    Args:
        base: the network before anything was learned.
        styles: in the order of a frame's mixture.
        samples: (b, 3, h, w), frames of the source, whose statistics stand for those of all while
            no shot has begun; None: those of the first frame that is painted do.
        dtype: of weights and maps.
    """

    def __init__(
        self,
        settings: FeedforwardSettings,
        base: StyleNetwork,
        styles: Sequence[NetworkStyle],
        samples: Tensor | None,
        device: torch.device,
        dtype: torch.dtype,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = settings
        self.styles = [style.to(device) for style in styles]
        self.device = device
        self.dtype = dtype
        self.clock = clock
        self.statistics = StatisticsSource(base, self.styles, dtype)
        self._film = None if samples is None else [self._seen(image) for image in samples]
        self._shot: ShotSamples = {}
        self._adapted: tuple[tuple[float, ...], StyleNetwork, Tensor] | None = None
        self._painters: tuple[tuple[Any, ...], FoldedNetwork, FoldedNetwork, float] | None = None

    def begin_shot(self, samples: ShotSamples) -> None:
        """Take frames of the shot whose frames come next: their statistics stand for those of the
        frames around them.
        """
        self._shot = dict(sorted(samples.items()))
        self.statistics.forget()
        self._painters = None

    def step(
        self,
        state: State,
        frame: Frame,
        motion: Motion | None,
        observer: Observer | None = None,
    ) -> Step:
        """Stylise one frame; see `stylize.engine.Stylizer.step`."""
        frame = frame.to(self.device)
        if motion is not None and state.image is not None and motion.all_static:
            return self._finish(state.image.to(self.device), state, 0)
        first, linked, fine_energy = self._prepare(frame)
        source = self._matched(frame.image)
        if motion is None or state.image is None:
            state = State()
            image = first(source[None], None, None)[0]
            return self._finish(self._in_colour(image, frame.image), state, 1)
        motion = motion.to(self.device)
        flow = motion.flow_t_to_prev
        warped = warp_quick(state.image.to(self.device), flow)
        damping = choose_damping(warped, fine_energy)
        previous = damp_finest_octave(warped, flow, damping, COLOUR_DAMPING_RATIO * damping)
        mask = firm_mask(motion) * frame.temporal_strength
        mask = mask.clamp(max=1) * (1 - (1 - TRANSITION_TRUST) * frame.style.transition)
        image = linked(source[None], self._matched(previous)[None], mask[None])[0]
        image = self._in_colour(image, frame.image)
        image = keep_static_pixels(image, previous, motion)
        return self._finish(image, state, 1)

    def cost(self, frame: Frame, linked_iterations: float | None = None) -> FrameCost:
        """Measure what frames cost, on one of the source."""
        frame = frame.to(self.device)
        first = self.step(State(), frame, None)
        zero = frame.image.new_zeros((2, *frame.image.shape[1:]))
        motion = Motion(zero, torch.ones_like(zero[:1]))

        def measure(state: State, link: Motion | None) -> float:
            times = []
            for _ in range(TIMED_FRAMES):
                begun = self.clock()
                self.step(state, frame, link)
                times.append(self.clock() - begun)
            return sorted(times)[TIMED_FRAMES // 2]

        return FrameCost(measure(State(), None), measure(first.state, motion))

    def _prepare(self, frame: Frame) -> tuple[FoldedNetwork, FoldedNetwork, float]:
        """Return the networks for a frame that is the first of its shot, and for one that is
        linked, and how strong the finest octave of its picture should be.
        """
        count = len(self.styles)
        shares = frame.style.mixture or (1 / count,) * count
        around = self._samples_around(frame)
        key = (shares, *((position, share) for position, _, share in around))
        if self._painters is None or self._painters[0] != key:
            network, numbers = self._adapt(shares)
            each = [self.statistics.measure(shares, at, seen) for at, seen, _ in around]
            known = mix_samples(each, [share for _, _, share in around])
            first, linked = (
                FoldedNetwork(network, numbers, statistics, self.dtype, has_previous=has_previous)
                for statistics, has_previous in ((known.first, False), (known.linked, True))
            )
            self._painters = (key, first, linked, known.fine_energy)
        return self._painters[1:]

    def _samples_around(self, frame: Frame) -> list[tuple[int, SampleSource, float]]:
        """Choose the samples whose statistics stand for a frame's: the number of each, what gives
        its images, and its share; together the shares are 1.
        """
        if not self._shot:
            if self._film is None:
                self._film = [self._seen(frame.image)]
            film = self._film
            return [(-1, lambda: film, 1.0)]
        shares = share_samples(list(self._shot), frame.index)
        return [(at, self._sample_source(at), share) for at, share in shares.items()]

    def _sample_source(self, index: int) -> SampleSource:
        """Return what gives a sample of the shot."""
        return lambda: [crop_middle(self._seen(image)).clone() for image in self._shot[index]()]

    def _adapt(self, shares: tuple[float, ...]) -> tuple[StyleNetwork, Tensor]:
        """Return the network of a mixture, and its gains and offsets."""
        if self._adapted is None or self._adapted[0] != shares:
            self._adapted = (shares, *self.statistics.adapt(shares))
        return self._adapted[1], self._adapted[2]

    def _seen(self, image: Tensor) -> Tensor:
        """Return what the network sees of a frame of the source (3, H, W), on its device."""
        return self._matched(image.to(self.device))

    def _matched(self, image: Tensor) -> Tensor:
        """Return what the network sees of an image (3, H, W)."""
        return oklab.to_grey(image) if self.settings.luminance_only else image

    def _in_colour(self, image: Tensor, source: Tensor) -> Tensor:
        """Give an image the colours of the source where those are kept."""
        if self.settings.luminance_only:
            return oklab.keep_source_colours(image, source)
        return image

    def _finish(self, image: Tensor, state: State, iterations: int) -> Step:
        """Round an image to what its file holds."""
        image = quantise(image)
        reach = int(self.settings.is_linked)
        return Step(image, state.followed_by(image, reach), iterations)


def share_samples(indices: Sequence[int], at: int) -> dict[int, float]:
    """Return the shares, together 1, that samples of a shot have in what a frame is normalised by:
    as much for each of the last `FOLLOWED_SAMPLES`, of which the oldest goes while the next comes.

    Args:
        indices: of the samples, in order.
        at: index of the frame.
    """
    after = bisect.bisect_right(indices, at)
    before = max(0, after - 1)
    weights = dict.fromkeys(indices[max(0, before + 1 - FOLLOWED_SAMPLES) : before + 1], 1.0)
    if 0 < after < len(indices):
        share = (at - indices[before]) / (indices[after] - indices[before])
        if len(weights) == FOLLOWED_SAMPLES:
            weights[min(weights)] = 1 - share
        weights[indices[after]] = share
    total = sum(weights.values())
    return {index: weight / total for index, weight in weights.items() if weight}


def choose_damping(warped: Tensor, fine_energy: float) -> float:
    """Choose the part of the lightness of the finest octave that is taken away of a picture
    (3, H, W), so that it stays as strong as `fine_energy` says.
    """
    ratio = measure_fine_energy(crop_middle(warped)) / max(fine_energy, LEAST_FINE_ENERGY)
    return min(MAX_DAMPING, max(0.0, MEAN_DAMPING + DAMPING_GAIN * (ratio - 1)))


def firm_mask(motion: Motion) -> Tensor:
    """Return the mask of a link (1, H, W) with `MASK_GAIN`; what fades away, fades as before."""
    hold = 1.0 if motion.hold is None else motion.hold.clamp_min(1e-3)
    return (MASK_GAIN * motion.mask / hold).clamp(max=1) * hold
