"""The feed-forward network: one body for all styles (Johnson, Alahi, Fei-Fei 2016), with
conditional instance normalisation (Dumoulin, Shlens, Kudlur 2017).

It sees the frame, and the previous stylised frame along the flow with its mask (Ruder, Dosovitskiy,
Brox 2018). It paints a picture and says for each pixel how much of the previous one stays. A branch
at an eighth of the size sees far around: large strokes are made of what lies there. At full size
there is no normalisation, and features are enlarged bilinearly before a convolution: by repeated
pixels, what is flat got a weave of four pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.features.padding import replicate_pad

FRAME_CHANNELS = 3
PREVIOUS_CHANNELS = 4
"""The previous stylised frame where it can be trusted, and the mask."""

STEM_WIDTH = 24
WIDTH = 48
BLOCKS = 5
HEAD_WIDTHS = (24, 16)
"""Channels at half size, before and after its second convolution."""

CONTEXT_WIDTH = 64
CONTEXT_DILATIONS = (1, 2, 4)
"""Of the blocks at an eighth of the size."""

BLOCKS_BEFORE_CONTEXT = 2
"""Blocks at a quarter of the size after which the branch leaves and comes back."""

NORM_WIDTHS = (
    STEM_WIDTH,
    *(WIDTH,) * (1 + 2 * BLOCKS_BEFORE_CONTEXT),
    *(CONTEXT_WIDTH,) * (1 + 2 * len(CONTEXT_DILATIONS)),
    *(WIDTH,) * (1 + 2 * (BLOCKS - BLOCKS_BEFORE_CONTEXT)),
    *HEAD_WIDTHS,
)
"""Channels of each normalisation, in order."""

CONTEXT_NORM_INDEX = 3 + 2 * BLOCKS_BEFORE_CONTEXT + 2 * len(CONTEXT_DILATIONS)
"""The normalisation through which the branch comes back."""

STYLE_NUMBERS = 2 * sum(NORM_WIDTHS)
"""Gains and offsets of a style."""

STRIDE = 8
"""Sides of the network's input are multiples of it."""

MARGIN = 16
"""Pixels by which a frame continues beyond each edge, repeated, while it is painted."""

LEAST_VARIANCE = 1e-4

KEEP_BIAS = -1.0
"""Of the logit of what stays of the previous frame, before training."""


class StyleNetwork(nn.Module):
    """A stylised image from a frame, the previous stylised frame and a style.

    Its convolutions pad by repeating the outermost pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(FRAME_CHANNELS + PREVIOUS_CHANNELS, STEM_WIDTH, 5, stride=2)
        self.down = nn.Conv2d(STEM_WIDTH, WIDTH, 3, stride=2)
        self.blocks = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3) for _ in range(2 * BLOCKS))
        self.context_down = nn.Conv2d(WIDTH, CONTEXT_WIDTH, 3, stride=2)
        self.context_blocks = nn.ModuleList(
            nn.Conv2d(CONTEXT_WIDTH, CONTEXT_WIDTH, 3, dilation=dilation)
            for dilation in CONTEXT_DILATIONS
            for _ in range(2)
        )
        self.context_up = nn.Conv2d(CONTEXT_WIDTH, WIDTH, 3)
        self.rise = nn.Conv2d(WIDTH, HEAD_WIDTHS[0], 3)
        self.mix = nn.Conv2d(HEAD_WIDTHS[0], HEAD_WIDTHS[1], 3)
        self.paint = nn.Conv2d(HEAD_WIDTHS[1], FRAME_CHANNELS + 1, 3)
        with torch.no_grad():
            assert self.paint.bias is not None
            self.paint.bias.zero_()
            self.paint.bias[FRAME_CHANNELS] = KEEP_BIAS

    def forward(
        self,
        frame: Tensor,
        previous: Tensor,
        mask: Tensor,
        style: Tensor,
        statistics: Statistics | None = None,
    ) -> Tensor:
        """Paint images (b, 3, h, w) in [0, 1].

        Args:
            frame: (b, 3, h, w) in [0, 1], sides multiples of `STRIDE`.
            previous: (b, 3, h, w) in [0, 1], the previous stylised image along the flow.
            mask: (b, 1, h, w) in [0, 1], where it can be trusted.
            style: (b, `STYLE_NUMBERS`).
            statistics: collects or gives what the normalisations divide by; None: each image has
                its own.
        """
        norms = Normaliser(style, statistics)
        x = torch.cat([frame - 0.5, (previous - 0.5) * mask, mask], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        x = F.relu(norms(self.stem(replicate_pad(x, 2))))
        x = F.relu(norms(self.down(replicate_pad(x))))
        for i, pair in enumerate(zip(self.blocks[::2], self.blocks[1::2], strict=True)):
            if i == BLOCKS_BEFORE_CONTEXT:
                x = x + self._see_context(x, norms)
            x = x + apply_block(x, pair, norms)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = F.relu(norms(self.rise(replicate_pad(x))))
        x = F.relu(norms(self.mix(replicate_pad(x))))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        painted = self.paint(replicate_pad(x)).float()
        image = torch.sigmoid(painted[:, :FRAME_CHANNELS])
        keep = torch.sigmoid(painted[:, FRAME_CHANNELS:]) * mask
        return torch.lerp(image, previous.float(), keep)

    def normalised_layers(self) -> list[nn.Conv2d]:
        """List the convolutions that are followed by a normalisation, in the order of these."""
        before = 2 * BLOCKS_BEFORE_CONTEXT
        return [
            self.stem,
            self.down,
            *self.blocks[:before],
            self.context_down,
            *self.context_blocks,
            self.context_up,
            *self.blocks[before:],
            self.rise,
            self.mix,
        ]

    def _see_context(self, x: Tensor, norms: Normaliser) -> Tensor:
        """Compute what the branch adds to the maps x (b, c, h, w)."""
        y = F.relu(norms(self.context_down(replicate_pad(x))))
        pairs = zip(self.context_blocks[::2], self.context_blocks[1::2], strict=True)
        for dilation, pair in zip(CONTEXT_DILATIONS, pairs, strict=True):
            y = y + apply_block(y, pair, norms, dilation)
        y = norms(self.context_up(replicate_pad(y)))
        return F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)


def apply_block(
    x: Tensor, pair: tuple[nn.Module, nn.Module], norms: Normaliser, dilation: int = 1
) -> Tensor:
    """Compute what a residual block of two convolutions adds to the maps x (b, c, h, w)."""
    first, second = pair
    y = F.relu(norms(first(replicate_pad(x, dilation))))
    residual: Tensor = norms(second(replicate_pad(y, dilation)))
    return residual


class Statistics:
    """Means and variances of the normalisations, each (2, channels); collected while they are not
    given.
    """

    def __init__(self, values: Sequence[Tensor] | None = None) -> None:
        self.values = list(values or ())
        self.fixed = values is not None


class Normaliser:
    """The normalisations of one pass, one after the other."""

    def __init__(self, style: Tensor, statistics: Statistics | None) -> None:
        self.styles = torch.split(style, [2 * width for width in NORM_WIDTHS], 1)
        self.statistics = statistics
        self.at = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise x (b, c, h, w), then scale and shift it."""
        known = self.statistics
        style = self.styles[self.at]
        self.at += 1
        if known is None:
            gain, offset = style.float().chunk(2, 1)
            normalised: Tensor = InstanceNorm.apply(x, gain, offset)
            return normalised
        if known.fixed:
            mean, variance = known.values[self.at - 1]
        else:
            mean, variance = measure_moments(x)
            known.values.append(pool_moments(mean, variance))
        factor, shift = affine(style, mean, variance)
        return scale_channels(x, factor, shift)


