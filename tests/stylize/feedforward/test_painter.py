"""The folded network, blends of styles, and the bands of large frames."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from vidstyle.frames import Frame, FrameStyle, Motion
from vidstyle.stylize.engine import State
from vidstyle.stylize.feedforward import painter, statistics, stylizer
from vidstyle.stylize.feedforward.conditioning import StyleReader
from vidstyle.stylize.feedforward.network import (
    CONTEXT_NORM_INDEX,
    NORM_WIDTHS,
    STYLE_NUMBERS,
    StyleNetwork,
)
from vidstyle.stylize.feedforward.painter import (
    FoldedNetwork,
    NetworkStyle,
    adapt_network,
    blend_styles,
    extend,
)
from vidstyle.stylize.feedforward.settings import FeedforwardSettings
from vidstyle.stylize.feedforward.statistics import collect_statistics, measure_fine_energy
from vidstyle.stylize.feedforward.stylizer import (
    FOLLOWED_SAMPLES,
    MAX_DAMPING,
    MEAN_DAMPING,
    FeedforwardStylizer,
    choose_damping,
    share_samples,
)
from vidstyle.stylize.optimise.settings import LossSettings
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.temporal import damp_finest_octave

SIZES = [(48, 64), (37, 50), (16, 17)]


def make_network(seed: int = 1) -> StyleNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return StyleNetwork().requires_grad_(False)


def make_numbers(seed: int = 1) -> Tensor:
    neutral = torch.cat([torch.cat([torch.ones(n), torch.zeros(n)]) for n in NORM_WIDTHS])
    generator = torch.Generator().manual_seed(seed)
    return neutral + 0.3 * torch.randn(STYLE_NUMBERS, generator=generator)


def picture(seed: int, size: tuple[int, int], channels: int = 3) -> Tensor:
    return torch.rand(channels, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", SIZES)
def test_folding_the_normalisations_changes_nothing(size: tuple[int, int]) -> None:
    network, numbers = make_network(), make_numbers()
    frame, previous, mask = (picture(k, size, n)[None] for k, n in enumerate((3, 3, 1)))
    seen = [picture(9, (40, 56))]
    first, linked, _ = collect_statistics(network, numbers, seen, torch.float32)
    height, width = size
    for known, has_previous in ((first, False), (linked, True)):
        folded = FoldedNetwork(network, numbers, known, torch.float32, has_previous=has_previous)
        got = folded(frame, previous if has_previous else None, mask if has_previous else None)
        given = (previous, mask) if has_previous else (previous * 0 + 0.5, mask * 0)
        whole = network(extend(frame), *(extend(x) for x in given), numbers[None], known)
        wanted = whole[:, :, 16 : 16 + height, 16 : 16 + width]
        assert torch.allclose(got, wanted, atol=1e-5)


def test_a_frame_in_bands_is_the_frame_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    network, numbers = make_network(), make_numbers()
    first = collect_statistics(network, numbers, [picture(9, (40, 56))], torch.float32).first
    folded = FoldedNetwork(network, numbers, first, torch.float32, has_previous=False)
    frame = picture(1, (853, 14))[None]
    whole = folded(frame, None, None)
    monkeypatch.setattr(painter, "BAND_PIXELS", 64 * 48)
    assert len(folded.divide(extend(frame))) > 3
    assert torch.allclose(folded(frame, None, None), whole, atol=1e-6)


def test_what_a_pixel_becomes_depends_on_nothing_beyond_the_reach() -> None:
    network, numbers = make_network(), make_numbers()
    first = collect_statistics(network, numbers, [picture(9, (40, 56))], torch.float32).first
    folded = FoldedNetwork(network, numbers, first, torch.float32, has_previous=False)
    one, other = picture(1, (24, 400))[None], picture(1, (24, 400))[None]
    other[..., 300:] = 0
    left = 300 - painter.REACH
    assert left > 0
    assert torch.equal(folded(one, None, None)[..., :left], folded(other, None, None)[..., :left])


def test_statistics_of_several_frames_are_those_of_all_their_pixels() -> None:
    network, numbers = make_network(), make_numbers()
    frames = [picture(1, (32, 32)), picture(2, (32, 32)) * 0.3]
    pooled = collect_statistics(network, numbers, frames, torch.float32).first
    stem = [network.stem(pad(extend(frame[None]))) for frame in frames]
    mean, variance = pooled.values[0]
    values = torch.cat(stem).permute(1, 0, 2, 3).flatten(1)
    assert torch.allclose(mean, values.mean(1), atol=1e-5)
    assert torch.allclose(variance, values.var(1, unbiased=False), atol=1e-4)


def test_statistics_in_half_precision_are_about_the_same() -> None:
    network, numbers = make_network(), make_numbers()
    exact, about = (
        collect_statistics(network, numbers, [picture(9, (40, 56))], dtype)[0].values
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert not any(torch.equal(a, b) for a, b in zip(exact, about, strict=True))
    for a, b in zip(exact, about, strict=True):
        assert b.dtype == torch.float32
        deviation = a[1].clamp_min(1e-4).sqrt()
        assert float(((a[0] - b[0]).abs() / deviation).mean()) < 0.05
        assert float((a[1].sqrt() / b[1].clamp_min(1e-6).sqrt()).log().abs().mean()) < 0.05


def test_before_any_training_the_branch_adds_nothing() -> None:
    network = make_network()
    assert network.normalised_layers()[CONTEXT_NORM_INDEX] is network.context_up
    neutral = StyleReader().layers[-1].bias
    parts = torch.split(neutral, [2 * width for width in NORM_WIDTHS])
    assert not parts[CONTEXT_NORM_INDEX].any()
    assert all(part.any() for i, part in enumerate(parts) if i != CONTEXT_NORM_INDEX)


def pad(frame: Tensor) -> Tensor:
    """What the stem sees of a frame without a previous image."""
    nothing = torch.zeros(1, 4, *frame.shape[2:])
    x = torch.cat([frame - 0.5, nothing], 1)
    return torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_blend_lies_between_its_styles(share: float) -> None:
    plain = NetworkStyle(torch.zeros(STYLE_NUMBERS))
    learned = NetworkStyle(torch.ones(STYLE_NUMBERS), {"paint.bias": torch.full((4,), 2.0)})
    blend = blend_styles([plain, learned], [1 - share, share])
    assert torch.allclose(blend.numbers, torch.full((STYLE_NUMBERS,), share))
    change = blend.changes.get("paint.bias", torch.zeros(4))
    assert torch.allclose(change, torch.full((4,), 2 * share))


def test_the_changes_of_a_style_leave_the_base_as_it_is() -> None:
    base = make_network()
    before = {name: x.clone() for name, x in base.state_dict().items()}
    changes = {name: torch.ones_like(x) for name, x in before.items()}
    adapted = adapt_network(base, NetworkStyle(make_numbers(), changes))
    for name, x in base.state_dict().items():
        assert torch.equal(x, before[name])
        assert torch.allclose(adapted.state_dict()[name], x + 1)


def test_one_style_turns_into_another_evenly_and_is_measured_at_few_of_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = []

    def count(*given: Any) -> Any:
        measured.append(given)
        return collect_statistics(*given)

    monkeypatch.setattr(statistics, "collect_statistics", count)
    network = make_network()
    styles = [NetworkStyle(make_numbers(seed)) for seed in (1, 2)]
    painter_of_both = make_stylizer(network, styles, picture(9, (40, 56))[None])
    image = picture(3, (40, 56))

    def paint(mixture: tuple[float, ...]) -> Tensor:
        frame = Frame(0, image, style=FrameStyle(mixture))
        return painter_of_both.step(State(), frame, None).image

    pictures = [paint((1 - k / 40, k / 40)) for k in range(41)]
    assert len(measured) <= 9
    steps = [float((a - b).abs().mean()) for a, b in itertools.pairwise(pictures)]
    assert max(steps) < 2 * sorted(steps)[20]
    for mixture, found in (((1.0, 0.0), pictures[0]), ((0.0, 1.0), pictures[-1])):
        assert torch.equal(paint(mixture), found)


def make_stylizer(
    network: StyleNetwork, styles: Sequence[NetworkStyle], samples: Tensor | None = None
) -> FeedforwardStylizer:
    """Make a stylizer of frames."""
    losses = LossSettings(0.06, {"relu4_2": 1.0}, 0.3, 100.0)
    settings = FeedforwardSettings(losses, StyleSettings())
    return FeedforwardStylizer(
        settings, network, styles, samples, torch.device("cpu"), torch.float32
    )


def test_a_shot_is_painted_by_its_own_light_whatever_was_painted_before() -> None:
    dark, bright = picture(3, (40, 56)) * 0.3, picture(4, (40, 56)) * 0.3 + 0.7
    network, styles = make_network(), [NetworkStyle(make_numbers(1))]

    def paint(samples: Tensor | None, *shots: Tensor) -> Tensor:
        one = make_stylizer(network, styles, samples)
        for i, image in enumerate(shots):
            one.begin_shot({i: functools.partial(list, [image])})
            painted = one.step(State(), Frame(i, image), None).image
        return painted

    alone = paint(None, bright)
    assert torch.equal(paint(None, dark, bright), alone)
    assert torch.equal(paint(torch.stack([dark, bright]), bright), alone)
    of_both = make_stylizer(network, styles, torch.stack([dark, bright]))
    assert not torch.equal(of_both.step(State(), Frame(0, bright), None).image, alone)


def test_the_light_of_a_shot_is_followed_evenly_and_each_sample_is_decoded_once() -> None:
    first, last = picture(3, (40, 56)) * 0.4, picture(4, (40, 56)) * 0.4 + 0.6
    decoded = []

    def decode(index: int) -> list[Tensor]:
        decoded.append(index)
        return [first if index < 20 else last]

    one = make_stylizer(make_network(), [NetworkStyle(make_numbers(1))])
    image = picture(5, (40, 56))
    one.begin_shot({index: functools.partial(decode, index) for index in (10, 30)})
    for i in reversed(range(41)):
        one.step(State(), Frame(i, image), None)
    assert sorted(decoded) == [10, 30]
    decoded.clear()
    one.begin_shot({index: functools.partial(decode, index) for index in (10, 30)})
    pictures = [one.step(State(), Frame(i, image), None).image for i in range(41)]
    assert decoded == [10, 30]
    for frames in (pictures[:11], pictures[30:]):
        assert all(torch.equal(frames[0], other) for other in frames)
    assert not torch.equal(pictures[10], pictures[30])
    steps = [float((a - b).abs().mean()) for a, b in itertools.pairwise(pictures[10:31])]
    assert max(steps) < 3 * min(steps)


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_samples_come_and_go_evenly(count: int) -> None:
    indices = [48 + 96 * i for i in range(count)]
    before: dict[int, float] = {}
    for at in range(96 * (count + 1)):
        shares = share_samples(indices, at)
        assert sum(shares.values()) == pytest.approx(1)
        assert 1 <= len(shares) <= FOLLOWED_SAMPLES + 1
        assert all(abs(index - at) <= 96 * FOLLOWED_SAMPLES for index in list(shares)[1:])
        changes = [abs(shares.get(i, 0) - before.get(i, 0)) for i in {*shares, *before}]
        assert at == 0 or max(changes) < 1.01 / 96
        before = shares
    assert set(before) == set(indices[-FOLLOWED_SAMPLES:])


def test_the_edge_of_a_mask_is_made_steeper_and_what_fades_away_fades_as_before() -> None:
    mask = torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0]).view(1, 1, 5)
    flow = torch.zeros(2, 1, 5)
    assert torch.allclose(
        stylizer.firm_mask(Motion(flow, mask)).flatten(), torch.tensor([0.0, 0.4, 1.0, 1.0, 1.0])
    )
    hold = torch.full_like(mask, 0.5)
    faded = stylizer.firm_mask(Motion(flow, mask * hold, hold=hold))
    assert torch.allclose(faded, stylizer.firm_mask(Motion(flow, mask)) * 0.5)


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.9, 1.0, 1.2, 4.0])
def test_a_picture_with_too_much_fine_detail_loses_more_of_it(ratio: float) -> None:
    image = picture(1, (40, 56))
    energy = measure_fine_energy(image)
    damping = choose_damping(image, energy / ratio if ratio else 1.0)
    assert 0 <= damping <= MAX_DAMPING
    assert (damping < MEAN_DAMPING) == (ratio < 1)
    damped = damp_finest_octave(image, torch.full((2, 40, 56), 0.5), damping, damping)
    assert (measure_fine_energy(damped) < energy) == (damping > 0)


def test_plain_pictures_have_nothing_to_damp() -> None:
    assert choose_damping(torch.full((3, 16, 16), 0.5), 0.0) == 0
