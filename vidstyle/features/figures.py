"""The finder of figures: a small head on lite's trunk that says where people and animals are in a
picture, and where their faces are (`training/figures.py` made it).

It is for weights, not for masks: its maps are coarse, and soft where it is not sure.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.features.lite import DEPTHS, WIDTHS, Lite
from vidstyle.features.padding import replicate_pad

LONG_SIDE = 512
"""Pixels of the longer side of the picture that the finder looks at, whatever that of the frame:
so its cost is bounded, and a figure is as large to it in a small render as in a large one."""

MOST_ENLARGED = 3.0
"""How much a tiny frame is enlarged for it, at most: there is little to find in one."""

SIDE_STEP = 16
"""Sides of that picture are multiples of it, so that the maps of all stages lie over each other."""

MAP_STRIDE = 8
"""Pixels of that picture that a position of the result covers, a side."""

STAGES = (2, 3, 4)
"""The stages of the trunk, from 0, whose last maps the head reads: at 1/4, 1/8 and 1/16."""

HEAD_CHANNELS = (32, 48, 64)
"""Channels that the head takes of each."""

JOINED_CHANNELS = 64
MAP_NAMES = ("figure", "face")


class FigureHead(nn.Module):
    """Convolutions that turn three maps of lite's trunk into the logits of figure and face."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, deep = (WIDTHS[stage] for stage in STAGES)
        self.fine = nn.Conv2d(fine, HEAD_CHANNELS[0], 2, stride=2)
        self.middle = nn.Conv2d(middle, HEAD_CHANNELS[1], 1)
        self.deep = nn.Conv2d(deep, HEAD_CHANNELS[2], 1)
        self.wide = nn.Conv2d(HEAD_CHANNELS[2], HEAD_CHANNELS[2], 3)
        self.wider = nn.Conv2d(HEAD_CHANNELS[2], HEAD_CHANNELS[2], 3)
        self.join = nn.Conv2d(sum(HEAD_CHANNELS), JOINED_CHANNELS, 3)
        self.refine = nn.Conv2d(JOINED_CHANNELS, JOINED_CHANNELS, 3)
        self.decide = nn.Conv2d(JOINED_CHANNELS, len(MAP_NAMES), 1)

    def forward(self, fine: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Compute logits (b, 2, h / 8, w / 8) from the maps of `read_trunk`."""
        fine = F.relu(self.fine(fine))
        middle = F.relu(self.middle(middle))
        deep = F.relu(self.deep(deep))
        # At 1/32 two convolutions see a figure that fills half of the picture.
        wide = F.avg_pool2d(deep, 2, ceil_mode=True, count_include_pad=False)
        wide = F.relu(self.wide(replicate_pad(wide)))
        wide = F.relu(self.wider(replicate_pad(wide)))
        deep = deep + _resize(wide, deep)
        x = torch.cat([fine, middle, _resize(deep, middle)], 1)
        x = F.relu(self.join(replicate_pad(x)))
        x = x + F.relu(self.refine(replicate_pad(x)))
        logits: Tensor = self.decide(x)
        return logits


class FigureFinder:
    """A finder of figures on its device, frozen, in fp32.

    Args:
        lite_state: the weights of lite, as `weights.fetch.load_weights` gives them.
        head_state: those of the head, called `figures` there.
        digest: sha256 of the head's file; part of the fingerprint of a render that uses it.
        device: where to compute.
    """

    def __init__(
        self,
        lite_state: Mapping[str, Tensor],
        head_state: Mapping[str, Tensor],
        digest: str,
        device: torch.device | str = "cpu",
    ) -> None:
        self.lite = Lite()
        self.lite.load_state_dict(lite_state)
        self.head = FigureHead()
        self.head.load_state_dict(head_state)
        for module in (self.lite, self.head):
            module.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        self.digest = digest
        self.device = torch.device(device)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Find figures in a picture.

        Args:
            image: (3, h, w) RGB in [0, 1], of any size.

        Returns:
            (2, h', w') in [0, 1] on the finder's device: how sure it is of a figure, and of a face,
            at each position. The longer of h' and w' is `LONG_SIDE` / `MAP_STRIDE`, less only for
            a picture that would be enlarged by more than `MOST_ENLARGED`.
        """
        seen = look(image.to(self.device))
        maps = read_trunk(self.lite, seen[None])
        result: Tensor = self.head(*maps)[0].sigmoid()
        return result


def look(image: Tensor) -> Tensor:
    """Resize a picture (3, h, w) to the size that the finder looks at."""
    size = seen_size(image.shape[-2], image.shape[-1])
    if size == tuple(image.shape[-2:]):
        return image
    # Not every torch has the antialiased filter for Apple's GPUs.
    source = image.cpu() if image.device.type == "mps" else image
    resized = F.interpolate(
        source[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )
    return resized[0].clamp(0, 1).to(image.device)


def seen_size(height: int, width: int) -> tuple[int, int]:
    """Return the size (h, w) of the picture that the finder looks at, its sides the multiples of
    `SIDE_STEP` that keep the aspect best.
    """
    scale = min(LONG_SIDE / max(height, width), MOST_ENLARGED)
    rows, columns = (max(2, round(n * scale / SIDE_STEP)) * SIDE_STEP for n in (height, width))
    return rows, columns


def read_trunk(lite: Lite, images: Tensor) -> list[Tensor]:
    """Compute the maps that the head reads, of images (b, 3, h, w) with sides that are multiples of
    `SIDE_STEP`: (b, 80, h / 4, w / 4), (b, 168, h / 8, w / 8), (b, 256, h / 16, w / 16).
    """
    last = {(stage, DEPTHS[stage] - 1) for stage in STAGES}
    images = images.contiguous(memory_format=torch.channels_last)
    # A map of the trunk is not written to once the next stage has begun.
    return [x for position, x in lite.trunk(images) if position in last]


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
