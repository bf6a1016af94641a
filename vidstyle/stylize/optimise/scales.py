"""The scales of the frames of a render: their sizes, with networks and style targets in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from vidstyle.features.extractor import Extractor
from vidstyle.stylize.optimise.pyramid import scale_size
from vidstyle.stylize.optimise.schedule import Schedule
from vidstyle.stylize.resample import CANVAS_MARGIN, fit_style_image
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets
from vidstyle.stylize.style.term import smallest_style_side
from vidstyle.stylize.tiles import Tile, divide_into_tiles


@dataclass(frozen=True)
class NamedNetwork:
    """A feature network on its device, and its name."""

    name: str
    extractor: Extractor


@dataclass(frozen=True)
class Scale:
    """One level of the coarse-to-fine pyramid.

    Args:
        size: (h, w) of the frame.
        network: its features are matched.
        style: the targets of the style images; None where no style is asked for.
        tiles: the tiles of the canvas; None: features are computed all at once.
    """

    size: tuple[int, int]
    network: NamedNetwork
    style: StyleTargets | None
    tiles: Sequence[Tile] | None


@dataclass(frozen=True)
class Stage:
    """A part of the optimisation of a frame: a minimisation at one scale."""

    scale: Scale
    schedule: Schedule


@dataclass(frozen=True)
class ScaleBuilder:
    """Builds the scales of frames of one size.

    Args:
        style: the settings of the style loss; of weight 0 where no style is asked for.
        images: the style images, each (3, H, W).
        masks: (k, H, W), how much of each pixel of the style image belongs to each of its regions.
        size: (h, w) of the frames.
        tile: side of the tiles that features are computed in; 0: all at once.
        keeps_style_size: the style images keep their size whatever that of the frames is, as a
            texture does: there is more of it, not a larger one.
    """

    style: StyleSettings
    images: Sequence[Tensor]
    masks: Tensor | None
    size: tuple[int, int]
    tile: int
    keeps_style_size: bool

    def build(self, network: NamedNetwork, factor: float) -> Scale:
        """Build the scale at `factor` times the full size."""
        h, w = scale_size(self.size, factor)
        targets = []
        if self.style.weight:
            targets = [self._measure_style(network, image, factor) for image in self.images]
        style = StyleTargets(targets) if targets else None
        canvas = (h + 2 * CANVAS_MARGIN, w + 2 * CANVAS_MARGIN)
        return Scale((h, w), network, style, self._divide(network, canvas))

    def _measure_style(
        self, network: NamedNetwork, image: Tensor, factor: float
    ) -> StyleImageTargets:
        """Compute the targets of one style image."""
        own_size = (int(image.shape[1]), int(image.shape[2]))
        area = own_size if self.keeps_style_size else self.size
        min_side = smallest_style_side(self.style)
        small = fit_style_image(image, area, factor, self.style.scale, min_side)
        tiles = self._divide(network, small.shape[1:])
        return StyleImageTargets(network.extractor, small[None], self.style, tiles, self.masks)

    def _divide(self, network: NamedNetwork, size: Sequence[int]) -> Sequence[Tile] | None:
        """Divide an image of `size` (h, w) into tiles; None: it is computed all at once."""
        if not self.tile:
            return None
        tiles = divide_into_tiles(size, self.tile, network.extractor.halo)
        return tiles if len(tiles) > 1 else None
