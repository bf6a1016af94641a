"""The targets of the small network: VGG-19's maps on their leading principal directions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.grams import gram, relative
from vidstyle.features.extractor import CONTENT_LAYERS, STYLE_LAYERS
from vidstyle.features.lite import RANKS
from vidstyle.machine.device import Precision
from vidstyle.rendering.models import load_network
from vidstyle.stylize.losses import TINY

HINTS = {"relu3_4": 96, "relu4_4": 192}
"""Maps that VGG-19's deeper ones are made of, and that nobody uses of the finished network: heads
that are dropped after training teach its trunk to hold them (after the hints of FitNets, Romero et
al. 2015).
"""

ENERGY = 9.0
"""The mean squared length of a pixel of VGG-19's maps, once scaled; the targets hold the part of it
that lies in the directions.
"""

ALL = (*RANKS, *HINTS)
"""Layers that have targets."""

PULLED = (*STYLE_LAYERS, *CONTENT_LAYERS)
"""Layers whose distances pull an image under way."""

Targets = dict[str, Tensor]
"""{layer: (rank, h', w')} for one image, in bf16."""


@dataclass(frozen=True)
class Lesson:
    """The targets of an image, and the direction in which the network should change it.

    Attributes:
        image: (3, h, w).
        targets: see `Targets`.
        pull: {layer: (rank, h', w')} in bf16: the gradient of a loss with respect to the targets,
            over the length of its gradient with respect to the image.
        gradient: (3, h, w), of unit length: the latter, by the teacher. Both are None where no loss
            was asked about.
    """

    image: Tensor
    targets: Targets
    pull: Targets | None = None
    gradient: Tensor | None = None


class Teacher:
    """VGG-19 with average pooling and replicate padding.

    Attributes:
        basis: {layer: (channels, rank)}, orthonormal columns times the scale that gives every map
            the same energy.
        emphasis: {layer: (rank, rank)}, weighs squared errors along a direction by the root of its
            energy. Gram matrices live off the strongest few (of relu5_1's 512, 16 hold 95 % of its
            Gram matrix's norm and 37 % of its energy); feature errors counted without it are mostly
            about the others. Content distances count all directions alike, and so do the errors of
            their layers.
    """

    def __init__(
        self, weights_dir: Path | None, device: torch.device, precision: Precision
    ) -> None:
        self.network = load_network(
            "vgg19", device=device, precision=precision, weights_dir=weights_dir
        )
        self.basis: dict[str, Tensor] = {}
        self.emphasis: dict[str, Tensor] = {}

    def find_directions(self, batches: Iterable[Tensor]) -> None:
        """Principal directions, uncentred: Gram matrices then keep as much of their energy as any
        projection can.
        """
        moments: dict[str, Tensor] = {}
        count = 0
        for batch in batches:
            count += 1
            with torch.no_grad():
                found = self.maps(batch)
            for name, maps in found.items():
                f = maps.permute(1, 0, 2, 3).flatten(1).double()  # (b, c, h, w) -> (c, bhw)
                moments[name] = moments.get(name, 0) + f @ f.T / f.shape[1]
        for name, moment in moments.items():
            rank = (RANKS | HINTS)[name]
            energies, directions = (
                x.flip(-1)[..., :rank] for x in torch.linalg.eigh(moment / count)
            )
            scale = (ENERGY / (moment / count).trace()).sqrt()
            self.basis[name] = (directions * scale).float().contiguous()
            power = 0.0 if name in CONTENT_LAYERS else 0.25
            self.emphasis[name] = (
                (energies / energies[0]).clamp_min(1e-12).pow(power).diag().float()
            )

    def turn(self, layer: str, rotation: Tensor) -> None:
        """Describe the space of a layer's directions in another basis; `rotation` is (rank,
        rank).
        """
        self.basis[layer] = self.basis[layer] @ rotation
        self.emphasis[layer] = self.emphasis[layer] @ rotation

    def maps(self, batch: Tensor, layers: Collection[str] = ALL) -> dict[str, Tensor]:
        """(b, 3, h, w) -> {layer: (b, c, h', w')} in fp32, c as in VGG-19."""
        return {name: f.float() for name, f in self.network(batch, layers).items()}

    def project(self, batch: Tensor, layers: Collection[str] = ALL) -> dict[str, Tensor]:
        """(b, 3, h, w) -> {layer: (b, rank, h', w')} in fp32."""
        maps = self.maps(batch, layers)
        return {
            name: torch.einsum("bchw,cr->brhw", f, self.basis[name]) for name, f in maps.items()
        }

    @torch.no_grad()
    def lessons(self, batch: Tensor) -> list[Lesson]:
        """Make the lessons of images (b, 3, h, w), without a gradient."""
        maps = self.project(batch)
        return [
            Lesson(image, {name: f[i].bfloat16() for name, f in maps.items()})
            for i, image in enumerate(batch)
        ]

    @torch.no_grad()
    def content_target(self, image: Tensor) -> Tensor:
        """Compute the target of relu4_2: (3, h, w) -> (rank, h', w') in bf16."""
        (target,) = self.project(image[None], CONTENT_LAYERS).values()
        return target[0].bfloat16()

    def pulled(
        self, batch: Tensor, styles: Sequence[Targets], contents: Tensor, weights: Tensor
    ) -> list[Lesson]:
        """Make the lessons of images (b, 3, h, w), each with the gradient of its distances to a
        style and a content.

        Args:
            styles: the targets of each image's style.
            contents: (b, rank, h', w'), see `content_target`.
            weights: (b, number of `PULLED`), for the distance at each layer.
        """
        x = batch.detach().requires_grad_()
        maps = self.project(x)
        asked = {name: maps[name] for name in PULLED}
        distances = [
            relative(gram(maps[name]), gram(torch.stack([style[name] for style in styles])))
            for name in STYLE_LAYERS
        ]
        distances.append(relative(maps["relu4_2"], contents.float()))
        loss = (torch.stack(distances, 1) * weights).sum()
        pulls = torch.autograd.grad(loss, list(asked.values()), retain_graph=True)
        (gradient,) = torch.autograd.grad(list(asked.values()), x, pulls)
        length = gradient.flatten(1).norm(dim=1).clamp_min(TINY).view(-1, 1, 1, 1)
        gradient = gradient / length
        pull = {name: (p / length).bfloat16() for name, p in zip(asked, pulls, strict=True)}
        return [
            Lesson(
                image.detach(),
                {name: f[i].detach().bfloat16() for name, f in maps.items()},
                {name: p[i] for name, p in pull.items()},
                gradient[i],
            )
            for i, image in enumerate(batch)
        ]
