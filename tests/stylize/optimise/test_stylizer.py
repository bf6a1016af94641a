"""A frame is optimised from its start, with its temporal targets, in the iterations that it has."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.features import TinyFeatures
from tests.stylize.optimising import build_stylizer, optimiser
from vidstyle.errors import StyleError
from vidstyle.features import extractor as networks
from vidstyle.frames import Frame, Motion, quantise
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses
from vidstyle.stylize.engine import MultiPassStylizer, State
from vidstyle.stylize.optimise import stylizer as module
from vidstyle.stylize.optimise.engine import OptimisingEngine
from vidstyle.stylize.optimise.pyramid import count_refined_iterations, plan_scales
from vidstyle.stylize.optimise.schedule import CHECK_INTERVAL, Schedule
from vidstyle.stylize.optimise.settings import OptimiserSettings
from vidstyle.stylize.optimise.stylizer import OptimisingStylizer
from vidstyle.stylize.resample import CANVAS_MARGIN, fit_style_image, resize
from vidstyle.stylize.temporal import LinkedImage, start_image
from vidstyle.video.read import read_image

H, W = 48, 64
Picture = Callable[..., Tensor]


def still(mask: float = 1.0) -> Motion:
    return Motion(torch.zeros(2, H, W), torch.full((1, H, W), mask))


def stylizer(
    features: TinyFeatures,
    picture: Picture,
    settings: OptimiserSettings,
    refinement: TinyFeatures | None = None,
) -> OptimisingStylizer:
    return build_stylizer(settings, features, [picture(40, 56, 9)], (H, W), refinement=refinement)


def test_it_is_a_stylizer_of_several_passes(tiny: TinyFeatures, picture: Picture) -> None:
    assert isinstance(stylizer(tiny, picture, optimiser()), MultiPassStylizer)


def test_an_occluded_pixel_is_still_optimised(tiny: TinyFeatures, picture: Picture) -> None:
    frame = picture(H, W, 2)
    motion = still()
    motion.mask[:, 10:30, 10:30] = 0
    s = stylizer(tiny, picture, optimiser(temporal_weight=100.0))
    start, _ = start_image(frame, [LinkedImage(picture(H, W, 1), motion)])
    image = s.step(State(picture(H, W, 1)), Frame(0, frame), motion).image
    inside = (image - start)[:, 12:28, 12:28].abs()
    assert inside.mean() > 0.01
    assert (inside > 0).float().mean() > 0.9


def test_a_larger_temporal_weight_holds_the_frame_closer(
    tiny: TinyFeatures, picture: Picture
) -> None:
    previous, distances = quantise(picture(H, W, 1)), []
    for weight in (0.0, 2.0, 50.0):
        s = stylizer(tiny, picture, optimiser(temporal_weight=weight))
        image = s.step(State(previous), Frame(0, picture(H, W, 2)), still()).image
        distances.append(float((image - previous).square().mean()))
    assert distances[0] > 1.5 * distances[1] > 1.5 * distances[2]


class Watching:
    """Records what an observer is shown."""

    def __init__(self) -> None:
        self.starts: list[Tensor] = []
        self.evaluations: list[tuple[tuple[int, int], frozenset[str], str]] = []

    def start(self, image: Tensor) -> None:
        self.starts.append(image)

    def evaluate(self, image: Tensor, losses: dict[str, Tensor], features: str) -> None:
        size = (int(image.shape[1]), int(image.shape[2]))
        self.evaluations.append((size, frozenset(losses), features))

    def parts(self) -> list[tuple[tuple[int, int], frozenset[str], str]]:
        """Sizes, names of the terms, and networks, in their order."""
        return list(dict.fromkeys(self.evaluations))


@pytest.mark.parametrize("refined", [0, 2])
@pytest.mark.parametrize("scales", [1, 2])
def test_the_temporal_term_is_there_at_every_scale_of_a_later_frame_and_never_of_a_first_one(
    tiny: TinyFeatures, picture: Picture, scales: int, refined: int
) -> None:
    settings = optimiser(
        first_scales=3, scales=scales, refinement_iterations=refined, coarsest_side=16
    )
    s = stylizer(tiny, picture, settings, TinyFeatures() if refined else None)
    first, later = Watching(), Watching()
    frame = Frame(0, picture(H, W, 1))
    step = s.step(State(), frame, None, first)
    assert [terms for _, terms, _ in first.parts()] == [
        {"style", "grain", "content", "total variation"}
    ] * (3 + bool(refined))
    assert step.iterations == len(first.evaluations) == 12
    step = s.step(step.state, Frame(0, picture(H, W, 2)), still(), later)
    assert [terms for _, terms, _ in later.parts()] == [
        {"style", "grain", "content", "total variation", "temporal"}
    ] * (scales + bool(refined))
    assert step.iterations == len(later.evaluations) == 8
    for watching in (first, later):
        assert [network for _, _, network in watching.evaluations[-2:]] == [
            "refinement" if refined else "main"
        ] * 2
        assert [tuple(start.shape) for start in watching.starts] == [(3, H, W)]
    assert first.starts[0] is frame.image


def test_an_observer_changes_nothing(tiny: TinyFeatures, picture: Picture) -> None:
    s = stylizer(tiny, picture, optimiser(start="noise"))
    frame = Frame(3, picture(H, W, 1))
    plain, watched = (s.step(State(), frame, None, watch) for watch in (None, Watching()))
    assert torch.equal(plain.image, watched.image)


def test_the_state_is_what_the_checkpoint_holds(tiny: TinyFeatures, picture: Picture) -> None:
    step = stylizer(tiny, picture, optimiser()).step(State(), Frame(0, picture(H, W, 1)), None)
    assert step.state.image is step.image
    assert torch.equal(step.image, quantise(step.image))


@pytest.mark.parametrize("start", ["content", "noise"])
def test_the_same_step_twice_gives_the_same_bytes(
    tiny: TinyFeatures, picture: Picture, start: str
) -> None:
    def run(seed: int, index: int) -> Tensor:
        s = stylizer(tiny, picture, optimiser(start=start, seed=seed))
        state = s.step(State(), Frame(index, picture(H, W, 1)), None).state
        return s.step(state, Frame(index + 1, picture(H, W, 2)), still(0.5)).image

    assert torch.equal(run(1, 5), run(1, 5))
    assert torch.equal(run(1, 5), run(2, 5)) is (start == "content")
    assert torch.equal(run(1, 5), run(1, 6)) is (start == "content")


def test_a_still_clip_stays_still(tiny: TinyFeatures, picture: Picture) -> None:
    s, frame = stylizer(tiny, picture, optimiser(first_iterations=60)), picture(H, W, 1)
    state = s.step(State(), Frame(0, frame), None).state
    for t in range(5):
        before = state.image
        step = s.step(state, Frame(t + 1, frame), still())
        state = step.state
        assert before is not None
        assert (step.image - before).abs().mean() < 2 / 255


def test_a_frame_that_is_static_as_a_whole_is_the_previous_one(
    tiny: TinyFeatures, picture: Picture
) -> None:
    s = stylizer(tiny, picture, optimiser())
    previous = quantise(picture(H, W, 1))
    motion = replace(still(), static=torch.ones(1, H, W, dtype=torch.bool))
    asked = len(tiny.asked)
    step = s.step(State(previous), Frame(1, picture(H, W, 2)), motion)
    assert torch.equal(step.image, previous)
    assert (step.iterations, len(tiny.asked)) == (0, asked)


def test_style_targets_are_computed_once(tiny: TinyFeatures, picture: Picture) -> None:
    s = stylizer(tiny, picture, optimiser(first_scales=1))
    before = len(tiny.asked)
    state = State()
    for t in range(3):
        state = s.step(state, Frame(t, picture(H, W, t)), still() if t else None).state
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
                H + 2 * CANVAS_MARGIN,
                W + 2 * CANVAS_MARGIN,
            )
        return super().__call__(image, layers)

    def since(self, before: int) -> int:
        return self.evaluations - before


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("wanted", "of_a_first", "of_a_later"), [(0, 0, 0), (1, 1, 1), (3, 3, 3), (8, 4, 8), (99, 4, 8)]
)
def test_the_last_iterations_of_every_frame_and_no_others_are_refined(
    picture: Picture, method: str, wanted: int, of_a_first: int, of_a_later: int
) -> None:
    small, large = Counted(), Counted(full_only=True)
    settings = optimiser(
        first_scales=3,
        refinement_iterations=wanted,
        method=method,
        adaptive=False,
        coarsest_side=16,
    )
    s = stylizer(small, picture, settings, large if wanted else None)
    engine = OptimisingEngine(settings, "fp32", "cpu")
    assert large.asked == ([networks.STYLE_LAYERS] if wanted else [])
    state = State()
    for t, (motion, total, expected) in enumerate(
        [
            (None, 12, of_a_first),
            (still(), 8, of_a_later),
            (None, 12, of_a_first),
            (still(0.5), 8, of_a_later),
        ]
    ):
        work = engine.work((W, H), first=motion is None)
        assert (work.iterations, work.refined) == (total, expected)
        before = small.evaluations, large.evaluations
        step = s.step(state, Frame(t, picture(H, W, t)), motion)
        state = step.state
        refined = large.since(before[1])
        assert small.since(before[0]) + refined == step.iterations
        assert (step.iterations, refined) == (total, expected)
    # The frame is looked at once, and the style image once for all.
    assert large.asked.count(networks.CONTENT_LAYERS) == (4 if wanted else 0)
    assert large.asked.count(networks.STYLE_LAYERS) == (1 if wanted else 0)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_a_frame_gets_the_more_iterations_the_more_of_it_is_disoccluded(
    tiny: TinyFeatures, picture: Picture, method: str
) -> None:
    def iterations(visible: float, adaptive: bool) -> int:
        settings = optimiser(
            first_iterations=60, iterations=8, first_scales=1, adaptive=adaptive, method=method
        )
        s = stylizer(tiny, picture, settings)
        mask = torch.zeros(1, H, W)
        mask[:, :, : round(visible * W)] = 1
        motion = Motion(torch.full((2, H, W), 0.3), mask)
        return s.step(State(picture(H, W, 1)), Frame(0, picture(H, W, 2)), motion).iterations

    counts = [iterations(visible, True) for visible in (1.0, 0.75, 0.5, 0.0)]
    assert counts[0] == 8
    assert counts == sorted(counts)
    assert counts[0] < counts[1] < counts[2] < counts[3] < 60
    assert {iterations(visible, False) for visible in (1.0, 0.0)} == {8}


def test_disoccluded_pixels_may_change_faster_than_visible_ones(
    tiny: TinyFeatures, picture: Picture
) -> None:
    """With Adam, whose steps have one size everywhere."""
    settings = optimiser(iterations=1, adaptive=False, method="adam", temporal_weight=0.0)
    s, mask = stylizer(tiny, picture, settings), torch.zeros(1, H, W)
    mask[:, :, : W // 2] = 1
    grey = 0.25 + picture(H, W, 1) / 2
    motion = Motion(torch.zeros(2, H, W), mask)
    image = s.step(State(grey), Frame(0, grey), motion).image
    start, _ = start_image(grey, [LinkedImage(grey, motion)])
    change = (image - start).abs()
    visible, disoccluded = change[:, :, : W // 2].amax(), change[:, :, W // 2 :].amax()
    rate = settings.minimiser.learning_rate
    assert disoccluded == pytest.approx(module.DISOCCLUDED_RATE * rate, rel=0.05)
    assert visible == pytest.approx(module.VISIBLE_RATE * rate, rel=0.05)


@pytest.mark.parametrize("iterations", [1, 2, 9])
def test_noise_is_noise_at_the_scale_at_which_it_begins(
    tiny: TinyFeatures, picture: Picture, monkeypatch: pytest.MonkeyPatch, iterations: int
) -> None:
    begun: list[Tensor] = []

    def minimise(
        objective: object, start: Tensor, schedule: Schedule, rate_scale: Tensor | None = None
    ) -> tuple[Tensor, int]:
        begun.append(start)
        return start, schedule.iterations

    monkeypatch.setattr(module, "minimise", minimise)
    settings = optimiser(first_iterations=iterations, first_scales=3, start="noise")
    s = build_stylizer(settings, tiny, [picture(40, 56, 9)], (256, 300))
    s.step(State(), Frame(0, picture(256, 300, 0)), None)
    assert len(begun) == min(iterations, 3)
    assert begun[0].std() > 0.25  # 0.29 is that of a uniform distribution


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
def test_a_small_frame_has_fewer_scales_and_more_to_refine(
    tiny: TinyFeatures, picture: Picture, h: int, w: int, at_full_size: tuple[int, int]
) -> None:
    settings = optimiser(
        first_iterations=200, iterations=80, first_scales=3, scales=2, refinement_iterations=999
    )
    scales = build_stylizer(settings, tiny, [picture(40, 56, 9)], (h, w), refinement=tiny).scales
    for first, expected, most in zip((True, False), at_full_size, (3, 2), strict=True):
        planned = plan_scales(settings.pyramid, (h, w), first=first)
        assert sum(iterations for _, iterations in planned) == (200 if first else 80)
        assert [module.scale_size((h, w), factor) for factor, _ in planned] == [
            scale.size for scale in scales[-len(planned) :]
        ]
        assert len(planned) == min(most, len(scales))
        assert count_refined_iterations(999, planned) == expected
    assert len({scale.size for scale in scales}) == len(scales)
    assert scales[-1].size == (h, w)


def test_a_frame_that_converges_early_is_still_refined(picture: Picture) -> None:
    small, large = Counted(), Counted(full_only=True)
    settings = optimiser(
        first_iterations=100, first_scales=1, stop_tolerance=0.9, refinement_iterations=5
    )
    step = stylizer(small, picture, settings, large).step(State(), Frame(0, picture(H, W, 1)), None)
    assert (small.evaluations, large.evaluations) == (2 * CHECK_INTERVAL, 5)
    assert step.iterations == 2 * CHECK_INTERVAL + 5


@pytest.mark.parametrize(("method", "without"), [("adam", 12), ("lbfgs", 11)])
def test_the_refinement_continues_with_the_small_steps_of_the_end(
    tiny: TinyFeatures, picture: Picture, method: str, without: int
) -> None:
    def image(refined: int, iterations: int, refinement: TinyFeatures | None = tiny) -> Tensor:
        settings = optimiser(
            first_iterations=iterations,
            first_scales=1,
            refinement_iterations=refined,
            method=method,
        )
        s = stylizer(tiny, picture, settings, refinement)
        return s.step(State(), Frame(0, picture(H, W, 1)), None).image

    assert torch.equal(image(0, 12), image(0, 12, None))
    # Only the last step is another one, if on the same network. One of L-BFGS in full has whatever
    # size it takes: there it is compared with none.
    change = (image(1, 12) - image(0, without)).abs().max()
    assert 0 < change < 2.1 * module.FINAL_RATE * optimiser().minimiser.learning_rate


def test_the_refinement_comes_closer_to_the_style_as_vgg19_sees_it(shared: Path) -> None:
    lite, vgg19 = load_network("lite"), load_network("vgg19", weights_dir=shared / "weights")
    size = (64, 96)
    frame = resize(read_image(shared / "photos" / "lion.jpg", StyleError), size)
    painting = read_image(shared / "styles" / "vangogh_starry_night.jpg", StyleError)

    wanted = vgg19(fit_style_image(painting, size)[None], networks.STYLE_LAYERS)
    targets = {name: losses.gram(found) for name, found in wanted.items()}

    def distance(refined: int) -> float:
        settings = optimiser(first_iterations=20, first_scales=1, refinement_iterations=refined)
        s = build_stylizer(settings, lite, [painting], size, refinement=vgg19)
        step = s.step(State(), Frame(0, frame), None)
        assert step.iterations == 20
        maps = vgg19(step.image[None], networks.STYLE_LAYERS)
        return float(sum(losses.style(losses.gram(maps[name]), targets[name]) for name in targets))

    plain, refined = distance(0), distance(5)
    assert refined < 0.9 * plain


@pytest.mark.parametrize(("h", "w"), [(16, 16), (17, 31), (16, 200)])
def test_every_size_down_to_16_pixels_is_stylised(picture: Picture, h: int, w: int) -> None:
    s = build_stylizer(
        optimiser(first_scales=6), load_network("lite"), [picture(40, 300, 9)], (h, w)
    )
    step = s.step(State(), Frame(0, picture(h, w, 1)), None)
    assert step.image.shape == (3, h, w)
    motion = Motion(torch.zeros(2, h, w), torch.ones(1, h, w))
    linked = s.step(step.state, Frame(0, picture(h, w, 2)), motion)
    assert bool(linked.image.isfinite().all())


@pytest.mark.parametrize("refined", [0, 1, 3, 9])
@pytest.mark.parametrize("coarsest", [16, 64])
def test_the_cost_is_what_a_frame_takes(picture: Picture, refined: int, coarsest: int) -> None:
    """By a clock that only features advance, in proportion to the area."""
    now = 0.0

    class Timed(TinyFeatures):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.seconds = seconds

        def __call__(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
            nonlocal now
            h, w = (n - 2 * CANVAS_MARGIN for n in image.shape[2:])
            now += self.seconds * h * w / (32 * 48)
            return super().__call__(image, layers)

    settings = optimiser(
        first_iterations=9,
        first_scales=2,
        iterations=4,
        refinement_iterations=refined,
        coarsest_side=coarsest,
    )
    s = build_stylizer(
        settings,
        Timed(1.0),
        [picture(40, 56, 9)],
        (32, 48),
        refinement=Timed(16.0) if refined else None,
        clock=lambda: now,
    )
    frame = Frame(0, picture(32, 48, 1))
    cost = s.cost(frame)
    begun = now
    step = s.step(State(), frame, None)
    assert cost.first == pytest.approx(now - begun)
    begun = now
    motion = Motion(torch.zeros(2, 32, 48), torch.ones(1, 32, 48))
    s.step(step.state, Frame(1, picture(32, 48, 2)), motion)
    assert cost.linked == pytest.approx(now - begun)
    more = s.cost(frame, linked_iterations=6.2)
    assert more.first == pytest.approx(cost.first)
    each = 16.0 if refined > 4 else 1.0
    assert more.linked - cost.linked == pytest.approx(2 * each)
