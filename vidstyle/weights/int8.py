"""Weights in 8 bits: half the size of fp16, so twice the network in the same package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SCALE_SUFFIX = ".scale"


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights (o, ...) as int8 with one fp32 scale (o,) for each output channel, under
    `name.scale`, and biases in fp16.

    A weight moves by a quarter of a percent of its channel's largest one, root mean square.
    """
    import torch

    packed: dict[str, Tensor] = {}
    for name, x in state.items():
        if x.ndim < 2:
            packed[name] = x.half()
            continue
        rows = x.flatten(1).float()
        scale = rows.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
        packed[name] = (rows / scale[:, None]).round().to(torch.int8).view_as(x)
        packed[name + SCALE_SUFFIX] = scale
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state that was packed, its weights in fp32, and a state that never was as it is.

    Raises:
        ValueError: a scale is missing, or of another shape. As they are, the integers would load,
            and mean something else.
    """
    import torch

    state = {}
    for name, x in packed.items():
        if x.dtype == torch.int8:
            if name + SCALE_SUFFIX not in packed:
                raise ValueError(f"{name} has 8 bits and no scale")
            scale = packed[name + SCALE_SUFFIX]
            if scale.shape != x.shape[:1]:
                raise ValueError(f"{name} has {len(x)} channels and a scale of another shape")
            state[name] = (x.flatten(1).float() * scale[:, None]).view_as(x)
        elif not name.endswith(SCALE_SUFFIX):
            state[name] = x
    return state
