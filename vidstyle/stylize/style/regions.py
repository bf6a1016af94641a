"""Regions: each region of the source takes its style from one region of the painting, the sky from
the sky.

References: Gatys, Ecker, Bethge, Hertzmann, Shechtman 2017, "Controlling perceptual factors in
neural style transfer" ("Gatys 2017"); Luan, Paris, Shechtman, Bala 2017, "Deep photo style
transfer" ("Luan"); Champandard 2016, "Semantic style transfer and turning two-bit doodles into fine
artworks".

Two label images say which regions these are: pictures in flat colours, where equal colours belong
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import ConfigError
from vidstyle.stylize.losses import TINY, full

SMALLEST = 0.005
"""Share of the picture that a colour must cover to be a label."""
ALIKE = 0.15
"""Distance in RGB up to which two colours are one label: JPEG changes a flat colour by less, and
the colours of a palette differ by more."""
FLAT = 0.06
"""Range of a channel in 3x3 pixels up to which they are of one label. The blends that resizing
leaves between two labels are steeper, or they would be taken for a third one that lies between:
grey between black and white."""
REACH = 4
"""Pixels from which a blend may take its label."""

REST = "rest"
"""The region of the source whose colours the painting does not have."""
AT_ONCE = 2**16
"""Pixels whose features are weighed at once: bounds the memory."""


class Labels(NamedTuple):
    """A label for each pixel, (H, W) int64, and the labels' colours, (k, 3), those of the largest
    first.
    """

    indices: Tensor
    palette: Tensor


def labels(image: Tensor) -> Labels:
    """The labels of a label image (3, H, W), which may have been resized or compressed.

    Labels are the colours that cover at least `SMALLEST` of it; every other pixel takes the nearest
    colour of those. A line of less than three pixels' width is a blend to it, of what lies on both
    sides.
    """
    where = flat(image)
    palette = dominant(image, where)
    indices = nearest(image, palette, where)
    share = torch.bincount(indices.flatten(), minlength=len(palette)) / indices.numel()
    order = share.argsort(descending=True, stable=True)
    palette = palette[order[share[order] >= min(SMALLEST, float(share.max()))]]
    return Labels(nearest(image, palette, where), palette)


def flat(image: Tensor) -> Tensor:
    """(3, H, W) -> where the 3x3 pixels around have one colour, (H, W)."""
    padded = F.pad(image[None], (1,) * 4, mode="replicate")
    spread = F.max_pool2d(padded, 3, 1) + F.max_pool2d(-padded, 3, 1)
    return spread[0].amax(0) <= FLAT


def dominant(image: Tensor, where: Tensor) -> Tensor:
    """(3, H, W) -> the colours (k, 3) that its flat parts (H, W) have in common: the most frequent
    one with all that are `ALIKE`, again and again. Of a picture without flat parts, all of it.
    """
    pixels = image[:, where] if bool(where.any()) else image.flatten(1)  # (3, n)
    red, green, blue = (pixels * 255).round().long()
    codes, counts = torch.unique(red * 2**16 + green * 2**8 + blue, return_counts=True)
    exact = torch.stack([codes // 2**16, codes // 2**8 % 2**8, codes % 2**8], 1).to(image) / 255
    least = SMALLEST / 2 * where.numel()  # a label's border is not flat
    found: list[Tensor] = []
    while len(exact):
        same = (exact - exact[counts.argmax()]).norm(dim=1) <= ALIKE
        count = counts[same]
        if int(count.sum()) >= least or not found:
            found.append((exact[same] * count[:, None]).sum(0) / count.sum())
        exact, counts = exact[~same], counts[~same]
    return torch.stack(found)


def nearest(image: Tensor, palette: Tensor, where: Tensor) -> Tensor:
    """The label (H, W) of each pixel: the nearest colour; where it is not flat, of those of the
    flat parts nearby.
    """
    distance = torch.stack(
        [(image - colour[:, None, None]).square().sum(0) for colour in palette]
    )  # (k, H, W)
    known = torch.zeros_like(distance).scatter_(0, distance.argmin(0)[None], 1) * where
    side = 2 * REACH + 1
    near = F.max_pool2d(F.max_pool2d(known, (side, 1), 1, (REACH, 0)), (1, side), 1, (0, REACH))
    allowed = torch.where(where, known, near) > 0
    return distance.masked_fill(~allowed & allowed.any(0), torch.inf).argmin(0)


def paired(source: Labels, style: Labels) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The source's regions and those of the painting that they take their style from: {name: mask
    (1, H, W)} and {name: mask (1, h, w)}. A name is that of the painting's colour, as in "#4080ff",
    so that it lasts from frame to frame. The source's masks add up to 1 everywhere; they become
    soft in `cells`.

    A colour of the source belongs to the nearest of the painting's, if that is `ALIKE`. What has
    none, all of it together, is the region `REST`, and takes the style of the whole painting.

    Raises:
        ConfigError: no colour of the source is one of the painting's.
    """
    distance = torch.cdist(source.palette.double(), style.palette.double())  # (source's, style's)
    closest, match = distance.min(1)
    match = match.masked_fill(closest > ALIKE, -1)
    if bool((match < 0).all()):
        raise ConfigError(
            "the two label images have no colour in common",
            f"the source's has {', '.join(named(source.palette))}, the style's {', '.join(named(style.palette))}",
            "paint regions that belong together in the same flat colour in both",
        )
    of_source, of_style = {}, {}
    names, chosen = named(style.palette), match[source.indices]  # (H, W)
    for i in sorted(set(match.tolist()) - {-1}):
        of_source[names[i]] = (chosen == i)[None].float()
        of_style[names[i]] = (style.indices == i)[None].float()
    if bool((match < 0).any()):
        of_source[REST] = (chosen < 0)[None].float()
        of_style[REST] = torch.ones(1, *style.indices.shape, device=match.device)
    return of_source, of_style


