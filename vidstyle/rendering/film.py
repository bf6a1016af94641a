"""The input of a render as a film: its bars, the frames that the user has painted, and
whether its end leads to its beginning.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from vidstyle.errors import ConfigError, StyleError
from vidstyle.events import Note
from vidstyle.motion.bars import Bars, find_bars
from vidstyle.motion.shots import ContentDifference
from vidstyle.rendering.layers import FrameRange, KeyframeImage
from vidstyle.storage.atomic import sha256
from vidstyle.storage.record import state_folder
from vidstyle.video import read
from vidstyle.video.loops import is_looping

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from vidstyle.config.keyframes import Keyframe
    from vidstyle.config.settings import RenderConfig
    from vidstyle.frames import Timeline
    from vidstyle.motion.edit import Dissolve, Edit, Fade, Flash
    from vidstyle.rendering.job import Request
    from vidstyle.video.probe import Source
    from vidstyle.video.scan import Scan
    from vidstyle.video.seek import SeekIndex

BAR_FRAMES = 16
"""Frames that are looked at for bars, spread evenly over the part that is rendered."""

SEAM_SIDE = 160
"""Long side in pixels at which the last and the first frame of a loop are compared."""

MAX_SEAM = 15.0
"""The content difference from which on two frames are of two shots, see `shots.find_cuts`."""


def refuse_unmoving(config: RenderConfig, source: Source) -> None:
    """Raise ConfigError where something is asked for that only a film has."""
    if source.kind != "image":
        return
    film_settings = {
        "--keep-titles": config.keep_titles,
        "--loop": config.loop,
        "--keyframe": config.keyframes,
        "--opacity with times": any(key.at is not None for key in config.opacity),
    }
    for flag, is_given in film_settings.items():
        if is_given:
            why = f"{source.path} is an image, and {flag} is for a video"
            raise ConfigError("an image does not move", why, f"leave {flag} out")


def find_film_bars(source: Source, size: tuple[int, int], scanned: Scan, part: FrameRange) -> Bars:
    """Find the bars of a part of the input, in pixels of a render of this size (width, height)."""

    def frames() -> Generator[Tensor, None, None]:
        for index in choose_bar_frames(part, scanned.seek_index):
            yield decode_single_frame(source, size, scanned.seek_index, index)

    return find_bars(frames())


def choose_bar_frames(part: FrameRange, seek: SeekIndex) -> list[int]:
    """Choose the frames of the file that are looked at for bars."""
    count = min(BAR_FRAMES, len(part))
    even = (part.first + (2 * i + 1) * len(part) // (2 * count) for i in range(count))
    return sorted({seek.cheap_frame_near(index, part.first) for index in even})


def decode_single_frame(
    source: Source, size: tuple[int, int], seek: SeekIndex, index: int
) -> Tensor:
    """Decode one frame of the file at the `size` (width, height) of the render, (3, H, W)."""
    decoder = read.read(source, size, index, index + 1, seek)
    with contextlib.closing(decoder) as decoded:
        return next(decoded).image


def leads_to_first(request: Request, scanned: Scan, part: FrameRange) -> bool:
    """Tell whether the last frame that is rendered leads to the first one: as the user or the file
    wants it, and where both are of one shot.
    """
    is_whole = part == FrameRange(0, len(scanned.timeline))
    wanted = request.config.closes_loop(input_loops=is_whole and is_looping(request.source))
    if not wanted or len(part) < 2:
        return False
    differences = ContentDifference()
    for index in (part.stop - 1, part.first):
        frame = decode_single_frame(request.source, request.size, scanned.seek_index, index)
        scale = min(1.0, SEAM_SIDE / max(frame.shape[1:]))
        size = [max(1, round(n * scale)) for n in frame.shape[1:]]
        small = F.interpolate(frame[None], size, mode="area")[0]
        differences.add((small * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
    return differences.scores[-1] < MAX_SEAM


def note_loop(*, is_asked_for: bool, is_loop: bool) -> list[Note]:
    """Say that a loop is closed, or that one that was asked for cannot be."""
    if is_loop:
        return [Note("loop: the last frame leads into the first (--no-loop leaves it open)")]
    if is_asked_for:
        why = "the last frame is too unlike the first, or one of them is in a dissolve or a fade"
        return [Note(f"--loop: the end stays open, for {why}", warning=True)]
    return []


def check_keyframe_files(
    keyframes: Sequence[Keyframe], size: tuple[int, int], output: Path
) -> None:
    """Raise StyleError where the picture of a keyframe cannot be read or has not `size` (width,
    height), and ConfigError where it lies among the files of the render.
    """
    folder = state_folder(output)
    for one in keyframes:
        if folder.resolve() in one.path.resolve().parents:
            why = f"what lies in {folder} is written and removed by the render"
            hint = "copy it to another folder, and name it there"
            raise ConfigError(f"keyframe {one.path} is a file of this render", why, hint)
        image = read.read_image(one.path, StyleError)
        width, height = size
        if tuple(image.shape[1:]) != (height, width):
            own = f"it has {image.shape[2]}x{image.shape[1]} pixels"
            hint = f"save it with {width}x{height}, the size of the render (--size)"
            raise StyleError(f"keyframe {one.path} does not fit", own, hint)


def find_keyframes(
    keyframes: Sequence[Keyframe],
    timeline: Timeline,
    edit: Edit,
    part: FrameRange,
    *,
    is_preview: bool = False,
) -> tuple[KeyframeImage, ...]:
    """Find the frames of the render that the user has painted, in order.

    Args:
        is_preview: keyframes of frames that are not rendered are left out, and not refused.

    Raises ConfigError where a frame is not rendered, named twice, or not painted as a whole, and
    StyleError where a picture cannot be read or has another size.
    """
    images: dict[int, KeyframeImage] = {}
    for one in keyframes:
        in_file = frame_of(one, timeline)
        if is_preview and in_file not in part:
            continue
        if in_file not in part:
            shown = f"frames {part.first} to {part.stop - 1} are rendered"
            raise ConfigError(f"keyframe {one} is not in the part to render", shown, KEYFRAME_HINT)
        refuse_transition(one, in_file, edit, part)
        index = in_file - part.first
        if index in images:
            why = f"{images[index].path} is it, too"
            raise ConfigError(f"keyframe {one} names frame {in_file} again", why, KEYFRAME_HINT)
        images[index] = KeyframeImage(index, one.path, sha256(one.path))
    return tuple(images[index] for index in sorted(images))


KEYFRAME_HINT = "name a frame by its number in the input, from 0, or by its time as in 4.8s"


def frame_of(keyframe: Keyframe, timeline: Timeline) -> int:
    """The frame of the file that a keyframe names: that which is shown at its time."""
    if keyframe.frame is not None:
        return keyframe.frame
    time = round(Fraction(keyframe.seconds or 0) / timeline.time_base)
    before = [i for i, pts in enumerate(timeline.pts) if pts <= time]
    is_over = time >= timeline.pts[-1] + timeline.last_duration
    return len(timeline) if is_over or not before else before[-1]


def refuse_transition(keyframe: Keyframe, index: int, edit: Edit, part: FrameRange) -> None:
    """Raise ConfigError where a frame of the file shows more, or less, than its shot."""
    kinds: dict[str, Sequence[Dissolve | Fade | Flash]] = {
        "a dissolve": edit.dissolves,
        "a fade": edit.fades,
        "a flash": edit.flashes,
    }
    for kind, transitions in kinds.items():
        for one in transitions:
            if one.first <= index < one.stop:
                why = f"frame {index} is in {kind}, frames {one.first} to {one.stop - 1}"
                near = [str(i) for i in (one.stop, one.first - 1) if i in part]
                hint = f"paint frame {', or '.join(near)}" if near else KEYFRAME_HINT
                raise ConfigError(f"keyframe {keyframe} is not of one shot alone", why, hint)


def note_transitions(edit: Edit, part: FrameRange) -> list[Note]:
    """Say which transitions there are in the part that is rendered."""
    notes = []
    for kind, plural, transitions in (
        ("dissolve", "dissolves", edit.dissolves),
        ("fade", "fades", edit.fades),
        ("flash", "flashes", edit.flashes),
    ):
        inside = [one for one in transitions if one.first < part.stop and one.stop > part.first]
        if inside:
            listed = ", ".join(f"{one.first}-{one.stop - 1}" for one in inside[:LISTED])
            more = f", and {len(inside) - LISTED} more" if len(inside) > LISTED else ""
            noun = kind if len(inside) == 1 else plural
            notes.append(Note(f"{len(inside)} {noun}: frames {listed}{more}"))
    return notes


LISTED = 8
"""Transitions of one kind that are named one by one."""


def note_bars(bars: Bars) -> list[Note]:
    """Say which bars are left as they are."""
    if bars.is_empty:
        return []
    sizes = f"{bars.describe()}, in pixels"
    return [Note(f"bars are left as they are: {sizes} (--bars paint paints them)")]
