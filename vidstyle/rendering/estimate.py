"""How long a full render will take, from its parts timed at its size and from what a preview
told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import MemoryLimitError
from vidstyle.events import Event, FrameDone, Report

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.pipeline import Job
    from vidstyle.stylize.optimise.engine import Stylizer


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

    def scaled(self, small: RenderConfig, full: RenderConfig) -> RenderConfig:
        """The settings of the full render with the iterations that its linked frames will get in
        the mean, as far as the preview, whose settings `small` are, lets one know: both numbers are
        reduced alike.
        """
        done = [count for count in self.iterations if count]
        if not done or full.budget == "fixed" or full.passes > 1:
            return full
        expected = sum(done) / len(done) * full.iterations / small.iterations
        return full.model_copy(update={"iterations": max(1, round(expected))})


def full_render(
    config: RenderConfig,
    job: Job,
    output: Path,
    size: tuple[int, int],
    stylizer: Stylizer,
    flow: Flow,
    optimised: float = 1.0,
) -> float | None:
    """The seconds that the full render at `size` (width, height) into `output` will take, from its
    parts timed at that size; None when a frame of it does not fit into memory, which must not cost
    the preview. `optimised` is the share of the linked frames that is.
    """
    import torch

    from vidstyle.rendering.pipeline import fitting

    try:
        costs = timed_parts(config, job, size, stylizer, flow, fitting(config, size, output).tile)
    except (MemoryError, MemoryLimitError, torch.OutOfMemoryError):
        return None
    fresh, warm, links, written = amounts(config, job)
    optimising = fresh * optimisation(config, size, costs, fresh=True)
    optimising += warm * optimised * optimisation(config, size, costs, fresh=False)
    beside = links * costs.motion, written * costs.writing
    # A GPU optimises while the CPU does the rest; on a CPU all share the same cores.
    return optimising + sum(beside) if stylizer.device.type == "cpu" else max(optimising, *beside)


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
        iteration, scale: one iteration, and what is done once a scale.
        polishing, change: the same of the polisher, which comes in addition; 0 where there is none.
        motion: flow and mask.
        writing: encoding the checkpoint.
    """

    iteration: float
    scale: float
    polishing: float
    change: float
    motion: float
    writing: float


def optimisation(
    config: RenderConfig, size: tuple[int, int], costs: Costs, *, fresh: bool
) -> float:
    """The seconds that the optimiser takes for a frame of `size` (width, height). Work goes with
    the area: at half the size it is a quarter.
    """
    from vidstyle.stylize.optimise.pyramid import descent, polish_iterations

    *coarse, (full, finest) = descent(config, size[::-1], fresh=fresh)
    polished = polish_iterations(config, size[::-1], fresh=fresh)
    way = [*coarse, (full, finest - polished)]
    seconds = sum(
        factor**2 * (costs.scale + count * costs.iteration) for factor, count in way if count
    )
    return seconds + (costs.change + polished * costs.polishing if polished else 0.0)


def timed_parts(
    config: RenderConfig, job: Job, size: tuple[int, int], stylizer: Stylizer, flow: Flow, tile: int
) -> Costs:
    """The parts of a frame, measured at `size` (width, height) on one or two frames of the input.

    Args:
        tile: as in `Stylizer`.
    """
    from vidstyle.frames import Frame, to_uint16
    from vidstyle.motion.correspondence import link_frames
    from vidstyle.storage import png16
    from vidstyle.stylize.optimise.engine import State, Stylizer
    from vidstyle.video.read import read

    pair = [
        frame.image for frame in read(job.source, size, job.first, min(job.first + 2, job.stop))
    ]
    frame, previous = pair[0], pair[-1]
    masks = None
    if job.regions:
        shares = job.regions.painting.mean((1, 2))  # where they lie changes little
        masks = shares[:, None, None].expand(-1, size[1], size[0]).contiguous()

    def optimise(iterations: int, polish: int = 0) -> float:
        """Seconds of a frame with so many iterations at full size, the last `polish` of them
        polished.
        """
        few = {
            "first_iterations": iterations,
            "first_scales": 1,
            "polish": polish,
            "stop_tolerance": 0.0,
        }
        one = Stylizer(
            stylizer.extractor,
            job.paintings,
            (size[1], size[0]),
            config.model_copy(update=few),
            stylizer.device,
            stylizer.polisher,
            tile,
            job.regions.painting if job.regions else None,
        )
        return median(lambda: one.step(State(), Frame(0, frame, masks), None))

    once, more = optimise(1), optimise(9)  # so many, for L-BFGS to have all that it keeps
    iteration = max(1e-4, (more - once) / 8)
    scale = max(0.0, once - iteration)
    polishing = change = 0.0
    if stylizer.polisher:
        last, last_four = optimise(2, 1), optimise(5, 4)
        polishing = max(1e-4, (last_four - last) / 3)
        change = max(
            0.0, last - once - polishing
        )  # the frame's features and the optimiser's buffers, once more
    return Costs(
        iteration=iteration,
        scale=scale,
        polishing=polishing,
        change=change,
        motion=median(lambda: link_frames(frame, previous, flow, config.mask)),
        writing=median(lambda: png16.encode_frame(to_uint16(frame), "", 0)),
    )


def median(work: Callable[[], object], tries: int = 3) -> float:
    """Seconds of the middle one of a few calls: the first one pays for buffers and compiled
    kernels.
    """
    times = []
    for _ in range(tries):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return sorted(times)[tries // 2]
