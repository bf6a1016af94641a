"""The stylisation of the frames of one render by optimisation.

Everything that does not change from frame to frame (networks, style targets, scales) is built once
in `OptimisingStylizer`; everything that does is the state.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.frames import Frame, Motion, quantise
from vidstyle.stylize import oklab
from vidstyle.stylize.engine import FrameCost, Observer, State, Step
from vidstyle.stylize.objective import EvaluationCallback, Objective, Term, compute_maps
from vidstyle.stylize.optimise.cost import TimeSource, estimate_seconds, measure_parts
from vidstyle.stylize.optimise.minimise import minimise
from vidstyle.stylize.optimise.pyramid import plan_scales, scale_factors, scale_size
from vidstyle.stylize.optimise.scales import NamedNetwork, Scale, ScaleBuilder, Stage
from vidstyle.stylize.optimise.schedule import Schedule
from vidstyle.stylize.optimise.settings import DETAIL_LAYERS, OptimiserSettings
from vidstyle.stylize.optimise.terms import (
    FINE_COLOUR_SHARE,
    ContentTerm,
    FineColourTerm,
    PhotorealismTerm,
    TemporalTerm,
    TotalVariationTerm,
)
from vidstyle.stylize.photoreal.guided_filter import smooth_recolouring
from vidstyle.stylize.photoreal.matting import MattingLaplacian
from vidstyle.stylize.resample import CANVAS_MARGIN, add_margin, remove_margin, resize
from vidstyle.stylize.temporal import (
    LinkedImage,
    TemporalTarget,
    blend_with_neighbour,
    keep_static_pixels,
    start_image,
    warp_along,
)

TEXTURE_WRAP = 48
"""Pixels by which a tileable texture continues beyond its edges as it begins on the opposite side,
while its features are computed: as far as they notice much."""

VISIBLE_RATE = 0.25
"""Step size of a frame at pixels that it has from its predecessor, which has been optimised
already, as a share of a first frame's. With one rate for both, either the former tremble, or
disoccluded pixels stay bare."""

DISOCCLUDED_RATE = 0.5
"""Step size of a frame at disoccluded pixels, as a share of a first frame's."""

TRANSITION_TEMPORAL_SHARE = 0.1
"""The share of the temporal weight that is left while the mixture of styles changes: with all of it
the picture stays behind by seconds, and keeps the shapes of the style that it has left. The weight
falls and rises gradually, or the picture would jump."""

FINAL_RATE = 0.1
"""Adam's steps have the size of its rate even where nothing is left to gain; letting it fall leaves
no such noise behind.
"""


@dataclass(frozen=True)
class Execution:
    """The way in which frames are computed.

    Args:
        tile: features are computed for squares of about this side, one after the other; 0: for all
            at once.
        clock: measures costs.
    """

    device: torch.device
    tile: int = 0
    clock: TimeSource = time.perf_counter


@dataclass(frozen=True)
class FrameTask:
    """The optimisation of one frame.

    Args:
        start: (3, h, w), the image that it starts from; any size for the first frame of a shot.
        first: the frame is the first of a shot.
        targets: its temporal targets.
        visible: (1, H, W) in [0, 1], how much of each pixel `start` has from frames that were
            optimised; None: all of it.
    """

    frame: Frame
    start: Tensor
    first: bool = False
    targets: Sequence[TemporalTarget] = ()
    visible: Tensor | None = None

    def in_grey(self) -> FrameTask:
        """Return the task with the lightness of all its images alone."""
        return replace(
            self,
            frame=replace(self.frame, image=oklab.to_grey(self.frame.image)),
            start=oklab.to_grey(self.start),
            targets=[TemporalTarget(oklab.to_grey(x), mask) for x, mask in self.targets],
        )


