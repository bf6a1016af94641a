"""The start and the temporal targets that a frame gets from the frames before it (Ruder 2016,
section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import Motion
from vidstyle.motion.warp import warp_sharp
from vidstyle.stylize.disocclusion import fill_disocclusions, match_colours

OCTAVE_SIGMA = 1.0
"""Of the Gaussian, in pixels, that leaves all but the finest octave."""

LIGHTNESS_DAMPING = 0.04
"""The part of the finest octave's lightness that a warp takes away. Without, a camera that went
forth and back ten times had twice the gradient energy on the tenth visit; with as much it is steady
(`benchmarks/RESULTS.md`)."""

COLOUR_DAMPING = 0.08
"""The same of its colour, whose stripes grew twice as fast."""

STATIC_SEAM = 8
"""Pixels over which an image changes from what is static to what is optimised."""


class TemporalTarget(NamedTuple):
    """An image that the temporal loss pulls a frame towards.

    Args:
        image: (3, H, W), a stylised frame along the flow.
        mask: (1, H, W) in [0, 1], how far each of its pixels can be trusted.
    """

    image: Tensor
    mask: Tensor


class LinkedImage(NamedTuple):
    """An earlier stylised frame, and the motion that links the present frame to it.

    Args:
        image: (3, H, W).
        motion: in the coordinates of the present frame.
    """

    image: Tensor
    motion: Motion


def warp_along(image: Tensor, motion: Motion) -> Tensor:
    """Warp a stylised frame (3, H, W) to the frame that `motion` links to it."""
    flow = motion.flow_t_to_prev
    return damp_finest_octave(warp_sharp(image, flow), flow)


def damp_finest_octave(
    warped: Tensor,
    flow: Tensor,
    lightness: float = LIGHTNESS_DAMPING,
    colour: float = COLOUR_DAMPING,
) -> Tensor:
    """Damp the finest octave of an image (3, H, W) that was warped along a flow where it moves by
    parts of a pixel.

    A window that keeps everything sharp lets stripes of three pixels grow, which the features
    hardly see, until the whole picture is full of them. A shift by whole pixels stays exact.

    Args:
        lightness, colour: the part of it that is taken away.
    """
    is_between = (flow != flow.round()).any(0, keepdim=True)  # (2, H, W) -> (1, H, W)
    if not bool(is_between.any()):
        return warped
    fine = finest_octave(warped)
    grey = fine.mean(0, keepdim=True)
    damped = warped - lightness * grey - colour * (fine - grey)
    return torch.where(is_between, damped.clamp(0, 1), warped)


def finest_octave(image: Tensor) -> Tensor:
    """Return what of an image (c, H, W) a Gaussian of `OCTAVE_SIGMA` takes away."""
    return image - gaussian_blur(image, OCTAVE_SIGMA)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Filter an image (c, H, W) by a normalised Gaussian, edges repeated."""
    radius = round(3 * sigma)
    taps = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-taps.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    x = F.pad(image[:, None], (radius,) * 4, mode="replicate")  # (3, 1, H + 2 r, W + 2 r)
    x = F.conv2d(x, kernel.view(1, 1, 1, -1))
    return F.conv2d(x, kernel.view(1, 1, -1, 1))[:, 0]


def start_image(frame: Tensor, links: Sequence[LinkedImage]) -> tuple[Tensor, list[TemporalTarget]]:
    """Compute the image (3, H, W) that frame t starts from, and a temporal target for each link.

    Each pixel starts from the closest frame, moved along its flow, whose mask is above 0 there.
    Ruder 2016 starts from the previous frame alone and leaves it to the long-term loss to bring
    back what reappears; but its stylised image is at hand, and a start from it keeps its strokes.
    Pixels that none of them shows start from the frame itself, in the colours in which similar
    pixels were stylised: mean grey, or the raw frame, shows as haze wherever things move fast.
    Pixels whose subject goes (`Motion.hold` < 1) start so in part, more from frame to frame.

    Args:
        frame: the source frame t, (3, H, W).
        links: closest first; their masks together are at most 1.
    """
    targets = [TemporalTarget(warp_along(image, link), link.mask) for image, link in links]
    start = targets[0].image
    trusted = targets[0].mask
    hold = links[0].motion.hold
    for (image, mask), link in zip(targets[1:], links[1:], strict=True):
        taken = (trusted <= 0) & (mask > 0)
        start = torch.where(taken, image, start)
        if hold is not None and link.motion.hold is not None:
            hold = torch.where(taken, link.motion.hold, hold)
        trusted = trusted + mask
    if not bool((trusted > 0).any()):
        # Nothing can be followed: the previous image still has the palette.
        return match_colours(frame, links[0].image), targets
    if hold is None or bool((hold[trusted > 0] >= 1).all()):
        return fill_disocclusions(frame, start, trusted), targets
    # Where nothing is held in full, what is held at all has to tell the colours.
    certain = trusted * (hold >= 1)
    certain = certain if bool((certain > 0).any()) else trusted
    painted = fill_disocclusions(frame, start, certain)
    share = torch.where(trusted > 0, hold, 0.0)
    return torch.lerp(painted, start, share.expand_as(start)), targets


def blend_with_neighbour(image: Tensor, neighbour: TemporalTarget, delta: float) -> Tensor:
    """Compute the image (3, H, W) that a frame starts a later pass from: delta c w + (1 - delta) x
    + delta (1 - c) x (Ruder 2016, eq. 11).

    Args:
        image: x, (3, H, W), the frame as the pass before left it.
        neighbour: w, its neighbour along the flow as this pass has left it, and the mask c.
        delta: in [0, 1], the share of the neighbour where it can be trusted.
    """
    warped, mask = neighbour
    return delta * mask * warped + (1 - delta) * image + delta * (1 - mask) * image


def keep_static_pixels(image: Tensor, warped: Tensor, motion: Motion) -> Tensor:
    """Replace the static pixels of `image` by those of the frame before, all (3, H, W).

    More iterations would not improve pixels that have had theirs, and the changes that the features
    do not notice add up from frame to frame. The transition is gradual, `STATIC_SEAM` pixels wide,
    and lies on static ground.
    """
    if motion.static is None or not bool(motion.static.any()):
        return image
    side = 2 * STATIC_SEAM + 1
    padded = F.pad(motion.static.float()[None], (STATIC_SEAM,) * 4, mode="replicate")
    share = F.avg_pool2d(padded, side, stride=1)[0]
    # The window of something small that moves is mostly static.
    kept = (2 * share - 1).clamp(0, 1) * motion.static
    return torch.lerp(image, warped, kept.expand_as(image))
