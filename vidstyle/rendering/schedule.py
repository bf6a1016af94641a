"""The order in which the frames of a layer are made, and what each is made from.

A single pass goes from the anchor of the layer to its last frame, and then from the anchor back to
its first, and links each frame to those that it has made before. The multi-pass algorithm goes over
a layer again and again (Ruder 2016, section 4.4):

    pass 1          every frame by itself, in order
    pass 2, 4, ...  from the last frame of the layer to its first
    pass 3, 5, ...  from the first to the last

From pass 2 on a frame starts from its image of the pass before, blended with the neighbour that
this pass has just made. So the look of a shot spreads over it in both directions, also to what
comes into view later. A pass reads the frames of the one before and writes a folder of its own.
These folders alone say what is left to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from vidstyle.frames import Frame, quantise
from vidstyle.motion.correspondence import hold_link, link_frames
from vidstyle.motion.hold import HoldTracker, record_source
from vidstyle.rendering.frame_linker import FrameLinker, repeats
from vidstyle.rendering.layer_files import LayerFiles
from vidstyle.rendering.paint_store import PaintStore
from vidstyle.rendering.prefetch import prefetch, upload_image
from vidstyle.rendering.sources import (
    LayerSources,
    read_keyframe,
    region_masks,
    source_frame,
)
from vidstyle.stylize.detail import combine, observe

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.frames import Motion
    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import Layer
    from vidstyle.stylize.detail import FigureSearch


@dataclass(frozen=True)
class Work:
    """One frame to make, with all that it is made from except stylised frames of its own pass.

    Args:
        frame: the source frame, with its style.
        motion: what links it to the frames that the pass makes before it; None for one that is made
            by itself, such as the anchor of a layer.
        target: where the stylised frame goes.
        direction: 1 where the pass goes forward, -1 where it goes backward.
        previous_pass: (3, H, W), the frame as the pass before left it; None in the first pass.
        temporal_loss: whether a frame of a later pass is also held to its neighbour by the temporal
            loss.
        given: (3, H, W), the stylised frame itself, where it need not be made.
        is_counted: whether it is a frame of the render; the anchor of a loop is none.
        is_repeat: the frame is its predecessor once more, pixel for pixel.
        reach: how many frames back links go.
    """

    frame: Frame
    motion: Motion | None
    target: PaintStore
    direction: int = 1
    previous_pass: Tensor | None = None
    temporal_loss: bool = False
    given: Tensor | None = None
    is_counted: bool = True
    is_repeat: bool = False
    reach: int = 1


@dataclass(frozen=True)
class Pass:
    """The frames of one pass over a layer, in one direction, that are still to be made.

    Args:
        number: counted from 1.
        direction: 1 forward, -1 backward.
        frames: in the order in which they are made.
        target: where it writes them.
    """

    number: int
    direction: int
    frames: tuple[int, ...]
    target: PaintStore

    @property
    def description(self) -> str:
        """Its way through the layer, in words."""
        if self.number == 1:
            return "every frame by itself"
        return "forward" if self.direction > 0 else "backward"


@dataclass(frozen=True)
class LayerWork:
    """The passes over a layer that are still to be made, the earliest first; none when it is
    complete.
    """

    layer: Layer
    files: LayerFiles
    passes: tuple[Pass, ...]
    uncomposed: tuple[int, ...] = ()
    """Frames that are to be put together from paint."""

    @property
    def frame_count(self) -> int:
        """The number of frames to make, those of every pass; the anchor of a loop is none."""
        return sum(index in self.layer.frames for one in self.passes for index in one.frames)

    def missing_of_last_pass(self, passes: int) -> int:
        """Count the frames of the result that are missing."""
        return sum(len(one.frames) for one in self.passes if one.number == passes)


def direction_of(number: int) -> int:
    """The direction in which pass `number` of several goes over a layer: 1 forward, -1 backward."""
    return 1 if number % 2 else -1


def neighbour_of(index: int, number: int, layer: Layer) -> int | None:
    """The frame of the layer that pass `number` of several makes before frame `index`; None for the
    first one, and everywhere in pass 1.
    """
    if number == 1:
        return None
    neighbour = index - direction_of(number)
    return neighbour if neighbour in layer.frames else None


def plan_layer(job: Job, files: LayerFiles) -> LayerWork:
    """Find out what must be made for a layer to be complete."""
    layer = files.layer
    # A frame that is put together from several is complete whatever has become of its layers.
    composed = [index for index in layer.frames.indices if not files.is_finished(index)]
    open_frames = set(files.final.missing_frames(composed))
    wanted = [
        index for index in layer.frames.indices if files.is_finished(index) or index in open_frames
    ]
    if is_begin_of_loop(job, files):
        wanted.append(0)
    if job.config.passes > 1:
        passes = plan_passes(job, files, wanted)
    else:
        passes = plan_single_pass(job, files, wanted)
    return LayerWork(layer, files, passes, tuple(sorted(open_frames)))


def is_begin_of_loop(job: Job, files: LayerFiles) -> bool:
    """Tell whether what is missing of the layer of a loop begins with frame 0 of this layer."""
    *_, last = job.layers
    if not last.is_loop or files.layer is last or 0 not in files.layer.frames:
        return False
    missing = plan_layer(job, LayerFiles(job, last, files.store)).passes
    return any(last.anchor in one.frames for one in missing)


def plan_single_pass(job: Job, files: LayerFiles, wanted: Sequence[int]) -> tuple[Pass, ...]:
    """Plan the way from the anchor outwards. A frame needs those that it is linked to, so where
    these are gone they are made again.
    """
    layer = files.layer
    target = files.target(1)
    # A link needs full depth, and a frame that is packed has none.
    missing = set(target.missing_at_full_depth({*layer.frames.indices, layer.anchor}))
    needed: set[int] = set()
    waiting = [i for i in wanted if i in missing and not target.is_packed(i)]
    while waiting:
        index = waiting.pop()
        if index in needed:
            continue
        needed.add(index)
        direction = 1 if index > layer.anchor else -1
        reached = (index - j * direction for j in job.config.distances)
        between = (i for i in reached if (i - layer.anchor) * direction >= 0)
        waiting += [i for i in between if i in missing and index != layer.anchor]
    ways = ((1, layer.forward), (-1, layer.backward))
    planned = ((way, tuple(i for i in order if i in needed)) for way, order in ways)
    return tuple(Pass(1, way, frames, target) for way, frames in planned if frames)


def plan_passes(job: Job, files: LayerFiles, final: Sequence[int]) -> tuple[Pass, ...]:
    """Plan several passes. A frame needs itself in the pass before, and its neighbour in its own.

    So the plan is made from the end: what is missing of the last pass, what is missing of the pass
    before to make that, and so on. Where nothing is damaged this ends at the pass that was
    interrupted. Where the pass that a missing frame is made from is gone, it goes back to the first
    pass.
    """
    passes = job.config.passes
    left: list[Pass] = []
    wanted = files.paint.missing_frames(final)
    for number in range(passes, 0, -1):
        if not wanted:
            break
        target = files.target(number)
        needed = set(wanted)
        for index in wanted:
            other = neighbour_of(index, number, files.layer)
            while (
                other is not None and other not in needed and target.missing_at_full_depth([other])
            ):
                needed.add(other)
                other = neighbour_of(other, number, files.layer)
        frames = tuple(sorted(needed, reverse=direction_of(number) < 0))
        left.insert(0, Pass(number, direction_of(number), frames, target))
        earlier = files.pass_paint(number - 1) if number > 1 else None
        wanted = earlier.missing_frames(sorted(needed)) if earlier else []
    return tuple(left)


def goes_back(work: LayerWork, passes: int) -> bool:
    """Tell whether work that is not empty begins at an earlier pass than was reached, because
    frames of it are damaged or gone.
    """
    first = work.passes[0].number
    later = [work.files.target(number) for number in range(first + 1, passes + 1)]
    indices = work.layer.frames.indices
    return any(target.frame_path(index).exists() for target in later for index in indices)


def schedule_pass(
    job: Job,
    work: LayerWork,
    one: Pass,
    flow: Flow,
    device: torch.device,
    refuse_stopped: Callable[[], None],
    search: FigureSearch | None = None,
) -> Generator[Work, None, None]:
    """Give the work of one pass over a layer, frame after frame. What flow was computed of is on
    the device if that is CUDA, everything else on the CPU.

    Args:
        refuse_stopped: raises where the user wants to stop; asked while source frames are saved.
        search: finds figures, for the detail map; None where none is asked for.
    """
    sources = LayerSources(job, work.layer, work.files.sources, flow)
    if job.config.passes == 1:
        return linked_work(job, work, one, sources, device, refuse_stopped, search)
    if one.number == 1:
        works = independent_work(job, one, sources, refuse_stopped)
    else:
        works = revision_work(job, work, one, sources, device, refuse_stopped)
    return works if search is None else observe_each(works, search)


def observe_each(
    works: Generator[Work, None, None], search: FigureSearch
) -> Generator[Work, None, None]:
    """Give every frame the detail map that it has by itself."""
    with contextlib.closing(works):
        for work in works:
            detail = combine(observe(work.frame.image, search))
            yield replace(work, frame=replace(work.frame, detail=detail))


def linked_work(
    job: Job,
    work: LayerWork,
    one: Pass,
    sources: LayerSources,
    device: torch.device,
    refuse_stopped: Callable[[], None],
    search: FigureSearch | None = None,
) -> Generator[Work, None, None]:
    """Each frame linked to those made before it, where frames are linked: the single pass."""
    layer = work.layer
    order = layer.forward if one.direction > 0 else range(layer.anchor, layer.frames.first - 1, -1)
    wanted = set(one.frames)
    linker = FrameLinker(job, sources.flow, work.files.records(one.direction), search)
    begin = linker.first_needed(order, order.index(one.frames[0]))
    order = order[begin : order.index(one.frames[-1]) + 1]
    if one.direction > 0:
        sources.save_unstreamed(order[0], order[-1] + 1, refuse_stopped)
        images = prefetch(sources.stream(order[0], order[-1] + 1), 1)
    else:
        sources.save_missing(order, refuse_stopped)
        images = prefetch(((index, sources.load(index)) for index in order), 1)
    with images as decoded, region_masks(job, order) as masks:
        for (index, on_cpu), make_masks in zip(decoded, masks, strict=False):
            image = upload_image(on_cpu, device)
            is_anchor = index == layer.anchor
            is_wanted = index in wanted
            if is_anchor:
                linker.start(index, image)
                motion, is_repeat = None, False
            else:
                motion, is_repeat = linker.link(
                    index, image, one.direction, abs(index - layer.anchor)
                )
            if not is_wanted:
                continue
            given = given_anchor(job, work, image) if is_anchor and layer.is_given else None
            if given is not None:
                frame = Frame(index, image)
            else:
                frame = source_frame(job, index, image, make_masks and make_masks())
                frame = replace(
                    frame,
                    temporal_strength=layer.temporal_strength(index),
                    detail=linker.detail_map,
                )
            if motion is not None and frame.style.transition:
                motion = replace(motion, static=None)
            yield Work(
                frame,
                motion,
                one.target,
                one.direction,
                given=given,
                is_counted=index in layer.frames,
                is_repeat=is_repeat,
                reach=linker.reach,
            )


def given_anchor(job: Job, work: LayerWork, image: Tensor) -> Tensor:
    """Return the paint (3, H, W) of an anchor that need not be painted."""
    layer = work.layer
    if layer.keyframe is not None:
        picture = read_keyframe(job, layer.keyframe)
        return quantise(job.bars.crop(picture)).to(image.device)
    first_layer, _ = job.layer_plan.shares(0)[0]
    files = LayerFiles(job, first_layer, work.files.store)
    return files.paint.load(0).to(image.device)


def independent_work(
    job: Job, one: Pass, sources: LayerSources, refuse_stopped: Callable[[], None]
) -> Generator[Work, None, None]:
    """Every frame by itself, like the first one of a shot: the first of several passes."""
    regions = fixed_regions(job)
    # All later passes need them as well: the decoder only goes forward, and they do not.
    sources.save_missing(sources.layer.frames.indices, refuse_stopped)
    images = ((index, sources.load(index)) for index in one.frames)
    with prefetch(images) as decoded:
        for index, image in decoded:
            yield Work(source_frame(job, index, image, regions), None, one.target)


def fixed_regions(job: Job) -> Tensor | None:
    """The masks of what is painted, the same in every frame; None where there are none."""
    if job.label_maps is None or job.label_maps.fixed is None:
        return None
    return job.bars.crop(job.label_maps.fixed)


def revision_work(
    job: Job,
    work: LayerWork,
    one: Pass,
    sources: LayerSources,
    device: torch.device,
    refuse_stopped: Callable[[], None],
) -> Generator[Work, None, None]:
    """Each frame from its image of the pass before, linked to the neighbour that this pass has just
    made: a later pass.
    """
    config = job.config
    layer = work.layer
    temporal_loss = one.number >= config.first_temporal_pass
    regions = fixed_regions(job)
    before = work.files.pass_paint(one.number - 1)
    indices: Iterable[int] = layer.frames.indices
    order = list(indices) if one.direction > 0 else list(indices)[::-1]
    wanted = set(one.frames)
    sources.save_missing(order, refuse_stopped)
    tracker = HoldTracker(1, config.blend)
    last: Tensor | None = None
    for index in order[: order.index(one.frames[-1]) + 1]:
        image = upload_image(sources.load(index), device)
        motion = None
        is_repeat = repeats(job, index, image, last, one.direction)
        if is_repeat:
            tracker.start(tracker.records[0])
        elif last is None:
            tracker.start(record_source(image))
        else:
            motion = link_frames(image, last, sources.flow, config.mask)
            tracker.look(image)
            motion = hold_link(motion, 1, tracker)
            tracker.advance({1: motion.mask})
        last = image
        if index in wanted:
            yield Work(
                source_frame(job, index, image, regions),
                motion,
                one.target,
                direction=one.direction,
                previous_pass=before.load(index),
                temporal_loss=temporal_loss,
                is_repeat=is_repeat,
            )
