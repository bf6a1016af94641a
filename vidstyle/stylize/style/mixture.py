"""Mixtures of the targets of several style images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def mix_at_equal_energy(
    targets: Sequence[tuple[float, Tensor]],
    energy: Callable[[Tensor], Tensor],
    rescale: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return the target that lies between those of several style images; a lone one itself.

    All are brought to the same energy first, or one of low contrast would hardly matter; the
    amplitude of the mixture lies between theirs as the features do. So a mixture that moves evenly
    moves the picture evenly.

    Args:
        targets: (share, target), the shares 1 together.
        energy: the mean of |F|^2 of a target, a scalar above 0, up to a factor that is the same
            for all.
        rescale: the target of features that are so many times as large.
    """
    if len(targets) == 1:
        return targets[0][1]
    amplitudes = [energy(target).sqrt() for _, target in targets]
    amplitude = torch.stack(
        [share * own for (share, _), own in zip(targets, amplitudes, strict=True)]
    ).sum()
    return torch.stack(
        [
            share * rescale(target, amplitude / own)
            for (share, target), own in zip(targets, amplitudes, strict=True)
        ]
    ).sum(0)
