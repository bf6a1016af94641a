"""The histogram term moves each position to the target's value of its rank."""

from __future__ import annotations

import torch

from tests.stylize.style.distances import by_histogram, draw_map
from vidstyle.stylize.style.histogram import HistogramTerm
from vidstyle.stylize.style.sliced import SlicedTerm


def test_the_histogram_loss_pulls_each_pixel_to_the_target_value_of_its_rank() -> None:
    f, p = draw_map().requires_grad_(), draw_map(seed=1)
    (gradient,) = torch.autograd.grad(by_histogram(f, p), f)
    rank = f.detach().flatten(2).argsort().argsort()
    remapped = p.flatten(2).sort().values.gather(2, rank).view_as(f)
    assert torch.allclose(
        gradient, 2 * (f.detach() - remapped) / p.square().sum(), rtol=1e-9, atol=1e-12
    )


def test_it_compares_every_channel_by_itself() -> None:
    f = draw_map(3, 8, 8)
    turned = torch.cat([f[:, :1], f[:, 1:2].flip(-1), f[:, 2:].flip(-2)], 1)
    distances = []
    for term in (HistogramTerm(), SlicedTerm()):
        loss = term.loss(term.mix([(1.0, term.target(f, 64, None, 0))]), None, 0)
        distances.append(float(loss.distance(loss.measure(turned, 64))))
    assert distances[0] < 1e-3 < distances[1]
