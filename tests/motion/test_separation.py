"""Two shots of a dissolve are taken apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.films import Shift, shifted, texture
from vidstyle.motion.edit import Dissolve
from vidstyle.motion.flow import DIS
from vidstyle.motion.separation import separate_dissolve

FIRST = 1


def taken_apart(
    a: list[Tensor], b: list[Tensor], flow: object, *, is_incoming: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """The wanted shot of a dissolve over all but the first and the last frame, and how it is."""
    length = len(a) - 2
    shares = tuple((i + 1) / (length + 1) for i in range(length))
    dissolve = Dissolve(FIRST, FIRST + length, shares)
    mixed = {0: a[0], length + 1: b[-1]}
    for i, share in enumerate(shares, FIRST):
        mixed[i] = torch.lerp(a[i], b[i], share)
    outgoing: dict[int, Tensor] = {}
    incoming: dict[int, Tensor] = {}
    separate_dissolve(
        mixed,
        dissolve,
        flow,  # type: ignore[arg-type]
        outgoing,
        incoming,
        is_incoming=is_incoming,
    )
    own = incoming if is_incoming else outgoing
    known = b if is_incoming else a
    inside = range(FIRST, FIRST + length)
    return [own[i] for i in inside], [known[i] for i in inside]


@pytest.mark.parametrize("is_incoming", [False, True])
@pytest.mark.parametrize("length", [1, 4, 10])
@pytest.mark.parametrize("seed", range(3))
def test_two_still_pictures_are_found_again(seed: int, length: int, is_incoming: bool) -> None:
    a = [texture(seed)] * (length + 2)
    b = [texture(seed + 10)] * (length + 2)
    found, known = taken_apart(a, b, DIS(), is_incoming=is_incoming)
    for image, expected in zip(found, known, strict=True):
        assert float((image - expected).abs().mean()) < 2 / 255


MIDDLE = (slice(None), slice(4, 44), slice(20, 44))
"""Pixels that are in view in all frames."""


@pytest.mark.parametrize("length", [4, 8, 16])
def test_a_pan_is_found_again_as_exactly_as_the_other_shot_is_still(length: int) -> None:
    a = shifted(texture(1, (48, 90)), length + 2, (1, 0))
    b = [texture(2)] * (length + 2)
    found, known = taken_apart(a, b, DIS(), is_incoming=True)
    assert max(difference(x, y) for x, y in zip(found, known, strict=True)) < 2 / 255
    found, known = taken_apart(b, a, DIS(), is_incoming=False)
    assert max(difference(x, y) for x, y in zip(found, known, strict=True)) < 2 / 255


@pytest.mark.parametrize("is_incoming", [False, True])
@pytest.mark.parametrize("length", [4, 8])
def test_of_two_pans_each_comes_out_clearer_than_it_is_in_the_mixture(
    length: int, is_incoming: bool
) -> None:
    a = shifted(texture(1, (48, 90), cell=12), length + 2, (1, 0))
    b = shifted(texture(2, (48, 90), cell=12), length + 2, (2, 0))
    found, known = taken_apart(a, b, Shift([(1, 0), (2, 0)]), is_incoming=is_incoming)
    shares = [(i + 1) / (length + 1) for i in range(length)]
    mixed = [torch.lerp(x, y, share) for x, y, share in zip(a[1:-1], b[1:-1], shares, strict=True)]
    left = sum(difference(x, y) for x, y in zip(found, known, strict=True))
    before = sum(difference(x, y) for x, y in zip(mixed, known, strict=True))
    assert left < before


def difference(a: Tensor, b: Tensor) -> float:
    """The mean difference in the middle."""
    return float((a - b)[MIDDLE].abs().mean())
