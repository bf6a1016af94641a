"""The source frames of a render. Here alone the frames of the render are counted against those of
the file.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Collection, Generator, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from vidstyle.config import style_images
from vidstyle.errors import StyleError
from vidstyle.frames import Frame, FrameStyle, Motion
from vidstyle.motion.correspondence import link_earlier_frames
from vidstyle.motion.static import StaticTracker
from vidstyle.rendering.prefetch import prefetch, upload_image
from vidstyle.stylize import oklab
from vidstyle.video import read

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.job import FrameRange, Job
    from vidstyle.storage.frame_store import FrameStore

TRANSITION_SHARE = 5
"""A frame counts as fully in transition where the mixture has changed in a fifth of the frames
around."""


def mixture_of(job: Job, index: int) -> tuple[float, ...]:
    """The share of each style image in a rendered frame, 1 together."""
    time = job.timeline.pts[job.part.first + index] * job.timeline.time_base
    return style_images.mixture_shares(job.config.style, time)


def style_of(job: Job, index: int) -> FrameStyle:
    """The style of a rendered frame.

    Its transition is how much the mixture has been changing over as many frames as a static pixel
    is optimised. It rises and falls with that share: from one frame to the next the picture would
    jump.
    """
    reach = max(1, job.config.frames_until_static)
    ahead = reach if job.config.passes > 1 else 0  # passes go backward as well
    last = job.frame_count - 1
    nearby = range(index - reach, index + ahead + 1)
    mixtures = [mixture_of(job, min(max(0, i), last)) for i in nearby]
    changes = sum(a != b for a, b in pairwise(mixtures))
    transition = min(1.0, TRANSITION_SHARE * changes / (len(mixtures) - 1))
    return FrameStyle(mixture_of(job, index), transition)


def read_style_images(job: Job) -> tuple[Tensor, ...]:
    """Read the style images of a render, each (3, H, W), in the colours of the source where they
    are matched to it. A texture has the input itself; there are none where no style is asked for.

    Raises StyleError when one cannot be read.
    """
    images = (read.read_image(path, StyleError) for path in job.config.style_files)
    colours = job.source_colours
    if colours is None:
        return tuple(images)
    return tuple(oklab.match_statistics(image, colours) for image in images)


def decode_images(job: Job, first: int, stop: int) -> Generator[tuple[int, Tensor], None, None]:
    """Decode the frames `first` .. `stop` - 1 of the render: the index of each, and its image
    (3, H, W).

    Closing the generator ends the decoder.
    """
    offset = job.part.first
    decoder = read.read(job.source, job.size, offset + first, offset + stop, job.seek)
    # Closed here and not by the garbage collector: the decoder must be gone when the render is.
    with contextlib.closing(decoder) as decoded:
        for frame in decoded:
            yield frame.index - offset, frame.image


def region_masks(
    job: Job, first: int, stop: int
) -> contextlib.AbstractContextManager[Iterable[Callable[[], Tensor] | None]]:
    """Give for each of these frames of the render what makes its masks; None where there are no
    label maps.
    """
    if job.label_maps is None:
        return contextlib.nullcontext(itertools.repeat(None, stop - first))
    offset = job.part.first
    return contextlib.closing(job.label_maps.frames(offset + first, offset + stop))


def source_frame(job: Job, index: int, image: Tensor, regions: Tensor | None = None) -> Frame:
    """The source frame with all that its style depends on."""
    return Frame(index, image, regions, style_of(job, index))


def linked_frames(
    job: Job, shot: FrameRange, wanted: Collection[int], flow: Flow, device: torch.device
) -> Generator[tuple[Frame, Motion | None], None, None]:
    """The wanted source frames of a shot, in order, each with what links it to those before it;
    None for the first frame of the shot, or where frames are not linked.

    Both are on the device if that is CUDA, else on the CPU.
    """
    config = job.config
    distances = config.distances
    needs_motion = job.engine.needs_motion
    track_static = config.rest == "hold" and needs_motion
    first_wanted = min(wanted)
    if not needs_motion:
        begin = first_wanted
    elif track_static:
        begin = shot.first  # what is static depends on the whole shot so far
    else:
        begin = max(shot.first, first_wanted - distances[-1])
    stop = max(wanted) + 1
    tracker = StaticTracker(config.frames_until_static)
    earlier: deque[Tensor] = deque(maxlen=distances[-1])  # source frames, the last one first
    images = prefetch(decode_images(job, begin, stop), 1)
    with images as decoded, region_masks(job, begin, stop) as masks:
        for (index, on_cpu), make_masks in zip(decoded, masks, strict=False):
            image = upload_image(on_cpu, device)
            static = tracker.track(image) if track_static else None
            if index in wanted:
                frame = source_frame(job, index, image, make_masks and make_masks())
                motion = None
                if earlier and needs_motion:
                    motion = link_earlier_frames(
                        image, earlier, flow, distances, config.mask, static
                    )
                del static  # its reference is needed no longer
                if motion is not None and frame.style.transition:
                    motion = replace(motion, static=None)
                yield frame, motion
            earlier.appendleft(image)


def stored_frames(
    job: Job, wanted: Collection[int], unsaved: Collection[int], store: FrameStore
) -> Generator[Frame, None, None]:
    """The wanted source frames in order. Those of `unsaved` are written to the disk on
    the way: the decoder only goes forward, and later passes do not.
    """
    needed = {*wanted, *unsaved}
    if not needed:
        return
    if unsaved:
        store.open()
    regions = job.label_maps.fixed if job.label_maps else None
    with contextlib.closing(decode_images(job, min(needed), max(needed) + 1)) as decoded:
        for index, image in decoded:
            if index in unsaved:
                store.save(index, image)
            if index in wanted:
                yield source_frame(job, index, image, regions)
