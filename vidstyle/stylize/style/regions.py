"""Regions: each region of the frame takes its style from one region of the style image, the sky
from the sky.

Two label maps say which regions these are: images in flat colours, where equal colours belong
together. From them come masks, the soft segmentation that the style terms see.

References: Gatys, Ecker, Bethge, Hertzmann, Shechtman 2017, "Controlling perceptual factors in
neural style transfer" ("Gatys 2017"); Luan, Paris, Shechtman, Bala 2017, "Deep photo style
transfer" ("Luan"); Champandard 2016, "Semantic style transfer and turning two-bit doodles into fine
artworks".
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import ConfigError
from vidstyle.stylize.losses import TINY, full

MIN_LABEL_SHARE = 0.005
"""Share of the image that a colour must cover to be a label."""

MAX_LABEL_DISTANCE = 0.15
"""Distance in RGB up to which two colours are one label: JPEG changes a flat colour by less, and
the colours of a palette differ by more."""

MAX_FLAT_RANGE = 0.06
"""Range of a channel in 3x3 pixels up to which they are of one label. The blends that resizing
leaves between two labels are steeper, or they would be taken for a third one that lies between:
grey between black and white."""

MAX_BLEND_REACH = 4
"""Pixels from which a blend may take its label."""

REST = "rest"
"""The region of the frame whose colours the style image does not have."""

MAX_WEIGHTED_POSITIONS = 2**16
"""Positions whose features are weighted at once: bounds the memory."""


class Labels(NamedTuple):
    """A label for each pixel, (H, W) int64, and the labels' colours, (k, 3), those of the largest
    first.
    """

    indices: Tensor
    palette: Tensor


def find_labels(image: Tensor) -> Labels:
    """Return the labels of a label map (3, H, W), which may have been resized or compressed.

    Labels are the colours that cover at least `MIN_LABEL_SHARE` of it; every other pixel takes the
    nearest colour of those. A line of less than three pixels' width is a blend to it, of what lies
    on both sides.
    """
    flat = find_flat_pixels(image)
    palette = find_palette(image, flat)
    indices = assign_labels(image, palette, flat)
    share = torch.bincount(indices.flatten(), minlength=len(palette)) / indices.numel()
    order = share.argsort(descending=True, stable=True)
    palette = palette[order[share[order] >= min(MIN_LABEL_SHARE, float(share.max()))]]
    return Labels(assign_labels(image, palette, flat), palette)


def find_flat_pixels(image: Tensor) -> Tensor:
    """(3, H, W) -> where the 3x3 pixels around have one colour, (H, W) bool."""
    padded = F.pad(image[None], (1,) * 4, mode="replicate")
    spread = F.max_pool2d(padded, 3, 1) + F.max_pool2d(-padded, 3, 1)
    return spread[0].amax(0) <= MAX_FLAT_RANGE


def find_palette(image: Tensor, flat: Tensor) -> Tensor:
    """(3, H, W) -> the colours (k, 3) that its flat parts (H, W) have in common: the most frequent
    one with all within `MAX_LABEL_DISTANCE`, again and again. An image without flat parts is looked
    at as a whole.
    """
    pixels = image[:, flat] if bool(flat.any()) else image.flatten(1)  # (3, n)
    red, green, blue = (pixels * 255).round().long()
    codes, counts = torch.unique(red * 2**16 + green * 2**8 + blue, return_counts=True)
    exact = torch.stack([codes // 2**16, codes // 2**8 % 2**8, codes % 2**8], 1).to(image) / 255
    least = MIN_LABEL_SHARE / 2 * flat.numel()  # a label's border is not flat
    palette: list[Tensor] = []
    while len(exact):
        same = (exact - exact[counts.argmax()]).norm(dim=1) <= MAX_LABEL_DISTANCE
        count = counts[same]
        if int(count.sum()) >= least or not palette:
            palette.append((exact[same] * count[:, None]).sum(0) / count.sum())
        exact = exact[~same]
        counts = counts[~same]
    return torch.stack(palette)


def assign_labels(image: Tensor, palette: Tensor, flat: Tensor) -> Tensor:
    """Return the label (H, W) of each pixel: the nearest colour; where the image is not flat, the
    nearest of those of the flat parts nearby.
    """
    distance = torch.stack(
        [(image - colour[:, None, None]).square().sum(0) for colour in palette]
    )  # (k, H, W)
    known = torch.zeros_like(distance).scatter_(0, distance.argmin(0)[None], 1) * flat
    reach = MAX_BLEND_REACH
    side = 2 * reach + 1
    near = F.max_pool2d(F.max_pool2d(known, (side, 1), 1, (reach, 0)), (1, side), 1, (0, reach))
    allowed = torch.where(flat, known, near) > 0
    return distance.masked_fill(~allowed & allowed.any(0), torch.inf).argmin(0)


def pair_labels(source: Labels, style: Labels) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the frame's regions and those of the style image that they take their style from:
    {name: mask (1, H, W)} and {name: mask (1, h, w)}. A name is that of the style image's colour,
    as in "#4080ff", so that it lasts from frame to frame. The frame's masks add up to 1 everywhere;
    they become soft in `masks_at_positions`.

    A colour of the frame belongs to the nearest of the style image's, if it lies within
    `MAX_LABEL_DISTANCE`. All that has none is the region `REST`, and takes the style of the whole
    style image.

    Raises:
        ConfigError: no colour of the frame is one of the style image's.
    """
    distance = torch.cdist(source.palette.double(), style.palette.double())  # (source's, style's)
    closest, match = distance.min(1)
    match = match.masked_fill(closest > MAX_LABEL_DISTANCE, -1)
    if bool((match < 0).all()):
        of_source = ", ".join(name_colours(source.palette))
        of_style = ", ".join(name_colours(style.palette))
        raise ConfigError(
            "the two label images have no colour in common",
            f"the source's has {of_source}, the style's {of_style}",
            "paint regions that belong together in the same flat colour in both",
        )
    source_masks: dict[str, Tensor] = {}
    style_masks: dict[str, Tensor] = {}
    names = name_colours(style.palette)
    chosen = match[source.indices]  # (H, W)
    for i in sorted(set(match.tolist()) - {-1}):
        source_masks[names[i]] = (chosen == i)[None].float()
        style_masks[names[i]] = (style.indices == i)[None].float()
    if bool((match < 0).any()):
        source_masks[REST] = (chosen < 0)[None].float()
        style_masks[REST] = torch.ones(1, *style.indices.shape, device=match.device)
    return source_masks, style_masks


