"""The optimiser's own objective for the pictures of a network, so that both engines mean the same
by every weight.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.features.extractor import Extractor
from vidstyle.stylize.objective import Maps, Objective, Term
from vidstyle.stylize.optimise.settings import DETAIL_LAYERS, LossSettings
from vidstyle.stylize.optimise.terms import (
    FINE_COLOUR_SHARE,
    ContentTerm,
    FineColourTerm,
    TemporalTerm,
    TotalVariationTerm,
)
from vidstyle.stylize.style.targets import StyleTargets


@dataclass(frozen=True)
class Sample:
    """A frame that a network has painted, with what it is compared to.

    Args:
        frame: the source, (3, h, w).
        detail: (1, h, w) in [0, 1], how much each pixel matters.
        warped: (3, h, w), the previous stylised frame along the flow.
        mask: (1, h, w) in [0, 1], where it can be trusted.
        style: the targets of its style.
    """

    frame: Tensor
    detail: Tensor
    warped: Tensor
    mask: Tensor
    style: StyleTargets


def note_values(values: dict[str, float], _: Tensor, terms: Mapping[str, Tensor]) -> None:
    """Note down the values of an evaluation's terms."""
    values.update({name: float(value) for name, value in terms.items()})


class KnownMaps:
    """An extractor whose maps of one picture are there already: those of a batch are computed
    together.
    """

    def __init__(self, extractor: Extractor, maps: Maps) -> None:
        self.digest = extractor.digest
        self.halo = extractor.halo
        self.maps = maps

    def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Return the maps of these layers."""
        return {name: self.maps[name] for name in layers}


def split_maps(maps: Maps) -> list[dict[str, Tensor]]:
    """Split the maps of a batch into those of each picture, (1, c, h', w')."""
    count = len(next(iter(maps.values())))
    return [{name: f[i : i + 1] for name, f in maps.items()} for i in range(count)]


class NetworkObjective:
    """The mean of the objective over the pictures of a batch.

    Args:
        largest: the value from which on a picture counts no more than that: one style that is far
            off must not rule a step.
    """

    def __init__(
        self, extractor: Extractor, losses: LossSettings, style_weight: float, largest: float
    ) -> None:
        self.extractor = extractor
        self.losses = losses
        self.style_weight = style_weight
        self.largest = largest

    def __call__(
        self, images: Tensor, samples: Sequence[Sample]
    ) -> tuple[Tensor, list[dict[str, float]]]:
        """Compute a scalar with a gradient, and the values of each picture's terms.

        Args:
            images: (b, 3, h, w), what the network made of the samples.
        """
        losses = self.losses
        detail_layers = DETAIL_LAYERS if losses.detail_weight else {}
        content_layers = tuple(dict.fromkeys((*losses.content_layers, *detail_layers)))
        frames = torch.stack([sample.frame for sample in samples])
        with torch.no_grad():
            targets = split_maps(self.extractor(frames, content_layers))
        terms = [self.terms(*pair) for pair in zip(samples, targets, strict=True)]
        layers = dict.fromkeys(name for own in terms for term in own for name in term.layers)
        maps = split_maps(self.extractor(images, tuple(layers)))
        total = images.new_zeros(())
        shown: list[dict[str, float]] = []
        for image, own, seen in zip(torch.split(images, 1), terms, maps, strict=True):
            values: dict[str, float] = {}
            note = functools.partial(note_values, values)
            objective = Objective(KnownMaps(self.extractor, seen), own, on_evaluation=note)
            value = objective(image)
            excess = value.detach() / self.largest
            total = total + value / excess.clamp_min(1)
            shown.append(values)
        return total / len(samples), shown

    def terms(self, sample: Sample, maps: Maps) -> list[Term]:
        """Collect the terms of one picture, from the maps of its frame."""
        losses = self.losses
        grain = FINE_COLOUR_SHARE * self.style_weight
        terms: list[Term] = [
            *sample.style.terms(),
            FineColourTerm(grain, sample.style.fine_colour_energy()),
            ContentTerm(
                losses.content_weight,
                {name: maps[name] for name in losses.content_layers},
                losses.content_layers,
            ),
            TotalVariationTerm(losses.total_variation_weight),
        ]
        if losses.detail_weight:
            targets = {name: maps[name] for name in DETAIL_LAYERS}
            terms.append(ContentTerm(losses.detail_weight, targets, DETAIL_LAYERS, sample.detail))
        if bool((sample.mask > 0).any()):
            terms.append(
                TemporalTerm(
                    losses.temporal_weight, sample.warped, sample.mask, losses.temporal_norm
                )
            )
        return terms
