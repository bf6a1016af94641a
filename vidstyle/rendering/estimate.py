"""The time that a full render takes, from its parts measured at its size and from what a preview
has seen.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vidstyle.errors import MemoryLimitError
from vidstyle.events import Event, FrameDone, Report
from vidstyle.frames import Frame, to_uint16
from vidstyle.motion.correspondence import link_frames
from vidstyle.rendering.engines import create_engine, learned_paintings
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.learning import LearningEngine
from vidstyle.rendering.models import RenderTools
from vidstyle.rendering.prepare import fit_memory
from vidstyle.rendering.sources import read_style_images
from vidstyle.storage import png16
from vidstyle.stylize.detail import FIGURE_SEARCH_INTERVAL, combine, observe
from vidstyle.video.read import read

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.config.settings import RenderConfig
    from vidstyle.rendering.job import Job
    from vidstyle.rendering.models import Models
    from vidstyle.stylize.detail import FigureSearch
    from vidstyle.stylize.engine import FrameCost

Clock = Callable[[], float]
"""Gives seconds, from any origin."""

TIMED_CALLS = 3


class LinkedFrames:
    """Notes how many iterations the linked frames of a preview got; passes every event on."""

    def __init__(self, job: Job, report: Report) -> None:
        # What is made by itself, and what costs nothing, is counted apart.
        self.uncounted = {layer.anchor for layer in job.layers} | job.repeats
        self.expected = job.engine.work(job.size, first=False).iterations
        self.is_adaptive = job.config.budget == "adaptive" and job.config.passes == 1
        self.report = report
        self.iterations: list[int] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, FrameDone) and event.frame not in self.uncounted:
            self.iterations.append(event.iterations)
        self.report(event)

    @property
    def optimised_share(self) -> float:
        """The share of them that was optimised at all: static frames are taken as they are."""
        if not self.iterations:
            return 1.0
        return sum(map(bool, self.iterations)) / len(self.iterations)

    def mean_iterations(self, nominal: int) -> float | None:
        """The iterations that linked frames get in the mean where the settings ask for `nominal`,
        as far as the preview tells: both are reduced alike. None: as the settings say.
        """
        done = [count for count in self.iterations if count]
        if not done or not self.is_adaptive or not self.expected:
            return None
        return sum(done) / len(done) * nominal / self.expected


@dataclass(frozen=True)
class FullRender:
    """The render that a preview is of.

    Args:
        size: (width, height).
    """

    config: RenderConfig
    size: tuple[int, int]
    output: Path


@dataclass(frozen=True)
class RenderCosts:
    """Seconds of the parts of a render at its size.

    Args:
        frame: stylising a frame.
        link: flow and mask between two frames.
        write: encoding the file of a frame.
        search: finding figures in a frame.
    """

    frame: FrameCost
    link: float
    write: float
    search: float = 0.0


@dataclass(frozen=True)
class RenderAmounts:
    """The work of a full render, all passes counted.

    Args:
        first: frames that start a shot, or are made by themselves.
        linked: all others.
        links: pairs of frames that flow is computed for.
        written: frames that are written.
        searches: frames in which figures are looked for.
    """

    first: int
    linked: int
    links: int
    written: int
    searches: int = 0


def estimate_render(
    full: FullRender,
    preview: Job,
    linked: LinkedFrames,
    models: Models,
    clock: Clock = time.perf_counter,
) -> float | None:
    """Estimate the seconds that a full render takes.

    Args:
        preview: the job of the preview, which knows the whole input.
        linked: what the preview has seen of linked frames.

    Returns None when a frame does not fit into memory, which must not cost the preview.
    """
    config = full.config
    device = preview.device
    engine = create_engine(config, device)
    try:
        fit = fit_memory(config, engine, full.size, device, full.output)
        stylizer = engine.build(
            models.for_job(preview),
            read_style_images(preview),
            full.size,
            device.device,
            tile=fit.tile,
            style_masks=preview.label_maps.style_masks if preview.label_maps else None,
        )
        flow = models.flow(preview.flow_name, device.device, config.weights_dir)
        linked_iterations = None
        if engine.needs_motion:
            nominal = engine.work(full.size, first=False).iterations
            linked_iterations = linked.mean_iterations(nominal)
        figures = None
        if preview.uses_detail:
            figures = models.figures(device.device, config.weights_dir)
        frames = sample_frames(preview, full.size, figures)
        tools = RenderTools(stylizer, flow, figures)
        costs = measure_costs(frames, tools, config.mask, linked_iterations, clock)
    except (MemoryError, MemoryLimitError, torch.OutOfMemoryError):
        return None
    amounts = count_work(replace(preview, config=config))
    seconds = total_seconds(amounts, costs, linked.optimised_share, device.device)
    if isinstance(engine, LearningEngine):
        seconds += config.learn * len(learned_paintings(config))
    return seconds


def measure_costs(
    frames: Sequence[Frame],
    tools: RenderTools,
    mask: str,
    linked_iterations: float | None = None,
    clock: Clock = time.perf_counter,
) -> RenderCosts:
    """Measure the parts of a render on one or two of its frames.

    Args:
        mask: as in `motion.correspondence.link_frames`.
        linked_iterations: how many a linked frame takes in the mean, where that is known.
    """
    image = frames[0].image
    other = frames[-1].image
    search = 0.0
    if tools.figures is not None:
        search = median_seconds(functools.partial(tools.figures, image), clock)
    return RenderCosts(
        frame=tools.stylizer.cost(frames[0], linked_iterations),
        link=median_seconds(lambda: link_frames(image, other, tools.flow, mask), clock),
        write=median_seconds(lambda: png16.encode_frame(to_uint16(image), "", 0), clock),
        search=search,
    )


def total_seconds(
    amounts: RenderAmounts, costs: RenderCosts, optimised_share: float, device: torch.device
) -> float:
    """Add up the seconds of a render.

    Args:
        optimised_share: of the linked frames; static ones are taken as they are.
    """
    stylising = amounts.first * costs.frame.first
    stylising += amounts.linked * optimised_share * costs.frame.linked
    linking = amounts.links * costs.link + amounts.searches * costs.search
    alongside = (linking, amounts.written * costs.write)
    # A GPU stylises while the CPU does the rest; on a CPU all share the same cores.
    if device.type == "cpu":
        return stylising + sum(alongside)
    return max(stylising, *alongside)


def count_work(job: Job) -> RenderAmounts:
    """Count the work of a render of the whole input."""
    config = job.config
    frames = len(job.timeline)
    # Those of the preview are counted from its own first frame.
    whole = replace(job, part=FrameRange(0, frames), keyframes=())
    if not job.engine.needs_motion:
        return RenderAmounts(frames - len(whole.repeats), 0, 0, frames, frames)
    lengths = [len(layer.frames) for layer in whole.layers]
    links = sum(max(0, length - j) for length in lengths for j in config.distances)
    if config.passes == 1:
        written = sum(lengths)
        painted = max(len(lengths), written - len(whole.repeats))
        links = links * painted // max(1, written)
        searches = sum(1 + (length - 1) // FIGURE_SEARCH_INTERVAL for length in lengths)
        return RenderAmounts(len(lengths), painted - len(lengths), links, written, searches)
    later = config.passes - 1
    written = (config.passes + 1) * frames  # and the source's
    return RenderAmounts(frames, later * frames, later * links, written, config.passes * frames)


def sample_frames(
    job: Job, size: tuple[int, int], search: FigureSearch | None = None
) -> list[Frame]:
    """One or two source frames of a job at another size (width, height), with regions that cover as
    much as those of the style image do: where they lie changes little.

    Args:
        search: finds figures; None where no detail map is asked for.
    """
    first = job.part.first
    stop = min(first + 2, job.part.stop)
    masks: Tensor | None = None
    if job.label_maps:
        shares = job.label_maps.style_masks.mean((1, 2))
        masks = shares[:, None, None].expand(-1, size[1], size[0]).contiguous()
    images = [frame.image for frame in read(job.source, size, first, stop, job.seek)]
    frames = [Frame(i, image, masks) for i, image in enumerate(images)]
    if search is None:
        return frames
    return [replace(one, detail=combine(observe(one.image, search))) for one in frames]


def median_seconds(
    work: Callable[[], object], clock: Clock = time.perf_counter, calls: int = TIMED_CALLS
) -> float:
    """Measure the median of a few calls: the first one pays for buffers and compiled kernels."""
    times = []
    for _ in range(calls):
        begun = clock()
        work()
        times.append(clock() - begun)
    return sorted(times)[calls // 2]
