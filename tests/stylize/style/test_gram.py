"""Gram matrices add up over tiles and are taken by region."""

from __future__ import annotations

import pytest
import torch

from tests.stylize.style.distances import draw_map
from vidstyle.stylize import losses
from vidstyle.stylize.style.gram import GramTerm, moments_energy, rescale_moments
from vidstyle.stylize.style.regions import Segmentation
from vidstyle.stylize.style.w2 import measure_moments


def test_the_target_is_the_gram_matrix_and_those_of_tiles_add_up_to_it() -> None:
    f = draw_map(h=8, w=8)
    term = GramTerm()
    whole = term.target(f, 64, None, seed=0)
    assert torch.equal(whole, losses.gram(f))
    parts = sum(term.target(part, 64, None, seed=0) for part in (f[..., :3], f[..., 3:]))
    assert torch.allclose(torch.as_tensor(parts), whole, rtol=1e-12)


def test_a_region_that_is_nowhere_takes_the_whole_gram_matrix() -> None:
    f = draw_map(h=8, w=8)
    masks = torch.zeros(3, 8, 8, dtype=f.dtype)
    masks[0, :, :3] = 1
    masks[1, :, 3:] = 1
    targets = GramTerm().target(f, 64, Segmentation(masks), seed=0)
    assert torch.allclose(targets[0], losses.gram(f[..., :3]))
    assert torch.allclose(targets[1], losses.gram(f[..., 3:]))
    assert torch.equal(targets[2], losses.gram(f))


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_rescaled_moments_are_those_of_features_so_many_times_as_large(factor: float) -> None:
    f = draw_map()
    for measure in (losses.gram, lambda x: measure_moments(x, 63)):
        rescaled = rescale_moments(measure(f), torch.tensor(factor))
        assert torch.allclose(rescaled, measure(factor * f))
        ratio = moments_energy(rescaled) / moments_energy(measure(f))
        assert float(ratio) == pytest.approx(factor**2)
