"""Optical flow estimators behind one call: `flow(a, b)` says where each pixel of image a is in
image b.

So the flow along which frame t takes its start from frame t-1 is `flow(frame_t, frame_prev)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor


class Flow(Protocol):
    """An optical flow estimator."""

    digest: str
    """sha256 of the weights, "" where there are none; part of a render's fingerprint."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Estimate the flow (2, H, W) in pixels between two images (3, H, W) in [0, 1]; it is on
        the device of `a`.
        """
        ...


class NoFlow:
    """Says that nothing moves: only what stays in place is trusted then, by its colours."""

    digest = ""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return a.new_zeros(2, *a.shape[1:])


class DIS:
    """Dense inverse search (Kroeger et al. 2016), OpenCV's medium preset continued to the finest
    scale: accurate below ~5 px.

    The preset stops at half size. To go on takes away a third of the error of slow motion. Patches
    that lie a little farther apart and fewer refinements lose nothing then, and take half the time
    (`benchmarks/RESULTS.md`).
    """

    digest = ""
    min_side = 12
    """OpenCV's patch is 8 px and fails below this side; smaller images are padded."""

    def __init__(self) -> None:
        self.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.dis.setFinestScale(0)
        self.dis.setPatchStride(4)
        self.dis.setGradientDescentIterations(12)
        self.dis.setVariationalRefinementIterations(6)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        h, w = a.shape[1:]
        right = max(0, self.min_side - w)
        bottom = max(0, self.min_side - h)
        grey = [
            cv2.copyMakeBorder(
                cv2.cvtColor(
                    (x.permute(1, 2, 0).cpu().numpy() * 255).round().astype("uint8"),
                    cv2.COLOR_RGB2GRAY,
                ),
                *(0, bottom, 0, right),
                cv2.BORDER_REPLICATE,
            )
            for x in (a, b)
        ]
        # OpenCV's stubs ask for a flow to start from; None is allowed and starts from nothing.
        flow = self.dis.calc(grey[0], grey[1], None)  # type: ignore[call-overload, unused-ignore]
        image_flow = torch.from_numpy(flow[:h, :w]).permute(2, 0, 1)  # (h, w, 2) -> (2, h, w)
        return image_flow.contiguous().to(a.device)


class RAFT:
    """Recurrent all-pairs field transforms (Teed & Deng 2020), torchvision's architectures and
    weights.

    Flow comes out at 1/8 of the image's size, so the images are enlarged where nothing moves too
    far for it: motion boundaries come out sharper and small motion more exact. A first look at half
    size tells how far things move.

    Args:
        name: raft-small or raft-large.
        state: torchvision's weights of that network.
        digest: sha256 of the file that they were read from.
    """

    min_side = 128
    """The coarsest correlation level is 1/64 of the image and needs two positions a side."""
    updates = 20
    """Refinements; torchvision's 12 are too few at the larger size."""
    scales = (0.5, 1.5)
    """The smallest and the largest size at which it looks, in parts of the image's."""
    max_motion = 128.0
    """Pixels that things may move in the images that it looks at; beyond, it loses them."""
    max_pixels = 1_100_000
    """Pixels of the images that it looks at, as many as 1024x436 enlarged has: it compares every
    8x8 pixels with all others, which takes 1.6 GB then, and would take 28 at 1920x1080 enlarged."""

    def __init__(
        self, name: str, state: Mapping[str, Tensor], digest: str, device: torch.device
    ) -> None:
        # Imported here: torchvision costs 1.7 s and only RAFT needs it.
        from torchvision.models import optical_flow  # type: ignore[import-untyped, unused-ignore]

        build = {"raft-small": optical_flow.raft_small, "raft-large": optical_flow.raft_large}[name]
        model = build(weights=None, progress=False)
        model.load_state_dict(state)
        self.model = model.eval().requires_grad_(False).to(device)
        self.device = device
        self.digest = digest

    @torch.no_grad()
    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        largest_allowed = (self.max_pixels / (a.shape[1] * a.shape[2])) ** 0.5
        smallest, largest = (min(largest_allowed, scale) for scale in self.scales)
        flow = self.estimate_at_scale(a, b, smallest)
        distances = flow.cpu().square().sum(0).sqrt().flatten()
        # Most of the frame decides, not the fastest spot. quantile takes 16 million values at most,
        # kthvalue is not deterministic on a GPU.
        distance = float(distances.kthvalue(max(1, int(0.95 * distances.numel()))).values)
        scale = min(largest, max(smallest, self.max_motion / max(distance, 1e-6)))
        if scale < largest_allowed:
            # Few sizes, whose buffers are used again.
            scale = min(largest_allowed, round(8 * scale) / 8)
        return self.estimate_at_scale(a, b, scale).to(a.device)

    def estimate_at_scale(self, a: Tensor, b: Tensor, scale: float) -> Tensor:
        """Estimate the flow (2, H, W) in pixels of a and b (3, H, W), as seen at `scale` times
        their size.
        """
        size = tuple(a.shape[1:])
        h, w = (max(1, round(n * scale)) for n in size)
        # Multiples of 8 for the encoder; the image continues beyond its right and lower edge with
        # its outermost pixels.
        border = (0, max(self.min_side - w, -w % 8), 0, max(self.min_side - h, -h % 8))
        border = (0, border[1] + -(w + border[1]) % 8, 0, border[3] + -(h + border[3]) % 8)
        pair = [
            F.pad(
                resize_bilinear(x, (h, w))[None].to(self.device) * 2 - 1, border, mode="replicate"
            )
            for x in (a, b)
        ]
        steps = self.model(*pair, num_flow_updates=self.updates)
        flow: Tensor = steps[-1][0]  # (1, 2, H', W') -> (2, H', W')
        ratio = torch.tensor([size[1] / w, size[0] / h]).view(2, 1, 1)
        return (resize_bilinear(flow[:, :h, :w].cpu(), size) * ratio).to(self.device)


def resize_bilinear(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize (c, h, w) to (c, *size), bilinear, antialiased when it shrinks; x itself when nothing
    changes.
    """
    if tuple(x.shape[1:]) == size:
        return x
    resized = F.interpolate(
        x[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )
    return resized[0]