def name_colours(palette: Tensor) -> list[str]:
    """Return the names of colours (k, 3), as in "#4080ff"."""
    return ["#" + bytes(colour).hex() for colour in (palette * 255).round().int().tolist()]


class Segmentation:
    """The regions of one picture: how much of each pixel belongs to each of them.

    Args:
        masks: (k, H, W) in [0, 1].
    """

    def __init__(self, masks: Tensor) -> None:
        self.masks = masks
        self._at: dict[tuple[int, int], Tensor] = {}
        self._places: dict[tuple[int, int], list[Tensor]] = {}

    @functools.cached_property
    def shares(self) -> list[float]:
        """The share of each region in the area of all."""
        sizes = self.masks.mean((1, 2))
        shares: list[float] = (sizes / sizes.sum()).tolist()
        return shares

    def masks_of(self, features: Tensor) -> Tensor:
        """Return the masks (k, 1, h, w) of the positions of a map (1, c, h, w)."""
        size = (features.shape[2], features.shape[3])
        if size not in self._at:
            self._at[size] = masks_at_positions(self.masks, size)
        return self._at[size]

    def places_in(self, features: Tensor) -> list[Tensor]:
        """Return for each region the positions (n,) of a map (1, c, h, w) that lie in it."""
        size = (features.shape[2], features.shape[3])
        if size not in self._places:  # to ask for them waits for the device
            self._places[size] = [places_inside(mask) for mask in self.masks_of(features)]
        return self._places[size]

    def average(self, value: Callable[[int], Tensor]) -> Tensor:
        """Return the mean of a value of the regions, a scalar, weighted by their areas; regions
        that are nowhere are not asked for theirs.
        """
        values = [share * value(i) for i, share in enumerate(self.shares) if share]
        return torch.stack(values).sum()


