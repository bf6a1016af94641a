from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from vidstyle.errors import StyleError
from vidstyle.features.figures import LONG_SIDE, MAP_STRIDE, FigureFinder, seen_size
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image
from vidstyle.weights.fetch import fetch_weights, load_weights


@pytest.fixture(scope="module")
def finder() -> FigureFinder:
    head, digest = load_weights("figures")
    return FigureFinder(load_weights("lite")[0], head, digest)


@pytest.fixture
def photo(shared: Path) -> PhotoReader:
    return PhotoReader(shared / "photos")


class PhotoReader:
    """Reads photographs by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Tensor:
        return read_image(self.folder / f"{name}.jpg", StyleError)


def part(maps: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """Average both maps over a box (top, left, bottom, right) in shares of the sides."""
    height, width = maps.shape[1:]
    top, left, bottom, right = box
    rows = slice(int(top * height), int(bottom * height))
    return maps[:, rows, int(left * width) : int(right * width)].mean((1, 2))


@pytest.mark.parametrize("size", [(360, 640), (144, 176), (40, 900), (900, 40), (512, 512)])
def test_the_maps_have_the_size_that_the_aspect_gives(
    finder: FigureFinder, size: tuple[int, int]
) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    maps = finder(image)
    rows, columns = seen_size(*size)
    assert max(rows, columns) == LONG_SIDE
    assert maps.shape == (2, rows // MAP_STRIDE, columns // MAP_STRIDE)
    assert not maps.requires_grad
    assert 0 <= float(maps.min()) <= float(maps.max()) <= 1


def test_a_tiny_picture_is_enlarged_no_more_than_there_is_in_it() -> None:
    assert seen_size(64, 96) == (192, 288)


def test_the_same_picture_gives_the_same_maps_and_is_left_as_it_is(finder: FigureFinder) -> None:
    image = torch.rand(3, 288, 512, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    assert torch.equal(finder(image), finder(image))
    assert torch.equal(image, before)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_nothing_is_found_in_an_empty_picture(finder: FigureFinder, grey: float) -> None:
    maps = finder(torch.full((3, 360, 640), grey))
    assert float(maps[0].mean()) < 0.1
    assert float(maps[1].max()) < 0.2


def test_the_head_was_trained_on_the_lite_that_is_shipped() -> None:
    with safe_open(fetch_weights("figures").path, "pt") as file:
        card = json.loads(file.metadata()["card"])
    assert card["lite"] == fetch_weights("lite").digest


def test_children_are_found_before_a_wall(finder: FigureFinder, shared: Path) -> None:
    source = probe(shared / "clips" / "bedroom_960x540.mp4")
    image = next(read(source, (640, 360))).image
    maps = finder(image)
    girl = part(maps, (0.22, 0.38, 0.5, 0.46))
    boy = part(maps, (0.4, 0.2, 0.7, 0.27))
    wall = part(maps, (0.27, 0.58, 0.52, 0.76))
    assert float(min(girl[0], boy[0])) > 0.5
    assert float(wall[0]) < 0.1
    faces = [part(maps, (0.06, 0.39, 0.2, 0.45)), part(maps, (0.27, 0.25, 0.38, 0.3))]
    assert float(min(face[1] for face in faces)) > 0.2
    assert float(wall[1]) < 0.02


def test_a_cats_face_is_found_before_its_background(
    finder: FigureFinder, photo: PhotoReader
) -> None:
    maps = finder(photo("chelsea_cat"))
    face = part(maps, (0.2, 0.25, 0.9, 0.75))
    background = part(maps, (0.0, 0.9, 0.6, 1.0))
    assert float(face[0]) > 1.3 * float(background[0])
    assert float(face[1]) > 2 * float(background[1])


@pytest.mark.parametrize("name", ["chicago", "tubingen_neckarfront", "taj_mahal", "golden_gate"])
def test_houses_hold_few_figures(finder: FigureFinder, photo: PhotoReader, name: str) -> None:
    maps = finder(photo(name))
    assert float(maps[0].mean()) < 0.12
    assert float(maps[1].mean()) < 0.03