class InstanceNorm(torch.autograd.Function):
    """(x - mean) / deviation * gain + offset over each map, for x (b, c, h, w), gain and offset (b,
    c): with the gradient, from x itself, in half as many passes over the maps as torch takes.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
        mean, variance = measure_moments(x)
        scale = torch.rsqrt(variance + LEAST_VARIANCE)
        ctx.save_for_backward(x, mean, scale, gain)
        factor = gain * scale
        return scale_channels(x, factor, offset - mean * factor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, mean, scale, gain = ctx.saved_tensors
        positions = x.shape[2] * x.shape[3]
        to_offset = grad.sum((2, 3), dtype=torch.float32)
        to_gain = ((grad * x).sum((2, 3), dtype=torch.float32) - mean * to_offset) * scale
        # gain scale (grad - mean of grad - normalised x times mean of (grad normalised x))
        factor = gain * scale
        slope = -factor * scale * to_gain / positions
        constant = -factor * to_offset / positions - slope * mean
        to_x = torch.addcmul(scale_channels(x, slope, constant), grad, spread(factor, x))
        return to_x, to_gain, to_offset


def measure_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Measure the means and the variances of the maps x (b, c, h, w), each (b, c), in fp32."""
    positions = x.shape[2] * x.shape[3]
    mean = x.sum((2, 3), dtype=torch.float32) / positions
    norm = torch.linalg.vector_norm(x, dim=(2, 3), dtype=torch.float32)
    return mean, (norm.square() / positions - mean.square()).clamp_min(0)


def scale_channels(x: Tensor, factor: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift the maps x (b, c, h, w) by factor and shift, each (b, c) or (c,)."""
    return torch.addcmul(spread(shift, x), x, spread(factor, x))


def spread(values: Tensor, x: Tensor) -> Tensor:
    """Shape values (b, c) to go with the maps x (b, c, h, w)."""
    return values.to(x.dtype)[..., :, None, None]


def affine(style: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a normalisation's gains and offsets (b, 2 c) and its statistics, each (b, c) or (c,),
    into the factor and the shift of its input, each (b, c).
    """
    gain, offset = style.float().chunk(2, 1)
    factor = gain * torch.rsqrt(variance + LEAST_VARIANCE)
    return factor, offset - mean * factor


def pool_moments(mean: Tensor, variance: Tensor) -> Tensor:
    """Pool the means and variances (b, c) of several pictures: (2, c)."""
    pooled = mean.mean(0)
    return torch.stack([pooled, (variance + (mean - pooled).square()).mean(0)])
