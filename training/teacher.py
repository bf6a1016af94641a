"""What the small network is to say: VGG-19's maps on their leading principal directions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.device import Precision
from vidstyle.stylize import features
from vidstyle.stylize.features.lite import RANKS

HINTS = {"relu3_4": 96, "relu4_4": 192}
"""Maps that no one asks of the finished network, but that VGG-19's deeper ones are made of: heads that are dropped
after training ask its trunk for them (after the hints of FitNets, Romero et al. 2015)."""

ENERGY = 9.0
"""Mean squared length of a pixel of VGG-19's maps, once scaled; the targets hold what the directions hold of it."""

Targets = dict[str, Tensor]
"""{layer: (rank, h', w')} for one image, in bf16."""

Lesson = tuple[Tensor, Targets]
"""What the network reads, and what it is to say."""


class Teacher:
    """VGG-19 with average pooling and replicate padding.

    Attributes:
        basis: {layer: (channels, rank)}, orthonormal columns times the scale that gives every map the same energy.
        emphasis: {layer: (rank, rank)}, weighs squared errors along a direction by the root of its energy. Gram
            matrices live off the strongest few (of relu5_1's 512, 16 hold 95 % of its Gram matrix's norm and 37 % of
            its energy); feature errors counted without it are mostly about the others.
    """

    def __init__(self, weights_dir: Path | None, device: torch.device, precision: Precision) -> None:
        self.network = features.load("vgg19", device=device, precision=precision, weights_dir=weights_dir)
        self.basis: dict[str, Tensor] = {}
        self.emphasis: dict[str, Tensor] = {}

    def find_directions(self, batches: Iterable[Tensor]) -> None:
        """Principal directions, uncentred: Gram matrices then keep as much of their energy as any projection can."""
        moments: dict[str, Tensor] = {}
        count = 0
        for batch in batches:
            count += 1
            for name, maps in self.maps(batch).items():
                f = maps.permute(1, 0, 2, 3).flatten(1).double()  # (b, c, h, w) -> (c, bhw)
                moments[name] = moments.get(name, 0) + f @ f.T / f.shape[1]
        for name, moment in moments.items():
            rank = (RANKS | HINTS)[name]
            energies, directions = (x.flip(-1)[..., :rank] for x in torch.linalg.eigh(moment / count))
            scale = (ENERGY / (moment / count).trace()).sqrt()
            self.basis[name] = (directions * scale).float().contiguous()
            self.emphasis[name] = (energies / energies[0]).clamp_min(0).pow(0.25).diag().float()

    def turn(self, layer: str, rotation: Tensor) -> None:
        """Describe the space of a layer's directions in another basis; `rotation` is (rank, rank)."""
        self.basis[layer] = self.basis[layer] @ rotation
        self.emphasis[layer] = self.emphasis[layer] @ rotation

    @torch.no_grad()
    def maps(self, batch: Tensor) -> dict[str, Tensor]:
        """(b, 3, h, w) -> {layer: (b, c, h', w')} in fp32, c as in VGG-19."""
        return {name: f.float() for name, f in self.network(batch, (*RANKS, *HINTS)).items()}

    def targets(self, batch: Tensor) -> list[Targets]:
        """Of each of the images (b, 3, h, w)."""
        maps = {
            name: torch.einsum("bchw,cr->brhw", f, self.basis[name]).bfloat16() for name, f in self.maps(batch).items()
        }
        return [{name: f[i] for name, f in maps.items()} for i in range(len(batch))]
