"""Style images as terms of the objective: the targets of every style term in every layer, and the
mixtures of those of several style images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.features.extractor import Extractor
from vidstyle.stylize.losses import fine_colour_energy
from vidstyle.stylize.objective import (
    Sums,
    Term,
    View,
    compute_maps,
    normalise_weights,
    sum_features,
)
from vidstyle.stylize.style.regions import Segmentation
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.term import (
    LayerLoss,
    StyleTerm,
    create_style_terms,
    select_layers,
)
from vidstyle.stylize.tiles import Tile


class StyleLoss:
    """A style term of the objective: the weighted mean over layers of their distances.

    Args:
        name: of the term.
        layers: {layer: its loss}.
        layer_weights: {layer: its weight}, of others too; they count in relation to one another.
    """

    def __init__(
        self,
        name: str,
        weight: float,
        layers: Mapping[str, LayerLoss],
        layer_weights: Mapping[str, float],
    ) -> None:
        self.name = name
        self.weight = weight
        self.losses = layers
        self.layer_weights = normalise_weights({layer: layer_weights[layer] for layer in layers})

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.losses)

    def sums(self, view: View) -> Sums:
        return [
            loss.measure(view.maps[layer], view.positions[layer])
            for layer, loss in self.losses.items()
        ]

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        distances = [
            self.layer_weights[layer] * loss.distance(measured).to(image)
            for measured, (layer, loss) in zip(sums, self.losses.items(), strict=True)
        ]
        return torch.stack(distances).mean()


class StyleImageTargets:
    """The targets of one style image, (1, 3, h, w), at one scale: `targets[term][layer]`.

    Args:
        tiles: how the style image's features are divided; None: they are computed all at once.
        masks: (k, H, W) of any size, how much of each pixel belongs to each region; None: it is
            all one.
    """

    def __init__(
        self,
        extractor: Extractor,
        image: Tensor,
        settings: StyleSettings,
        tiles: Sequence[Tile] | None,
        masks: Tensor | None = None,
    ) -> None:
        self.settings = settings
        self.fine_colour_energy = float(fine_colour_energy(image))
        self.terms = create_style_terms(settings)
        segmentation = None
        if masks is not None:
            size = (int(image.shape[2]), int(image.shape[3]))
            segmentation = Segmentation(F.interpolate(masks[None], size, mode="area")[0])
        self.targets = {
            name: self.measure(term, extractor, image, tiles, segmentation)
            for name, term in self.terms.items()
        }

    @torch.no_grad()
    def measure(
        self,
        term: StyleTerm,
        extractor: Extractor,
        image: Tensor,
        tiles: Sequence[Tile] | None,
        masks: Segmentation | None,
    ) -> dict[str, Any]:
        """Measure {layer: its target} of a term."""
        seeds = choose_seeds(term, self.settings)

        def measure_view(view: View) -> list[Any]:
            return [
                term.target(view.maps[layer], view.positions[layer], masks, seed)
                for layer, seed in seeds.items()
            ]

        if term.additive and masks is None:
            targets = sum_features(extractor, image, tuple(seeds), tiles, measure_view)
        else:
            whole = compute_maps(extractor, image, tuple(seeds), tiles)
            positions = {layer: f.shape[2] * f.shape[3] for layer, f in whole.items()}
            targets = measure_view(View(whole, positions))
        return dict(zip(seeds, targets, strict=True))


def choose_seeds(term: StyleTerm, settings: StyleSettings) -> dict[str, int]:
    """Return the layers that a term compares, in the order of the settings, each with the seed of
    what the term draws at random for it: the same in whatever order the layers are named.
    """
    layers = select_layers(term, settings.layers)
    ordered = sorted(layers)
    return {layer: ordered.index(layer) for layer in layers}


class StyleTargets:
    """The style of one or more style images, all with the same settings and regions, at one
    scale.
    """

    def __init__(self, style_images: Sequence[StyleImageTargets]) -> None:
        self.style_images = style_images
        self.settings = style_images[0].settings
        self.style_terms = style_images[0].terms
        self._mixed: dict[tuple[str, str], tuple[tuple[float, ...], Any]] = {}

    def terms(self, masks: Tensor | None = None, mixture: Sequence[float] = ()) -> list[Term]:
        """Return the terms of the objective for one picture.

        Args:
            masks: (k, h, w), how much of each pixel belongs to each region, in the order of the
                style images' regions; None where those have none.
            mixture: the shares of the style images, 1 together; none given: all the same.
        """
        count = len(self.style_images)
        shares = tuple(mixture) or (1 / count,) * count
        segmentation = None if masks is None else Segmentation(masks)
        settings = self.settings
        terms: list[Term] = []
        for name, term in self.style_terms.items():
            layers = {
                layer: term.loss(self.mix(name, layer, shares), segmentation, seed)
                for layer, seed in choose_seeds(term, settings).items()
            }
            weight = settings.weight * term.strength * settings.terms[name]
            shown_name = name if len(self.style_terms) > 1 else "style"
            terms.append(StyleLoss(shown_name, weight, layers, settings.layers))
        return terms

    def fine_colour_energy(self, mixture: Sequence[float] = ()) -> float:
        """Return the energy of colour's finest octave (`losses.fine_colour_energy`).

        Args:
            mixture: as in `terms`.
        """
        count = len(self.style_images)
        shares = tuple(mixture) or (1 / count,) * count
        pairs = zip(shares, self.style_images, strict=True)
        return sum(share * one.fine_colour_energy for share, one in pairs)

    def mix(self, name: str, layer: str, shares: tuple[float, ...]) -> Any:
        """Return the mixed target of a term in a layer; the last one is kept."""
        known = self._mixed.get((name, layer))
        if known is not None and known[0] == shares:
            return known[1]
        targets = [
            (share, own.targets[name][layer])
            for share, own in zip(shares, self.style_images, strict=True)
            if share
        ]
        mixed = self.style_terms[name].mix(targets)
        self._mixed[name, layer] = (shares, mixed)
        return mixed
