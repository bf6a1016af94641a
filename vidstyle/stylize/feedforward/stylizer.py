"""The stylisation of the frames of one render by the feed-forward network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vidstyle.frames import Frame, Motion, quantise
from vidstyle.motion.warp import warp_quick
from vidstyle.stylize import oklab
from vidstyle.stylize.engine import FrameCost, Observer, State, Step
from vidstyle.stylize.feedforward.network import Statistics, StyleNetwork
from vidstyle.stylize.feedforward.painter import (
    FoldedNetwork,
    NetworkStyle,
    adapt_network,
    blend_styles,
    collect_statistics,
    mix_statistics,
)
from vidstyle.stylize.feedforward.settings import FeedforwardSettings
from vidstyle.stylize.temporal import keep_static_pixels

TRANSITION_TRUST = 0.3
"""How far the previous frame is trusted while the mixture of styles changes: in full, the picture
keeps the shapes of the style that it has left."""

MEASURED_MIXTURES = 8
"""Steps from one style to another at whose ends the statistics are measured."""

TIMED_FRAMES = 3


class FeedforwardStylizer:
    """Stylises frames of one size in one style, or in blends of several.

    Args:
        base: the network before anything was learned.
        styles: in the order of a frame's mixture.
        samples: (b, 3, h, w), frames of the source, whose statistics stand for those of all; None:
            those of the first frame that is painted do.
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
        self.base = base
        self.styles = [style.to(device) for style in styles]
        self.samples = None if samples is None else samples.to(device)
        self.device = device
        self.dtype = dtype
        self.clock = clock
        self._measured: dict[tuple[float, ...], tuple[Statistics, Statistics]] = {}
        self._painters: tuple[tuple[float, ...], FoldedNetwork, FoldedNetwork] | None = None

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
        if self.samples is None:
            self.samples = frame.image[None]
        first, linked = self._prepare(frame.style.mixture, self.samples)
        source = self._matched(frame.image)
        if motion is None or state.image is None:
            state = State()
            image = first(source[None], None, None)[0]
            return self._finish(self._in_colour(image, frame.image), state, 1)
        motion = motion.to(self.device)
        previous = warp_quick(state.image.to(self.device), motion.flow_t_to_prev)
        mask = motion.mask * frame.temporal_strength
        mask = mask * (1 - (1 - TRANSITION_TRUST) * frame.style.transition)
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

    def _prepare(
        self, mixture: tuple[float, ...], samples: Tensor
    ) -> tuple[FoldedNetwork, FoldedNetwork]:
        """Return the networks of a mixture of styles: for first frames, and for linked ones."""
        count = len(self.styles)
        shares = mixture or (1 / count,) * count
        if self._painters is None or self._painters[0] != shares:
            style = blend_styles(self.styles, shares)
            network = adapt_network(self.base, style)
            first, linked = self._blend_statistics(shares, samples)
            folded = [
                FoldedNetwork(
                    network, style.numbers, known, self.dtype, has_previous=known is linked
                )
                for known in (first, linked)
            ]
            self._painters = (shares, folded[0], folded[1])
        return self._painters[1], self._painters[2]

    def _blend_statistics(
        self, shares: tuple[float, ...], samples: Tensor
    ) -> tuple[Statistics, Statistics]:
        """Return the statistics of a mixture. Those of two styles are measured at a few of their
        mixtures, and lie between these else: where one changes into the other, every frame has a
        mixture of its own.
        """
        used = [i for i, share in enumerate(shares) if share]
        if len(used) != 2:
            # Those of more styles are rare: rounded, they are few.
            return self._measure(round_shares(shares), samples)
        position = shares[used[1]] * MEASURED_MIXTURES
        before = min(int(position), MEASURED_MIXTURES - 1)
        around = []
        for step in (before, before + 1):
            share = step / MEASURED_MIXTURES
            mixture = [0.0] * len(shares)
            mixture[used[0]], mixture[used[1]] = 1 - share, share
            around.append(self._measure(tuple(mixture), samples))
        first, linked = (
            mix_statistics(one, other, position - before)
            for one, other in zip(*around, strict=True)
        )
        return first, linked

    def _measure(self, shares: tuple[float, ...], samples: Tensor) -> tuple[Statistics, Statistics]:
        """Measure the statistics of a mixture, once."""
        if shares not in self._measured:
            style = blend_styles(self.styles, shares)
            network = adapt_network(self.base, style)
            seen = [self._matched(image) for image in samples]
            self._measured[shares] = collect_statistics(network, style.numbers, seen, self.dtype)
        return self._measured[shares]

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


def round_shares(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Round the shares of a mixture to those of a few, 1 together."""
    rounded = [round(share * MEASURED_MIXTURES) for share in shares]
    return tuple(share / sum(rounded) for share in rounded) if sum(rounded) else shares
