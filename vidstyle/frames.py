"""The internal formats, stated once; every stage imports them from here.

Image   float32 tensor, RGB, sRGB-encoded, in [0, 1], shape (3, H, W).
Flow    float32 tensor, pixels, shape (2, H, W), channel 0 = x. `flow_t_to_prev[:, y, x]` is the
        step from the pixel (x, y) of frame t to its place in frame t-1, so that
        `warp(prev, flow_t_to_prev)` looks like frame t.
Mask    float32 tensor, [0, 1], shape (1, H, W), in the coordinates of frame t; 1 = the warped
        pixel can be trusted.
Index   counts the frames that are rendered, from 0. Only `rendering.sources` and the readers in
        `video` count those of a file.
Time    integer pts in units of a `Fraction` time base. A frame rate is never a float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class FrameStyle:
    """The part of the style that differs from frame to frame.

    Args:
        mixture: the share of each of several style images, 1 together; (): all have the same.
        transition: in [0, 1], how much the mixture has changed lately; while it changes, static
            pixels are optimised like all others.
    """

    mixture: tuple[float, ...] = ()
    transition: float = 0.0


@dataclass(frozen=True)
class Frame:
    """One source frame.

    Args:
        index: its number in the render, from 0.
        image: (3, H, W).
        regions: (k, H, W), how much of each pixel belongs to each of its regions; None: there is
            only one.
        style: the part of the style that is its own.
        temporal_strength: the factor of the temporal loss's weight.
        detail: (1, h, w) in [0, 1], of any size: how much each pixel matters for what the frame
            shows (`stylize.detail`); None: that is not asked for.
    """

    index: int
    image: Tensor
    regions: Tensor | None = None
    style: FrameStyle = FrameStyle()
    temporal_strength: float = 1.0
    detail: Tensor | None = None

    def to(self, device: torch.device) -> Frame:
        """Copy it to a device."""
        regions = None if self.regions is None else self.regions.to(device)
        detail = None if self.detail is None else self.detail.to(device)
        return replace(self, image=self.image.to(device), regions=regions, detail=detail)


@dataclass(frozen=True)
class Motion:
    """The link from frame t to frame t-1: the flow of the warp, (2, H, W), and its reliability
    mask, (1, H, W), both in the coordinates of frame t. In a backward pass "prev" is the frame that
    is made before it, t+1.

    Args:
        farther: {j: the link to frame t-j}, closest first, where it is linked to more than one; the
            masks of all links together are at most 1.
        static: (1, H, W) of bool, True where nothing has moved for long: the picture stays as it
            is, the flow is 0 and the mask 1. None: static pixels were not looked for.
        hold: (1, H, W) in [0, 1], how far what the linked picture shows at a pixel is still what
            the source shows (`motion.hold`); the mask contains it. None: 1 everywhere.
    """

    flow_t_to_prev: Tensor
    mask: Tensor
    farther: Mapping[int, Motion] = field(default_factory=dict)
    static: Tensor | None = None
    hold: Tensor | None = None

    @property
    def all_static(self) -> bool:
        """True where the whole picture stays as it is."""
        return self.static is not None and bool(self.static.all())

    def to(self, device: torch.device) -> Motion:
        """Copy it to a device."""
        farther = {j: motion.to(device) for j, motion in self.farther.items()}
        static = None if self.static is None else self.static.to(device)
        hold = None if self.hold is None else self.hold.to(device)
        return Motion(self.flow_t_to_prev.to(device), self.mask.to(device), farther, static, hold)


@dataclass(frozen=True)
class Timeline:
    """The times at which frames are shown.

    Args:
        pts: one presentation time per frame, strictly increasing, in units of `time_base`, counted
            from the first timestamp of the file over all its streams (so a video stream that starts
            late has pts[0] > 0).
        last_duration: how long the last frame is shown, in units of `time_base`.
        rate: frames per second when the source is of constant rate (every gap within one tick of
            1/rate), else None.
        nominal_rate: the rate the container declares (or the mean rate), for encoders that must be
            told one.
    """

    pts: tuple[int, ...]
    last_duration: int
    rate: Fraction | None
    nominal_rate: Fraction
    time_base: Fraction = TIME_BASE

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame's appearance to the last one's end."""
        return (self.pts[-1] + self.last_duration - self.pts[0]) * self.time_base

    def select(self, first: int, stop: int) -> Timeline:
        """Select the frames `first` .. `stop` - 1, with their times unchanged."""
        last = self.last_duration if stop == len(self.pts) else self.pts[stop] - self.pts[stop - 1]
        return Timeline(self.pts[first:stop], last, self.rate, self.nominal_rate, self.time_base)


def to_uint16(image: Tensor) -> NDArray[np.uint16]:
    """Round an image (3, H, W) in [0, 1] to 16 bits: (H, W, 3) uint16 RGB."""
    array: NDArray[np.uint16] = (
        (image.detach().clamp(0, 1) * 65535)
        .round()
        .permute(1, 2, 0)
        .contiguous()
        .cpu()
        .numpy()
        .astype("uint16")
    )
    return array


def from_uint16(array: NDArray[np.uint16]) -> Tensor:
    """Bring 16-bit RGB (H, W, 3) to an image (3, H, W) in [0, 1]; undoes `to_uint16`, up to its
    rounding.
    """
    import torch

    return torch.from_numpy(array.astype("float32")).permute(2, 0, 1).contiguous() / 65535


def quantise(image: Tensor) -> Tensor:
    """Round an image (3, H, W) to what its 16-bit file will hold: the next frame may depend on
    nothing better.
    """
    return from_uint16(to_uint16(image)).to(image.device)
