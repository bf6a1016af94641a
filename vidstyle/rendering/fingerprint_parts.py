"""The parts of a render's fingerprint: all that changes one of its frames."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from vidstyle.config import style_images
from vidstyle.config.facts import FRAME_AFFECTING
from vidstyle.config.settings import settings_that_affect
from vidstyle.rendering.label_maps import label_digest
from vidstyle.storage.atomic import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vidstyle.motion.bars import Bars
    from vidstyle.rendering.job import Job, Request
    from vidstyle.rendering.layers import FrameRange


SECONDS = ("start", "duration")
"""The settings that choose a part of the input; `of_part` has the frames themselves."""


def known_early(request: Request | Job) -> dict[str, Any]:
    """The parts that are known before the input is decoded and before weights are at hand."""
    config = request.config
    parts: dict[str, Any] = {"input": sha256(config.input)}
    if config.style:
        digests = [sha256(path) for path in config.style_files]
        parts["style"] = style_images.style_fingerprint_parts(config.style, digests)
    parts |= config.picture_settings()
    for name in (*SECONDS, "loop", "bars", "deinterlace"):  # what these choose is another part
        parts.pop(name, None)
    if config.regions:
        parts["regions"] = [label_digest(path) for path in config.regions]
    parts["precision"] = request.device.precision
    parts["device"] = request.device.device.type
    if request.source.fields:
        parts["deinterlaced"] = request.source.fields
    if request.memory.tile:
        parts["tile"] = request.memory.tile
    return parts


def known_or_absent(request: Request | Job) -> dict[str, Any]:
    """The parts of `known_early`; those that they could have and do not are None."""
    names = set(settings_that_affect(*FRAME_AFFECTING)) - set(SECONDS)
    return {
        **dict.fromkeys((*names, "style", "regions", "tile", "deinterlaced")),
        **known_early(request),
    }


def of_part(part: FrameRange) -> dict[str, Any]:
    """The frames of the input that are rendered, however they were asked for."""
    return {"first_frame": part.first, "frame_count": len(part)}


def of_bars(bars: Bars) -> dict[str, Any]:
    """The bars of the film, where it has some."""
    return {} if bars.is_empty else {"bar_pixels": list(astuple(bars))}


def complete(job: Job, digests: Mapping[str, str]) -> dict[str, Any]:
    """All parts.

    Args:
        digests: {name of a weight file: its sha256}.
    """
    finder = [digests[name] for name in job.finder_weights]
    return {
        **known_early(job),
        **of_part(job.part),
        **job.engine.fingerprint_parts(digests),
        "flow_weights": digests.get(job.flow_name, ""),
        **({"finder_weights": finder} if finder else {}),
        **of_bars(job.bars),
    }
