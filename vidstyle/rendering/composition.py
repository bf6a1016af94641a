"""The finished frames of a render, put together from the paint of its layers.

Where a frame has one layer, is fully lit and covered, and has no bars, its paint is the finished
frame, and nothing is done. All other frames are made here once their layers are painted; to make
them again, with another opacity for example, costs no painting.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from vidstyle.events import Composing, Report, silent
from vidstyle.frames import quantise
from vidstyle.motion import titles
from vidstyle.rendering.sources import decode_images, read_keyframe
from vidstyle.stylize.composition import (
    fade_to_colour,
    find_foreign_to_fade,
    light_as,
    mix_layers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import Layer
    from vidstyle.rendering.paint_store import PaintStore
    from vidstyle.storage.frame_store import FrameStore


def layer_label(job: Job, layer: Layer, fingerprint: str) -> str:
    """The label of the frames of a layer: those that a picture of the user's decides have it and
    its frame in it, so that all others are kept when it changes. A loop has that of the layer that
    it leads to.
    """
    if layer.keyframe is not None:
        text = f"{layer.keyframe.index} {layer.keyframe.digest}"
        return f"{fingerprint}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if layer.is_loop:
        first_layer, _ = job.layer_plan.shares(0)[0]
        return f"{layer_label(job, first_layer, fingerprint)}-loop"
    return fingerprint


def opacity_of(job: Job, index: int) -> float:
    """Return the share of the paint in a frame, 0 to 1."""
    time = job.timeline.pts[job.part.first + index] * job.timeline.time_base
    return job.config.opacity_at(time)


def is_plain(job: Job, index: int) -> bool:
    """Tell whether the paint of a frame is the finished frame."""
    plan = job.layer_plan
    return (
        job.bars.is_empty
        and not job.config.keep_titles
        and 0 <= index < job.frame_count
        and index not in plan.fades
        and index not in plan.flashes
        and plan.mixture_at(index) is None
        and opacity_of(job, index) == 1
    )


def describe_composition(job: Job, index: int, fingerprint: str) -> dict[str, Any]:
    """Name all that a finished frame is put together from."""
    plan = job.layer_plan
    layers = plan.shares(index)
    config = job.config
    return {
        "layers": [
            (layer.anchor, layer_label(job, layer, fingerprint), share) for layer, share in layers
        ],
        "fade": plan.fades.get(index),
        "flash": plan.flashes.get(index),
        "opacity": opacity_of(job, index),
        "titles": config.keep_titles,
        "bars": repr(job.bars),
    }


def frame_labels(job: Job, fingerprint: str) -> dict[int, str]:
    """Return {frame: label} of the finished frames whose label is not the fingerprint alone."""
    labels = {}
    for index in range(job.frame_count):
        if is_plain(job, index):
            label = layer_label(job, job.layer_plan.shares(index)[0][0], fingerprint)
            if label != fingerprint:
                labels[index] = label
            continue
        text = json.dumps(describe_composition(job, index, fingerprint), sort_keys=True)
        labels[index] = f"{fingerprint}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return labels


def needs_source(job: Job, index: int) -> bool:
    """Tell whether a finished frame has something of its source in it."""
    return (
        not job.bars.is_empty
        or job.config.keep_titles
        or index in job.layer_plan.flashes
        or index in job.layer_plan.fades
        or opacity_of(job, index) < 1
    )


def compose_missing(
    job: Job,
    indices: Iterable[int],
    final: FrameStore,
    paints: Mapping[int, PaintStore],
    refuse_stopped: Callable[[], None],
    report: Report = silent,
    on_frame: Callable[[], None] | None = None,
) -> None:
    """Make those of these finished frames that are missing and whose layers are painted.

    Args:
        paints: {anchor of a layer: its painted frames}, of the layers that are painted.
        on_frame: called after each.
    """
    wanted = [
        index
        for index in indices
        if not is_plain(job, index)
        and all(layer.anchor in paints for layer, _ in job.layer_plan.shares(index))
    ]
    missing = final.missing_frames(wanted)
    with contextlib.closing(composed_frames(job, missing, paints)) as frames:
        for done, (index, image) in enumerate(frames, 1):
            refuse_stopped()
            final.save(index, image)
            report(Composing(done, len(missing)))
            if on_frame is not None:
                on_frame()


def composed_frames(
    job: Job, indices: list[int], paints: Mapping[int, PaintStore]
) -> Generator[tuple[int, Tensor], None, None]:
    """Give the finished frames of these indices, in order."""
    given = {layer.anchor: layer.keyframe for layer in job.layers if layer.keyframe}
    with contextlib.closing(source_frames(job, indices)) as sources:
        for index, parts in sources:
            keyframe = given.get(index)
            if keyframe and opacity_of(job, index) == 1 and not job.config.keep_titles:
                yield index, quantise(read_keyframe(job, keyframe))
            else:
                yield index, compose(job, index, paints, parts)


@dataclass(frozen=True)
class SourceParts:
    """The parts of its source that a finished frame has, each (c, H, W); None where not needed.

    Args:
        image: the source frame.
        before: the last source frame before the flash that the frame belongs to.
        titles: (1, H, W) in [0, 1], where the source stays.
    """

    image: Tensor | None = None
    before: Tensor | None = None
    titles: Tensor | None = None


def source_frames(
    job: Job, indices: Sequence[int]
) -> Generator[tuple[int, SourceParts], None, None]:
    """Give for each of these frames, in order, what it has of its source."""
    flashes = job.layer_plan.flashes
    needing = [index for index in indices if needs_source(job, index)]
    if not needing:
        yield from ((index, SourceParts()) for index in indices)
        return
    # The flash that the first one may be in has a frame before it.
    first = max(-job.part.first, min(needing[0], flashes.get(needing[0], needing[0])))
    yield from ((index, SourceParts()) for index in indices if index < first)
    waiting = {index for index in indices if index >= first}
    before: Tensor | None = None
    with contextlib.closing(decode_with_titles(job, first, indices[-1] + 1)) as decoded:
        for index, image, titles in decoded:
            if index not in flashes:
                before = image
            if index in waiting:
                yield index, SourceParts(image, before, titles)


def decode_with_titles(
    job: Job, first: int, stop: int
) -> Generator[tuple[int, Tensor, Tensor | None], None, None]:
    """Decode the frames `first` .. `stop` - 1 with the masks of their titles, where these stay."""
    if not job.config.keep_titles:
        with contextlib.closing(decode_images(job, first, stop)) as decoded:
            for index, image in decoded:
                yield index, image, None
        return
    # A mask depends on the frames around.
    reach = range(
        max(0, first - titles.TITLE_REACH), min(job.frame_count, stop + titles.TITLE_REACH)
    )
    waiting: deque[tuple[int, Tensor]] = deque()

    def remember(decoded: Iterable[tuple[int, Tensor]]) -> Iterator[Tensor]:
        for pair in decoded:
            waiting.append(pair)
            yield pair[1]

    with contextlib.closing(decode_images(job, reach.start, reach.stop)) as decoded:
        for mask in titles.find_titles(remember(decoded)):
            index, image = waiting.popleft()
            if first <= index < stop:
                yield index, image, mask


def compose(job: Job, index: int, paints: Mapping[int, PaintStore], source: SourceParts) -> Tensor:
    """Put a finished frame (3, H, W) together."""
    plan = job.layer_plan
    image = mix_layers(
        [(paints[layer.anchor].load(index), share) for layer, share in plan.shares(index)]
    )
    if index in plan.fades:
        image = fade_to_colour(image, *plan.fades[index])
    if source.image is None:
        return quantise(image)
    inside = job.bars.crop(source.image)
    if index in plan.fades:
        # Letters over a fade stay: it cannot have made them.
        foreign = find_foreign_to_fade(inside, *plan.fades[index])
        image = torch.lerp(image, inside, foreign.expand_as(inside))
    if index in plan.flashes and source.before is not None:
        image = light_as(image, job.bars.crop(source.before), inside)
    opacity = opacity_of(job, index)
    if opacity < 1:
        image = opacity * image + (1 - opacity) * inside
    if source.titles is not None:
        image = image + job.bars.crop(source.titles) * (inside - image)
    return quantise(job.bars.paste(image, source.image))
