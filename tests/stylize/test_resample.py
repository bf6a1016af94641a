"""Images change their size and their edges, and come back from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidstyle.stylize.resample import (
    CANVAS_MARGIN,
    add_margin,
    fit_style_image,
    remove_margin,
    resize,
)

Picture = Callable[..., Tensor]


def test_nothing_is_done_where_the_size_stays(picture: Picture) -> None:
    image = picture(20, 30)
    assert resize(image, (20, 30)) is image


@pytest.mark.parametrize("size", [(10, 15), (40, 60), (7, 90)])
def test_a_plain_image_stays_plain_at_every_size(size: tuple[int, int]) -> None:
    resized = resize(torch.full((3, 20, 30), 0.3), size)
    assert torch.allclose(resized, torch.full((3, *size), 0.3), atol=1e-6)


@pytest.mark.parametrize("margin", [0, 3, CANVAS_MARGIN])
def test_a_margin_mirrors_the_edge_and_is_cut_off_again(picture: Picture, margin: int) -> None:
    image = picture(20, 30)
    canvas = add_margin(image, margin)
    assert canvas.shape == (3, 20 + 2 * margin, 30 + 2 * margin)
    assert torch.equal(remove_margin(canvas, margin), image)
    if margin:
        assert torch.equal(canvas[:, margin - 1, margin:-margin], image[:, 1])


@pytest.mark.parametrize(
    ("given", "size", "options", "expected"),
    [
        ((100, 200), (100, 200), {}, (100, 200)),
        ((200, 400), (100, 200), {}, (100, 200)),
        ((200, 200), (100, 400), {}, (200, 200)),
        ((10, 20), (100, 200), {}, (20, 40)),
        ((100, 200), (100, 200), {"factor": 0.5}, (50, 100)),
        ((100, 200), (100, 200), {"style_scale": 1.5}, (150, 300)),
        ((100, 200), (100, 200), {"style_scale": 3.0}, (200, 400)),
        ((100, 200), (100, 200), {"factor": 0.1}, (16, 32)),
        ((100, 200), (100, 200), {"factor": 0.1, "min_side": 24}, (24, 48)),
    ],
)
def test_a_style_image_takes_the_area_of_the_frame_and_keeps_its_aspect(
    picture: Picture,
    given: tuple[int, int],
    size: tuple[int, int],
    options: dict[str, float],
    expected: tuple[int, int],
) -> None:
    fitted = fit_style_image(picture(*given), size, **options)  # type: ignore[arg-type]
    assert tuple(fitted.shape[1:]) == expected
