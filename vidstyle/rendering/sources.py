"""The source frames of a render. Here alone the frames of the render are counted against those of
the file.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from vidstyle.config import style_images
from vidstyle.errors import StyleError
from vidstyle.events import Note
from vidstyle.frames import Frame, FrameStyle
from vidstyle.motion.separation import separate_dissolve
from vidstyle.rendering.layers import LEAST_GAIN
from vidstyle.rendering.style_files import is_style_file, load_painting
from vidstyle.stylize import oklab
from vidstyle.stylize.composition import undo_fade
from vidstyle.stylize.resample import resize
from vidstyle.stylize.style.rim import Rim, find_rim
from vidstyle.video import read

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from vidstyle.config.settings import RenderConfig
    from vidstyle.motion.edit import Dissolve
    from vidstyle.motion.flow import Flow
    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import KeyframeImage, Layer
    from vidstyle.storage.frame_store import FrameStore
    from vidstyle.stylize.engine import ShotSamples

SAMPLE_DISTANCE = 96
"""Frames from one sample of a shot to the next, at most: decoding one costs as much as many frames
in a row."""

FIRST_SAMPLE = SAMPLE_DISTANCE // 2
"""Frames of a shot before its first sample, where it has as many."""

FIRST_SAMPLE_IMAGES = 3
"""Frames up to the first sample, itself included, that are looked at with it: nothing else is known
of the shot while its first frames are painted."""

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
    """Read the style images of a render, each (3, H, W), inside their rims, in the colours of the
    source where they are matched to it. A texture has the input itself; there are none where no
    style is asked for.

    Raises StyleError when one cannot be read.
    """
    images = read_inside_rims(job)
    colours = job.source_colours
    if colours is None:
        return tuple(images)
    return tuple(oklab.match_statistics(image, colours) for image in images)


def read_inside_rims(job: Job) -> Iterator[Tensor]:
    """Read what lies inside the rim of each style image, (3, H, W). Raises StyleError."""
    for path, rim in zip(job.config.style_files, job.style_rims, strict=True):
        yield rim.crop(read_painting(path)).contiguous()


def read_painting(path: Path) -> Tensor:
    """Read a painting (3, H, W) from its file, or from that of a style that was learned.

    Raises StyleError when it cannot be read.
    """
    return load_painting(path) if is_style_file(path) else read.read_image(path, StyleError)


def find_style_rims(config: RenderConfig) -> tuple[Rim, ...]:
    """Find the rims of the style images, in the order of their files; empty ones where they are
    kept.

    Raises StyleError when an image cannot be read.
    """
    images = [read_painting(path) for path in config.style_files]
    if config.style_crop == "off":
        return tuple(Rim((image.shape[1], image.shape[2])) for image in images)
    return tuple(
        Rim((image.shape[1], image.shape[2])) if is_style_file(path) else find_rim(image)
        for path, image in zip(config.style_files, images, strict=True)
    )


def note_rims(config: RenderConfig, rims: Sequence[Rim]) -> list[Note]:
    """Say which style images are cut, and by how much."""
    return [
        Note(f"{path.name}: its rim is left out ({rim.describe()}); --style-crop off keeps it")
        for path, rim in zip(config.style_files, rims, strict=True)
        if not rim.is_empty
    ]


def read_keyframe(job: Job, keyframe: KeyframeImage) -> Tensor:
    """Read a frame that the user has painted, (3, H, W) at the size of the render: only a preview
    has another size than the picture.

    Raises StyleError when it cannot be read.
    """
    width, height = job.size
    return resize(read.read_image(keyframe.path, StyleError), (height, width))


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


def source_frame(job: Job, index: int, image: Tensor, regions: Tensor | None = None) -> Frame:
    """The source frame with all that its style depends on."""
    return Frame(index, image, regions, style_of(job, index))


@contextlib.contextmanager
def region_masks(
    job: Job, indices: range
) -> Generator[Iterable[Callable[[], Tensor] | None], None, None]:
    """Give for each of these frames of the render, in a row, what makes its masks; None where there
    are no label maps.
    """
    if job.label_maps is None:
        yield itertools.repeat(None, len(indices))
        return
    if job.label_maps.fixed is not None:
        fixed = job.bars.crop(job.label_maps.fixed)
        yield itertools.repeat(lambda: fixed, len(indices))
        return
    if indices.stop > job.frame_count:
        # The anchor of a loop, after the last frame, is not painted.
        yield itertools.repeat(None, len(indices))
        return
    offset = job.part.first
    if indices.step > 0:
        frames = job.label_maps.frames(offset + indices.start, offset + indices.stop)
        with contextlib.closing(frames) as makers:
            yield (crop_masks(job, make) for make in makers)
        return
    # Labels only go forward: each is looked up by itself.
    yield (functools.partial(masks_of, job, index) for index in indices)


def crop_masks(job: Job, make: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Make the masks of what is painted from those of the frame."""
    return lambda: job.bars.crop(make())


