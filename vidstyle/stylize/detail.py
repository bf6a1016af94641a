"""The detail map of a source frame: how much each of its pixels matters for what it shows to be
recognised.

Faces and figures come first (`features.figures`), then edges of things, as far as they stand out
in the frame; sky and walls are free. Where frames are linked, the map is carried along the flow
from one to the next, so that it has no flicker of its own; on ground that does not move it stays as
it is. In several passes, and without links, each frame has its own.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import Motion, quantise
from vidstyle.motion.hold import record_size, shrink_flow, shrink_mask
from vidstyle.motion.warp import warp

FigureSearch = Callable[[Tensor], Tensor]
"""Finds figures and faces in an image (3, H, W): (2, h, w) in [0, 1]."""

EDGE_SIGMAS = (0.7, 1.5, 3.0)
"""Of the Gaussians, in pixels of the map, under which edges are looked for."""

EDGE_SPREAD = 64
"""Edges matter around them: the sigma of their blur is the long side divided by it."""

EDGE_QUANTILE = 0.9
"""The share of a frame whose edges are weaker than those that matter in full."""

FAINTEST_EDGE = 0.02
"""Strength of edges that matter in full, at least: the noise of an empty frame does not."""

EDGE_SHARE = 0.25
"""How much an edge matters in relation to a face. With 0.35 houses are tinted photographs, with
0.15 windows are lost."""

FIGURE_RANGE = (0.25, 0.75)
"""From the first certainty of a figure on it matters, from the second on in full."""

FACE_RANGE = (0.2, 0.6)

FIGURE_SHARE = 0.1
"""How much a figure matters in relation to a face where it has no edges: there it is painted."""

FIGURE_EDGE_SHARE = 0.5
"""How much a figure matters in relation to a face on its edges. With 1 it is a photograph that
stands in a painting."""

FACE_SHARE = 0.8

FIGURE_SEARCH_INTERVAL = 4
"""Frames from one search for figures to the next; in between their places are carried on."""

UNSEEN_SHARE = 0.02
"""The share of a frame that is new from which on figures are looked for at once."""

KEPT_SHARE = 0.9
"""How much of the map is carried on where flow is trusted; the rest is that of the frame alone."""


def find_edges(image: Tensor) -> Tensor:
    """Measure how strong edges are around each pixel of a frame (3, H, W): (1, h, w) in [0, 1], at
    the size of the map.
    """
    height, width = record_size(*image.shape[1:])
    grey = F.interpolate(image.mean(0)[None, None], (height, width), mode="area")[0, 0]
    pixels = grey.contiguous().cpu().numpy()
    strength = np.zeros_like(pixels)
    for sigma in EDGE_SIGMAS:
        smooth = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        strength += sigma * np.hypot(dx, dy)
    spread = max(height, width) / EDGE_SPREAD
    strength = cv2.GaussianBlur(strength, (0, 0), spread, borderType=cv2.BORDER_REPLICATE)
    strongest = max(float(np.quantile(strength, EDGE_QUANTILE)), FAINTEST_EDGE)
    return torch.from_numpy(strength / strongest)[None].clamp(0, 1).to(image.device)


def observe(image: Tensor, search: FigureSearch) -> Tensor:
    """Observe a frame (3, H, W) by itself: edges, figures and faces, (3, h, w) in [0, 1]."""
    edges = find_edges(image)
    return torch.cat([edges, search_figures(image, search, edges)])


def search_figures(image: Tensor, search: FigureSearch, like: Tensor) -> Tensor:
    """Find figures and faces in a frame (3, H, W): (2, h, w), at the size of `like`."""
    size = tuple(like.shape[1:])
    figures = search(image)[None].to(image.device)
    return F.interpolate(figures, size, mode="bilinear", align_corners=False)[0].clamp(0, 1)


def combine(observed: Tensor) -> Tensor:
    """Make the detail map (1, h, w) in [0, 1] from what was observed, (3, h, w)."""
    edges, figure, face = (x[None] for x in observed)
    on_figure = FIGURE_SHARE + (FIGURE_EDGE_SHARE - FIGURE_SHARE) * edges
    figure = on_figure * ramp(figure, FIGURE_RANGE)
    face = FACE_SHARE * ramp(face, FACE_RANGE)
    return torch.maximum(torch.maximum(EDGE_SHARE * edges, figure), face)


def ramp(x: Tensor, limits: tuple[float, float]) -> Tensor:
    """Rise from 0 at the first limit to 1 at the second."""
    low, high = limits
    return ((x - low) / (high - low)).clamp(0, 1)


class DetailTracker:
    """What was observed of the frames of a shot, carried along from frame to frame."""

    def __init__(self, search: FigureSearch) -> None:
        self.search = search
        self.observed: Tensor | None = None

    def start(self, image: Tensor) -> None:
        """Observe the first frame, (3, H, W)."""
        self.observed = quantise(observe(image, self.search))

    def resume(self, observed: Tensor) -> None:
        """Go on from what was carried to a frame, (3, h, w)."""
        self.observed = observed

    def advance(self, image: Tensor, motion: Motion, step: int) -> None:
        """Carry on to the next frame.

        Args:
            image: (3, H, W).
            motion: its link to the frame before.
            step: how many frames it is from the first one.
        """
        assert self.observed is not None, "start or resume comes first"
        size = (int(self.observed.shape[1]), int(self.observed.shape[2]))
        flow = motion.flow_t_to_prev
        mask = shrink_mask(motion.mask, size)
        carried = warp(self.observed, shrink_flow(flow, size))
        is_still = (flow == 0).all(0, keepdim=True) & (motion.mask >= 1)  # (1, H, W)
        still = shrink_mask(is_still.to(mask), size) >= 1
        if bool(still.all()):
            return
        edges = find_edges(image)
        is_new = float((mask < 0.5).float().mean()) > UNSEEN_SHARE
        if step % FIGURE_SEARCH_INTERVAL == 0 or is_new:
            figures = search_figures(image, self.search, edges)
        else:
            figures = carried[1:]
        present = torch.cat([edges, figures])
        share = torch.where(still, 1.0, KEPT_SHARE * mask)
        self.observed = quantise(present + share * (carried - present))

    def revisit(self, image: Tensor, step: int) -> None:
        """Look at a frame (3, H, W) that repeats the one before: if a search is due, it is done on
        it, for the next frame that moves may not have its turn.
        """
        assert self.observed is not None, "start or resume comes first"
        if step % FIGURE_SEARCH_INTERVAL:
            return
        found = search_figures(image, self.search, self.observed)
        present = torch.cat([self.observed[:1], found])
        self.observed = quantise(present + KEPT_SHARE * (self.observed - present))

    @property
    def map(self) -> Tensor:
        """The detail map of the last frame, (1, h, w) in [0, 1]."""
        assert self.observed is not None, "start or resume comes first"
        return combine(self.observed)
