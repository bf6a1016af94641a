"""The engine that paints frames by a network, and then optimises each a little: the network has the
large shapes at once, the optimiser its strokes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vidstyle.frames import Frame, Motion
from vidstyle.stylize.engine import (
    FrameCost,
    FrameWork,
    NetworkSource,
    Observer,
    ShotSamples,
    State,
    Step,
)
from vidstyle.stylize.feedforward.engine import FeedforwardEngine
from vidstyle.stylize.feedforward.painter import NetworkStyle
from vidstyle.stylize.feedforward.stylizer import FeedforwardStylizer
from vidstyle.stylize.optimise.engine import OptimisingEngine
from vidstyle.stylize.optimise.stylizer import OptimisingStylizer


@dataclass(frozen=True)
class BalancedEngine:
    """Paints by `painter`, and goes on with `optimiser` from there."""

    painter: FeedforwardEngine
    optimiser: OptimisingEngine

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the weight files that it reads."""
        return tuple(dict.fromkeys((*self.optimiser.networks, *self.painter.networks)))

    @property
    def needs_motion(self) -> bool:
        """True where frames are linked."""
        return self.painter.needs_motion

    @property
    def needs_detail(self) -> bool:
        """True where what matters in a frame is held more strongly."""
        return self.optimiser.needs_detail

    @property
    def motion_side(self) -> int | None:
        """Motion is seen at full size, as by the optimiser."""
        return None

    @property
    def multi_pass(self) -> bool:
        """A frame is made once."""
        return False

    @property
    def tileable(self) -> bool:
        """True where the features of a frame can be computed tile by tile."""
        return self.optimiser.tileable

    def fingerprint_parts(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Name what frames depend on beyond the settings.

        Args:
            digests: {name of a network: sha256 of its weights}.
        """
        return {
            **self.painter.fingerprint_parts(digests),
            **self.optimiser.fingerprint_parts(digests),
            "motion_side": self.motion_side,
        }

    def memory(self, size: tuple[int, int], tile: int = 0) -> int:
        """Estimate the bytes that a frame of `size` (width, height) takes at most."""
        return max(self.painter.memory(size), self.optimiser.memory(size, tile))

    def work(self, size: tuple[int, int], *, first: bool) -> FrameWork:
        """Count the iterations of a frame after it was painted, all of them at full size."""
        settings = self.optimiser.settings
        pyramid = settings.pyramid
        iterations = pyramid.first_iterations if first else pyramid.iterations
        return FrameWork(iterations, min(iterations, settings.refinement_iterations))

    def with_styles(self, styles: Sequence[NetworkStyle], samples: Tensor | None) -> BalancedEngine:
        """Return the engine with styles that were learned, and perhaps frames of its source."""
        return replace(self, painter=self.painter.with_styles(styles, samples))

    def build(
        self,
        networks: NetworkSource,
        style_images: Sequence[Tensor],
        size: tuple[int, int],
        device: torch.device,
        *,
        tile: int = 0,
        style_masks: Tensor | None = None,
    ) -> BalancedStylizer:
        """Put networks and styles in place; see `stylize.engine.Engine.build`."""
        return BalancedStylizer(
            self.painter.build(networks, style_images, size, device),
            self.optimiser.build(networks, style_images, size, device, tile=tile),
        )


class BalancedStylizer:
    """Stylises frames by a network, and then by a few iterations."""

    def __init__(self, painter: FeedforwardStylizer, optimiser: OptimisingStylizer) -> None:
        self.painter = painter
        self.optimiser = optimiser
        self.device = painter.device

    def begin_shot(self, samples: ShotSamples) -> None:
        """Take frames of the shot whose frames come next."""
        self.painter.begin_shot(samples)

    def step(
        self,
        state: State,
        frame: Frame,
        motion: Motion | None,
        observer: Observer | None = None,
    ) -> Step:
        """Stylise one frame; see `stylize.engine.Stylizer.step`."""
        painted = self.painter.step(state, frame, motion)
        if not painted.iterations:
            return painted
        linked = state if motion is not None else State()
        return self.optimiser.refine(linked, frame, motion, painted.image)

    def cost(self, frame: Frame, linked_iterations: float | None = None) -> FrameCost:
        """Measure what frames cost, on one of the source."""
        painting = self.painter.cost(frame)
        optimising = self.optimiser.cost(frame, linked_iterations)
        pyramid = self.optimiser.settings.pyramid
        more = pyramid.first_iterations / max(1.0, linked_iterations or pyramid.iterations)
        return FrameCost(
            painting.first + optimising.linked * more, painting.linked + optimising.linked
        )
