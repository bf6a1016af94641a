"""What the benchmark of the picture measures is what it says."""

from __future__ import annotations

import pytest
import torch

from benchmarks.picture import compare_edge, fine_colour, gram, ring, structure_map


def test_structure_is_where_edges_are() -> None:
    image = torch.full((3, 64, 96), 0.2)
    image[:, :, 48:] = 0.8
    found = structure_map(image)
    assert found.shape == (64, 96)
    assert float(found[:, 46:50].min()) > 0.6
    assert float(found[:, :24].max()) < 0.1
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


def test_fine_colour_is_of_colour_alone_and_grows_with_its_square() -> None:
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    checks = (2.0 * ((x + y) % 2) - 1)[None]
    grey = torch.full((3, 32, 32), 0.5)
    colour = torch.tensor([1.0, -0.5, -0.5]).view(3, 1, 1)
    assert fine_colour(grey + 0.02 * checks) < 1e-3
    weak, strong = (fine_colour(grey + k * colour * checks) for k in (0.02, 0.04))
    assert strong / weak == pytest.approx(4, rel=0.2)


def test_rings_are_as_wide_as_they_say_at_every_stride() -> None:
    for step in (1, 2, 4):
        maps = torch.zeros(1, 2, 64 // step, 96 // step)
        outer = ring(maps, 64, 0, 16)
        inner = ring(maps, 64, 16, 32)
        assert not (outer & inner).any()
        assert bool((outer | inner).all())
        assert int(inner.sum()) == (32 // step) * (64 // step)


def test_a_gram_matrix_of_some_positions_is_that_of_a_map_of_them_alone() -> None:
    maps = torch.rand(1, 4, 6, 8, generator=torch.Generator().manual_seed(1))
    kept = torch.zeros(6, 8, dtype=torch.bool)
    kept[:, :3] = True
    assert torch.allclose(gram(maps, kept), gram(maps[..., :3].contiguous()))


def test_an_edge_is_compared_with_what_lies_next_to_it() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = torch.rand(1, 4, 128, 160, generator=generator)
    target = {"relu1_1": gram(maps) * 1.5}
    assert compare_edge({"relu1_1": maps}, 128, target) == pytest.approx(1, abs=0.1)
    spoiled = maps.clone()
    spoiled[:, :, :16] = 0
    assert compare_edge({"relu1_1": spoiled}, 128, target) > 1.5
    assert compare_edge({"relu1_1": spoiled[:, :, 32:]}, 96, target) == pytest.approx(1, abs=0.1)
