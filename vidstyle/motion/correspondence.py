"""Links from a frame to others of its shot: how far back, along which flow, and where each of them
applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vidstyle.frames import Motion
from vidstyle.motion.exposure import match_exposure
from vidstyle.motion.flow import Flow
from vidstyle.motion.hold import HoldTracker
from vidstyle.motion.occlusion import photometric_reliability, reliability
from vidstyle.motion.static import StaticRegions


def link_frames(frame: Tensor, other: Tensor, flow: Flow, mask: str) -> Motion:
    """Link a source frame to another one, before or after it, by the flow from `frame` to `other`
    and the mask of that flow. Both are compared in the light of `frame`.

    Args:
        frame, other: source frames (3, H, W).
        mask: "photometric" or "plain", see `motion.occlusion`.
    """
    other = match_exposure(other, frame)
    to_other = flow(frame, other)
    to_frame = flow(other, frame)
    if mask == "plain":
        return Motion(to_other, reliability(to_other, to_frame))
    return Motion(to_other, photometric_reliability(to_other, to_frame, frame, other))


def link_static_frames(frame: Tensor, regions: StaticRegions, flow: Flow, mask: str) -> Motion:
    """Link a frame as `link_frames` does, to the reference of its shot: where the source is static,
    the picture stays as it is.

    Args:
        frame: a source frame (3, H, W).
        regions: the reference and the static regions of the frame, by `static.StaticTracker`.
    """
    if bool(regions.static.all()):
        size = frame.shape[1:]
        flow_to_reference = frame.new_zeros(2, *size)
        return Motion(flow_to_reference, frame.new_ones(1, *size), static=regions.long_static)
    motion = link_frames(frame, regions.reference, flow, mask)
    return Motion(
        motion.flow_t_to_prev * ~regions.static,
        torch.where(regions.static, 1.0, motion.mask),
        static=regions.long_static,
    )


def closest_first(masks: Sequence[Tensor]) -> list[Tensor]:
    """Return the weights of several links from their masks (1, H, W), closest first: of each mask
    the part that those of the closer ones leave, c_long^(t-j) = max(c^(t-j) - sum over k < j of
    c^(t-k), 0) (Ruder 2016, section 4.3).

    The first stays as it is, and together they are nowhere above 1.
    """
    weights = []
    closer = masks[0].new_zeros(masks[0].shape)
    for mask in masks:
        weights.append((mask - closer).clamp_min(0))
        closer = closer + mask
    return weights


def hold_link(motion: Motion, j: int, tracker: HoldTracker) -> Motion:
    """Take from the mask of a link to the frame j before what the hold has lost.

    A pixel that has been static for long has been painted from its source ever since, also where it
    was held in part: it is optimised once more, and then its record is that source.
    """
    hold = tracker.trust(j, motion)
    static = motion.static
    if static is not None:
        tracker.forget(j, static & (hold < 1))
        static = static & (hold >= 1)
    return replace(motion, mask=motion.mask * hold, static=static, hold=hold)


def link_earlier_frames(
    frame: Tensor,
    earlier: Sequence[Tensor],
    flow: Flow,
    distances: Sequence[int],
    mask: str,
    regions: StaticRegions | None = None,
    tracker: HoldTracker | None = None,
) -> Motion:
    """Link a frame to those before it.

    Args:
        frame: the source frame t, (3, H, W).
        earlier: the source frames t-1, t-2, ..., as far back as the shot and the distances go.
        distances: how many frames back to link to, 1 first; those beyond `earlier` are left out.
        mask: see `link_frames`.
        regions: the reference and the static regions of frame t; None: it is linked to frame t-1
            itself. A frame that is static as a whole is linked to nothing farther.
        tracker: has the records of the frames before, and gets that of frame t; None: the masks are
            those of single steps.
    """
    reached = [j for j in distances if j <= len(earlier)]
    closest = (
        link_static_frames(frame, regions, flow, mask)
        if regions
        else link_frames(frame, earlier[0], flow, mask)
    )
    motions = {1: closest}
    if not (regions and bool(regions.static.all())):
        for j in reached[1:]:
            motions[j] = link_frames(frame, earlier[j - 1], flow, mask)
    if tracker is not None:
        tracker.look(frame)
        motions = {j: hold_link(motion, j, tracker) for j, motion in motions.items()}
    masks = closest_first([motion.mask for motion in motions.values()])
    links = {
        j: replace(motion, mask=weight)
        for (j, motion), weight in zip(motions.items(), masks, strict=True)
    }
    if tracker is not None:
        tracker.advance({j: motion.mask for j, motion in links.items()})
    return replace(links.pop(1), farther=links)
