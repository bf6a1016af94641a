"""The style of paintings as terms of the objective: what of their features is matched (`kinds`), in
which layers, and how much of each; and, of several paintings, how much of each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.config.settings import RenderConfig
from vidstyle.config.weighted_names import MRF_LAYERS, parse_weights
from vidstyle.features.extractor import Extractor
from vidstyle.stylize.objective import Sums, Term, View, even, maps, sums
from vidstyle.stylize.style import kinds
from vidstyle.stylize.style.kinds import ADDITIVE, Matched, Part, itself, mixed
from vidstyle.stylize.style.mrf import Patches
from vidstyle.stylize.tiles import Tile

STRENGTH = {"mrf": 0.2}
"""What a weight of 1 means for terms whose distances lie elsewhere: a picture is further from the
nearest patches than from any statistics, and at the same weight little would be left of its
content."""

Target = Tensor | Patches


class LayerTerm:
    """The weighted mean over layers of their distances.

    Args:
        layers: {layer: how it is measured, and what its distance is}.
        shares: {layer: its weight}, of others too; they count in relation to one another.
        name: what it is called.
    """

    def __init__(
        self,
        weight: float,
        layers: Mapping[str, Part],
        shares: Mapping[str, float],
        name: str = "style",
    ) -> None:
        self.name = name
        self.weight, self.of, self.shares = (
            weight,
            layers,
            even({name: shares[name] for name in layers}),
        )

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.of)

    def sums(self, view: View) -> Sums:
        return [
            measure(view.maps[name], view.cells[name]) for name, (measure, _) in self.of.items()
        ]

    def __call__(self, image: Tensor, sums: Sums) -> Tensor:
        found = zip(sums, self.of.items(), strict=True)
        return torch.stack(
            [self.shares[name] * distance(s).to(image) for s, (name, (_, distance)) in found]
        ).mean()


class Painting:
    """What is known of a painting (1, 3, h, w) at one scale.

    Args:
        config: its style terms and layers, and their weights.
        tiles: how the painting's features are divided; None: they are computed all at once.
        regions: (k, H, W) of any size, how much of each pixel belongs to each region; None: it is
            all one.
    """

    def __init__(
        self,
        extractor: Extractor,
        image: Tensor,
        config: RenderConfig,
        tiles: Sequence[Tile] | None,
        regions: Tensor | None = None,
    ) -> None:
        size = (int(image.shape[2]), int(image.shape[3]))
        self.regions = (
            None if regions is None else F.interpolate(regions[None], size, mode="area")[0]
        )
        self.config, self.kinds, self.shares = (
            config,
            parse_weights(config.style_terms),
            parse_weights(config.style_layers),
        )
        self.targets = {kind: self.of_kind(kind, extractor, image, tiles) for kind in self.kinds}

    def layers(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name in self.shares if kind != "mrf" or name in MRF_LAYERS)

    @torch.no_grad()
    def of_kind(
        self, kind: str, extractor: Extractor, image: Tensor, tiles: Sequence[Tile] | None
    ) -> dict[str, Target]:
        """{layer: its target}."""
        layers = self.layers(kind)
        if kind in ADDITIVE and self.regions is None:
            measure, _ = ADDITIVE[kind]

            def measured(view: View) -> list[Tensor]:
                return [measure(view.maps[name], view.cells[name]) for name in layers]

            return dict(zip(layers, sums(extractor, image, layers, tiles, measured), strict=True))
        found = maps(extractor, image, layers, tiles)
        if kind == "mrf":
            coherence = self.config.mrf_coherence
            return {name: kinds.of_patches(f, coherence, self.regions) for name, f in found.items()}
        return {
            name: kinds.of_map(kind, self.seed(kind, name), f, self.regions)
            for name, f in found.items()
        }

    def seed(self, kind: str, name: str) -> int:
        """Of what a kind draws by lot for a layer, the same in whatever order the layers are
        named.
        """
        return sorted(self.layers(kind)).index(name)


class Mixture:
    """The style of one or more paintings, all with the same settings and regions, at one scale."""

    def __init__(self, paintings: Sequence[Painting]) -> None:
        self.paintings, self.config = paintings, paintings[0].config
        self.last: dict[tuple[str, str], tuple[tuple[float, ...], Part]] = {}

    def terms(self, regions: Tensor | None = None, shares: Sequence[float] = ()) -> list[Term]:
        """For one picture.

        Args:
            regions: (k, h, w), those of the paintings, in the same order.
            shares: how much each of the paintings counts, 1 together; none given: all the same.
        """
        mixture = tuple(shares) or (1 / len(self.paintings),) * len(self.paintings)
        return [
            LayerTerm(
                self.config.style_weight * STRENGTH.get(kind, 1) * weight,
                {
                    name: self.part(kind, name, mixture, regions)
                    for name in self.paintings[0].layers(kind)
                },
                self.paintings[0].shares,
                kind if len(self.paintings[0].kinds) > 1 else "style",
            )
            for kind, weight in self.paintings[0].kinds.items()
        ]

    def part(
        self, kind: str, name: str, mixture: tuple[float, ...], regions: Tensor | None
    ) -> Part:
        """One layer's part of a kind of term."""
        counted = [
            (share, of.targets[kind][name])
            for share, of in zip(mixture, self.paintings, strict=True)
            if share
        ]
        seed = self.paintings[0].seed(kind, name)
        if kind == "mrf":
            patches = [(share, target) for share, target in counted if isinstance(target, Patches)]
            return Matched(
                patches, bidirectional=self.config.mrf_bidirectional, regions=regions
            ), itself
        tensors = [(share, target) for share, target in counted if isinstance(target, Tensor)]
        if regions is not None:
            return kinds.regional(kind, seed, mixed(kind, tensors), regions)
        if (known := self.last.get((kind, name))) is None or known[0] != mixture:
            known = self.last[kind, name] = mixture, kinds.whole(kind, seed, mixed(kind, tensors))
        return known[1]
