"""What of a layer's map can be compared with a painting's: the kinds of style terms, with regions
and without.

gram        which features occur together (Gatys, Ecker, Bethge 2016, eq. 3 to 5)
w2          their mean and covariance, as a distance of normal distributions (`statistics.wasserstein`)
swd         their whole distribution, along fixed directions (`statistics.sliced`)
histogram   that of each channel (`statistics.histogram`)
mrf         their 3x3 patches, each like one of the painting's (`patches`)

Each has a *target*, which is taken of the painting once; a *measure* of the picture, which is added
up over tiles; and a *distance* of what was measured from the target. Targets of all kinds but mrf
are tensors that can be mixed (`mixed`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.style import statistics
from vidstyle.stylize.style.mrf import Match, Patches
from vidstyle.stylize.style.regions import area, cells, guided_gram

DIRECTIONS = 32
"""Along which a layer's distribution is compared, at most as many as it has channels. Heitz 2021
takes as many as channels, and others in every step."""

QUANTILES = 4096
"""That are kept of the painting's distributions."""

SEARCHED = 2000
"""Patches of the painting that are searched, about."""

SEARCH_EVERY = 8
"""Evaluations for which the matches of patches stay: L-BFGS takes its curvature from an objective
that stays the same.
"""

Measure = Callable[[Tensor, int], Tensor]
"""What is taken of a layer's map, (1, c, h, w) or a tile's part of it, whole maps having so many
cells.
"""

Distance = Callable[[Tensor], Tensor]
"""What that, added up over the tiles, says of the distance from the painting: a scalar."""

Part = tuple[Measure, Distance]


def itself(found: Tensor) -> Tensor:
    """The distance of what is measured as one."""
    return found


def gram(found: Tensor, cells: int) -> Tensor:
    return losses.products(found) / cells


def from_gram(target: Tensor) -> Distance:
    return lambda g: losses.style(g, target)


def packed_moments(found: Tensor, cells: int) -> Tensor:
    """Mean and mean product of the features, (1 + c, c)."""
    s, p = statistics.moments(found)
    return torch.cat([s[None].to(p), p]) / cells


def from_moments(target: Tensor) -> Distance:
    mean, covariance = statistics.mean_covariance(target[0], target[1:], 1)
    root = statistics.root(covariance)

    def distance(found: Tensor) -> Tensor:
        return statistics.wasserstein(
            *statistics.mean_covariance(found[0], found[1:], 1), mean, covariance, root
        )

    return distance


ADDITIVE: Mapping[str, tuple[Measure, Callable[[Tensor], Distance]]] = {
    "gram": (gram, from_gram),
    "w2": (packed_moments, from_moments),
}
"""The kinds that come from sums over pixels: what is added up, and what the painting's says of a
picture's.
"""


def axes(kind: str, seed: int, like: Tensor) -> Tensor | None:
    """The directions (c, k) along which a map (1, c, h, w) is compared; None: each channel."""
    if kind == "histogram":
        return None
    return directions(
        like.shape[1], seed, like.device, torch.promote_types(like.dtype, torch.float32)
    )


