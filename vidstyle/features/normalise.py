"""The input convention of the feature networks: ImageNet's mean and standard deviation."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(image: Tensor) -> Tensor:
    """Normalise images (b, 3, h, w) RGB in [0, 1] by ImageNet's mean and standard deviation."""
    mean, std = normalisation_constants(image.dtype, image.device)
    return (image - mean) / std


@functools.cache
def normalisation_constants(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `MEAN` and `STD` as (1, 3, 1, 1), moved to the device once: each move would make the
    host wait for it.
    """
    mean, std = (torch.tensor(x, dtype=dtype, device=device).view(1, 3, 1, 1) for x in (MEAN, STD))
    return mean, std
