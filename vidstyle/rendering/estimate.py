"""How long a full render will take, from its parts timed at its size and from what a preview
told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidstyle.errors import MemoryLimitError
from vidstyle.events import Event, FrameDone, Report

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.pipeline import Job
    from vidstyle.stylize.engine import FrameCost, Stylizer


class LinkedFrames:
    """Takes down how many iterations the preview's frames got that do not start afresh; passes
    every event on.
    """

    def __init__(self, fresh: Collection[int], report: Report) -> None:
        self.fresh, self.report = fresh, report
        self.iterations: list[int] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, FrameDone) and event.frame not in self.fresh:
            self.iterations.append(event.iterations)
        self.report(event)

    @property
    def optimised(self) -> float:
        """The share of them that was optimised at all: what rests is taken as it is."""
        return sum(map(bool, self.iterations)) / len(self.iterations) if self.iterations else 1.0

    def scaled(self, small: RenderConfig, full: RenderConfig) -> float | None:
        """The iterations that the linked frames of the full render will get in the mean, as far as
        the preview, whose settings `small` are, lets one know: both numbers are reduced alike.
        """
        done = [count for count in self.iterations if count]
        if not done or full.budget == "fixed" or full.passes > 1:
            return None
        return sum(done) / len(done) * full.iterations / small.iterations


def full_render(
    config: RenderConfig,
    job: Job,
    size: tuple[int, int],
    build: Callable[[], Stylizer],
    flow: Flow,
    optimised: float = 1.0,
    iterations: float | None = None,
) -> float | None:
    """The seconds that the full render at `size` (width, height) will take, from its parts timed at
    that size; None when a frame of it does not fit into memory, which must not cost the preview.

    Args:
        build: builds its stylizer.
        optimised: the share of the linked frames that is.
        iterations: those of a linked frame in the mean, where they are known.
    """
    import torch

    try:
        costs = timed_parts(config, job, size, build(), flow, iterations)
    except (MemoryError, MemoryLimitError, torch.OutOfMemoryError):
        return None
    fresh, warm, links, written = amounts(config, job)
    optimising = fresh * costs.optimising.first + warm * optimised * costs.optimising.linked
    beside = links * costs.motion, written * costs.writing
    # A GPU optimises while the CPU does the rest; on a CPU all share the same cores.
    return optimising + sum(beside) if costs.device == "cpu" else max(optimising, *beside)


def amounts(config: RenderConfig, job: Job) -> tuple[int, int, int, int]:
    """Of the full render: frames that start afresh, frames that do not, links between frames, and
    frames written; each pass counted.
    """
    frames, ends = len(job.whole), (*job.cuts[1:], len(job.whole))
    if config.per_frame:
        return frames, 0, 0, frames
    lengths = [end - begin for begin, end in zip(job.cuts, ends, strict=True)]
    links = sum(max(0, length - j) for length in lengths for j in config.distances)
    if config.passes == 1:
        return len(lengths), frames - len(lengths), links, frames
    later = config.passes - 1
    return frames, later * frames, later * links, (config.passes + 1) * frames  # and the source's


@dataclass(frozen=True)
class Costs:
    """Seconds of a frame's parts at the size of the render.

    Args:
        optimising: by the stylizer.
        motion: flow and mask.
        writing: encoding the checkpoint.
        device: type of the stylizer's device.
    """

    optimising: FrameCost
    motion: float
    writing: float
    device: str


def timed_parts(
    config: RenderConfig,
    job: Job,
    size: tuple[int, int],
    stylizer: Stylizer,
    flow: Flow,
    iterations: float | None,
) -> Costs:
    """The parts of a frame, measured at `size` (width, height) on one or two frames of the
    input.
    """
    from vidstyle.frames import Frame, to_uint16
    from vidstyle.motion.correspondence import link_frames
    from vidstyle.storage import png16
    from vidstyle.stylize.optimise.cost import measure_median
    from vidstyle.video.read import read

    pair = [
        frame.image for frame in read(job.source, size, job.first, min(job.first + 2, job.stop))
    ]
    frame, previous = pair[0], pair[-1]
    masks = None
    if job.regions:
        shares = job.regions.painting.mean((1, 2))  # where they lie changes little
        masks = shares[:, None, None].expand(-1, size[1], size[0]).contiguous()
    return Costs(
        optimising=stylizer.cost([Frame(0, frame, masks)], iterations),
        motion=measure_median(
            lambda: link_frames(frame, previous, flow, config.mask), time.perf_counter
        ),
        writing=measure_median(lambda: png16.encode(to_uint16(frame), "", 0), time.perf_counter),
        device=stylizer.device.type,
    )
