"""Feature extractors behind one protocol: an image and layer names in, a dict of maps out.

Layer names are VGG-19's (`relu1_1` .. `relu5_1`) whatever the network; a smaller network has fewer
channels under the same names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from vidstyle.machine.device import Precision

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYERS = ("relu4_2",)

PRECISION_DTYPES: dict[Precision, torch.dtype] = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
}
"""fp16 needs no scaled loss: the objective is a sum over pixels, so no pixel's gradient is tiny,
and the largest values of both networks stay far below its end."""

STRIDE = 16
"""Pixels that a position of the coarsest map covers, a side. Tiles begin at multiples of it, where
positions begin too.
"""


def stride(name: str) -> int:
    """Return the pixels that a position of a layer's map covers, a side: relu3_1 -> 4."""
    return int(2 ** (int(name[4]) - 1))


def position_count(name: str, size: Sequence[int]) -> int:
    """Return the number of positions in a layer's map for a picture of `size` (h, w)."""
    return (size[0] // stride(name)) * (size[1] // stride(name))


class Extractor(Protocol):
    """A feature extractor."""

    digest: str
    """sha256 of the weights; part of a render's fingerprint."""

    halo: int
    """Pixels around a position of any map that its value may depend on, a multiple of `STRIDE`."""

    def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Compute {layer: (b, c, h', w')} of images (b, 3, h, w) RGB in [0, 1], only as deep as the
        deepest layer asked for.
        """
        ...


class Network:
    """A feature network on its device: frozen, channels_last, its weights and maps in the precision
    the device is fast at. It takes `module` over; autocast would convert the weights again at every
    call.
    """

    def __init__(
        self, module: nn.Module, digest: str, device: torch.device, precision: Precision
    ) -> None:
        dtype = PRECISION_DTYPES[precision]
        self.module = (
            module.eval()
            .requires_grad_(False)
            .to(device, dtype)
            .to(memory_format=torch.channels_last)
        )
        self.digest = digest
        self.device = device
        self.precision = precision
        self.halo = halo(module.depths)  # type: ignore[arg-type]

    def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = self.module(
            image.contiguous(memory_format=torch.channels_last), layers
        )
        return maps


def halo(depths: Sequence[int]) -> int:
    """Return the pixels around a position that a network sees.

    Args:
        depths: the number of 3x3 convolutions of each stage, each at half the resolution of the one
            before; every convolution sees 1 pixel of its own resolution farther.
    """
    reach: int = sum(depth << stage for stage, depth in enumerate(depths))
    return -(-reach // STRIDE) * STRIDE


def network_halo(name: str) -> int:
    """Return the halo of the network called `name`, without its weights."""
    from vidstyle.features import lite, vgg19

    return halo(lite.Lite.depths if name == "lite" else vgg19.VGG19.depths)


def build_network(
    name: str,
    state: Mapping[str, Tensor],
    digest: str,
    *,
    pooling: str = "average",
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> Network:
    """Build the network called `name` (lite, vgg19) from its weights.

    Args:
        state: the tensors of `weights.fetch.load_weights`.
        digest: sha256 of the file that they were read from.
        pooling: average or max, of vgg19.
    """
    module: nn.Module
    if name == "lite":
        from vidstyle.features.lite import Lite

        module = Lite()
    else:
        from vidstyle.features.vgg19 import VGG19

        module = VGG19(pooling)
    module.load_state_dict(state)
    return Network(module, digest, torch.device(device), precision)