def masks_at_positions(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks of pixels (k, H, W) -> those of the positions of a map of `size` (h', w'), (k, 1, h',
    w'): how much of what a position covers belongs to the region, so that masks which add up to 1
    still do.

    A position covers a power of two pixels a side; what is left over at the end of a row has none.
    (Gatys 2017 compares this with masks that follow the receptive fields.)
    """
    h, w = (
        n * 2 ** ((whole // n).bit_length() - 1)
        for n, whole in zip(size, masks.shape[1:], strict=True)
    )
    return F.interpolate(masks[:, None, :h, :w], size=size, mode="area")


def places_inside(mask: Tensor) -> Tensor:
    """Return the positions (n,) that lie for the most part in a mask (1, h, w); all of them where
    none do.
    """
    own = (mask > 0.5).flatten()
    return (own if bool(own.any()) else torch.ones_like(own)).nonzero()[:, 0]


def select_positions(features: Tensor, places: Tensor) -> Tensor:
    """(1, c, h, w) -> some of its positions (n,), as a map (1, c, n, 1)."""
    return features.flatten(2).index_select(2, places)[..., None]


def region_areas(masks: Tensor) -> Tensor:
    """(k, 1, h, w) -> how many positions each region has, (k,), never 0."""
    return masks.sum((1, 2, 3)).clamp_min(TINY)


def guided_gram(features: Tensor, masks: Tensor) -> Tensor:
    """(1, c, h, w) and masks m (k, 1, h, w) -> G = F^T diag(m) F / sum m for each of the masks, (k,
    c, c): what the channels do together inside each region, for each of its positions.

    Gatys 2017 eq. 3 to 5 with T = (m / sum m)^1/2. Luan eq. 3 is not divided by the region's size.
    """
    g = guided_products(features, masks)
    return g / region_areas(masks).to(g)[:, None, None]


def guided_products(
    features: Tensor, masks: Tensor, max_weighted: int = MAX_WEIGHTED_POSITIONS
) -> Tensor:
    """(1, c, h, w) and masks m (k, 1, h, w) -> F^T diag(m) F for each of the masks, (k, c, c): a
    sum over positions, of which at most `max_weighted` are weighted at once.
    """
    _, c, h, w = features.shape
    f = features.permute(0, 2, 3, 1).reshape(h * w, c)  # (1, c, h, w) -> (hw, c)
    g: Tensor = GuidedProducts.apply(f, masks.detach().flatten(1), max_weighted)
    return g


class GuidedProducts(torch.autograd.Function):
    """F^T diag(m) F of F (n, c) and m (k, n), in fp32 at least. Its gradient diag(m) F (D + D^T) is
    one map for all regions. Nothing but F itself is kept for it, and a region reads its own
    positions alone: regions that do not overlap take together as long as one that is everywhere.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, masks: Tensor, max_weighted: int) -> Tensor:
        ctx.save_for_backward(f, masks)
        ctx.max_weighted = max_weighted
        some = full(f[:0])
        result = some.new_zeros((len(masks), f.shape[1], f.shape[1]))
        for r, m in enumerate(masks.to(some)):
            for rows in split_positions(m, max_weighted):
                weighted = full(f[rows]).mul_(m[rows, None].sqrt())
                result[r] += weighted.mT @ weighted
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        f, masks = ctx.saved_tensors
        result = torch.zeros_like(f)
        for m, both in zip(masks.to(grad), grad + grad.mT, strict=True):
            for rows in split_positions(m, ctx.max_weighted):
                result[rows] += (full(f[rows]).mul_(m[rows, None]) @ both).to(f.dtype)
        return result, None, None


def split_positions(mask: Tensor, count: int) -> tuple[Tensor, ...]:
    """Return the positions of a mask (n,) that are not 0, at most `count` at a time."""
    return torch.split(mask.nonzero()[:, 0], count)
