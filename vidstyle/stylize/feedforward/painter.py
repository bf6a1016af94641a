"""The network of one style, or of a blend of several, with its normalisations fixed and folded into
its convolutions: what it does to a pixel depends on nothing far from it, frame after frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.features.padding import replicate_pad
from vidstyle.stylize.feedforward.network import (
    BLOCKS,
    BLOCKS_BEFORE_CONTEXT,
    CONTEXT_DILATIONS,
    FRAME_CHANNELS,
    MARGIN,
    NORM_WIDTHS,
    STRIDE,
    Statistics,
    StyleNetwork,
    affine,
)

BAND_PIXELS = 2**22
"""Pixels of a frame that are painted at once."""

REACH = 192
"""Pixels around a pixel that its paint may depend on, a multiple of `STRIDE`: 2 of the stem, 2 of
the next convolution, 4 of each of ten, 4 + 112 + 8 of the branch, 2 of each of two, and those of
enlarging: 189 in all."""


@dataclass(frozen=True)
class NetworkStyle:
    """A style as the network has it.

    Args:
        numbers: gains and offsets, (`STYLE_NUMBERS`,).
        changes: {name of a weight: what is added to it}; none for a style that was not learned.
    """

    numbers: Tensor
    changes: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> NetworkStyle:
        """Copy it to a device."""
        changes = {name: x.to(device) for name, x in self.changes.items()}
        return NetworkStyle(self.numbers.to(device), changes)


def blend_styles(styles: Sequence[NetworkStyle], shares: Sequence[float]) -> NetworkStyle:
    """Blend styles by shares that add up to 1 (Dumoulin et al. 2017, section 3.3)."""
    used = [(share, style) for share, style in zip(shares, styles, strict=True) if share]
    if len(used) == 1:
        return used[0][1]
    numbers = torch.stack([share * style.numbers for share, style in used]).sum(0)
    names = dict.fromkeys(name for _, style in used for name in style.changes)
    changes = {
        name: torch.stack(
            [share * style.changes[name] for share, style in used if name in style.changes]
        ).sum(0)
        for name in names
    }
    return NetworkStyle(numbers, changes)


def adapt_network(base: StyleNetwork, style: NetworkStyle) -> StyleNetwork:
    """Copy the network, with the changes of a style."""
    network = StyleNetwork()
    state = {name: x.clone() for name, x in base.state_dict().items()}
    for name, change in style.changes.items():
        state[name] += change.to(state[name])
    network.load_state_dict(state)
    device = next(base.parameters()).device
    network.requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)
    return network


def extend(frames: Tensor) -> Tensor:
    """Extend frames (b, c, h, w) by `MARGIN` and to multiples of `STRIDE`, edges repeated."""
    height, width = frames.shape[2:]
    below, right = -height % STRIDE, -width % STRIDE
    return F.pad(frames, (MARGIN, MARGIN + right, MARGIN, MARGIN + below), mode="replicate")


class FoldedNetwork:
    """The network with fixed normalisations, as convolutions and rectifiers alone.

    Args:
        numbers: gains and offsets, (`STYLE_NUMBERS`,).
        statistics: what the normalisations divide by.
        has_previous: False where there is never a previous image, whose channels are left out then.
        dtype: of weights and maps.
    """

    def __init__(
        self,
        network: StyleNetwork,
        numbers: Tensor,
        statistics: Statistics,
        dtype: torch.dtype,
        *,
        has_previous: bool,
    ) -> None:
        self.dtype = dtype
        self.has_previous = has_previous
        given = numbers[None].to(network.paint.weight.device)
        styles = torch.split(given, [2 * width for width in NORM_WIDTHS], 1)
        self.layers: list[tuple[Tensor, Tensor]] = []
        layers = network.normalised_layers()
        for layer, style, (mean, variance) in zip(layers, styles, statistics.values, strict=True):
            assert layer.bias is not None
            factor, shift = (x[0] for x in affine(style, mean, variance))
            weight = layer.weight * factor[:, None, None, None]
            self.layers.append(self.place(weight, layer.bias * factor + shift))
        if not has_previous:
            # Without a previous image its channels are 0 throughout.
            weight, bias = self.layers[0]
            self.layers[0] = self.place(weight[:, :FRAME_CHANNELS], bias)
        assert network.paint.bias is not None
        self.paint = self.place(network.paint.weight, network.paint.bias)

    def place(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Bring weights to the precision and the layout of the maps."""
        weight = weight.detach().to(self.dtype).contiguous(memory_format=torch.channels_last)
        return weight, bias.detach().to(self.dtype)

    @torch.no_grad()
    def __call__(self, frame: Tensor, previous: Tensor | None, mask: Tensor | None) -> Tensor:
        """Paint images (b, 3, h, w) of frames (b, 3, h, w), both in [0, 1], in fp32.

        Args:
            previous: (b, 3, h, w), the previous image along the flow; None where there is none.
            mask: (b, 1, h, w), where it can be trusted.
        """
        height, width = frame.shape[2:]
        parts = [frame - 0.5]
        if previous is not None and mask is not None and self.has_previous:
            parts += [(previous - 0.5) * mask, mask]
        x = extend(torch.cat(parts, 1).to(self.dtype))
        x = x.contiguous(memory_format=torch.channels_last)
        painted = [self.paint_band(x, *band) for band in self.divide(x)]
        inside = torch.cat(painted, 2)[:, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        inside = inside.float().sigmoid_()
        image = inside[:, :FRAME_CHANNELS]
        if previous is None or mask is None or not self.has_previous:
            return image.contiguous()
        return torch.lerp(image, previous, inside[:, FRAME_CHANNELS:] * mask)

    def divide(self, x: Tensor) -> list[tuple[int, int]]:
        """Divide the rows of an input into bands that are painted one after the other."""
        height, width = x.shape[2:]
        rows = max(STRIDE, BAND_PIXELS // width // STRIDE * STRIDE)
        return [(top, min(top + rows, height)) for top in range(0, height, rows)]

    def paint_band(self, whole: Tensor, first: int, stop: int) -> Tensor:
        """Compute the logits (b, 4, stop - first, w) of some rows of the input."""
        above = max(0, first - REACH)
        x = whole[:, :, above : stop + REACH]
        layers = iter(self.layers)
        x = F.conv2d(replicate_pad(x, 2), *next(layers), stride=2).relu_()
        x = F.conv2d(replicate_pad(x), *next(layers), stride=2).relu_()
        for i in range(BLOCKS):
            if i == BLOCKS_BEFORE_CONTEXT:
                y = F.conv2d(replicate_pad(x), *next(layers), stride=2).relu_()
                for dilation in CONTEXT_DILATIONS:
                    y = y + apply_folded(y, layers, dilation)
                y = F.conv2d(replicate_pad(y), *next(layers))
                x = x + F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
            x = x + apply_folded(x, layers)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = F.conv2d(replicate_pad(x), *next(layers)).relu_()
        x = F.conv2d(replicate_pad(x), *next(layers)).relu_()
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        painted = F.conv2d(replicate_pad(x), *self.paint)
        return painted[:, :, first - above : stop - above]


def apply_folded(x: Tensor, layers: Iterator[tuple[Tensor, Tensor]], dilation: int = 1) -> Tensor:
    """Compute what a residual block of the next two layers adds to the maps x (b, c, h, w)."""
    y = F.conv2d(replicate_pad(x, dilation), *next(layers), dilation=dilation).relu_()
    return F.conv2d(replicate_pad(y, dilation), *next(layers), dilation=dilation)
