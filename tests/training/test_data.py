"""What the embedded features are trained on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from training import data
from training.data import Images, augment, mirrored, texture
from training.facets import faceted
from training.mosaics import tiled
from vidstyle.video.read import read_image

SIZE = 64


def test_crops_are_pictures_and_the_same_for_the_same_seed(folder: Path) -> None:
    for size in (32, 64, 128):
        images = Images(folder, size)
        for make in (
            images.any,
            images.style,
            images.content,
            images.collage,
            images.mosaic,
            images.facets,
            lambda rng, s=size: texture(rng, s),
        ):
            for seed in range(6):
                one, two = make(random.Random(seed)), make(random.Random(seed))
                assert one.shape == (3, size, size)
                assert 0 <= float(one.min()) <= float(one.max()) <= 1
                assert torch.equal(one, two)
    assert augment(torch.rand(3, 16, 16), random.Random(0)).shape == (3, 16, 16)


def test_tiles_have_the_colours_of_the_picture_where_they_lie() -> None:
    ramp = torch.linspace(0, 1, 96)
    picture = torch.stack([ramp.expand(96, 96), ramp.expand(96, 96).T, torch.zeros(96, 96)])  # x, y
    correlations = []
    for seed in range(12):
        mosaic = tiled(picture, random.Random(seed))
        correlations.append(torch.corrcoef(torch.cat([picture[:2], mosaic[:2]]).flatten(1))[:2, 2:])
        assert len(mosaic.flatten(1).unique(dim=1).T) < 96 * 96 / 2  # flat tiles
    own = torch.stack(correlations).median(0).values
    assert own.diagonal().min() > 0.6
    assert own.fliplr().diagonal().abs().max() < 0.2


def test_facets_are_smooth_inside_and_sharp_between() -> None:
    ramp = torch.linspace(0, 1, 96)
    picture = torch.stack([ramp.expand(96, 96), ramp.expand(96, 96).T, torch.full((96, 96), 0.5)])
    sharp = []
    for seed in range(12):
        image = faceted(picture, random.Random(seed))
        changes = image.diff(dim=2).abs().amax(0)
        assert (
            changes.median() < 0.04
        )  # all of the ramp that there is between two columns, or less, and shading
        sharp.append(bool(changes.max() > 0.25))
        grey = faceted(picture[:1].expand(3, -1, -1), random.Random(seed))
        assert torch.equal(grey[0], grey[1])
        assert torch.equal(grey[0], grey[2])  # no colour is added
    assert sum(sharp) >= 10


def test_the_shade_of_a_facet_turns_about_its_own_middle() -> None:
    grey = torch.full((3, 96, 96), 0.5)
    strayed = [
        float((faceted(grey, random.Random(seed)) - 0.5).abs().median()) for seed in range(24)
    ]
    assert (
        0.02 < sum(strayed) / 24 < 0.15
    )  # 0.23 about the picture's middle: most facets black or white


@pytest.mark.parametrize("length", [2, 5, 40])
def test_mirrored_indices_go_on_where_the_picture_ends(length: int) -> None:
    i = mirrored(1, 30, length)
    assert int(i[0]) == 1
    assert set(i.tolist()) <= set(range(length))
    assert set(i.diff().abs().tolist()) == {1}


def test_held_out_pictures_are_never_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(folder, SIZE)
    read: set[Path] = set()
    monkeypatch.setattr(
        data, "read_image", lambda path, error: (read.add(path), read_image(path, error))[1]
    )
    for make in (
        images.any,
        images.style,
        images.content,
        images.collage,
        images.mosaic,
        images.facets,
    ):
        for seed in range(12):
            make(random.Random(seed))
    assert len(read) > 4
    held_out = {path for pair in images.held_out for path in pair}
    assert held_out
    assert not held_out & read
    assert not {path for pair in images.held_out for path in pair} & {
        *images.photos,
        *images.paintings,
    }
