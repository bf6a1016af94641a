"""The step of the render: `step(state, frame, motion) -> (state, image)`.

Everything that does not change from frame to frame (extractors, style targets, schedules) is built
once in `Stylizer`; everything that does is the state, and the state is what the checkpoint holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vidstyle.config.settings import RenderConfig
from vidstyle.config.weighted_names import parse_weights
from vidstyle.features.extractor import Extractor
from vidstyle.frames import Frame, Motion, quantise
from vidstyle.stylize import oklab
from vidstyle.stylize.objective import (
    Affine,
    Content,
    Objective,
    Observer,
    Smoothness,
    Temporal,
    Term,
    maps,
)
from vidstyle.stylize.optimise.minimise import Schedule, minimise
from vidstyle.stylize.optimise.pyramid import descent, factors, scaled
from vidstyle.stylize.photoreal.guided_filter import recoloured
from vidstyle.stylize.photoreal.matting import Laplacian
from vidstyle.stylize.resample import MARGIN, cropped, extend, resize
from vidstyle.stylize.style.targets import Mixture, Painting
from vidstyle.stylize.temporal import blended, carried, kept_where_settled, start_image
from vidstyle.stylize.tiles import Tile, tiles

LARGEST_ENLARGEMENT = 2.0
"""A painting is brought to the frame's size, so that strokes keep their size relative to the
picture at every resolution; enlarged beyond this it would only be blurred."""


WRAP = 48
"""Pixels by which a texture that can be laid out goes on beyond its edges as it begins on the other
side, while its features are computed: as far as they notice much."""


WARM_RATE, NEW_RATE = 0.25, 0.5
"""Step sizes of a frame that starts from its predecessor, as shares of a fresh frame's: where it
can follow that one, which has been optimised already, and where it cannot. With one rate for both,
what is held trembles, or what is new stays bare."""


RESTYLED = 0.1
"""How much of the temporal weight is left while the style moves: with all of it the picture stays
behind by seconds, and keeps the shapes of the style that it has left. It goes and comes back by and
by, or the picture would jump."""


FINAL_RATE = 0.1
"""Adam's steps have the size of its rate even where nothing is left to gain; letting it fall leaves
no such noise behind.
"""


Watch = Callable[[Extractor, Tensor, Mapping[str, Tensor]], None]
"""Gets every evaluation of an objective: the features that are matched, the picture (3, h, w) at
the size of its scale, which the optimiser will change in place, and {name of a term: its weighted
value, a scalar}."""


Held = tuple[Tensor, Tensor]
"""What a frame is held to, (3, H, W), and where, (1, H, W)."""


@dataclass(frozen=True)
class State:
    """What crosses a frame boundary: stylised frames (3, H, W) exactly as their 16-bit checkpoints
    hold them.

    Args:
        image: the previous one; None before the first one.
        earlier: {j: the one j frames before the next}, j >= 2, as far back as
            `RenderConfig.distances` go.
    """

    image: Tensor | None = None
    earlier: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def images(self) -> dict[int, Tensor]:
        """{j: the frame j before the next}."""
        return {**({} if self.image is None else {1: self.image}), **self.earlier}

    def followed_by(self, image: Tensor, reach: int) -> State:
        """The state of the next frame; nothing is held that is more than `reach` frames back."""
        return State(image, {j + 1: x for j, x in self.images.items() if j < reach})


@dataclass(frozen=True)
class Scale:
    """One level of the coarse-to-fine pyramid: its size (h, w), the features that are matched at
    it, and the style of the paintings in them; `tiles` as in `Objective`, of the canvas."""

    size: tuple[int, int]
    extractor: Extractor
    style: Mixture | None
    tiles: Sequence[Tile] | None


def fitted(
    painting: Tensor,
    size: tuple[int, int],
    factor: float = 1.0,
    style_scale: float = 1.0,
    smallest: int = 16,
) -> Tensor:
    """The painting (3, H, W) as its style is taken for frames of `size` (h, w): at `factor` times
    their area's sides, its own aspect kept, no side below `smallest` pixels.

    Args:
        style_scale: how large it and its strokes are, in relation to the frame (Gatys et al. 2017,
            section 6).
    """
    h, w = size
    area = painting.shape[1] * painting.shape[2]
    share = min(LARGEST_ENLARGEMENT, (h * w / area) ** 0.5 * style_scale) * factor
    least = smallest / min(painting.shape[1:])
    return resize(painting, tuple(round(n * max(share, least)) for n in painting.shape[1:]))


class Stylizer:
    """Stylises frames of one size with one painting, or a mixture of several.

    Args:
        extractor: the features to match.
        paintings: each (3, H, W), any size; none where no style is asked for.
        size: (h, w) of the frames.
        config: its optimisation and its weights; nothing of it that is about the video or its
            motion.
        polisher: the features of the last iterations, see `polish_iterations`; None: `extractor`
            does them too.
        tile: features are computed for squares of about this side, one after the other; 0: for all
            at once.
        regions: (k, h, w), how much of each pixel of the painting belongs to each of its regions,
            any size; None: all of it is one.

    `watch` may be set while a frame is stylised, and changes nothing of it.
    """

    watch: Watch | None = None

    def __init__(
        self,
        extractor: Extractor,
        paintings: Sequence[Tensor],
        size: tuple[int, int],
        config: RenderConfig,
        device: torch.device,
        polisher: Extractor | None = None,
        tile: int = 0,
        regions: Tensor | None = None,
    ) -> None:
        self.extractor, self.config, self.device, self.polisher, self.tile = (
            extractor,
            config,
            device,
            polisher,
            tile,
        )
        self.regions = None if regions is None else regions.to(device)
        self.paintings = [self.as_looked_at(painting.to(device)) for painting in paintings]
        count = max(config.first_scales, config.scales)
        self.pyramid = [self.scale(extractor, size, factor) for factor in factors(size, count)]
        self.polished = self.scale(polisher, size, 1.0) if polisher and config.polish else None

    def scale(self, extractor: Extractor, size: tuple[int, int], factor: float) -> Scale:
        """The frames' size and the painting's statistics at `factor` times the full size."""
        (h, w), known = scaled(size, factor), []
        for painting in self.paintings if self.config.style_weight else ():
            # A texture keeps the scale of what it is made from: there is more of it, not a larger
            # one.
            own = (int(painting.shape[1]), int(painting.shape[2]))
            as_large_as, smallest = (
                own if self.config.texture else size,
                24 if "mrf" in self.config.style_terms else 16,
            )
            small = fitted(
                painting, as_large_as, factor, self.config.style_scale, smallest
            )  # patches: 3x3 cells
            over = self.tiles(extractor, small.shape[1:])
            known.append(Painting(extractor, small[None], self.config, over, self.regions))
        over = self.tiles(extractor, (h + 2 * MARGIN, w + 2 * MARGIN))
        return Scale((h, w), extractor, Mixture(known) if known else None, over)

    def tiles(self, extractor: Extractor, size: Sequence[int]) -> Sequence[Tile] | None:
        """How the features of a picture of `size` (h, w) are divided."""
        if not self.tile:
            return None
        divided = tiles(size, self.tile, extractor.halo)
        return divided if len(divided) > 1 else None

    def step(self, state: State, frame: Frame, motion: Motion | None) -> tuple[State, Tensor, int]:
        """Stylise one frame.

        Args:
            state: of the previous frame, with the earlier ones that `motion.farther` names.
            frame: the source frame; its number and the seed fix the noise of `init = "noise"`, and
                its regions are the same as the painting's.
            motion: what links it to the frames before it; None for the first frame of a shot, which
                starts afresh.

        Returns:
            the new state, its image (3, H, W), and the iterations done.
        """
        frame = frame.to(self.device)
        if motion is None or state.image is None:
            state = State()
            image, done = self.optimised(frame, self.first_image(frame), (), fresh=True)
        elif motion.all_static:
            image, done = state.image.to(self.device), 0  # nothing asks for another picture
        else:
            motion = motion.to(self.device)
            followed = [
                (state.images[j].to(self.device), link)
                for j, link in {1: motion, **motion.farther}.items()
            ]
            start, warped = start_image(frame.image, followed)
            held = [(w, link.mask) for w, (_, link) in zip(warped, followed, strict=True)]
            shown = torch.stack([mask for _, mask in held]).sum(0).clamp(0, 1)  # (1, H, W)
            image, done = self.optimised(frame, start, held, fresh=False, shown=shown)
            image = kept_where_settled(image, warped[0], motion)
        image = quantise(image)
        return state.followed_by(image, self.config.distances[-1]), image, done

    def revise(
        self,
        frame: Frame,
        image: Tensor,
        neighbour: Tensor | None,
        motion: Motion | None,
        *,
        hold: bool,
    ) -> tuple[Tensor, int]:
        """One frame of a later pass (Ruder 2016, section 4.4).

        Args:
            frame: the source frame.
            image: what the pass before made of it, (3, H, W).
            neighbour: the stylised frame (3, H, W) that this pass has just made, with the `motion`
                that links the frame to it; None for the first frame of a shot in this pass's
                direction, which is only optimised again.
            hold: whether the frame is held to the neighbour by the temporal loss too.

        Returns:
            its image (3, H, W) as the checkpoint will hold it, and the iterations done.
        """
        frame, start = frame.to(self.device), image.to(self.device)
        held = []
        if neighbour is not None and motion is not None:
            motion = motion.to(self.device)
            warped = carried(neighbour.to(self.device), motion)
            start = blended(start, warped, motion.mask, self.config.blend)
            held = [(warped, motion.mask)] if hold else []
        made, done = self.optimised(frame, start, held, fresh=False)
        return quantise(made), done

    def optimised(
        self,
        frame: Frame,
        start: Tensor,
        held: Sequence[Held],
        *,
        fresh: bool,
        shown: Tensor | None = None,
    ) -> tuple[Tensor, int]:
        """`descend`, and what the source has to do with it afterwards."""
        looked_at = replace(frame, image=self.as_looked_at(frame.image))
        held = [(self.as_looked_at(warped), mask) for warped, mask in held]
        made, done = self.descend(
            looked_at, self.as_looked_at(start), held, fresh=fresh, shown=shown
        )
        if self.config.photorealism:
            made = recoloured(made, looked_at.image)
        return (
            oklab.with_colours_of(made, frame.image)
            if self.config.keep_colors == "luminance"
            else made
        ), done

    def as_looked_at(self, image: Tensor) -> Tensor:
        """What of a picture (3, H, W) is painted, and what of a painting its style is taken
        from.
        """
        return oklab.grey(image) if self.config.keep_colors == "luminance" else image

    def first_image(self, frame: Frame) -> Tensor:
        if self.config.init == "content" and not self.config.texture:
            return frame.image
        if self.config.init == "style" and self.paintings:
            most = max(
                range(len(frame.style.mixture)), key=frame.style.mixture.__getitem__, default=0
            )
            return resize(self.paintings[most], tuple(frame.image.shape[1:]))
        # Drawn on the CPU from the seed and the frame's number: the same on every device and after
        # every resume. At the size of the first scale: made smaller, noise is grey.
        way = descent(self.config, self.pyramid[-1].size, fresh=True)
        size = scaled(
            self.pyramid[-1].size, next(factor for factor, iterations in way if iterations)
        )
        generator = torch.Generator().manual_seed(
            (self.config.seed * 1_000_003 + frame.index) % 2**63
        )
        return torch.rand((3, *size), generator=generator).to(frame.image)

    def descend(
        self,
        frame: Frame,
        start: Tensor,
        held: Sequence[Held],
        *,
        fresh: bool,
        shown: Tensor | None = None,
    ) -> tuple[Tensor, int]:
        """Minimise from coarse to fine; the temporal terms are there at every scale.

        Args:
            shown: (1, H, W) in [0, 1], how much of each pixel `start` has from frames that were
                optimised; None: all.
        """
        config, full = self.config, self.pyramid[-1].size
        new = 0.0 if shown is None else 1 - float(shown.mean())
        way = descent(config, full, fresh=fresh, new=new)
        image, done = start, 0
        for scale, (_, iterations) in zip(self.pyramid[-len(way) :], way, strict=True):
            if not iterations:
                continue
            rate, pace = (1.0 if fresh else WARM_RATE), None
            if shown is not None:
                rate = NEW_RATE
                if config.optimizer == "adam":
                    pace = 1 - (1 - WARM_RATE / NEW_RATE) * extend(resize(shown, scale.size))
            schedule = Schedule(
                iterations,
                config.optimizer,
                config.learning_rate * rate,
                FINAL_RATE,
                config.stop_tolerance,
            )
            begun = resize(image, scale.size)
            canvas = extend(begun, self.margin)
            for level, part in self.parts(scale, schedule):
                canvas, steps = minimise(self.objective(frame, held, level), canvas, part, pace)
                done += steps
            made = cropped(canvas, self.margin).contiguous()
            if not fresh and begun is not image:
                # A linked frame has its detail already; from a coarser scale it takes the change
                # alone.
                made = (image + resize(made - begun, tuple(image.shape[1:]))).clamp(0, 1)
            image = made
        return image, done

    def parts(self, scale: Scale, schedule: Schedule) -> list[tuple[Scale, Schedule]]:
        """What of the schedule is done on which features: the end of the finest scale is the
        polisher's.
        """
        if self.polished is None or scale is not self.pyramid[-1]:
            return [(scale, schedule)]
        first, last = schedule.split(
            schedule.iterations - min(self.config.polish, schedule.iterations)
        )
        return [
            (level, part)
            for level, part in ((scale, first), (self.polished, last))
            if part.iterations
        ]

    def objective(self, frame: Frame, held: Sequence[Held], scale: Scale) -> Objective:
        config = self.config
        canvas = extend(resize(frame.image, scale.size))
        wanted = parse_weights(config.content_layers)
        looked_at = tuple(wanted) if config.content_weight and not config.texture else ()
        content = maps(scale.extractor, canvas[None], looked_at, scale.tiles)
        masks = None if frame.regions is None else extend(resize(frame.regions, scale.size))
        terms: list[Term] = [
            *(scale.style.terms(masks, frame.style.mixture) if scale.style else ()),
            *([Content(config.content_weight, content, wanted)] if content else []),
            Smoothness(config.tv_weight),
        ]
        if config.photorealism:
            terms.append(Affine(config.photorealism, Laplacian(canvas)))
        for pair in held:
            warped, mask = (extend(resize(x, scale.size)) for x in pair)
            weight = config.temporal_weight * (1 - (1 - RESTYLED) * frame.style.transition)
            terms.append(Temporal(weight, warped, mask, norm=config.temporal_norm))
        wrapped = WRAP if config.tileable else 0
        return Objective(
            scale.extractor, terms, scale.tiles, wrapped, self.observer(scale.extractor)
        )

    @property
    def margin(self) -> int:
        """By how much the canvas reaches beyond the frame: a texture that can be laid out has
        nothing beyond it.
        """
        return 0 if self.config.tileable else MARGIN

    def observer(self, extractor: Extractor) -> Observer | None:
        """Shows `watch` what is evaluated, without the margin."""
        if (watch := self.watch) is None:
            return None
        return lambda canvas, losses: watch(extractor, cropped(canvas[0], self.margin), losses)
