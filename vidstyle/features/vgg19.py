"""VGG-19 up to relu5_2 (Simonyan & Zisserman 2014), the reference features.

It departs from the original in two things that leave its weights as they are: average pooling by
default, as Gatys et al. recommend, and replicate padding, so that no rim of zeros shows at a
frame's edges.
"""

from __future__ import annotations

from collections.abc import Collection

import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.features.normalise import normalise
from vidstyle.features.padding import rectify_pad, replicate_pad
from vidstyle.weights.registry import VGG19_STAGES, vgg19_shapes

VGG19_LAYERS = tuple(
    f"relu{i}_{j}" for i, (_, depth) in enumerate(VGG19_STAGES, 1) for j in range(1, depth + 1)
)
"""relu1_1 .. relu5_2, one for each convolution."""


class VGG19(nn.Module):
    """The convolutions under torchvision's names, `features.0` .. `features.30`, and a pooling
    between the stages.

    Args:
        pooling: average or max.
    """

    depths = tuple(depth for _, depth in VGG19_STAGES)

    def __init__(self, pooling: str = "average") -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2) if pooling == "average" else nn.MaxPool2d(2)
        # A dict and not a Sequential: the numbers of torchvision's ReLUs and poolings stay free.
        self.features = nn.ModuleDict()
        for key, shape in vgg19_shapes().items():
            if key.endswith(".weight"):
                self.features[key.split(".")[1]] = nn.Conv2d(shape[1], shape[0], 3)

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Compute {layer: (b, c, h', w')} of images (b, 3, h, w) RGB in [0, 1], as deep as the
        layers ask for.
        """
        if unknown := set(layers) - set(VGG19_LAYERS):
            raise ValueError(
                f"vgg19 has no layer {', '.join(sorted(unknown))}: {', '.join(VGG19_LAYERS)}"
            )
        maps: dict[str, Tensor] = {}
        if not layers:
            return maps
        convolutions = self.features.values()
        x = replicate_pad(normalise(image).to(next(self.parameters()).dtype))
        for name, following, convolution in zip(
            VGG19_LAYERS, (*VGG19_LAYERS[1:], ""), convolutions, strict=True
        ):
            x = convolution(x)
            last = following.endswith("_1")
            if name in layers:
                maps[name] = x = F.relu(x, inplace=True)
                if len(maps) == len(set(layers)):
                    break
                x = replicate_pad(self.pool(x) if last else x)
            elif last:
                x = self.pool(F.relu(x, inplace=True))
                x = replicate_pad(x)  # (b, c, h // 2, w // 2) -> (b, c, h // 2 + 2, w // 2 + 2)
            else:
                x = rectify_pad(x)
        return maps
