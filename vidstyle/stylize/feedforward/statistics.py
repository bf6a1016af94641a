"""What the normalisations of the network divide by: the statistics of frames of a shot, which stay
the same, or change slowly, from one of its frames to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vidstyle.stylize.feedforward.network import Statistics, StyleNetwork, pool_moments
from vidstyle.stylize.feedforward.painter import (
    NetworkStyle,
    adapt_network,
    blend_styles,
    extend,
)
from vidstyle.stylize.temporal import finest_octave

SAMPLED_PIXELS = 2**20
"""Pixels of a frame whose statistics are measured."""

NEW_SHARE = 0.15
"""The share of a frame that has no past while its statistics are measured."""

MEASURED_MIXTURES = 8
"""Steps from one style to another at whose ends the statistics are measured."""

KEPT_SAMPLES = 6
"""Samples whose statistics are kept: those that a frame, and the next one, is normalised by."""

SampleSource = Callable[[], Sequence[Tensor]]
"""Gives the images of a sample, each (3, h, w)."""


class SampleStatistics(NamedTuple):
    """What a sample tells of the frames around it.

    Args:
        first, linked: the statistics of a frame without a previous image, and with one.
        fine_energy: of what is painted of the sample, see `measure_fine_energy`.
    """

    first: Statistics
    linked: Statistics
    fine_energy: float


class StatisticsSource:
    """Measures the statistics of mixtures of styles on samples, each once while it is of use.

    Args:
        base: the network before anything was learned.
        dtype: of the convolutions.
    """

    def __init__(
        self, base: StyleNetwork, styles: Sequence[NetworkStyle], dtype: torch.dtype
    ) -> None:
        self.base = base
        self.styles = styles
        self.dtype = dtype
        self._images: dict[int, Sequence[Tensor]] = {}
        self._measured: dict[int, dict[tuple[float, ...], SampleStatistics]] = {}

    def forget(self) -> None:
        """Forget all samples."""
        self._images.clear()
        self._measured.clear()

    def adapt(self, shares: tuple[float, ...]) -> tuple[StyleNetwork, Tensor]:
        """Make the network of a mixture, and its gains and offsets."""
        style = blend_styles(self.styles, shares)
        return adapt_network(self.base, style), style.numbers

    def measure(
        self, shares: tuple[float, ...], number: int, images: SampleSource
    ) -> SampleStatistics:
        """Return the statistics of a mixture on a sample. Those of two styles are measured at a few
        of their mixtures, and lie between these else: where one changes into the other, every frame
        has a mixture of its own.

        Args:
            number: of the sample.
        """
        used = [i for i, share in enumerate(shares) if share]
        if len(used) != 2:
            # Those of more styles are rare: rounded, they are few.
            return self._measure(round_shares(shares), number, images)
        position = shares[used[1]] * MEASURED_MIXTURES
        before = min(int(position), MEASURED_MIXTURES - 1)
        around = []
        for step in (before, before + 1):
            share = step / MEASURED_MIXTURES
            mixture = [0.0] * len(shares)
            mixture[used[0]], mixture[used[1]] = 1 - share, share
            around.append(self._measure(tuple(mixture), number, images))
        weights = (before + 1 - position, position - before)
        return mix_samples(around, weights)

    def _measure(
        self, shares: tuple[float, ...], number: int, images: SampleSource
    ) -> SampleStatistics:
        """Measure the statistics of a mixture on a sample, once."""
        # The last one that was of use is the last one to go, whichever way the shot is painted.
        self._images[number] = self._images.pop(number, ()) or images()
        for old in list(self._images)[:-KEPT_SAMPLES]:
            del self._images[old]
            self._measured.pop(old, None)
        known = self._measured.setdefault(number, {})
        if shares not in known:
            network, numbers = self.adapt(shares)
            known[shares] = collect_statistics(network, numbers, self._images[number], self.dtype)
        return known[shares]


def round_shares(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Round the shares of a mixture to those of a few, 1 together."""
    rounded = [round(share * MEASURED_MIXTURES) for share in shares]
    return tuple(share / sum(rounded) for share in rounded) if sum(rounded) else shares


@torch.no_grad()
def collect_statistics(
    network: StyleNetwork, numbers: Tensor, frames: Sequence[Tensor], dtype: torch.dtype
) -> SampleStatistics:
    """Measure what the normalisations see of frames, each (3, h, w): without a previous image, and
    with the one that they would have if nothing moved and a part of them were new.

    Args:
        dtype: of the convolutions.
    """
    style = numbers[None].to(frames[0].device)
    seen: tuple[list[Statistics], list[Statistics]] = ([], [])
    energies = []
    for frame in frames:
        image = extend(crop_middle(frame)[None])
        mask = torch.zeros_like(image[:, :1])
        first, linked = Statistics(), Statistics()
        with torch.autocast(frame.device.type, dtype, enabled=dtype != torch.float32):
            painted = network(image, torch.full_like(image, 0.5), mask, style, first)
            network(image, painted, partial_mask(mask), style, linked)
        seen[0].append(first)
        seen[1].append(linked)
        energies.append(measure_fine_energy(painted[0].float()))
    fine_energy = sum(energies) / len(energies)
    return SampleStatistics(pool_statistics(seen[0]), pool_statistics(seen[1]), fine_energy)


def measure_fine_energy(image: Tensor) -> float:
    """Return the mean square of the finest octave of the lightness of an image (3, h, w)."""
    return float(finest_octave(image.mean(0, keepdim=True)).square().mean())


def partial_mask(like: Tensor) -> Tensor:
    """Return a mask (1, 1, h, w) of a frame of which a part is new, as of most frames: where all is
    trusted the mask has no variance, and a pixel without a past would be far off.
    """
    mask = torch.ones_like(like)
    mask[..., : round(NEW_SHARE * like.shape[3])] = 0
    return mask


def pool_statistics(each: Sequence[Statistics]) -> Statistics:
    """Pool the statistics of several frames, as if they were one."""
    layers = zip(*(one.values for one in each), strict=True)
    return Statistics(
        [pool_moments(*torch.stack(list(layer)).unbind(1)) for layer in layers]  # (b, 2, c)
    )


def mix_samples(samples: Sequence[SampleStatistics], shares: Sequence[float]) -> SampleStatistics:
    """Mix what samples tell by shares that add up to 1."""
    energy = sum(share * sample.fine_energy for share, sample in zip(shares, samples, strict=True))
    return SampleStatistics(
        mix_statistics([sample.first for sample in samples], shares),
        mix_statistics([sample.linked for sample in samples], shares),
        energy,
    )


def mix_statistics(known: Sequence[Statistics], shares: Sequence[float]) -> Statistics:
    """Mix statistics by shares that add up to 1."""
    if len(known) == 1:
        return known[0]
    layers = zip(*(one.values for one in known), strict=True)
    return Statistics(
        [
            torch.stack([share * x for share, x in zip(shares, layer, strict=True)]).sum(0)
            for layer in layers
        ]
    )


def crop_middle(frame: Tensor) -> Tensor:
    """Cut out of a large frame (3, h, w) the middle, of `SAMPLED_PIXELS` at most."""
    height, width = frame.shape[1:]
    share = min(1.0, (SAMPLED_PIXELS / (height * width)) ** 0.5)
    h, w = (max(1, int(n * share)) for n in (height, width))
    top, left = (height - h) // 2, (width - w) // 2
    return frame[:, top : top + h, left : left + w]
