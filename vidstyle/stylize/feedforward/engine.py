"""The engine that paints frames by a feed-forward network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vidstyle.features.extractor import PRECISION_DTYPES, STYLE_LAYERS, Extractor
from vidstyle.machine.device import Precision
from vidstyle.stylize import oklab
from vidstyle.stylize.engine import FrameWork, NetworkSource
from vidstyle.stylize.feedforward.conditioning import StyleReader
from vidstyle.stylize.feedforward.network import StyleNetwork
from vidstyle.stylize.feedforward.painter import NetworkStyle
from vidstyle.stylize.feedforward.settings import FeedforwardSettings
from vidstyle.stylize.feedforward.stylizer import FeedforwardStylizer
from vidstyle.stylize.resample import fit_style_image
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets

FEATURES = "lite"
"""The network whose maps styles are read from, and on which they are learned."""

PAINTER = "painter"
"""The weight file of the network and of the reader of styles."""

FRAME_BYTES = 420
"""For each pixel of a frame: the maps of the network, the frame and the images around it."""

MOTION_SIDE = 480
"""Pixels of the longer side, at most, at which motion is seen."""

LEARNING_BYTES = 10**9
"""What learning a style takes, at any size."""


@dataclass(frozen=True)
class FeedforwardEngine:
    """Paints every frame by one pass of a network.

    Args:
        precision: of the network.
        styles: as learned; none: they are read off the style images.
        samples: (b, 3, h, w), frames of the source, whose statistics stand for those of all; None:
            those of the first frame that is painted do.
    """

    settings: FeedforwardSettings
    precision: Precision
    styles: tuple[NetworkStyle, ...] = ()
    samples: Tensor | None = None

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the weight files that it reads."""
        return (FEATURES, PAINTER)

    @property
    def needs_motion(self) -> bool:
        """True where frames are linked."""
        return self.settings.is_linked

    @property
    def needs_detail(self) -> bool:
        """What matters in a frame was learned with the style."""
        return False

    @property
    def motion_side(self) -> int | None:
        """At full size the flow would take longer than the paint."""
        return MOTION_SIDE

    @property
    def multi_pass(self) -> bool:
        """A frame is painted once."""
        return False

    @property
    def tileable(self) -> bool:
        """It divides frames by itself."""
        return False

    def fingerprint_parts(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Name what frames depend on beyond the settings.

        Args:
            digests: {name of a network: sha256 of its weights}.
        """
        return {
            "style_weights": digests[FEATURES],
            "painter_weights": digests[PAINTER],
            "motion_side": MOTION_SIDE,
        }

    def memory(self, size: tuple[int, int], tile: int = 0) -> int:
        """Estimate the bytes that a frame of `size` (width, height) takes at most."""
        learning = LEARNING_BYTES if self.settings.learn_seconds else 0
        return max(FRAME_BYTES * size[0] * size[1], learning)

    def work(self, size: tuple[int, int], *, first: bool) -> FrameWork:
        """One pass of the network."""
        return FrameWork(1)

    def with_styles(
        self, styles: Sequence[NetworkStyle], samples: Tensor | None
    ) -> FeedforwardEngine:
        """Return the engine with styles that were learned, and perhaps frames of its source."""
        return replace(self, styles=tuple(styles), samples=samples)

    def build(
        self,
        networks: NetworkSource,
        style_images: Sequence[Tensor],
        size: tuple[int, int],
        device: torch.device,
        *,
        tile: int = 0,
        style_masks: Tensor | None = None,
    ) -> FeedforwardStylizer:
        """Put network and styles in place; see `stylize.engine.Engine.build`."""
        base, reader = build_networks(networks.weights(PAINTER), device)
        styles = self.styles
        if not styles:
            extractor = networks.network(FEATURES)
            styles = tuple(
                read_gram_style(extractor, reader, image.to(device), size[::-1], self.settings)
                for image in style_images
            )
        return FeedforwardStylizer(
            self.settings, base, styles, self.samples, device, PRECISION_DTYPES[self.precision]
        )


def build_networks(
    state: Mapping[str, Tensor], device: torch.device
) -> tuple[StyleNetwork, StyleReader]:
    """Build the network and the reader of styles from their weight file."""
    network, reader = StyleNetwork(), StyleReader()
    for module, prefix in ((network, "network."), (reader, "reader.")):
        own = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
        module.load_state_dict(own)
        module.requires_grad_(False).eval().to(device)
    return network.to(memory_format=torch.channels_last), reader


def measure_style(
    extractor: Extractor, image: Tensor, size: tuple[int, int], settings: FeedforwardSettings
) -> StyleImageTargets:
    """Measure a style image (3, H, W) for frames of `size` (h, w)."""
    if settings.luminance_only:
        image = oklab.to_grey(image)
    fitted = fit_style_image(image, size, style_scale=settings.style.scale)
    return StyleImageTargets(extractor, fitted[None], settings.style, None)


def read_gram_style(
    extractor: Extractor,
    reader: StyleReader,
    image: Tensor,
    size: tuple[int, int],
    settings: FeedforwardSettings,
) -> NetworkStyle:
    """Read a style off its image (3, H, W), whatever terms are asked for: it is where they are
    learned from.
    """
    plain = replace(settings, style=StyleSettings(scale=settings.style.scale))
    return read_style(reader, measure_style(extractor, image, size, plain))


@torch.no_grad()
def read_style(reader: StyleReader, measured: StyleImageTargets) -> NetworkStyle:
    """Read a style off what was measured of its image, without learning it."""
    grams = measured.targets["gram"]
    return NetworkStyle(reader({name: grams[name][None] for name in STYLE_LAYERS})[0].float())
