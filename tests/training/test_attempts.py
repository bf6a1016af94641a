"""Images under way in training, beside a render's."""

from __future__ import annotations

import random

import torch

from training.attempts import Attempt, advance
from training.data import texture
from vidstyle.features import lite as lites
from vidstyle.rendering.models import load_network
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.optimise.minimise import minimise
from vidstyle.stylize.optimise.schedule import Schedule
from vidstyle.stylize.optimise.terms import ContentTerm, TotalVariationTerm
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets

SIZE = 64


def test_an_image_under_way_goes_the_way_of_a_render() -> None:
    """The same steps as `minimise`, so that training sees what a render will."""
    network = load_network("lite")
    # Adam makes a whole step of a gradient's last bits, where it is about to change its sign
    network.module.double()
    content, style = (texture(random.Random(seed), SIZE).double() for seed in (1, 2))
    zero = torch.zeros_like(content)
    under_way = Attempt(
        content, style, content, zero, zero, 9, rate=0.03, content_weight=0.05, tv_weight=0.3
    )
    other = Attempt(
        style, content, style, zero, zero, 9, rate=0.01, content_weight=0.02, tv_weight=0.0
    )
    advance([under_way, other], lambda image: network(image, lites.RANKS), 5, torch.device("cpu"))
    with torch.no_grad():
        targets = StyleTargets([StyleImageTargets(network, style[None], StyleSettings(), None)])
        terms = (
            *targets.terms(),
            ContentTerm(0.05, network(content[None], ["relu4_2"])),
            TotalVariationTerm(0.3),
        )
    rendered, _ = minimise(Objective(network, terms), content, Schedule(5))
    assert (under_way.done, other.done) == (5, 5)
    assert (rendered - content).abs().mean() > 0.01
    assert torch.allclose(under_way.image, rendered, atol=1e-6)
