"""The loop of live pictures: the last one in, painted, out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.events import Stop, never_stop
from vidstyle.live.sinks import Sink
from vidstyle.live.sources import Shown
from vidstyle.stylize.feedforward.network import StyleNetwork
from vidstyle.stylize.feedforward.painter import (
    FoldedNetwork,
    NetworkStyle,
    adapt_network,
)
from vidstyle.stylize.feedforward.statistics import collect_statistics

STILL_DIFFERENCE = 6
"""Levels of 255 by which a smoothed pixel may change and still counts as at rest."""

STILL_SIGMA = 2.0

ADAPTATION_SECONDS = 10.0
"""From one measurement of the statistics to the next: light and scene change."""

KEPT_DELAYS = 1000
"""Delays of the last pictures, of which the median is told."""


@dataclass
class LiveReport:
    """What a session came to."""

    shown: int = 0
    dropped: int = 0
    seconds: float = 0.0
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_DELAYS))

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return self.shown / self.seconds if self.seconds else 0.0

    def text(self) -> str:
        """A line for the user."""
        delay = sorted(self.delays)[len(self.delays) // 2] if self.delays else 0.0
        return (
            f"{self.shown} pictures shown, {self.dropped} dropped, {self.rate:.1f} a second, "
            f"{1000 * delay:.0f} ms behind"
        )


class LivePainter:
    """Paints pictures one after the other; what does not move stays as it is painted."""

    def __init__(
        self,
        base: StyleNetwork,
        style: NetworkStyle,
        dtype: torch.dtype,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = next(base.parameters()).device
        self.network = adapt_network(base, style)
        self.style = style
        self.dtype = dtype
        self.clock = clock
        self.measured_at = float("-inf")
        self.painted: Tensor | None = None
        self.seen: NDArray[np.float32] | None = None
        """(H, W, 3), what each pixel was painted from."""

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Paint one picture (H, W, 3)."""
        image = torch.from_numpy(pixels).to(self.device).permute(2, 0, 1).float()[None] / 255
        if self.clock() - self.measured_at > ADAPTATION_SECONDS:
            self.measured_at = self.clock()
            known = collect_statistics(self.network, self.style.numbers, [image[0]], self.dtype)
            self.first, self.linked = (
                FoldedNetwork(
                    self.network,
                    self.style.numbers,
                    statistics,
                    self.dtype,
                    has_previous=has_previous,
                )
                for statistics, has_previous in ((known.first, False), (known.linked, True))
            )
        smoothed = cv2.GaussianBlur(pixels, (0, 0), STILL_SIGMA).astype(np.float32)
        if self.painted is None or self.seen is None or smoothed.shape != self.seen.shape:
            painted = self.first(image, None, None)
        else:
            is_still = np.abs(smoothed - self.seen).max(2) < STILL_DIFFERENCE
            # Compared with what it was painted from: what changes slowly changes in the end.
            smoothed = np.where(is_still[..., None], self.seen, smoothed)
            mask = torch.from_numpy(is_still.astype(np.float32)).to(self.device)[None, None]
            painted = self.linked(image, self.painted, mask)
        self.painted = painted
        self.seen = smoothed
        shown: NDArray[np.uint8] = (
            (painted[0] * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
        )
        return shown


def play(
    pictures: Iterable[Shown],
    painter: LivePainter,
    sink: Sink,
    stop: Stop = never_stop,
    clock: Callable[[], float] = time.monotonic,
) -> LiveReport:
    """Paint and show pictures until there are no more, or the user stops."""
    report = LiveReport()
    begun = clock()
    for shown in pictures:
        if stop():
            break
        try:
            sink.show(painter.paint(shown.pixels))
        except BrokenPipeError:
            # Whoever looked has gone.
            break
        report.shown += 1
        report.dropped = shown.index + 1 - report.shown
        report.delays.append(clock() - shown.at)
    report.seconds = clock() - begun
    return report
