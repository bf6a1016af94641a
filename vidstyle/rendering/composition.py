"""The finished frames of a render, put together from the paint of its layers.

Where a frame has one layer, is fully lit and covered, and has no bars, its paint is the finished
frame, and nothing is done. All other frames are made here once their layers are painted; to make
them again, with another opacity for example, costs no painting.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

from vidstyle.errors import StyleError
from vidstyle.frames import quantise
from vidstyle.rendering.sources import decode_images
from vidstyle.stylize.composition import fade_to_colour, light_as, mix_layers
from vidstyle.video import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import Layer
    from vidstyle.rendering.paint_store import PaintStore
    from vidstyle.storage.frame_store import FrameStore


def layer_label(job: Job, layer: Layer, fingerprint: str) -> str:
    """The label of the frames of a layer: those that a picture of the user's decides have its
    digest in it, so that all others are kept when it changes. A loop has that of the layer that it
    leads to.
    """
    if layer.keyframe is not None:
        return f"{fingerprint}-{layer.keyframe.digest[:16]}"
    if layer.is_loop:
        first_layer, _ = job.layer_plan.shares(0)[0]
        return f"{layer_label(job, first_layer, fingerprint)}-loop"
    return fingerprint


def opacity_of(job: Job, index: int) -> float:
    """How much of the paint covers a frame, 0 to 1."""
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
        or opacity_of(job, index) < 1
    )


def compose_missing(
    job: Job,
    final: FrameStore,
    paints: Mapping[int, PaintStore],
    refuse_stopped: Callable[[], None],
) -> None:
    """Make the finished frames that are missing and whose layers are painted.

    Args:
        paints: {anchor of a layer: its painted frames}, of the layers that are painted.
    """
    wanted = [
        index
        for index in range(job.frame_count)
        if not is_plain(job, index)
        and all(layer.anchor in paints for layer, _ in job.layer_plan.shares(index))
    ]
    missing = final.missing_frames(wanted)
    with contextlib.closing(composed_frames(job, missing, paints)) as frames:
        for index, image in frames:
            refuse_stopped()
            final.save(index, image)


def composed_frames(
    job: Job, indices: list[int], paints: Mapping[int, PaintStore]
) -> Generator[tuple[int, Tensor], None, None]:
    """Give the finished frames of these indices, in order."""
    given = {layer.anchor: layer.keyframe for layer in job.layers if layer.keyframe}
    with contextlib.closing(source_frames(job, indices)) as sources:
        for index, source, before, titles in sources:
            if keyframe := given.get(index):
                yield index, quantise(read.read_image(keyframe.path, StyleError))
                continue
            yield index, compose(job, index, paints, source, before, titles)


def source_frames(
    job: Job, indices: Iterable[int]
) -> Generator[tuple[int, Tensor | None, Tensor | None, Tensor | None], None, None]:
    """Give for each of these frames its source, the last source frame before its flash, and the
    mask of its titles, as far as they are needed.
    """
    wanted = list(indices)
    plan = job.layer_plan
    needing = [index for index in wanted if needs_source(job, index)]
    if not needing:
        for index in wanted:
            yield index, None, None, None
        return
    first = min(max(0, plan.flashes.get(needing[0], needing[0])), needing[0])
    before: Tensor | None = None
    waiting = set(wanted)
    for index in [i for i in wanted if i < first]:
        yield index, None, None, None
    with contextlib.closing(decode_images(job, first, wanted[-1] + 1)) as decoded:
        for index, image in decoded:
            if index not in plan.flashes:
                before = image
            if index in waiting:
                yield index, image, before, None


def compose(
    job: Job,
    index: int,
    paints: Mapping[int, PaintStore],
    source: Tensor | None,
    before: Tensor | None,
    titles: Tensor | None,
) -> Tensor:
    """Put a finished frame (3, H, W) together.

    Args:
        source: the source frame, where something of it is seen.
        before: the last source frame before the flash that the frame belongs to.
        titles: (1, H, W) in [0, 1], where the source stays; None: nowhere.
    """
    plan = job.layer_plan
    image = mix_layers(
        [(paints[layer.anchor].load(index), share) for layer, share in plan.shares(index)]
    )
    if index in plan.fades:
        image = fade_to_colour(image, *plan.fades[index])
    if source is not None:
        inside = job.bars.crop(source)
        if index in plan.flashes and before is not None:
            image = light_as(image, job.bars.crop(before), inside)
        opacity = opacity_of(job, index)
        if opacity < 1:
            image = opacity * image + (1 - opacity) * inside
        if titles is not None:
            image = image + job.bars.crop(titles) * (inside - image)
        if not job.bars.is_empty:
            image = job.bars.paste(image, source)
    return quantise(image)