@functools.lru_cache(maxsize=32)
def directions(channels: int, seed: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return statistics.directions(channels, min(channels, DIRECTIONS), seed).to(device, dtype)


def of_patches(found: Tensor, coherence: float, regions: Tensor | None = None) -> Patches:
    """The target of mrf."""
    stride = max(1, round(math.sqrt(found.shape[2] * found.shape[3] / SEARCHED)))
    labels = None if regions is None else cells(regions, (found.shape[2], found.shape[3]))
    return Patches(found, stride, coherence, labels)


def of_map(kind: str, seed: int, found: Tensor, regions: Tensor | None) -> Tensor:
    """The target of every other kind from the painting's map (1, c, h, w), one for each of its
    `regions` (k, H, W).
    """
    if kind in ADDITIVE:
        if regions is None:
            return ADDITIVE[kind][0](found, found.shape[2] * found.shape[3])
        masks = cells(regions, (found.shape[2], found.shape[3]))
        lined = with_ones(found) if kind == "w2" else found
        # What is smaller than a cell here, or lies in a part of one that is cut off, takes the
        # whole painting's.
        there = (area(masks) >= 1)[:, None, None]
        return torch.where(there, guided_gram(lined, masks), losses.gram(lined))
    along = axes(kind, seed, found)
    if regions is None:
        return statistics.quantiles(found, along, QUANTILES)
    masks = cells(regions, (found.shape[2], found.shape[3]))
    return torch.stack(
        [statistics.quantiles(taken(found, inside(mask)), along, QUANTILES) for mask in masks]
    )


def mixed(kind: str, counted: Sequence[tuple[float, Tensor]]) -> Tensor:
    """The target that lies between those of several paintings, (share, target), the shares 1
    together; a lone one itself.

    All are brought to the same energy first, for else one of low contrast would hardly count; what
    the mixture has of it lies between theirs as the features do. So a mixture that moves evenly
    moves the picture evenly. Gram matrices and moments are mixed as if each painting had its share
    of the pixels, distributions along their quantiles, the way of optimal transport.
    """
    if len(counted) == 1:
        return counted[0][1]
    amplitudes = [energy(kind, target).sqrt() for _, target in counted]
    amplitude = torch.stack(
        [share * a for (share, _), a in zip(counted, amplitudes, strict=True)]
    ).sum()
    targets = zip(counted, amplitudes, strict=True)
    return torch.stack(
        [share * scaled(kind, target, amplitude / a) for (share, target), a in targets]
    ).sum(0)


def energy(kind: str, target: Tensor) -> Tensor:
    """The mean of |F|^2, a scalar: of a Gram matrix (c, c), of `packed_moments` (1 + c, c), and of
    quantiles (k, n) but for a factor that is the same for all paintings.
    """
    found = target[-target.shape[1] :].trace() if kind in ADDITIVE else target.square().mean()
    return found.clamp_min(losses.TINY)


def scaled(kind: str, target: Tensor, factor: Tensor) -> Tensor:
    """That of features so many times as large."""
    if kind not in ADDITIVE:
        return target * factor
    mean = target.shape[0] - target.shape[1]  # whether there is a row of it
    return torch.cat([target[:mean] * factor, target[mean:] * factor**2])


def whole(kind: str, seed: int, target: Tensor) -> Part:
    """The part of a layer where there are no regions."""
    if kind in ADDITIVE:
        measure, against = ADDITIVE[kind]
        return measure, against(target)
    return lambda f, _: statistics.sliced(f, target, axes(kind, seed, f)), itself


def regional(kind: str, seed: int, target: Tensor, regions: Tensor) -> Part:
    """The part of a layer of a picture whose `regions` (k, h, w) are those of the painting. A
    region counts as its size does.
    """
    sizes = regions.mean((1, 2))
    shares = (sizes / sizes.sum()).tolist()
    held: dict[tuple[int, int], Tensor] = {}
    places: dict[tuple[int, int], list[Tensor]] = {}

    def masks(f: Tensor) -> Tensor:
        size = (f.shape[2], f.shape[3])
        if size not in held:
            held[size] = cells(regions, size)
        return held[size]

    def weighed(distances: Callable[[int], Tensor]) -> Tensor:
        return torch.stack([share * distances(i) for i, share in enumerate(shares) if share]).sum()

    if kind not in ADDITIVE:

        def transport(f: Tensor, _: int) -> Tensor:
            along, size = axes(kind, seed, f), (f.shape[2], f.shape[3])
            if size not in places:  # to ask for them waits for the device
                places[size] = [inside(mask) for mask in masks(f)]
            return weighed(lambda i: statistics.sliced(taken(f, places[size][i]), target[i], along))

        return transport, itself
    packed = itself if kind == "gram" else without_ones
    against = [ADDITIVE[kind][1](packed(own)) for own in target]

    def measure(f: Tensor, _: int) -> Tensor:
        return guided_gram(f if kind == "gram" else with_ones(f), masks(f))

    def distance(found: Tensor) -> Tensor:
        return weighed(lambda i: against[i](packed(found[i])))

    return measure, distance


def inside(mask: Tensor) -> Tensor:
    """The cells that lie for the most part in a mask (1, h, w), (n,); where none do, all of
    them.
    """
    own = (mask > 0.5).flatten()
    return (own if bool(own.any()) else torch.ones_like(own)).nonzero()[:, 0]


def taken(found: Tensor, own: Tensor) -> Tensor:
    """Some cells (n,) of a map (1, c, h, w), (1, c, n, 1)."""
    return found.flatten(2).index_select(2, own)[..., None]


def with_ones(found: Tensor) -> Tensor:
    """A map with a channel of ones before it: its Gram matrix holds the mean and the mean
    product.
    """
    return F.pad(found, (0, 0, 0, 0, 1, 0), value=1.0)


def without_ones(g: Tensor) -> Tensor:
    """The Gram matrix (1 + c, 1 + c) of such a map as `packed_moments` has it."""
    return g[:, 1:]


class Matched:
    """The patches of one picture against those of one painting or several, with matches that stay
    for some evaluations.

    Args:
        paintings: (share, patches), the shares 1 together. Between two patches lies none of either
            painting, so each of the picture's belongs to one of them: as many as a painting's share
            to it, where it fits best.
        regions: (k, H, W), those of the picture, where the paintings have such.
    """

    def __init__(
        self,
        paintings: Sequence[tuple[float, Patches]],
        *,
        bidirectional: bool,
        regions: Tensor | None = None,
    ) -> None:
        self.paintings, self.bidirectional, self.regions, self.seen = (
            paintings,
            bidirectional,
            regions,
            0,
        )

    def __call__(self, found: Tensor, _: int) -> Tensor:
        if self.seen % SEARCH_EVERY == 0:
            labels = (
                None
                if self.regions is None
                else cells(self.regions, (found.shape[2], found.shape[3]))
            )
            self.matches = [patches.search(found, labels) for _, patches in self.paintings]
            self.own = allotted(
                [share for share, _ in self.paintings], [match.similarity for match in self.matches]
            )
        self.seen += 1
        parts = zip(self.paintings, self.matches, self.own, strict=True)
        losses = [
            self.part(found, share, patches, match, own) for (share, patches), match, own in parts
        ]
        return torch.stack(losses).sum()

    def part(
        self, found: Tensor, share: float, patches: Patches, match: Match, own: Tensor | None
    ) -> Tensor:
        loss = patches.loss(found, match.patch, own)
        return (
            (loss + share * patches.missed(found, match.back)) / 2 if self.bidirectional else loss
        )


def allotted(shares: Sequence[float], similarities: Sequence[Tensor]) -> list[Tensor | None]:
    """Which patches belong to each painting, (n,) of 0 and 1, for how similar each is to it, (n,):
    to one after the other as many as its share, of those that are left the ones in which it is
    ahead of all later ones by most. A lone one has all: None.
    """
    if len(shares) == 1:
        return [None]
    n = left = len(similarities[0])
    free, made = torch.ones_like(similarities[0]), []
    for i, share in enumerate(shares[:-1]):
        others = torch.stack(list(similarities[i + 1 :])).amax(0)
        ahead = (similarities[i] - others).masked_fill(free == 0, -torch.inf)
        own = torch.zeros_like(free)
        count = min(round(share * n), left)
        own[ahead.argsort(descending=True, stable=True)[:count]] = 1
        free -= own
        left -= count
        made.append(own)
    return [*made, free]
