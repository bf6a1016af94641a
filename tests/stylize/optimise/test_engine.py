from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.features import TinyFeatures
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import StyleError
from vidstyle.features import extractor as networks
from vidstyle.frames import Frame, Motion, quantise
from vidstyle.motion.warp import warp
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses, resample
from vidstyle.stylize.disocclusion import match_colours
from vidstyle.stylize.objective import Temporal
from vidstyle.stylize.optimise import engine as stepping
from vidstyle.stylize.optimise import pyramid as descending
from vidstyle.stylize.optimise.engine import State, Stylizer
from vidstyle.stylize.optimise.minimise import CHECK_EVERY, Schedule
from vidstyle.stylize.temporal import start_image
from vidstyle.video.read import read_image

H, W = 48, 64
Picture = Callable[..., Tensor]
Settings = Callable[..., RenderConfig]


def still(mask: float = 1.0) -> Motion:
    return Motion(torch.zeros(2, H, W), torch.full((1, H, W), mask))


def stylizer(
    features: TinyFeatures,
    picture: Picture,
    config: RenderConfig,
    polisher: TinyFeatures | None = None,
) -> Stylizer:
    return Stylizer(features, [picture(40, 56, 9)], (H, W), config, torch.device("cpu"), polisher)


def test_the_start_is_the_warped_previous_frame_wherever_the_mask_is_above_zero(
    picture: Picture,
) -> None:
    flow = torch.tensor([3.0, -2.0]).view(2, 1, 1).expand(2, H, W).contiguous()
    mask = torch.zeros(1, H, W)
    mask[:, :, 20:] = 0.01
    previous = picture(H, W, 1)
    start, (warped,) = start_image(picture(H, W, 2), [(previous, Motion(flow, mask))])
    assert torch.equal(warped, warp(previous, flow))
    assert torch.equal(start[:, :, 20:], warped[:, :, 20:])
    assert not torch.equal(start[:, :, :20], warped[:, :, :20])


def test_newly_visible_pixels_start_from_the_frame_in_the_colours_of_the_stylised_surroundings(
    picture: Picture,
) -> None:
    frame = picture(H, W, 2)
    stylised = (0.4 * frame + torch.tensor([0.5, 0.1, 0.0]).view(3, 1, 1)).clamp(
        0, 1
    )  # another palette
    motion = still()
    motion.mask[:, 16:32, 24:40] = 0
    hidden = stylised.clone()
    hidden[:, 16:32, 24:40] = 0.5  # nothing may be taken from there
    start, _ = start_image(frame, [(hidden, motion)])
    patch = (slice(None), slice(16, 32), slice(24, 40))
    to_truth = (start[patch] - stylised[patch]).abs().mean()
    assert to_truth < 0.25 * (frame[patch] - stylised[patch]).abs().mean(), (
        "the raw frame shows through"
    )
    assert to_truth < 0.5 * (start[patch].mean() - stylised[patch]).abs().mean(), (
        "it is a flat haze"
    )


def test_with_nothing_to_follow_the_frame_takes_the_palette_of_the_previous_picture(
    picture: Picture,
) -> None:
    frame, previous = picture(H, W, 2), picture(H, W, 3) * 0.3
    start, _ = start_image(frame, [(previous, still(0.0))])
    assert start.mean() == pytest.approx(float(previous.mean()), abs=0.05)
    assert torch.equal(start, match_colours(frame, previous))


def test_an_occluded_pixel_is_still_optimised(
    tiny: TinyFeatures, picture: Picture, settings: Settings
) -> None:
    frame, motion = picture(H, W, 2), still()
    motion.mask[:, 10:30, 10:30] = 0
    s = stylizer(tiny, picture, settings(temporal_weight=100.0))
    start, _ = start_image(frame, [(picture(H, W, 1), motion)])
    _, image, _ = s.step(State(picture(H, W, 1)), Frame(0, frame), motion)
    inside = (image - start)[:, 12:28, 12:28].abs()
    assert inside.mean() > 0.01
    assert (inside > 0).float().mean() > 0.9


def test_a_larger_temporal_weight_holds_the_frame_closer(
    tiny: TinyFeatures, picture: Picture, settings: Settings
) -> None:
    previous, distances = quantise(picture(H, W, 1)), []
    for weight in (0.0, 2.0, 50.0):
        s = stylizer(tiny, picture, settings(temporal_weight=weight))
        _, image, _ = s.step(State(previous), Frame(0, picture(H, W, 2)), still())
        distances.append(float((image - previous).square().mean()))
    assert distances[0] > 1.5 * distances[1] > 1.5 * distances[2]


