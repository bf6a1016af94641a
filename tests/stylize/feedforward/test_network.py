"""The network's normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from vidstyle.stylize.feedforward.network import LEAST_VARIANCE, InstanceNorm


def test_instance_normalisation_and_its_gradient_are_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 3 + 2 * torch.randn(2, 4, 9, 7, generator=generator)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    gain, offset = torch.randn(2, 2, 4, generator=generator).requires_grad_()
    weights = torch.randn(2, 4, 9, 7, generator=generator)
    own = InstanceNorm.apply(x, gain, offset)
    normal = F.instance_norm(x, eps=LEAST_VARIANCE)
    torchs = normal * gain[:, :, None, None] + offset[:, :, None, None]
    torch.testing.assert_close(own, torchs, rtol=1e-4, atol=1e-5)
    for one, other in zip(
        *(torch.autograd.grad((y * weights).sum(), (x, gain, offset)) for y in (own, torchs)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
