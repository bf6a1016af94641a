"""The fit of the network to one painting."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.features.extractor import Extractor
from vidstyle.rendering.models import load_network
from vidstyle.stylize.feedforward import fit as fits
from vidstyle.stylize.feedforward.engine import (
    PAINTER,
    build_networks,
    measure_style,
    read_style,
)
from vidstyle.stylize.feedforward.fit import StyleFit
from vidstyle.stylize.feedforward.settings import FeedforwardSettings
from vidstyle.stylize.optimise.settings import LossSettings
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets
from vidstyle.weights.fetch import load_weights

STEPS = 20
SIZE = (64, 80)


@pytest.fixture(scope="module")
def lite() -> Extractor:
    return load_network("lite")


@pytest.fixture(autouse=True)
def small_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "CROP", 64)


def picture(seed: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 6, 8, generator=generator)
    return F.interpolate(coarse, SIZE, mode="bilinear")[0]


def make_fit(lite: Extractor, steps: int = 8, **style: object) -> StyleFit:
    settings = FeedforwardSettings(
        LossSettings(0.06, {"relu4_2": 1.0}, 0.3, 100.0, detail_weight=0.12),
        StyleSettings(**style),  # type: ignore[arg-type]
    )
    state, _ = load_weights(PAINTER)
    base, reader = build_networks(state, torch.device("cpu"))
    plain = measure_style(lite, picture(9, 3), SIZE, replace(settings, style=StyleSettings()))
    numbers = read_style(reader, plain).numbers
    target = StyleTargets([StyleImageTargets(lite, picture(9, 3)[None], settings.style, None)])
    pictures = [picture(seed, 4) for seed in range(3)]
    return StyleFit(settings, base, numbers, pictures, target, lite, "fp32", steps)


def style_distance(fit: StyleFit) -> float:
    """The mean over the batch of the last step."""
    others = {"content", "total variation", "grain", "temporal"}
    values = [sum(v for k, v in terms.items() if k not in others) for terms in fit.losses]
    return sum(values) / len(values)


@pytest.mark.parametrize("terms", [{"gram": 1.0}, {"w2": 0.5, "swd": 0.5}])
def test_it_comes_nearer_to_the_painting_whatever_is_matched_of_it(
    lite: Extractor, terms: dict[str, float]
) -> None:
    fit = make_fit(lite, STEPS, terms=terms)
    distances = []
    while fit.done < fit.steps:
        fit.advance()
        distances.append(style_distance(fit))
    assert sum(distances[-4:]) < 0.9 * sum(distances[:4])


def test_two_fits_are_the_same_and_so_is_one_that_was_interrupted(lite: Extractor) -> None:
    whole, first = make_fit(lite), make_fit(lite)
    for fit in (whole, first):
        for _ in range(3):
            fit.advance()
        fit.films = []
    second = make_fit(lite)
    second.restore(copy.deepcopy(first.state()))
    for fit in (whole, second):
        while fit.done < fit.steps:
            fit.advance()
    assert torch.equal(whole.style.numbers, second.style.numbers)
    for name, change in whole.style.changes.items():
        assert torch.equal(change, second.style.changes[name])


def test_a_style_is_its_changes_to_the_base(lite: Extractor) -> None:
    fit = make_fit(lite)
    assert not any(change.any() for change in fit.style.changes.values())
    fit.advance()
    assert any(change.any() for change in fit.style.changes.values())
    base, learned = fit.base.state_dict(), fit.network.state_dict()
    for name, change in fit.style.changes.items():
        assert torch.equal(change, learned[name] - base[name])