class OptimisingStylizer:
    """Stylises frames of one size in the style of one image, or of a mixture of several.

    Args:
        networks: the one whose features are matched, and that of the refinement, where there is
            one.
        style_images: each (3, H, W), any size; none where no style is asked for.
        size: (h, w) of the frames.
        style_masks: (k, h, w), how much of each pixel of the style image belongs to each of its
            regions, any size; None: all of it is one.
    """

    def __init__(
        self,
        settings: OptimiserSettings,
        networks: Sequence[NamedNetwork],
        style_images: Sequence[Tensor],
        size: tuple[int, int],
        execution: Execution,
        style_masks: Tensor | None = None,
    ) -> None:
        self.settings = settings
        self.size = size
        self.device = execution.device
        self.clock = execution.clock
        images = [image.to(self.device) for image in style_images]
        if settings.luminance_only:
            images = [oklab.to_grey(image) for image in images]
        self.style_images = images
        masks = None if style_masks is None else style_masks.to(self.device)
        builder = ScaleBuilder(
            settings.style, images, masks, size, execution.tile, settings.texture
        )
        main, *refinement = networks
        pyramid = settings.pyramid
        count = max(pyramid.first_scales, pyramid.scales)
        factors = scale_factors(size, count, pyramid.coarsest_side)
        self.scales = [builder.build(main, factor) for factor in factors]
        self.refinement = builder.build(refinement[0], 1.0) if refinement else None

    def step(
        self,
        state: State,
        frame: Frame,
        motion: Motion | None,
        observer: Observer | None = None,
    ) -> Step:
        """Stylise one frame.

        Args:
            state: what the frame before it left, with the earlier frames that `motion.farther`
                names.
            frame: the source frame; its index and the seed fix the noise that it may start from,
                and its regions are the same as those of the style image.
            motion: what links it to the frames before it; None for the first frame of a shot.
        """
        frame = frame.to(self.device)
        if motion is None or state.image is None:
            state = State()
            task = FrameTask(frame, self.start_first_frame(frame), first=True)
            image, iterations = self._optimise(task, self._plan_stages(task), observer)
        elif motion.all_static:
            # Nothing asks for another image.
            image = state.image.to(self.device)
            iterations = 0
        else:
            motion = motion.to(self.device)
            links = [
                LinkedImage(state.images[j].to(self.device), link)
                for j, link in {1: motion, **motion.farther}.items()
            ]
            start, targets = start_image(frame.image, links)
            visible = torch.stack([mask for _, mask in targets]).sum(0).clamp(0, 1)  # (1, H, W)
            task = FrameTask(frame, start, targets=targets, visible=visible)
            image, iterations = self._optimise(task, self._plan_stages(task), observer)
            image = keep_static_pixels(image, targets[0].image, motion)
        image = quantise(image)
        return Step(image, state.followed_by(image, self.settings.reach), iterations)

    def revise(
        self,
        state: State,
        frame: Frame,
        motion: Motion | None,
        image: Tensor,
        *,
        temporal_loss: bool,
    ) -> Step:
        """Stylise a frame once more, in a later pass (Ruder 2016, section 4.4).

        Args:
            state: its neighbour as this pass has left it; nothing for the first frame of a shot in
                the direction of this pass, which is only optimised again.
            frame: the source frame.
            motion: what links it to that neighbour; None where there is none.
            image: (3, H, W), the frame as the pass before left it.
            temporal_loss: whether the neighbour is a temporal target of the frame, too.
        """
        frame = frame.to(self.device)
        start = image.to(self.device)
        targets: list[TemporalTarget] = []
        if state.image is not None and motion is not None:
            motion = motion.to(self.device)
            warped = warp_along(state.image.to(self.device), motion)
            neighbour = TemporalTarget(warped, motion.mask)
            start = blend_with_neighbour(start, neighbour, self.settings.blend)
            targets = [neighbour] if temporal_loss else []
        task = FrameTask(frame, start, targets=targets)
        revised, iterations = self._optimise(task, self._plan_stages(task))
        revised = quantise(revised)
        return Step(revised, State(revised), iterations)

    def refine(self, state: State, frame: Frame, motion: Motion | None, image: Tensor) -> Step:
        """Optimise a frame at full size alone, from a picture that something else has made of it.

        Args:
            state: what the frame before it left.
            frame: the source frame.
            motion: what links it to the frames before it; None for the first frame of a shot.
            image: (3, H, W), what is started from.
        """
        frame = frame.to(self.device)
        targets: list[TemporalTarget] = []
        if motion is not None and state.image is not None:
            motion = motion.to(self.device)
            links = {1: motion, **motion.farther}
            targets = [
                TemporalTarget(warp_along(state.images[j].to(self.device), link), link.mask)
                for j, link in links.items()
            ]
        task = FrameTask(frame, image.to(self.device), targets=targets)
        refined, iterations = self._optimise(task, self._plan_refinement(first=motion is None))
        if motion is not None and targets:
            refined = keep_static_pixels(refined, targets[0].image, motion)
        refined = quantise(refined)
        return Step(refined, state.followed_by(refined, self.settings.reach), iterations)

    def cost(self, frame: Frame, linked_iterations: float | None = None) -> FrameCost:
        """Measure what frames cost, on one of the source.

        Args:
            linked_iterations: how many a linked frame takes in the mean, where that is known.
        """
        frame = frame.to(self.device)
        minimiser = replace(self.settings.minimiser, stop_tolerance=0.0)

        def optimise(iterations: int, refined: int) -> Tensor:
            task = FrameTask(frame, self.start_first_frame(frame), first=True)
            schedule = Schedule(iterations, minimiser.method, minimiser.learning_rate, FINAL_RATE)
            stages = self._split_stages(self.scales[-1], schedule, refined)
            image, _ = self._optimise(task, stages)
            return quantise(image)

        parts = measure_parts(optimise, self.clock, refines=self.refinement is not None)
        pyramid = self.settings.pyramid
        first = plan_scales(pyramid, self.size, first=True)
        if linked_iterations is not None:
            pyramid = replace(pyramid, iterations=max(1, round(linked_iterations)))
        linked = plan_scales(pyramid, self.size, first=False)
        refined = self.settings.refinement_iterations
        return FrameCost(
            estimate_seconds(first, refined, parts), estimate_seconds(linked, refined, parts)
        )

    def start_first_frame(self, frame: Frame) -> Tensor:
        """Make the image that the first frame of a shot starts from, (3, h, w)."""
        settings = self.settings
        if settings.start == "content" and not settings.texture:
            return frame.image
        if settings.start == "style" and self.style_images:
            mixture = frame.style.mixture
            most = max(range(len(mixture)), key=mixture.__getitem__, default=0)
            return resize(self.style_images[most], tuple(frame.image.shape[1:]))
        # Drawn on the CPU from the seed and the frame's index: the same on every device and after
        # every resume. At the size of the first scale: made smaller, noise is grey.
        planned = plan_scales(settings.pyramid, self.size, first=True)
        size = scale_size(self.size, next(one.factor for one in planned if one.iterations))
        generator = torch.Generator().manual_seed((settings.seed * 1_000_003 + frame.index) % 2**63)
        return torch.rand((3, *size), generator=generator).to(frame.image)

    def _plan_stages(self, task: FrameTask) -> list[Stage]:
        """Divide the optimisation of a frame into stages, coarse to fine."""
        minimiser = self.settings.minimiser
        disoccluded = 0.0
        rate = 1.0 if task.first else VISIBLE_RATE
        if task.visible is not None:
            disoccluded = 1 - float(task.visible.mean())
            rate = DISOCCLUDED_RATE
        planned = plan_scales(
            self.settings.pyramid, self.size, first=task.first, disoccluded=disoccluded
        )
        stages: list[Stage] = []
        for scale, (_, iterations) in zip(self.scales[-len(planned) :], planned, strict=True):
            schedule = Schedule(
                iterations,
                minimiser.method,
                minimiser.learning_rate * rate,
                FINAL_RATE,
                minimiser.stop_tolerance,
            )
            refined = self.settings.refinement_iterations if scale is self.scales[-1] else 0
            stages += self._split_stages(scale, schedule, refined)
        return stages

    def _plan_refinement(self, *, first: bool) -> list[Stage]:
        """Plan the iterations of a frame that is painted already: all of them at full size."""
        settings = self.settings
        pyramid, minimiser = settings.pyramid, settings.minimiser
        schedule = Schedule(
            pyramid.first_iterations if first else pyramid.iterations,
            minimiser.method,
            minimiser.learning_rate * VISIBLE_RATE,
            FINAL_RATE,
            minimiser.stop_tolerance,
        )
        return self._split_stages(self.scales[-1], schedule, settings.refinement_iterations)

    def _split_stages(self, scale: Scale, schedule: Schedule, refined: int) -> list[Stage]:
        """Do the last `refined` iterations of a scale on the refinement network, if there is one.

        Stages without iterations are left out.
        """
        if self.refinement is None:
            refined = 0
        first, last = schedule.split(schedule.iterations - min(refined, schedule.iterations))
        stages = [Stage(scale, first)]
        if self.refinement is not None:
            stages.append(Stage(self.refinement, last))
        return [stage for stage in stages if stage.schedule.iterations]

    def _optimise(
        self, task: FrameTask, stages: Sequence[Stage], observer: Observer | None = None
    ) -> tuple[Tensor, int]:
        """Optimise a frame and restore what the settings keep of the source; return the image
        (3, H, W) and the iterations.
        """
        if observer is not None:
            observer.start(task.start)
        matched = task.in_grey() if self.settings.luminance_only else task
        image, iterations = self._descend(matched, stages, observer)
        if self.settings.losses.photorealism_weight:
            image = smooth_recolouring(image, matched.frame.image)
        if self.settings.luminance_only:
            image = oklab.keep_source_colours(image, task.frame.image)
        return image, iterations

    def _descend(
        self, task: FrameTask, stages: Sequence[Stage], observer: Observer | None
    ) -> tuple[Tensor, int]:
        """Minimise from coarse to fine; the temporal terms are there at every scale."""
        image = task.start
        total = 0
        for size, at_size in itertools.groupby(stages, key=lambda stage: stage.scale.size):
            start = resize(image, size)
            canvas = add_margin(start, self.margin)
            rate_scale = self._scale_rate(task.visible, size)
            for stage in at_size:
                objective = self._build_objective(task, stage.scale, observer)
                canvas, iterations = minimise(objective, canvas, stage.schedule, rate_scale)
                total += iterations
            result = remove_margin(canvas, self.margin).contiguous()
            if not task.first and start is not image:
                # A linked frame has its detail already; from a coarser scale it takes the change
                # alone.
                change = resize(result - start, tuple(image.shape[1:]))
                result = (image + change).clamp(0, 1)
            image = result
        return image, total

    def _scale_rate(self, visible: Tensor | None, size: tuple[int, int]) -> Tensor | None:
        """Compute the learning-rate scale of Adam (1, h, w), which is lower where the frame has
        pixels from its predecessors.
        """
        if visible is None or self.settings.minimiser.method != "adam":
            return None
        return 1 - (1 - VISIBLE_RATE / DISOCCLUDED_RATE) * add_margin(resize(visible, size))

    def _build_objective(
        self, task: FrameTask, scale: Scale, observer: Observer | None
    ) -> Objective:
        """Build the objective of a frame at one scale."""
        settings = self.settings
        weights = settings.losses
        frame = task.frame
        canvas = add_margin(resize(frame.image, scale.size))
        has_content = weights.content_weight and not settings.texture
        content_layers = tuple(weights.content_layers) if has_content else ()
        holds_detail = frame.detail is not None and weights.detail_weight > 0
        detail_layers = tuple(DETAIL_LAYERS) if holds_detail else ()
        layers = tuple(dict.fromkeys((*content_layers, *detail_layers)))
        maps = compute_maps(scale.network.extractor, canvas[None], layers, scale.tiles)
        terms: list[Term] = []
        if scale.style:
            masks = None
            if frame.regions is not None:
                masks = add_margin(resize(frame.regions, scale.size))
            mixture = frame.style.mixture
            terms += scale.style.terms(masks, mixture)
            energy = scale.style.fine_colour_energy(mixture)
            terms.append(FineColourTerm(FINE_COLOUR_SHARE * settings.style.weight, energy))
        if content_layers:
            targets = {name: maps[name] for name in content_layers}
            terms.append(ContentTerm(weights.content_weight, targets, weights.content_layers))
        if frame.detail is not None and detail_layers:
            targets = {name: maps[name] for name in detail_layers}
            detail = add_margin(resize(frame.detail, scale.size))
            terms.append(ContentTerm(weights.detail_weight, targets, DETAIL_LAYERS, detail))
        terms.append(TotalVariationTerm(weights.total_variation_weight))
        if weights.photorealism_weight:
            terms.append(PhotorealismTerm(weights.photorealism_weight, MattingLaplacian(canvas)))
        temporal_weight = weights.temporal_weight * frame.temporal_strength
        temporal_weight *= 1 - (1 - TRANSITION_TEMPORAL_SHARE) * frame.style.transition
        for target in task.targets:
            warped, mask = (add_margin(resize(x, scale.size)) for x in target)
            terms.append(TemporalTerm(temporal_weight, warped, mask, weights.temporal_norm))
        wrapped = TEXTURE_WRAP if settings.tileable_texture else 0
        callback = self._show_evaluations(observer, scale.network.name)
        return Objective(scale.network.extractor, terms, scale.tiles, wrapped, callback)

    def _show_evaluations(
        self, observer: Observer | None, features: str
    ) -> EvaluationCallback | None:
        """Show an observer every evaluation, without the margin of the canvas."""
        if observer is None:
            return None

        def show(image: Tensor, losses: Mapping[str, Tensor]) -> None:
            observer.evaluate(remove_margin(image[0], self.margin), losses, features)

        return show

    @property
    def margin(self) -> int:
        """Pixels by which the canvas reaches beyond the frame: a tileable texture has nothing
        beyond it.
        """
        return 0 if self.settings.tileable_texture else CANVAS_MARGIN
