"""The target of several style images lies between theirs, and none is lost in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.style.gram import GramTerm, moments_energy, rescale_moments
from vidstyle.stylize.style.histogram import HistogramTerm
from vidstyle.stylize.style.mixture import mix_at_equal_energy
from vidstyle.stylize.style.sliced import SlicedTerm, quantile_energy
from vidstyle.stylize.style.w2 import NormalTerm

Energy = Callable[[Tensor], Tensor]
Rescale = Callable[[Tensor, Tensor], Tensor]

MOMENTS = (moments_energy, rescale_moments)
QUANTILES = (quantile_energy, torch.mul)


@pytest.mark.parametrize(
    ("term", "rules", "tolerance"),
    [
        (GramTerm(), MOMENTS, 1e-6),
        (NormalTerm(), MOMENTS, 1e-6),
        # Of two shapes of distributions the mean has a little less than either.
        (SlicedTerm(), QUANTILES, 0.05),
        (HistogramTerm(), QUANTILES, 0.05),
    ],
)
def test_a_mixture_has_an_energy_between_and_a_faint_style_image_matters_as_much(
    term: GramTerm | NormalTerm | SlicedTerm, rules: tuple[Energy, Rescale], tolerance: float
) -> None:
    energy, rescale = rules
    generator = torch.Generator().manual_seed(3)
    strong = torch.rand(1, 4, 8, 8, generator=generator, dtype=torch.float64)
    other = torch.rand(1, 4, 8, 8, generator=generator, dtype=torch.float64)
    first, second, as_strong = (
        term.target(features, 64, None, seed=0) for features in (strong, 0.1 * other, other)
    )
    middle = mix_at_equal_energy([(0.5, first), (0.5, second)], energy, rescale)
    amplitudes = [float(energy(target).sqrt()) for target in (first, middle, second)]
    assert amplitudes[1] == pytest.approx((amplitudes[0] + amplitudes[2]) / 2, rel=tolerance)
    unscaled = mix_at_equal_energy([(0.5, first), (0.5, as_strong)], energy, rescale)
    factor = (energy(middle) / energy(unscaled)).sqrt()
    assert torch.allclose(rescale(unscaled, factor), middle)


def test_a_lone_target_is_its_own_mixture() -> None:
    target = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    assert mix_at_equal_energy([(1.0, target)], moments_energy, rescale_moments) is target