def masks_of(job: Job, index: int) -> Tensor:
    """Make the masks of a single frame of the render, (k, H, W)."""
    assert job.label_maps is not None
    at = job.part.first + index
    with contextlib.closing(job.label_maps.frames(at, at + 1)) as makers:
        return job.bars.crop(next(makers)())


def usable_frames(job: Job, layer: Layer) -> list[int]:
    """List the frames of a layer that show its shot alone and in enough light."""
    plan = job.layer_plan
    return [
        index
        for index in layer.frames.indices
        if plan.is_usable(index) and plan.dissolve_at(index) is None
    ]


def choose_shot_samples(job: Job, layer: Layer) -> list[int]:
    """Choose usable frames of a layer, one in every `SAMPLE_DISTANCE`. Once there are more than
    `FIRST_SAMPLE`, they do not depend on how long the shot goes on.
    """
    usable = usable_frames(job, layer)
    if len(usable) <= FIRST_SAMPLE:
        return usable[len(usable) // 2 :][:1]
    return usable[FIRST_SAMPLE::SAMPLE_DISTANCE]


class LayerSources:
    """The source frames of one layer, as if its shot were fully lit, alone and without bars.

    Args:
        store: keeps the frames that are needed out of order.
    """

    def __init__(self, job: Job, layer: Layer, store: FrameStore, flow: Flow) -> None:
        self.job = job
        self.plan = job.layer_plan
        self.layer = layer
        self.store = store
        self.flow = flow

    def index_of(self, index: int) -> int:
        """The frame whose source stands for that of a frame."""
        return self.plan.source_index(self.layer, index)

    def restore(self, index: int, image: Tensor) -> Tensor:
        """Make the source of what is painted from a decoded frame, (3, H, W)."""
        image = self.job.bars.crop(image).contiguous()
        fade = self.plan.fades.get(index)
        return image if fade is None else undo_fade(image, max(fade[0], LEAST_GAIN), fade[1])

    def stream(self, first: int, stop: int) -> Generator[tuple[int, Tensor], None, None]:
        """Give the frames `first` .. `stop` - 1, none before the anchor, in order. Those that
        `save_unstreamed` saves must be there.
        """
        begin = self.index_of(first)
        first_saved = self.first_unstreamed(begin, stop)
        image: Tensor | None = None
        if begin < first_saved:
            with contextlib.closing(decode_images(self.job, begin, first_saved)) as decoded:
                for index, full in decoded:
                    if self.index_of(index) == index or image is None:
                        image = self.restore(index, full)
                    if index >= first:
                        yield index, image
        for index in range(max(first, first_saved), stop):
            yield index, self.load(index)

    def first_unstreamed(self, begin: int, stop: int) -> int:
        """Return the first of these frames, after which all are read from files: that of a
        dissolve, or the anchor of a loop, which is the first frame of the render once more.
        """
        if self.layer.is_loop:
            return begin
        inside = (i for i in range(begin, stop) if self.plan.dissolve_at(i) is not None)
        return next(inside, stop)

    def save_unstreamed(self, first: int, stop: int, refuse_stopped: Callable[[], None]) -> None:
        """Save those of the frames `first` .. `stop` - 1 that cannot be decoded one after the
        other. Flow is computed for it, and not by `stream`, whose caller may compute flow in
        another thread at the same time: no flow estimator allows for that.
        """
        begin = self.index_of(first)
        first_saved = self.first_unstreamed(begin, stop)
        self.save_missing(range(first_saved, stop), refuse_stopped)

    def load(self, index: int) -> Tensor:
        """Read a frame that was saved."""
        return self.store.load(self.index_of(index))

    def save_missing(self, indices: Iterable[int], refuse_stopped: Callable[[], None]) -> None:
        """Save frames that are needed out of order."""
        wanted = sorted({self.index_of(index) for index in indices})
        missing = self.store.missing_frames(wanted)
        if not missing:
            return
        self.store.open()
        dissolves = {
            dissolve.first: dissolve
            for index in missing
            if (dissolve := self.plan.dissolve_at(index)) is not None
        }
        alone = {index for index in missing if self.plan.dissolve_at(index) is None}
        if self.layer.is_loop and self.layer.anchor in alone:
            alone.discard(self.layer.anchor)
            self.store.save(self.layer.anchor, self.decode(0))
        if alone:
            frames = decode_images(self.job, min(alone), max(alone) + 1)
            with contextlib.closing(frames) as decoded:
                for index, image in decoded:
                    if index in alone:
                        refuse_stopped()
                        self.store.save(index, self.restore(index, image))
        for dissolve in dissolves.values():
            self.separate(dissolve, refuse_stopped)

    def samples(self) -> ShotSamples:
        """Choose frames spread over the layer that are decoded when they are asked for."""
        chosen = choose_shot_samples(self.job, self.layer) or [self.layer.anchor]
        samples: dict[int, Callable[[], Sequence[Tensor]]] = {
            index: functools.partial(self.decode_all, [index]) for index in chosen
        }
        samples[chosen[0]] = functools.partial(self.decode_all, self.choose_first_images(chosen[0]))
        return samples

    def choose_first_images(self, sample: int) -> list[int]:
        """Choose the frames that are looked at with the first sample of a shot: the usable ones
        before it, evenly spread.
        """
        before = [i for i in usable_frames(self.job, self.layer) if i < sample]
        if len(before) < FIRST_SAMPLE:
            return [sample]
        step = max(1, len(before) // (FIRST_SAMPLE_IMAGES - 1))
        return [*before[::step][: FIRST_SAMPLE_IMAGES - 1], sample]

    def decode_all(self, indices: Sequence[int]) -> list[Tensor]:
        """Decode a few frames, in order, in one go."""
        wanted = set(indices)
        with contextlib.closing(decode_images(self.job, indices[0], indices[-1] + 1)) as decoded:
            return [self.restore(index, image) for index, image in decoded if index in wanted]

    def decode(self, index: int) -> Tensor:
        """Decode a single frame."""
        with contextlib.closing(decode_images(self.job, index, index + 1)) as decoded:
            return self.restore(index, next(decoded)[1])

    def separate(self, dissolve: Dissolve, refuse_stopped: Callable[[], None]) -> None:
        """Save this layer's frames of a dissolve, taken apart from the other one's."""
        folder = self.store.path.with_name(f"{self.store.path.name}.dissolve")
        mixed, outgoing, incoming = (
            ImageFiles(replace(self.store, path=folder / name), refuse_stopped)
            for name in ("mixed", "outgoing", "incoming")
        )
        # What lies before or after the part that is rendered is there as well.
        last = len(self.job.timeline) - 1 - self.job.part.first
        begin = max(dissolve.first - 1, -self.job.part.first)
        with contextlib.closing(
            decode_images(self.job, begin, min(dissolve.stop, last) + 1)
        ) as decoded:
            for index, image in decoded:
                mixed[index] = self.job.bars.crop(image).contiguous()
        seen = max(dissolve.first, self.layer.frames.first)
        is_incoming = self.plan.is_incoming(self.layer, seen)
        separate_dissolve(mixed, dissolve, self.flow, outgoing, incoming, is_incoming=is_incoming)
        own = incoming if is_incoming else outgoing
        for index in range(dissolve.first, dissolve.stop):
            if index in self.layer.frames:
                self.store.save(index, own[index])
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class ImageFiles(MutableMapping[int, "Tensor"]):
    """Images by their frames, on the disk."""

    store: FrameStore
    refuse_stopped: Callable[[], None]

    def __getitem__(self, index: int) -> Tensor:
        return self.store.load(index)

    def __setitem__(self, index: int, image: Tensor) -> None:
        self.refuse_stopped()
        self.store.open()
        self.store.save(index, image)

    def __delitem__(self, index: int) -> None:
        self.store.delete_frames([index])

    def __iter__(self) -> Iterator[int]:
        return (int(path.stem) for path in sorted(self.store.path.glob("*.png")))

    def __len__(self) -> int:
        return sum(1 for _ in self)
