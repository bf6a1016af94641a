"""Patches as style, the MRF loss: every 3x3 patch of the picture's features should be like some
patch of the style image's, so strokes and textures come over as they are, where statistics keep
only how often their parts occur.

A patch is numbered by its place among all of its map (h, w), row by row: y (w - 2) + x of its first
corner.

References: Li, Wand 2016 "Combining Markov random fields and convolutional neural networks for
image synthesis" ("Li"); Ashikhmin 2001 "Synthesizing natural textures"; Luan, Paris, Shechtman,
Bala 2018 "Deep painterly harmonization" ("Luan"); Simakov, Caspi, Shechtman, Irani 2008
"Summarizing visual data using bidirectional similarity" ("Simakov"); Liao, Yao, Yuan, Hua, Kang
2017 "Visual attribute transfer through deep image analogy"; Champandard 2016 "Semantic style
transfer and turning two-bit doodles into fine artworks".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.stylize import losses
from vidstyle.stylize.style.regions import Segmentation
from vidstyle.stylize.style.term import LayerLoss, StyleTerm, register_style_term

PATCH_SIDE = 3
PATCH_OFFSETS = tuple(itertools.product(range(PATCH_SIDE), range(PATCH_SIDE)))

NEIGHBOUR_STEPS = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))
"""Steps to a patch itself, and to its four neighbours: y, x."""

COHERENCE_ROUNDS = 3
"""Times that each patch may take over what its neighbours are matched with."""

SAME_REGION_BONUS = 10.0
"""Similarity that two patches of one region gain; without it, it is 1 at most. So with labels no
patch takes its match from another region, unless its own has none. Champandard 2016 has a weight
for it."""

MAX_SIMILARITIES = 2**24
"""Similarities that are computed at once, or values of patches."""

SEARCHED_PATCHES = 2000
"""Patches of a style image that are searched, about."""

SEARCH_INTERVAL = 8
"""Evaluations for which the matches of patches stay: L-BFGS takes its curvature from an objective
that stays the same.
"""

MRF_LAYERS = ("relu3_1", "relu4_1")
"""Layers in which patches are compared: below them there are too many, above too few (Li & Wand
2016, section 4).
"""

SMALLEST_PATCH_SIDE = 24
"""Pixels per side of one patch in relu4_1."""

MRF_STRENGTH = 0.2
"""A picture is further from the nearest patches than from any statistics, and at the same weight
little would be left of its content."""


class Matches(NamedTuple):
    """The result of a search.

    Args:
        patch: the style image's for each of the picture's, (n,).
        similarity: of those two, (n,).
        back: the picture's for each that is searched of the style image's, (m,).
    """

    patch: Tensor
    similarity: Tensor
    back: Tensor


class StylePatches:
    """The patches of a style image's map, built once, and the losses against them.

    Args:
        style: (1, c, h, w), each side at least 3.
        stride: in y and x, of the patches that are searched; every one of them is searched for
            every patch of the picture, so some thousands are many.
        coherence: bonus, in units of the similarity (at most 1), for each of the neighbours whose
            match it continues.
        labels: (k, 1, h, w) in [0, 1], how much of each position belongs to each region; None:
            there are none.
    """

    def __init__(
        self, style: Tensor, stride: int = 1, coherence: float = 0.0, labels: Tensor | None = None
    ) -> None:
        with torch.no_grad():
            whole = channels_to_end(style)
            self.coherence = coherence
            self.height = whole.shape[0] - PATCH_SIDE + 1
            self.width = whole.shape[1] - PATCH_SIDE + 1
            self.features = whole.flatten(0, 1)  # (h, w, c) -> (hw, c)
            self.norms = patch_norms(whole).flatten()
            self.energy = self.norms.square().mean().clamp_min(losses.TINY)
            numbers = torch.arange(self.height * self.width, device=style.device)
            grid = numbers.view(self.height, self.width)
            self.searched = grid[::stride, ::stride].flatten()
            self.directions = F.normalize(
                extract_patches(style, stride), dim=1, eps=losses.TINY
            )  # (m, 9 c)
            self.labels = None if labels is None else labels_of_patches(labels)

    def matching_loss(self, features: Tensor, match: Tensor, own: Tensor | None = None) -> Tensor:
        """Return the mean of |Psi_i(F) - Psi_m(i)(S)|^2 over the picture's patches, relative to the
        mean of |Psi(S)|^2, a scalar (Li eq. 2, a sum).

        Args:
            match: m, (n,), `Matches.patch`; fixed for the gradient.
            own: (n,) of 0 and 1: the patches of 0 are taken to be at no distance; None: all are 1.
        """
        distance: Tensor = MatchedDistance.apply(
            channels_to_end(features),
            self.features,
            first_positions(match, self.width),
            self.width,
            own,
        )
        return distance / (len(match) * self.energy)

    def completeness_loss(self, features: Tensor, back: Tensor) -> Tensor:
        """Return the same mean over the style image's patches, each against the picture's nearest,
        `Matches.back`, which is fixed for the gradient: nothing of the style image may be missing
        either (Simakov eq. 1 is the mean of both).
        """
        f = channels_to_end(features)
        width = f.shape[1] - PATCH_SIDE + 1
        # Indexing would add up its gradient in any order on a GPU; this does not.
        nearest = F.embedding(
            all_positions(first_positions(back, width), width), f.flatten(0, 1)
        )  # (n, 9, c)
        searched = all_positions(first_positions(self.searched, self.width), self.width)
        distance = losses.distance(nearest, self.features[searched])
        return distance / (len(back) * self.energy)

    @torch.no_grad()
    def search(
        self,
        features: Tensor,
        labels: Tensor | None = None,
        max_similarities: int = MAX_SIMILARITIES,
    ) -> Matches:
        """Find the nearest patches by normalised cross-correlation (Li eq. 3): patches of any
        length, in the same direction.

        Args:
            labels: (k, 1, h, w), those of the picture, where the style image has such.
            max_similarities: that are computed at once.
        """
        own = None if labels is None else labels_of_patches(labels)
        nearest: list[Tensor] = []
        similarities: list[Tensor] = []
        first = 0
        highest = torch.full_like(self.directions[:, 0], -torch.inf)
        back = torch.zeros_like(self.searched)
        for block in self.iterate_similarities(features, own, max_similarities):
            value, place = block.max(1)
            similarities.append(value)
            nearest.append(place)
            value, place = block.max(0)
            back = torch.where(value > highest, place + first, back)
            highest = torch.maximum(value, highest)
            first += len(block)
        match = self.searched[torch.cat(nearest)]
        if self.coherence:
            match = self.make_coherent(channels_to_end(features), match, own)
        return Matches(match, torch.cat(similarities), back)

    def iterate_similarities(
        self, features: Tensor, labels: Tensor | None, max_similarities: int
    ) -> Iterator[Tensor]:
        """Return the similarities of the picture's patches, whose `labels` are (n, k), with all
        that are searched, for some rows after the other: (some, m).
        """
        height = features.shape[2] - PATCH_SIDE + 1
        width = features.shape[3] - PATCH_SIDE + 1
        rows = max(1, max_similarities // (width * max(self.directions.shape)))
        for y in range(0, height, rows):
            own = extract_patches(features[:, :, y : y + rows + PATCH_SIDE - 1])
            block = F.normalize(own, dim=1, eps=losses.TINY) @ self.directions.mT
            if labels is not None and self.labels is not None:
                block += (
                    SAME_REGION_BONUS
                    * labels[y * width : (y + rows) * width]
                    @ self.labels[self.searched].mT
                )
            yield block

    def make_coherent(self, f: Tensor, match: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the matches (n,) of a map (h, w, c), whose patches' `labels` are (n, k), with runs
        of the style image instead of single patches: each patch may have its neighbour's match,
        moved by as much as the two lie apart, if its similarity and the bonus together are higher
        (Luan section 4.1, after Ashikhmin).

        Luan takes what is most like the eight neighbours' proposals, however like the picture. What
        is proposed need not be searched. No two neighbours choose at once, so that the sum of
        similarities and bonuses only rises.
        """
        height = f.shape[0] - PATCH_SIDE + 1
        width = f.shape[1] - PATCH_SIDE + 1
        ys = (match // self.width).view(height, width)
        xs = (match % self.width).view(height, width)
        norms = patch_norms(f)
        label_grid = None if labels is None else labels.view(height, width, -1)
        for _, a, b in itertools.product(range(COHERENCE_ROUNDS), range(2), range(2)):
            some = (slice(a, None, 2), slice(b, None, 2))
            y = torch.stack(
                [every_second_neighbour(ys, step, a, b) - step[0] for step in NEIGHBOUR_STEPS]
            )  # (5, h / 2, w / 2)
            x = torch.stack(
                [every_second_neighbour(xs, step, a, b) - step[1] for step in NEIGHBOUR_STEPS]
            )
            exists = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
            number = torch.where(exists, y * self.width + x, -1)
            agreeing = (number[:, None] == number[None, 1:]).sum(1)
            score = (
                self.compare_every_second(f[a:, b:], norms[some], number.clamp_min(0))
                + self.coherence * agreeing
            )
            if label_grid is not None and self.labels is not None:
                proposed = self.labels[number.clamp_min(0)]
                score += SAME_REGION_BONUS * (label_grid[some] * proposed).sum(-1)
            best = score.masked_fill(~exists, -torch.inf).argmax(0)[None]
            ys[some] = y.gather(0, best)[0]
            xs[some] = x.gather(0, best)[0]
        return (ys * self.width + xs).flatten()

    def compare_every_second(self, f: Tensor, norms: Tensor, number: Tensor) -> Tensor:
        """Return the similarity of every second patch of a map (h, w, c), of `norms` (h / 2, w /
        2), with k of the style image's for each, (k, h / 2, w / 2).
        """
        corner = first_positions(number, self.width)
        total = norms.new_zeros(number.shape)
        for y, x in PATCH_OFFSETS:
            own = f[y : y + 2 * norms.shape[0] : 2, x : x + 2 * norms.shape[1] : 2]
            total += (own * self.features[corner + y * (self.width + PATCH_SIDE - 1) + x]).sum(-1)
        return total / (norms * self.norms[number]).clamp_min(losses.TINY)


class PatchLoss(LayerLoss):
    """The MRF loss of one picture against one style image or several, with matches that stay for
    some evaluations.

    Args:
        targets: (share, patches), the shares 1 together. Between two patches lies none of either
            style image, so each of the picture's belongs to one of them: as many as a style image's
            share to it, where it fits best.
        bidirectional: the mean of the matching and the completeness loss, instead of the former
            alone.
        masks: the regions of the picture, where the style images have such.
    """

    def __init__(
        self,
        targets: Sequence[tuple[float, StylePatches]],
        *,
        bidirectional: bool,
        masks: Segmentation | None = None,
    ) -> None:
        self.targets = targets
        self.bidirectional = bidirectional
        self.masks = masks
        self.evaluations = 0

    def measure(self, features: Tensor, positions: int) -> Tensor:
        if self.evaluations % SEARCH_INTERVAL == 0:
            labels = None if self.masks is None else self.masks.masks_of(features)
            self.matches = [patches.search(features, labels) for _, patches in self.targets]
            self.assigned = assign_patches(
                [share for share, _ in self.targets], [match.similarity for match in self.matches]
            )
        self.evaluations += 1
        parts = []
        for (share, patches), match, own in zip(
            self.targets, self.matches, self.assigned, strict=True
        ):
            loss = patches.matching_loss(features, match.patch, own)
            if self.bidirectional:
                loss = (loss + share * patches.completeness_loss(features, match.back)) / 2
            parts.append(loss)
        return torch.stack(parts).sum()


class MrfTerm(StyleTerm):
    """The patches of relu3_1 and relu4_1; the target of a style image is its patches.

    Args:
        bidirectional, coherence: as in `PatchLoss` and `StylePatches`.
    """

    name = "mrf"
    layers = MRF_LAYERS
    smallest_side = SMALLEST_PATCH_SIDE
    strength = MRF_STRENGTH

    def __init__(self, *, bidirectional: bool = False, coherence: float = 0.0) -> None:
        self.bidirectional = bidirectional
        self.coherence = coherence

    def target(
        self, features: Tensor, positions: int, masks: Segmentation | None, seed: int
    ) -> StylePatches:
        stride = max(1, round(math.sqrt(features.shape[2] * features.shape[3] / SEARCHED_PATCHES)))
        labels = None if masks is None else masks.masks_of(features)
        return StylePatches(features, stride, self.coherence, labels)

    def mix(
        self, targets: Sequence[tuple[float, StylePatches]]
    ) -> Sequence[tuple[float, StylePatches]]:
        """Return the targets themselves: patches do not mix (`PatchLoss`)."""
        return targets

    def loss(
        self, target: Sequence[tuple[float, StylePatches]], masks: Segmentation | None, seed: int
    ) -> LayerLoss:
        return PatchLoss(target, bidirectional=self.bidirectional, masks=masks)


def assign_patches(shares: Sequence[float], similarities: Sequence[Tensor]) -> list[Tensor | None]:
    """Return which patches belong to each style image, (n,) of 0 and 1, for how similar each is to
    it, (n,): to one after the other as many as its share, of those that are left the ones in which
    it is ahead of all later ones by most. A lone one has all: None.
    """
    if len(shares) == 1:
        return [None]
    n = len(similarities[0])
    left = n
    free = torch.ones_like(similarities[0])
    assigned: list[Tensor | None] = []
    for i, share in enumerate(shares[:-1]):
        others = torch.stack(list(similarities[i + 1 :])).amax(0)
        ahead = (similarities[i] - others).masked_fill(free == 0, -torch.inf)
        own = torch.zeros_like(free)
        count = min(round(share * n), left)
        own[ahead.argsort(descending=True, stable=True)[:count]] = 1
        free -= own
        left -= count
        assigned.append(own)
    return [*assigned, free]


def channels_to_end(features: Tensor) -> Tensor:
    """(1, c, h, w) -> (h, w, c), in fp32 at least."""
    return losses.full(features)[0].permute(1, 2, 0)


def extract_patches(features: Tensor, stride: int = 1) -> Tensor:
    """(1, c, h, w) -> its 3x3 patches, every stride-th in y and x, (n, 9 c), in fp32 at least."""
    rows = channels_to_end(features).unfold(0, PATCH_SIDE, stride)
    windows = rows.unfold(1, PATCH_SIDE, stride)  # (h', w', c, 3, 3)
    return windows.permute(0, 1, 3, 4, 2).flatten(0, 1).flatten(1)


def labels_of_patches(labels: Tensor) -> Tensor:
    """(k, 1, h, w) -> the labels of every patch, those of its middle position, (n, k)."""
    return labels[:, 0, 1:-1, 1:-1].flatten(1).mT.contiguous()


def patch_norms(f: Tensor) -> Tensor:
    """Return |Psi| of every patch of a map (h, w, c), (h - 2, w - 2)."""
    squares = f.square().sum(-1)
    return squares.unfold(0, PATCH_SIDE, 1).unfold(1, PATCH_SIDE, 1).sum((-1, -2)).sqrt()


def first_positions(number: Tensor, width: int) -> Tensor:
    """Return the first position of patches, by their numbers, in a map of so many patches a row,
    which has two positions more.
    """
    return number // width * (width + PATCH_SIDE - 1) + number % width


def all_positions(corner: Tensor, width: int) -> Tensor:
    """Return all positions of patches, by their first ones, (n,) -> (n, 9)."""
    steps = torch.arange(PATCH_SIDE, device=corner.device)
    return corner[:, None] + (steps[:, None] * (width + PATCH_SIDE - 1) + steps).flatten()


def every_second_neighbour(grid: Tensor, step: tuple[int, int], a: int, b: int) -> Tensor:
    """Return the value a step away from every second position of a grid (h, w), from (a, b) on; -2
    beyond its edge.
    """
    y, x = step
    h, w = grid.shape
    return F.pad(grid, (1, 1, 1, 1), value=-2)[1 + a + y : 1 + h + y : 2, 1 + b + x : 1 + w + x : 2]


class MatchedDistance(torch.autograd.Function):
    """The sum over i of |Psi_i(F) - Psi_m(i)(S)|^2 of a map F (h, w, c), with the positions of S
    (hw, c) and the corners of the patches m (n,) in it. The differences are computed again for the
    gradient: kept, they would be nine maps.
    """

    @staticmethod
    def forward(
        ctx: Any, f: Tensor, style: Tensor, corner: Tensor, width: int, own: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(f, style, corner, own)
        ctx.width = width
        return sum(
            (d.square_().sum() for _, d in iterate_differences(f, style, corner, width, own)),
            f.new_zeros(()),
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        f, style, corner, own = ctx.saved_tensors
        result = torch.zeros_like(f)
        for where, d in iterate_differences(f, style, corner, ctx.width, own):
            result[where] += d
        return result.mul_(2 * grad), None, None, None, None


def iterate_differences(
    f: Tensor, style: Tensor, corner: Tensor, width: int, own: Tensor | None
) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
    """Return for each of the nine positions of a patch where it lies for all patches of a map (h,
    w, c), and how far it is from that of the match, (h - 2, w - 2, c); 0 for patches that are 0 in
    `own`.
    """
    height = f.shape[0] - PATCH_SIDE + 1
    across = f.shape[1] - PATCH_SIDE + 1
    for y, x in PATCH_OFFSETS:
        where = (slice(y, y + height), slice(x, x + across))
        matched = style[corner + y * (width + PATCH_SIDE - 1) + x].view(height, across, -1)
        apart = f[where] - matched
        yield where, apart if own is None else apart * own.view(height, across, 1)


register_style_term(
    "mrf",
    lambda settings: MrfTerm(
        bidirectional=settings.mrf_bidirectional, coherence=settings.mrf_coherence
    ),
)
