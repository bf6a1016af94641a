"""What a frame takes from the one before it (Ruder 2016, section 4): its start, and the image it is
held to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import Motion
from vidstyle.motion.warp import warp_sharp
from vidstyle.stylize.disocclusion import match_colours, painted_alike

SEAM = 8
"""Pixels from what is kept to what is painted on."""


def carried(image: Tensor, motion: Motion) -> Tensor:
    """A stylised frame (3, H, W) as it looks from the frame that `motion` links to it."""
    return warp_sharp(image, motion.flow_t_to_prev)


Followed = tuple[Tensor, Motion]
"""An earlier stylised frame (3, H, W) and what links the frame to it."""


def start_image(frame: Tensor, links: Sequence[Followed]) -> tuple[Tensor, list[Tensor]]:
    """What frame t starts from, (3, H, W), and for each link what it is held to.

    Each pixel starts from the closest frame, moved along its flow, whose mask is above 0 there.
    Ruder 2016 starts from the previous frame alone and leaves it to the long-term loss to bring
    back what reappears; but its paint is at hand, and a start from it keeps its strokes. What none
    of them shows starts from the frame itself in the colours that what looks alike was painted in:
    mean grey, or the raw frame, shows as haze wherever things move fast.

    Args:
        frame: the source frame t, (3, H, W).
        links: closest first; their masks together are at most 1.
    """
    held = [carried(image, link) for image, link in links]
    seen, trusted = held[0], links[0][1].mask
    for image, (_, link) in zip(held[1:], links[1:], strict=True):
        seen = torch.where((trusted <= 0) & (link.mask > 0), image, seen)
        trusted = trusted + link.mask
    if not bool((trusted > 0).any()):
        # Nothing can be followed: the previous picture still tells the palette.
        return match_colours(frame, links[0][0]), held
    return painted_alike(frame, seen, trusted), held


def blended(image: Tensor, warped: Tensor, mask: Tensor, delta: float) -> Tensor:
    """What a frame starts a later pass from, (3, H, W): delta c w + (1 - delta) x + delta (1 - c) x
    (Ruder 2016, eq. 11).

    Args:
        image: x, (3, H, W), the frame as the pass before left it.
        warped: w, (3, H, W), its neighbour as this pass has left it, along the flow.
        mask: c, (1, H, W), 1 = trusted.
        delta: in [0, 1], how much of the neighbour is taken where it can be trusted.
    """
    return delta * mask * warped + (1 - delta) * image + delta * (1 - mask) * image


def kept_where_settled(image: Tensor, warped: Tensor, motion: Motion) -> Tensor:
    """`image` with what has settled as it was in the frame before, all (3, H, W).

    Optimising on would not make better what has had its time, and what the features let through
    adds up from frame to frame. The change is gradual, `SEAM` pixels wide, and lies on ground that
    has settled.
    """
    if motion.static is None or not bool(motion.static.any()):
        return image
    side = 2 * SEAM + 1
    share = F.avg_pool2d(
        F.pad(motion.static.float()[None], (SEAM,) * 4, mode="replicate"), side, stride=1
    )[0]
    kept = (2 * share - 1).clamp(
        0, 1
    ) * motion.static  # the window of something small that moves is mostly settled
    return torch.lerp(image, warped, kept.expand_as(image))
