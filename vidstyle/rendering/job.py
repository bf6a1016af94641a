"""A render, first as it was asked for and looked at, then as it is decided: its input, its shots,
its engine, and where it goes.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from vidstyle.frames import Timeline
from vidstyle.motion.bars import Bars
from vidstyle.rendering.layers import FrameRange, KeyframeImage, Layer, LayerPlan, plan_layers

if TYPE_CHECKING:
    from pathlib import Path

    from vidstyle.config.settings import RenderConfig
    from vidstyle.events import Note
    from vidstyle.machine.device import ComputeDevice
    from vidstyle.motion.edit import Edit
    from vidstyle.rendering.label_maps import LabelMaps
    from vidstyle.rendering.memory import MemoryFit
    from vidstyle.stylize.engine import Engine
    from vidstyle.stylize.oklab import ColourStatistics
    from vidstyle.stylize.style.rim import Rim
    from vidstyle.video.delivery import Delivery
    from vidstyle.video.probe import Source
    from vidstyle.video.seek import SeekIndex


@dataclass(frozen=True)
class Request:
    """A render that has passed every check for which the input need not be decoded.

    Args:
        size: (width, height) of the render.
        style_rims: what is cut off the style images, in the order of their files.
        notes: what the user should know before it starts.
    """

    config: RenderConfig
    source: Source
    delivery: Delivery
    size: tuple[int, int]
    device: ComputeDevice
    engine: Engine
    memory: MemoryFit
    label_maps: LabelMaps | None
    style_rims: tuple[Rim, ...]
    notes: tuple[Note, ...]

    @property
    def output(self) -> Path:
        """The path of the result."""
        return self.delivery.path


@dataclass(frozen=True)
class Job:
    """A render that has passed every check and can begin. It can be pickled, so that another
    process, or another machine with the same files, renders some of its shots.

    Args:
        timeline: of the whole input; the render takes its frames `part`, and counts them from 0.
        edit: the shots of the whole input and their transitions, in its own frames.
        seek: where decoding can begin in the input.
        size: (width, height) of the render.
        bars: those of its sides that are left as they are, and not painted.
        keyframes: the frames that the user has painted, in order.
        is_loop: whether the last frame leads to the first.
        source_colours: the statistics of all frames of the source together, where the style images
            are matched to them.
        memory: what the render takes, and the tiles that features are computed in.
        style_rims: what is cut off the style images, in the order of their files.
        notes: what the user should know before it starts.
        discards_other_frames: whether frames that other settings made are thrown away without
            asking, as those of an earlier preview are.
    """

    config: RenderConfig
    source: Source
    delivery: Delivery
    source_colours: ColourStatistics | None
    timeline: Timeline
    edit: Edit
    seek: SeekIndex
    part: FrameRange
    size: tuple[int, int]
    device: ComputeDevice
    engine: Engine
    memory: MemoryFit
    label_maps: LabelMaps | None
    style_rims: tuple[Rim, ...]
    notes: tuple[Note, ...]
    bars: Bars = field(default_factory=Bars)
    keyframes: tuple[KeyframeImage, ...] = ()
    is_loop: bool = False
    discards_other_frames: bool = False

    @property
    def frame_count(self) -> int:
        """The number of frames to render."""
        return len(self.part)

    @property
    def uses_detail(self) -> bool:
        """Whether frames get a detail map (`stylize.detail`)."""
        return self.engine.needs_detail

    @property
    def finder_weights(self) -> tuple[str, ...]:
        """Names of the weight files of the finder of figures, of its trunk and of its head; none
        where it is not asked.
        """
        return ("lite", "figures") if self.uses_detail else ()

    @property
    def flow_name(self) -> str:
        """The flow estimator that the render loads. Where no motion is needed none is asked: DIS
        costs nothing.
        """
        return self.config.flow if self.engine.needs_motion else "dis"

    @property
    def rendered_timeline(self) -> Timeline:
        """The times of the rendered frames."""
        return self.timeline.select(self.part.first, self.part.stop)

    @property
    def shots(self) -> tuple[FrameRange, ...]:
        """The shots of the render, counted from its first frame. One that comes in by a dissolve
        begins where it has half of the picture.
        """
        inside = sorted({0, *(t - self.part.first for t in self.edit.cuts if t in self.part)})
        ends = (*inside[1:], self.frame_count)
        return tuple(FrameRange(first, stop) for first, stop in zip(inside, ends, strict=True))

    @functools.cached_property
    def layer_plan(self) -> LayerPlan:
        """The layers that are painted, and how the frames are put together from them."""
        count = len(self.timeline)
        return plan_layers(self.edit, count, self.part, self.keyframes, is_loop=self.is_loop)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The units of work, in order. No frame of one depends on another one, except for the layer
        of a loop, which comes last.
        """
        return self.layer_plan.layers

    @property
    def repeats(self) -> frozenset[int]:
        """The frames that repeat the one before, bit for bit, and are to be painted alike: they
        cost a copy.
        """
        has_moving_style = any(one.at is not None for one in self.config.style)
        has_moving_labels = self.label_maps is not None and self.label_maps.fixed is None
        if has_moving_style or has_moving_labels:
            return frozenset()
        checksums = self.seek.checksums[self.part.first : self.part.stop]
        return frozenset(i for i, (a, b) in enumerate(itertools.pairwise(checksums), 1) if a == b)

    @property
    def paint_size(self) -> tuple[int, int]:
        """(width, height) of what is painted: of the frames without their bars."""
        return self.bars.inner_size(self.size)

    @property
    def trim(self) -> tuple[Fraction, Fraction] | None:
        """The start and the length in seconds where only a part is rendered."""
        if self.part == FrameRange(0, len(self.timeline)):
            return None
        timeline = self.rendered_timeline
        return timeline.pts[0] * timeline.time_base, timeline.duration
