"""What links a frame to another one of its shot: how far back, along which flow, and where each
link counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidstyle.frames import Motion
from vidstyle.motion.flow import Flow
from vidstyle.motion.occlusion import photometric_reliability, reliability
from vidstyle.motion.static import StaticRegions


def link_frames(frame: Tensor, other: Tensor, flow: Flow, mask: str) -> Motion:
    """What links the source frame to another one, before or after it: the flow from `frame` to
    `other`, and its mask.

    Args:
        frame, other: source frames (3, H, W).
        mask: "photometric" or "plain", see `motion.occlusion`.
    """
    to_other, to_frame = flow(frame, other), flow(other, frame)
    if mask == "plain":
        return Motion(to_other, reliability(to_other, to_frame))
    return Motion(to_other, photometric_reliability(to_other, to_frame, frame, other))


def link_static_frames(frame: Tensor, resting: StaticRegions, flow: Flow, mask: str) -> Motion:
    """`link` to what the previous stylised frame is in register with: the picture stays where the
    source is at rest.

    Args:
        frame: a source frame (3, H, W).
        resting: what `motion.rest.StaticTracker` says of it.
    """
    if bool(resting.static.all()):
        size = frame.shape[1:]
        return Motion(
            frame.new_zeros(2, *size), frame.new_ones(1, *size), static=resting.long_static
        )
    found = link_frames(frame, resting.reference, flow, mask)
    return Motion(
        found.flow_t_to_prev * ~resting.static,
        torch.where(resting.static, 1.0, found.mask),
        static=resting.long_static,
    )


def closest_first(masks: Sequence[Tensor]) -> list[Tensor]:
    """The weights of several links from their masks (1, H, W), closest first: of each mask what
    those of the closer ones leave, c_long^(t-j) = max(c^(t-j) - sum over k < j of c^(t-k), 0)
    (Ruder 2016, section 4.3).

    The first stays as it is, and together they are nowhere above 1.
    """
    weights, closer = [], masks[0].new_zeros(masks[0].shape)
    for mask in masks:
        weights.append((mask - closer).clamp_min(0))
        closer = closer + mask
    return weights


def link_earlier_frames(
    frame: Tensor,
    earlier: Sequence[Tensor],
    flow: Flow,
    distances: Sequence[int],
    mask: str,
    resting: StaticRegions | None = None,
) -> Motion:
    """What links a frame to those before it.

    Args:
        frame: the source frame t, (3, H, W).
        earlier: the source frames t-1, t-2, ..., as far back as the shot and the distances go.
        distances: how many frames back to link to, 1 first; those beyond `earlier` are left out.
        mask: see `link`.
        resting: the reference of frame t and where it is at rest; None: frame t-1 itself is linked
            to. Where all of it rests, nothing farther is linked to.
    """
    reached = [j for j in distances if j <= len(earlier)]
    closest = (
        link_static_frames(frame, resting, flow, mask)
        if resting
        else link_frames(frame, earlier[0], flow, mask)
    )
    if resting and bool(resting.static.all()):
        return closest
    motions = [closest, *(link_frames(frame, earlier[j - 1], flow, mask) for j in reached[1:])]
    masks = closest_first([motion.mask for motion in motions])
    first, *others = (
        Motion(motion.flow_t_to_prev, mask) for motion, mask in zip(motions, masks, strict=True)
    )
    farther = dict(zip(reached[1:], others, strict=True))
    return Motion(first.flow_t_to_prev, first.mask, farther, closest.static)
