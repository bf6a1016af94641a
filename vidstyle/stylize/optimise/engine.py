"""The engine that stylises frames by optimisation (Gatys et al. 2016, Ruder et al. 2016)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidstyle.machine.device import Precision
from vidstyle.stylize.engine import FrameWork, NetworkSource
from vidstyle.stylize.optimise.cost import TimeSource
from vidstyle.stylize.optimise.memory import estimate_memory, networks_of
from vidstyle.stylize.optimise.pyramid import count_refined_iterations, plan_scales
from vidstyle.stylize.optimise.scales import NamedNetwork
from vidstyle.stylize.optimise.settings import OptimiserSettings
from vidstyle.stylize.optimise.stylizer import Execution, OptimisingStylizer
from vidstyle.stylize.style.term import needs_whole_maps


@dataclass(frozen=True)
class OptimisingEngine:
    """Stylises every frame by minimising an objective over its pixels.

    Args:
        precision: of the features.
        device_type: cpu, cuda or mps.
        clock: measures the costs of frames.
    """

    settings: OptimiserSettings
    precision: Precision
    device_type: str
    clock: TimeSource = time.perf_counter

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the feature networks: the one of all iterations, and that of the refinement."""
        return networks_of(self.settings)

    @property
    def needs_motion(self) -> bool:
        """True where frames are linked."""
        return self.settings.reach > 0

    @property
    def needs_detail(self) -> bool:
        """True where what matters in a frame is held more strongly."""
        return self.settings.losses.detail_weight > 0 and not self.settings.texture

    @property
    def motion_side(self) -> int | None:
        """Motion is seen at full size."""
        return None

    @property
    def multi_pass(self) -> bool:
        """Its stylizer can revise frames."""
        return True

    @property
    def tileable(self) -> bool:
        """True where no style term looks at whole maps, and no edge at the opposite one."""
        settings = self.settings
        return not (needs_whole_maps(settings.style) or settings.tileable_texture)

    def fingerprint_parts(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Name what frames depend on beyond the settings.

        Args:
            digests: {name of a network: sha256 of its weights}.
        """
        name, *refinement = self.networks
        parts: dict[str, Any] = {
            "weights": digests[name],
            "polish_weights": digests[refinement[0]] if refinement else None,
        }
        if self.settings.losses.photorealism_weight:
            # Photorealistic frames were different before `guided_filter`, and no others were.
            parts["recolouring"] = "guided filter"
        return parts

    def memory(self, size: tuple[int, int], tile: int = 0) -> int:
        """Estimate the bytes that a frame of `size` (width, height) takes at most.

        Args:
            tile: side of the tiles that features are computed in; 0: of the whole frame at once.
        """
        return estimate_memory(self.settings, size, tile, self.precision, self.device_type)

    def work(self, size: tuple[int, int], *, first: bool) -> FrameWork:
        """Count the iterations of a frame of `size` (width, height), nothing of it disoccluded."""
        planned = plan_scales(self.settings.pyramid, size[::-1], first=first)
        refined = count_refined_iterations(self.settings.refinement_iterations, planned)
        return FrameWork(sum(scale.iterations for scale in planned), refined)

    def build(
        self,
        networks: NetworkSource,
        style_images: Sequence[Tensor],
        size: tuple[int, int],
        device: torch.device,
        *,
        tile: int = 0,
        style_masks: Tensor | None = None,
    ) -> OptimisingStylizer:
        """Put networks and style images in place, for frames of `size` (width, height).

        Args:
            style_images: each (3, H, W), any size; none where no style is asked for.
            tile: as in `memory`.
            style_masks: (k, h, w), how much of each pixel of the style image belongs to each of its
                regions, any size; None: all of it is one.
        """
        pooling = self.settings.pooling
        return OptimisingStylizer(
            self.settings,
            [NamedNetwork(name, networks.network(name, pooling)) for name in self.networks],
            style_images,
            size[::-1],
            Execution(device, tile, self.clock),
            style_masks,
        )
