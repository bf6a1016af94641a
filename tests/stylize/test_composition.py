"""The finished frame from the paint: each step is the inverse of what the film does."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.films import texture
from vidstyle.stylize.composition import fade_to_colour, light_as, mix_layers, undo_fade

COLOURS = [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.9, 0.4, 0.0)]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("gain", [0.15, 0.4, 0.99, 1.0])
def test_a_fade_that_is_undone_gives_the_image_back(gain: float, colour: tuple[float, ...]) -> None:
    image = texture(1)
    faded = fade_to_colour(image, gain, colour)
    torch.testing.assert_close(undo_fade(faded, gain, colour), image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_fade_goes_from_the_colour_to_the_image(colour: tuple[float, ...]) -> None:
    image = texture(1)
    assert torch.equal(fade_to_colour(image, 1.0, colour), image)
    flat = fade_to_colour(image, 0.0, colour)
    assert torch.equal(flat, torch.tensor(colour).view(3, 1, 1).expand_as(image))


@pytest.mark.parametrize("shares", [(1.0,), (0.25, 0.75), (0.5, 0.3, 0.2)])
def test_a_mixture_of_an_image_with_itself_is_the_image_and_no_share_is_lost(
    shares: tuple[float, ...],
) -> None:
    image = texture(1)
    torch.testing.assert_close(mix_layers([(image, share) for share in shares]), image)
    others = [texture(seed) for seed in range(len(shares))]
    mixed = mix_layers(list(zip(others, shares, strict=True)))
    expected = sum(share * one for one, share in zip(others, shares, strict=True))
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.5, 0.1), (1.2, 0.05), (1.6, 0.2)])
def test_the_light_of_a_flash_is_put_onto_the_paint(gain: float, offset: float) -> None:
    """Also where the flash has cut off much of the frame."""
    source = texture(1)
    paint = 0.8 * texture(2)
    lit = light_as(paint, source, (gain * source + offset).clamp(0, 1))
    expected = (gain * paint + offset).clamp(0, 1)
    torch.testing.assert_close(lit, expected, rtol=0, atol=1e-4)


def test_where_a_flash_leaves_nothing_but_white_the_paint_is_white() -> None:
    source = texture(1)
    assert bool((light_as(texture(2), source, torch.ones_like(source)) == 1).all())
