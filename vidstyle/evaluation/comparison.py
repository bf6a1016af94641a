"""The clips of a comparison: result, baseline and the part of the source that they were made
from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import InputError
from vidstyle.evaluation.clips import Clip, open_clip, read_images
from vidstyle.evaluation.edit_list import Transition, list_shot_starts, list_transitions
from vidstyle.evaluation.measure import SOURCE
from vidstyle.events import Note, Report
from vidstyle.motion.bars import BarPrecheck, Bars
from vidstyle.motion.transitions import EditDetector
from vidstyle.rendering.film import find_film_bars
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.prepare import choose_part
from vidstyle.storage.atomic import sha256
from vidstyle.video.probe import Source, probe
from vidstyle.video.read import fit
from vidstyle.video.scan import Scan, scan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vidstyle.motion.edit import Edit


@dataclass(frozen=True)
class Comparison:
    """Clips of one size that run together: frame 0 of all others belongs to frame `first` of the
    source.

    Args:
        clips: by name; the source is read at the size of the result, and only where the result is.
        first: the frame of the source at which the result begins.
        count: frames that are compared.
        shots: first frames of shots, 0 included, as indices of the result's frames.
        transitions: the frames between and inside shots that are not measured, in order.
        bars: those of the source, in pixels of the result.
    """

    clips: dict[str, Clip]
    first: int
    count: int
    shots: tuple[int, ...]
    transitions: tuple[Transition, ...] = ()
    bars: Bars = field(default_factory=Bars)

    def read_frames(self) -> Generator[dict[str, Tensor], None, None]:
        """Yield the frames of all clips that belong together, {name: (3, H, W) inside the bars};
        closing the generator ends the decoders.
        """
        with contextlib.ExitStack() as stack:
            # Closed here and not by the garbage collector: the decoders must be gone when this is
            # over.
            readers = [
                stack.enter_context(contextlib.closing(clip.read(self.count)))
                for clip in self.clips.values()
            ]
            for images in zip(*readers, strict=True):
                yield dict(zip(self.clips, map(self.crop, images), strict=True))

    def crop(self, image: Tensor) -> Tensor:
        """Return the inside of an image (3, H, W): itself where there are no bars, else a copy that
        does not keep the bars in memory.
        """
        return image if self.bars.is_empty else self.bars.crop(image).clone()


@dataclass(frozen=True)
class ScannedSource:
    """A source that was decoded once.

    Args:
        may_have_bars: False where its thumbnails say that there are none.
    """

    video: Source
    scan: Scan
    edit: Edit
    may_have_bars: bool


def scan_source(video: Source) -> ScannedSource:
    """Decode a source once and find its edit, as a render does."""
    detector = EditDetector()
    precheck = BarPrecheck()

    def look(thumbnail: NDArray[np.uint8]) -> None:
        detector.add(thumbnail)
        precheck.add(thumbnail)

    scanned = scan(video, look)
    is_film = video.kind != "image"
    return ScannedSource(video, scanned, detector.finish(), is_film and precheck.may_have_bars)


def compare_part(
    source: ScannedSource, others: dict[str, Clip], part: FrameRange, digests: dict[str, str]
) -> Comparison:
    """Put clips of one size next to the part of the source that they were made from.

    Args:
        digests: of the source, as those of a `Clip`.
    """
    video = source.video
    size = next(iter(others.values())).size
    clip = Clip(
        path=video.path,
        count=len(source.scan.timeline),
        size=(video.width, video.height),
        read=lambda wanted: read_images(video, size, part.first, part.first + wanted),
        digests=digests,
    )
    bars = find_film_bars(video, size, source.scan, part) if source.may_have_bars else Bars()
    return Comparison(
        clips={SOURCE: clip, **others},
        first=part.first,
        count=len(part),
        shots=list_shot_starts(source.edit, part),
        transitions=list_transitions(source.edit, part),
        bars=bars,
    )


def align_clips(
    result: Path, baseline: Path | None, input_path: Path, start: float | None, report: Report
) -> Comparison:
    """Find the part of the input, from second `start` on, that result and baseline were made from.
    Cheap refusals come first. Raises InputError when the clips do not fit.
    """
    video = probe(input_path)
    others = {"result": open_clip(result)}
    if baseline is not None:
        others["baseline"] = open_clip(baseline)
    scanned = scan_source(video)
    part = choose_part(scanned.scan.timeline, start, None)
    first = part.first
    check_alignment(others, input_path, first, len(part), start)
    digest = sha256(input_path)
    for name, other in others.items():
        if other.source_digest not in (None, digest):
            foreign = f"the {name} was rendered from another file than {input_path}"
            report(Note(f"{foreign}: its figures may say nothing", warning=True))
    total = len(scanned.scan.timeline)
    for note in describe_limits(others["result"], video, first, total, scanned.scan.missing):
        report(note)
    compared = FrameRange(first, first + others["result"].count)
    comparison = compare_part(scanned, others, compared, {"sha256": digest})
    if sum(one.stop - one.first for one in comparison.transitions) == comparison.count:
        report(Note("every frame belongs to a transition: nothing is measured", warning=True))
    return comparison


def check_alignment(
    others: dict[str, Clip], source: Path, first: int, available: int, start: float | None
) -> None:
    """Raise InputError unless the source has a frame for each frame of the result, among those that
    are `available` from frame `first` on, and the baseline has one too.
    """
    result = others["result"]
    if result.count > available:
        part = f"from {start} s on" if start else "in all"
        raise InputError(
            f"{result.path} is longer than its source",
            f"it has {result.count} frames, and {source} has {available} {part}",
            "give the video that it was rendered from, and the --start of its render",
        )
    for clip in others.values():
        if clip.first is not None and clip.first != first:
            origin = f"its first frame was made of frame {clip.first} of the source"
            raise InputError(
                f"{clip.path} does not begin where it is measured",
                f"{origin}, and this is frame {first}",
                "give the --start of its render",
            )
        if clip.size != result.size:
            size = f"{clip.size[0]}x{clip.size[1]}"
            raise InputError(
                f"{clip.path} is not of the result's size",
                f"it is {size}, and {result.path} is {result.size[0]}x{result.size[1]}",
                "render both with the same --size",
            )
        if clip.count < result.count:
            raise InputError(
                f"{clip.path} is shorter than the result",
                f"it has {clip.count} frames, and {result.path} has {result.count}",
                "render both from the same part of the video",
            )


def describe_limits(
    result: Clip, source: Source, first: int, total: int, missing: int
) -> list[Note]:
    """List what a reader of the figures should know about the clips.

    Args:
        first: the frame of the source at which the result begins.
        total: frames of the source.
        missing: frames of the source that could not be decoded.
    """
    notes = [Note(text, warning=True) for text in source.warnings]
    if missing:
        damage = f"{source.path} is damaged: {missing} frames are missing, the others count"
        notes.append(Note(damage, warning=True))
    if result.count < total:
        last = first + result.count - 1
        part = f"frames {first} to {last}" if result.count > 1 else f"frame {first}"
        measured = f"it is measured by {part} of the source's {total}"
        notes.append(Note(f"the result has {result.count} frames: {measured}"))
    wanted = fit(source.width, source.height, max(result.size))
    if max(abs(a - b) for a, b in zip(wanted, result.size, strict=True)) > 2:
        size = f"{result.size[0]}x{result.size[1]}"
        shapes = f"{size} is not the shape of the source's {source.width}x{source.height}"
        notes.append(Note(f"{shapes}: the source is measured stretched to it", warning=True))
    return notes
