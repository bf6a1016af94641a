"""Patches as style: every 3x3 patch of the image's features should be like some patch of the
painting's, so strokes and textures come over as they are, where statistics keep only how often
their parts occur.

A patch is named by its place among all of its map (h, w), in rows: y (w - 2) + x of its first
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
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.stylize import losses

SIDE = 3
OFFSETS = tuple(itertools.product(range(SIDE), range(SIDE)))

STEPS = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))
"""To a patch itself, and to its four neighbours: y, x."""

ROUNDS = 3
"""How often each patch may take over what its neighbours are matched with."""

BELONGING = 10.0
"""What it adds to the similarity of two patches, at most 1, that they belong to one region: with
labels no patch takes its match from another region, unless its own has none. Champandard 2016 has a
weight for it."""

AT_ONCE = 2**24
"""Similarities that are held at once, or values of patches."""


class Match(NamedTuple):
    """What a search has found.

    Args:
        patch: the painting's for each of the image's, (n,).
        similarity: of those two, (n,).
        back: the image's for each that is searched of the painting's, (m,).
    """

    patch: Tensor
    similarity: Tensor
    back: Tensor


class Patches:
    """The patches of a painting's map, built once, and the losses against them.

    Args:
        style: (1, c, h, w), each side at least 3.
        stride: in y and x, of the patches that are searched; every one of them is searched for
            every patch of the image, so some thousands are many.
        coherence: bonus, in units of the similarity (at most 1), for each of the neighbours whose
            match it continues.
        labels: (k, 1, h, w) in [0, 1], how much of each cell belongs to each region; None: there
            are none.
    """

    def __init__(
        self, style: Tensor, stride: int = 1, coherence: float = 0.0, labels: Tensor | None = None
    ) -> None:
        with torch.no_grad():
            whole = plane(style)
            self.height, self.width, self.coherence = (
                whole.shape[0] - SIDE + 1,
                whole.shape[1] - SIDE + 1,
                coherence,
            )
            self.cells = whole.flatten(0, 1)  # (h, w, c) -> (hw, c)
            self.lengths = lengths(whole).flatten()
            self.energy = self.lengths.square().mean().clamp_min(losses.TINY)
            names = torch.arange(self.height * self.width, device=style.device).view(
                self.height, self.width
            )
            self.searched = names[::stride, ::stride].flatten()
            self.directions = F.normalize(patches(style, stride), dim=1, eps=losses.TINY)
            self.labels = None if labels is None else middles(labels)

    def match(self, features: Tensor) -> Tensor:
        """The painting's patch for each of the image's, (n,)."""
        return self.search(features).patch

    def loss(
        self, features: Tensor, match: Tensor | None = None, own: Tensor | None = None
    ) -> Tensor:
        """Mean of |Psi_i(F) - Psi_m(i)(S)|^2 over the image's patches, relative to the mean of
        |Psi(S)|^2, a scalar (Li eq. 2, a sum). The match m, where it is known that of `match`, is
        held fixed for the gradient. The others than `own`, (n,) of 0 and 1, count as if they were
        at no distance.
        """
        m = self.match(features) if match is None else match
        distance: Tensor = Distance.apply(
            plane(features), self.cells, corners(m, self.width), self.width, own
        )
        return distance / (len(m) * self.energy)

    def missed(self, features: Tensor, back: Tensor) -> Tensor:
        """The like of `loss` over the painting's patches, each against the image's nearest, which
        is held fixed for the gradient: nothing of the painting may be missing either (Simakov eq. 1
        is the mean of both).
        """
        f = plane(features)
        width = f.shape[1] - SIDE + 1
        # Indexing would add up its gradient in any order on a GPU; this does not.
        found = F.embedding(around(corners(back, width), width), f.flatten(0, 1))  # (n, 9, c)
        missed = losses.distance(
            found, self.cells[around(corners(self.searched, self.width), self.width)]
        )
        return missed / (len(back) * self.energy)

    @torch.no_grad()
    def search(self, features: Tensor, labels: Tensor | None = None) -> Match:
        """What of the painting is nearest, by normalised cross-correlation (Li eq. 3): patches of
        any length, in the same direction. `labels` are those of the image, where the painting has
        such.
        """
        own = None if labels is None else middles(labels)
        nearest, alike, first = [], [], 0
        highest = torch.full_like(self.directions[:, 0], -torch.inf)
        back = torch.zeros_like(self.searched)
        for block in self.similarities(features, own):
            value, place = block.max(1)
            alike.append(value)
            nearest.append(place)
            value, place = block.max(0)
            back = torch.where(value > highest, place + first, back)
            highest = torch.maximum(value, highest)
            first += len(block)
        match = self.searched[torch.cat(nearest)]
        if self.coherence:
            match = self.coherent(plane(features), match, own)
        return Match(match, torch.cat(alike), back)

    def similarities(self, features: Tensor, labels: Tensor | None) -> Iterator[Tensor]:
        """Of the image's patches, whose `labels` are (n, k), some rows after the other, with all
        that are searched: (some, m).
        """
        height, width = features.shape[2] - SIDE + 1, features.shape[3] - SIDE + 1
        rows = max(1, AT_ONCE // (width * max(self.directions.shape)))
        for y in range(0, height, rows):
            own = patches(features[:, :, y : y + rows + SIDE - 1])
            found = F.normalize(own, dim=1, eps=losses.TINY) @ self.directions.mT
            if labels is not None and self.labels is not None:
                found += (
                    BELONGING
                    * labels[y * width : (y + rows) * width]
                    @ self.labels[self.searched].mT
                )
            yield found

    def coherent(self, f: Tensor, match: Tensor, labels: Tensor | None = None) -> Tensor:
        """The matches (n,) of a map (h, w, c), whose patches' `labels` are (n, k), with runs of the
        painting instead of single patches: each patch may have its neighbour's match, moved by as
        much as the two lie apart, if its similarity and the bonus together are higher (Luan section
        4.1, after Ashikhmin).

        Luan takes what is most like the eight neighbours' proposals, however like the image. What
        is proposed need not be searched. No two neighbours choose at once, so that the sum of
        similarities and bonuses only rises.
        """
        height, width = f.shape[0] - SIDE + 1, f.shape[1] - SIDE + 1
        ys, xs = (match // self.width).view(height, width), (match % self.width).view(height, width)
        own, of_image = lengths(f), None if labels is None else labels.view(height, width, -1)
        for _, a, b in itertools.product(range(ROUNDS), range(2), range(2)):
            some = (slice(a, None, 2), slice(b, None, 2))
            y = torch.stack(
                [beside(ys, step, a, b) - step[0] for step in STEPS]
            )  # (5, h / 2, w / 2)
            x = torch.stack([beside(xs, step, a, b) - step[1] for step in STEPS])
            there = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
            name = torch.where(there, y * self.width + x, -1)
            agreeing = (name[:, None] == name[None, 1:]).sum(1)
            score = (
                self.similarity(f[a:, b:], own[some], name.clamp_min(0)) + self.coherence * agreeing
            )
            if of_image is not None and self.labels is not None:
                score += BELONGING * (of_image[some] * self.labels[name.clamp_min(0)]).sum(-1)
            best = score.masked_fill(~there, -torch.inf).argmax(0)[None]
            ys[some], xs[some] = y.gather(0, best)[0], x.gather(0, best)[0]
        return (ys * self.width + xs).flatten()

    def similarity(self, f: Tensor, own: Tensor, name: Tensor) -> Tensor:
        """Of every second patch of a map (h, w, c), of lengths (h / 2, w / 2), with k of the
        painting's for each.
        """
        corner = corners(name, self.width)
        total = own.new_zeros(name.shape)
        for y, x in OFFSETS:
            cells = f[y : y + 2 * own.shape[0] : 2, x : x + 2 * own.shape[1] : 2]
            total += (cells * self.cells[corner + y * (self.width + SIDE - 1) + x]).sum(-1)
        return total / (own * self.lengths[name]).clamp_min(losses.TINY)


def plane(features: Tensor) -> Tensor:
    """(1, c, h, w) -> (h, w, c), in fp32 at least."""
    return losses.full(features)[0].permute(1, 2, 0)


def patches(features: Tensor, stride: int = 1) -> Tensor:
    """(1, c, h, w) -> its 3x3 patches, every stride-th in y and x, (n, 9 c), in fp32 at least."""
    windows = plane(features).unfold(0, SIDE, stride).unfold(1, SIDE, stride)  # (h', w', c, 3, 3)
    return windows.permute(0, 1, 3, 4, 2).flatten(0, 1).flatten(1)


def middles(labels: Tensor) -> Tensor:
    """(k, 1, h, w) -> the labels of every patch, those of its middle cell, (n, k)."""
    return labels[:, 0, 1:-1, 1:-1].flatten(1).mT.contiguous()


def lengths(f: Tensor) -> Tensor:
    """|Psi| of every patch of a map (h, w, c), (h - 2, w - 2)."""
    return f.square().sum(-1).unfold(0, SIDE, 1).unfold(1, SIDE, 1).sum((-1, -2)).sqrt()


def corners(name: Tensor, width: int) -> Tensor:
    """The first cell of patches in a map of so many patches a row, which has two cells more."""
    return name // width * (width + SIDE - 1) + name % width


def around(corner: Tensor, width: int) -> Tensor:
    """All the cells of patches (n,) -> (n, 9)."""
    steps = torch.arange(SIDE, device=corner.device)
    return corner[:, None] + (steps[:, None] * (width + SIDE - 1) + steps).flatten()


def beside(grid: Tensor, step: tuple[int, int], a: int, b: int) -> Tensor:
    """What stands a step away from every second cell of a grid (h, w), from (a, b) on; -2 beyond
    its edge.
    """
    (y, x), (h, w) = step, grid.shape
    return F.pad(grid, (1, 1, 1, 1), value=-2)[1 + a + y : 1 + h + y : 2, 1 + b + x : 1 + w + x : 2]


class Distance(torch.autograd.Function):
    """sum_i |Psi_i(F) - Psi_m(i)(S)|^2 of a map F (h, w, c), with the cells of S (hw, c) and the
    corners of the patches m (n,) in it. The differences are made anew for the gradient: held, they
    would be nine maps.
    """

    @staticmethod
    def forward(
        ctx: Any, f: Tensor, cells: Tensor, corner: Tensor, width: int, own: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(f, cells, corner, own)
        ctx.width = width
        return sum(
            (d.square_().sum() for _, d in differences(f, cells, corner, width, own)),
            f.new_zeros(()),
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        f, cells, corner, own = ctx.saved_tensors
        result = torch.zeros_like(f)
        for where, d in differences(f, cells, corner, ctx.width, own):
            result[where] += d
        return result.mul_(2 * grad), None, None, None, None


def differences(
    f: Tensor, cells: Tensor, corner: Tensor, width: int, counted: Tensor | None
) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
    """Where one cell of all patches lies in a map (h, w, c), and how far it is from its match's, (h
    - 2, w - 2, c); 0 for those that are not counted.
    """
    height, across = f.shape[0] - SIDE + 1, f.shape[1] - SIDE + 1
    for y, x in OFFSETS:
        own = slice(y, y + height), slice(x, x + across)
        found = cells[corner + y * (width + SIDE - 1) + x].view(height, across, -1)
        apart = f[own] - found
        yield own, apart if counted is None else apart * counted.view(height, across, 1)