def named(palette: Tensor) -> list[str]:
    return ["#" + bytes(colour).hex() for colour in (palette * 255).round().int().tolist()]


def stacked(masks: Mapping[str, Tensor]) -> Tensor:
    """{name: mask (1, H, W)} -> (k, H, W), for `cells`."""
    return torch.cat(list(masks.values()))


def cells(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks of pixels (k, H, W) -> of the cells of a layer's map of `size` (h', w'), (k, 1, h',
    w'): how much of what a cell covers belongs to the region, so that masks which add up to 1 still
    do.

    A cell covers a power of two pixels a side; what is left over at the end of a row has none.
    (Gatys 2017 compares this with masks that follow the receptive fields.)
    """
    h, w = (
        n * 2 ** ((whole // n).bit_length() - 1)
        for n, whole in zip(size, masks.shape[1:], strict=True)
    )
    return F.interpolate(masks[:, None, :h, :w], size=size, mode="area")


def area(masks: Tensor) -> Tensor:
    """(k, 1, h, w) -> the cells of each region, (k,), never 0."""
    return masks.sum((1, 2, 3)).clamp_min(TINY)


def guided_products(features: Tensor, masks: Tensor) -> Tensor:
    """(1, c, h, w) and masks m (k, 1, h, w) -> F^T diag(m) F for each of the masks, (k, c, c): a
    sum over pixels.
    """
    _, c, h, w = features.shape
    f = features.permute(0, 2, 3, 1).reshape(h * w, c)  # (1, c, h, w) -> (hw, c)
    g: Tensor = Guided.apply(f, masks.detach().flatten(1))
    return g


def guided_gram(features: Tensor, masks: Tensor) -> Tensor:
    """(1, c, h, w) and masks (k, 1, h, w) -> G = F^T diag(m) F / sum m for each of the masks, (k,
    c, c): what the channels do together inside each region, for each of its pixels.

    Gatys 2017 eq. 3 to 5 with T = (m / sum m)^1/2. Luan eq. 3 is not divided by the region's size.
    """
    g = guided_products(features, masks)
    return g / area(masks).to(g)[:, None, None]


class Guided(torch.autograd.Function):
    """F^T diag(m) F of F (n, c) and m (k, n), in fp32 at least. Its gradient diag(m) F (D + D^T) is
    one map for all regions. Of F nothing is held but F itself, and a region reads its own pixels
    alone: regions that do not overlap take together as long as one that is everywhere.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, masks: Tensor) -> Tensor:
        ctx.save_for_backward(f, masks)
        some = full(f[:0])
        result = some.new_zeros((len(masks), f.shape[1], f.shape[1]))
        for r, m in enumerate(masks.to(some)):
            for rows in own(m):
                weighed = full(f[rows]).mul_(m[rows, None].sqrt())
                result[r] += weighed.mT @ weighed
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        f, masks = ctx.saved_tensors
        result = torch.zeros_like(f)
        for m, both in zip(masks.to(grad), grad + grad.mT, strict=True):
            for rows in own(m):
                result[rows] += (full(f[rows]).mul_(m[rows, None]) @ both).to(f.dtype)
        return result, None


def own(m: Tensor) -> tuple[Tensor, ...]:
    """The pixels of a mask (n,) that are not 0, some at a time."""
    return torch.split(m.nonzero()[:, 0], AT_ONCE)