@pytest.mark.parametrize("polish", [0, 2])
@pytest.mark.parametrize("scales", [1, 2])
def test_the_temporal_term_is_there_at_every_scale_of_a_later_frame_and_never_of_a_first_one(
    tiny: TinyFeatures,
    picture: Picture,
    settings: Settings,
    scales: int,
    polish: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(descending, "COARSEST", 16)
    seen: list[bool] = []
    real = stepping.minimise

    def spy(
        objective: stepping.Objective,
        start: Tensor,
        schedule: stepping.Schedule,
        pace: Tensor | None = None,
    ) -> tuple[Tensor, int]:
        seen.append(any(isinstance(term, Temporal) for term in objective.terms))
        return real(objective, start, schedule)

    monkeypatch.setattr(stepping, "minimise", spy)
    s = stylizer(
        tiny, picture, settings(first_scales=3, scales=scales, polish=polish), TinyFeatures()
    )
    extra = bool(polish)
    state, _, done = s.step(State(), Frame(0, picture(H, W, 1)), None)
    assert (seen, done) == ([False] * (3 + extra), 12)
    seen.clear()
    _, _, done = s.step(state, Frame(0, picture(H, W, 2)), still())
    assert (seen, done) == ([True] * (scales + extra), 8)


def test_the_state_is_what_the_checkpoint_holds(
    tiny: TinyFeatures, picture: Picture, settings: Settings
) -> None:
    state, image, _ = stylizer(tiny, picture, settings()).step(
        State(), Frame(0, picture(H, W, 1)), None
    )
    assert state.image is image
    assert torch.equal(image, quantise(image))


@pytest.mark.parametrize("init", ["content", "noise"])
def test_the_same_step_twice_gives_the_same_bytes(
    tiny: TinyFeatures, picture: Picture, settings: Settings, init: str
) -> None:
    def run(seed: int, index: int) -> Tensor:
        s = stylizer(tiny, picture, settings(init=init, seed=seed))
        state, _, _ = s.step(State(), Frame(index, picture(H, W, 1)), None)
        return s.step(state, Frame(index + 1, picture(H, W, 2)), still(0.5))[1]

    assert torch.equal(run(1, 5), run(1, 5))
    assert torch.equal(run(1, 5), run(2, 5)) is (init == "content")
    assert torch.equal(run(1, 5), run(1, 6)) is (init == "content")


def test_a_still_clip_stays_still(tiny: TinyFeatures, picture: Picture, settings: Settings) -> None:
    s, frame = stylizer(tiny, picture, settings(first_iterations=60)), picture(H, W, 1)
    state, _, _ = s.step(State(), Frame(0, frame), None)
    for t in range(5):
        before = state.image
        state, image, _ = s.step(state, Frame(t + 1, frame), still())
        assert before is not None
        assert (image - before).abs().mean() < 2 / 255


def test_style_targets_are_computed_once(
    tiny: TinyFeatures, picture: Picture, settings: Settings
) -> None:
    s = stylizer(tiny, picture, settings(first_scales=1))
    before = len(tiny.asked)
    state = State()
    for t in range(3):
        state, _, _ = s.step(state, Frame(t, picture(H, W, t)), still() if t else None)
    evaluations = 12 + 8 + 8
    contents = 3
    assert len(tiny.asked) - before == evaluations + contents


class Counted(TinyFeatures):
    """Counts the evaluations of an objective, and refuses them at another than the full size."""

    evaluations = 0

    def __init__(self, full_only: bool = False) -> None:
        super().__init__()
        self.full_only = full_only

    def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        if image.requires_grad:
            self.evaluations += 1
            assert not self.full_only or image.shape[2:] == (
                H + 2 * stepping.MARGIN,
                W + 2 * stepping.MARGIN,
            )
        return super().__call__(image, layers)

    def since(self, before: int) -> int:
        return self.evaluations - before


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("polish", "of_a_first", "of_a_later"), [(0, 0, 0), (1, 1, 1), (3, 3, 3), (8, 4, 8), (99, 4, 8)]
)
def test_the_last_iterations_of_every_frame_and_no_others_are_the_polishers(
    picture: Picture,
    settings: Settings,
    optimizer: str,
    polish: int,
    of_a_first: int,
    of_a_later: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(descending, "COARSEST", 16)
    small, large = Counted(), Counted(full_only=True)
    s = stylizer(
        small,
        picture,
        settings(first_scales=3, polish=polish, optimizer=optimizer, budget="fixed"),
        large,
    )
    assert large.asked == ([networks.STYLE_LAYERS] if polish else [])
    state = State()
    for t, (motion, total, expected) in enumerate(
        [
            (None, 12, of_a_first),
            (still(), 8, of_a_later),
            (None, 12, of_a_first),
            (still(0.5), 8, of_a_later),
        ]
    ):
        assert descending.polish_iterations(s.config, (H, W), fresh=motion is None) == expected
        before = small.evaluations, large.evaluations
        state, _, done = s.step(state, Frame(t, picture(H, W, t)), motion)
        mended = large.since(before[1])
        assert small.since(before[0]) + mended == done
        assert (done, mended) == (total, expected)
    assert large.asked.count(networks.CONTENT_LAYERS) == (
        4 if polish else 0
    )  # the frame is looked at once
    assert large.asked.count(networks.STYLE_LAYERS) == (
        1 if polish else 0
    )  # and the painting once for all


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_frame_gets_the_more_iterations_the_more_of_it_is_new(
    tiny: TinyFeatures, picture: Picture, settings: Settings, optimizer: str
) -> None:
    def iterations(shown: float, budget: str) -> int:
        config = settings(
            first_iterations=60, iterations=8, first_scales=1, budget=budget, optimizer=optimizer
        )
        s = stylizer(tiny, picture, config)
        mask = torch.zeros(1, H, W)
        mask[:, :, : round(shown * W)] = 1
        return s.step(
            State(picture(H, W, 1)),
            Frame(0, picture(H, W, 2)),
            Motion(torch.full((2, H, W), 0.3), mask),
        )[2]

    counts = [iterations(shown, "adaptive") for shown in (1.0, 0.75, 0.5, 0.0)]
    assert counts[0] == 8
    assert counts == sorted(counts)
    assert counts[0] < counts[1] < counts[2] < counts[3] < 60
    assert {iterations(shown, "fixed") for shown in (1.0, 0.0)} == {8}


def test_what_is_new_may_change_faster_than_what_the_last_frame_shows(
    tiny: TinyFeatures, picture: Picture, settings: Settings
) -> None:
    """With Adam, whose steps have one size everywhere."""
    config = settings(iterations=1, budget="fixed", optimizer="adam", temporal_weight=0.0)
    s, mask = stylizer(tiny, picture, config), torch.zeros(1, H, W)
    mask[:, :, : W // 2] = 1
    grey = 0.25 + picture(H, W, 1) / 2
    _, image, _ = s.step(State(grey), Frame(0, grey), Motion(torch.zeros(2, H, W), mask))
    start, _ = stepping.start_image(grey, [(grey, Motion(torch.zeros(2, H, W), mask))])
    change = (image - start).abs()
    held, new = change[:, :, : W // 2].amax(), change[:, :, W // 2 :].amax()
    assert new == pytest.approx(stepping.NEW_RATE * config.learning_rate, rel=0.05)
    assert held == pytest.approx(stepping.WARM_RATE * config.learning_rate, rel=0.05)


@pytest.mark.parametrize("iterations", [1, 2, 9])
def test_noise_is_noise_at_the_scale_at_which_it_begins(
    tiny: TinyFeatures,
    picture: Picture,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    iterations: int,
) -> None:
    begun: list[Tensor] = []

    def minimise(
        objective: object, start: Tensor, schedule: Schedule, pace: Tensor | None = None
    ) -> tuple[Tensor, int]:
        begun.append(start)
        return start, schedule.iterations

    monkeypatch.setattr(stepping, "minimise", minimise)
    config = settings(first_iterations=iterations, first_scales=3, init="noise")
    s = Stylizer(tiny, [picture(40, 56, 9)], (256, 300), config, torch.device("cpu"))
    s.step(State(), Frame(0, picture(256, 300, 0)), None)
    assert len(begun) == min(iterations, 3)
    assert begun[0].std() > 0.25  # 0.29 is that of a uniform distribution


@pytest.mark.parametrize("count", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("size", "shorter_sides"),
    [
        ((2160, 3840), [68, 135, 270, 540, 1080, 2160]),
        ((1080, 1920), [68, 135, 270, 540, 1080]),
        ((1280, 720), [64, 90, 180, 360, 720]),
        ((540, 960), [68, 135, 270, 540]),
        ((360, 640), [64, 90, 180, 360]),
        ((128, 128), [64, 128]),
        ((90, 300), [64, 90]),
        ((89, 300), [89]),
        ((20, 20), [20]),
    ],
)
def test_scales_go_down_to_where_strokes_cover_a_flat_sky(
    size: tuple[int, int], shorter_sides: list[int], count: int
) -> None:
    found = descending.factors(size, count)
    assert [min(stepping.scaled(size, factor)) for factor in found] == shorter_sides[-count:]
    assert all(
        coarse * descending.SMALLEST_STEP <= fine <= 2 * coarse for coarse, fine in pairwise(found)
    )


@pytest.mark.parametrize(
    ("h", "w", "at_full_size"),
    [
        (256, 300, (67, 40)),
        (200, 256, (67, 40)),
        (90, 100, (100, 40)),
        (64, 200, (200, 80)),
        (16, 16, (200, 80)),
    ],
)
def test_a_small_frame_has_fewer_scales_and_more_to_polish(
    tiny: TinyFeatures,
    picture: Picture,
    settings: Settings,
    h: int,
    w: int,
    at_full_size: tuple[int, int],
) -> None:
    config = settings(first_iterations=200, iterations=80, first_scales=3, scales=2, polish=999)
    pyramid = Stylizer(
        tiny, [picture(40, 56, 9)], (h, w), config, torch.device("cpu"), tiny
    ).pyramid
    for fresh, expected, most in zip((True, False), at_full_size, (3, 2), strict=True):
        way = descending.descent(config, (h, w), fresh=fresh)
        assert sum(iterations for _, iterations in way) == (200 if fresh else 80)
        assert [stepping.scaled((h, w), factor) for factor, _ in way] == [
            scale.size for scale in pyramid[-len(way) :]
        ]
        assert len(way) == min(most, len(pyramid))
        assert descending.polish_iterations(config, (h, w), fresh=fresh) == expected
    assert len({scale.size for scale in pyramid}) == len(pyramid)
    assert pyramid[-1].size == (h, w)


def test_a_frame_that_settles_early_still_gets_its_polish(
    picture: Picture, settings: Settings
) -> None:
    small, large = Counted(), Counted(full_only=True)
    config = settings(first_iterations=100, first_scales=1, stop_tolerance=0.9, polish=5)
    _, _, done = stylizer(small, picture, config, large).step(
        State(), Frame(0, picture(H, W, 1)), None
    )
    assert (small.evaluations, large.evaluations, done) == (2 * CHECK_EVERY, 5, 2 * CHECK_EVERY + 5)


@pytest.mark.parametrize(("optimizer", "without"), [("adam", 12), ("lbfgs", 11)])
def test_polish_goes_on_with_the_small_steps_of_the_end(
    tiny: TinyFeatures, picture: Picture, settings: Settings, optimizer: str, without: int
) -> None:
    def image(polish: int, iterations: int, polisher: TinyFeatures | None = tiny) -> Tensor:
        config = settings(
            first_iterations=iterations, first_scales=1, polish=polish, optimizer=optimizer
        )
        return stylizer(tiny, picture, config, polisher).step(
            State(), Frame(0, picture(H, W, 1)), None
        )[1]

    assert torch.equal(image(0, 12), image(0, 12, None))
    # Only the last step is another one, if on the same network. One of L-BFGS in full has whatever
    # size it takes: there it is compared with none.
    change = (image(1, 12) - image(0, without)).abs().max()
    assert 0 < change < 2.1 * stepping.FINAL_RATE * settings().learning_rate


def test_polish_comes_closer_to_the_style_as_vgg19_sees_it(
    settings: Settings, shared: Path
) -> None:
    lite, vgg19 = load_network("lite"), load_network("vgg19", weights_dir=shared / "weights")
    size = (64, 96)
    frame = resample.resize(read_image(shared / "photos" / "lion.jpg", StyleError), size)
    painting = read_image(shared / "styles" / "vangogh_starry_night.jpg", StyleError)

    wanted = vgg19(stepping.fitted(painting, size)[None], networks.STYLE_LAYERS)
    targets = {name: losses.gram(found) for name, found in wanted.items()}

    def distance(polish: int) -> float:
        config = settings(first_iterations=20, first_scales=1, polish=polish)
        s = Stylizer(lite, [painting], size, config, torch.device("cpu"), vgg19)
        _, image, done = s.step(State(), Frame(0, frame), None)
        assert done == 20
        maps = vgg19(image[None], networks.STYLE_LAYERS)
        return float(sum(losses.style(losses.gram(maps[name]), targets[name]) for name in targets))

    plain, polished = distance(0), distance(5)
    assert polished < 0.9 * plain


@pytest.mark.parametrize(("h", "w"), [(16, 16), (17, 31), (16, 200)])
def test_every_size_down_to_16_pixels_is_stylised(
    picture: Picture, settings: Settings, h: int, w: int
) -> None:

    s = Stylizer(
        load_network("lite"),
        [picture(40, 300, 9)],
        (h, w),
        settings(first_scales=6),
        torch.device("cpu"),
    )
    state, image, _ = s.step(State(), Frame(0, picture(h, w, 1)), None)
    assert image.shape == (3, h, w)
    motion = Motion(torch.zeros(2, h, w), torch.ones(1, h, w))
    assert bool(s.step(state, Frame(0, picture(h, w, 2)), motion)[1].isfinite().all())
