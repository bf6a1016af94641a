"""Films made from stills, whose flow and visibility are known exactly: a camera moves over a
picture, and part of another picture may move in front of it.

A network learns from them what its previous frame is good for (Ruder et al. 2018, section 5; Wang
et al. 2020), and needs no films.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

STILL_SHARE = 0.25
"""The share of films in which nothing moves."""

SHIFT_SIGMA = 3.0
"""Of a camera's speed along each axis, in pixels per frame."""

ZOOM_SIGMA = 0.008
"""Of the change of scale, per frame."""

TURN_SIGMA = 0.006
"""Of a camera's turn, in radians per frame."""

LAYER_SHARE = 0.5
"""The share of films with something that moves in front."""

HOLE_SHARE = 0.15
"""The share of frames in whose mask there is a hole: it is never exact."""

EDGE_MARGIN = 2.5
"""Pixels beside the outline of what moves in front that are not trusted: sampling mixes them."""

NOISE = 3 / 255
"""Standard deviation of the noise of the noisiest film."""

LIGHT_SHARE = 0.2
"""The share of films whose light changes from frame to frame."""

LIGHT_SIGMA = 0.03


@dataclass(frozen=True)
class Pose:
    """A similarity: position p of a frame, from its middle, -> scale R(turn) p + shift."""

    scale: float = 1.0
    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def moved(self, velocity: Pose) -> Pose:
        """One frame later."""
        x, y = (a + b for a, b in zip(self.shift, velocity.shift, strict=True))
        return Pose(self.scale * velocity.scale, self.turn + velocity.turn, (x, y))

    def apply(self, points: Tensor) -> Tensor:
        """Map points (2, ...), channel 0 = x."""
        cosine, sine = self.scale * math.cos(self.turn), self.scale * math.sin(self.turn)
        x, y = points
        return torch.stack(
            [cosine * x - sine * y + self.shift[0], sine * x + cosine * y + self.shift[1]]
        )

    def invert(self, points: Tensor) -> Tensor:
        """Undo `apply`."""
        x, y = points[0] - self.shift[0], points[1] - self.shift[1]
        cosine, sine = math.cos(self.turn) / self.scale, math.sin(self.turn) / self.scale
        return torch.stack([cosine * x + sine * y, cosine * y - sine * x])


@dataclass(frozen=True)
class Plane:
    """A picture in the scene.

    Args:
        picture: (c, H, W).
        middle: the point (x, y) of it that lies at the scene's origin, in pixels.
        pose: of the frame in the scene.
        outline: radius, ripple, ripples and phase of the part that is seen; None: all of it.
    """

    picture: Tensor
    middle: tuple[float, float]
    pose: Pose
    velocity: Pose
    outline: tuple[float, float, int, float] | None = None

    def sample(self, points: Tensor) -> Tensor:
        """Sample it at points (2, h, w) of a frame: (c, h, w), mirrored at its edges."""
        x, y = self.pose.apply(points)
        height, width = self.picture.shape[1:]
        grid = torch.stack(
            [
                2 * (x + self.middle[0]) / (width - 1) - 1,
                2 * (y + self.middle[1]) / (height - 1) - 1,
            ],
            -1,
        )
        return F.grid_sample(
            self.picture[None], grid[None], padding_mode="reflection", align_corners=True
        )[0]

    def covers(self, points: Tensor, margin: float = 0.0) -> Tensor:
        """Tell where it is seen, at points (2, h, w) of a frame: (h, w) in [0, 1].

        Args:
            margin: pixels by which its outline is moved outwards.
        """
        if self.outline is None:
            return torch.ones_like(points[0])
        radius, ripple, ripples, phase = self.outline
        x, y = self.pose.apply(points)
        edge = radius * (1 + ripple * torch.sin(ripples * torch.atan2(y, x) + phase))
        return (edge - torch.hypot(x, y) + margin + 0.5).clamp(0, 1)

    def advance(self) -> Plane:
        """One frame later."""
        return replace(self, pose=self.pose.moved(self.velocity))


@dataclass(frozen=True)
class SyntheticFrame:
    """A frame of such a film, and its link to the one before.

    Args:
        image: (c, h, w); the first three channels are the picture.
        flow: (2, h, w), to the frame before, in pixels; zero for the first one.
        mask: (1, h, w) in [0, 1], 0 where the frame before does not show a pixel; all 0 for the
            first one.
    """

    image: Tensor
    flow: Tensor
    mask: Tensor


class SyntheticFilm:
    """A film of moving pictures, frame by frame.

    Args:
        pictures: each (c, H, W), its first three channels in [0, 1]; two are used at most.
        size: pixels of a frame, a side.
    """

    def __init__(self, pictures: tuple[Tensor, Tensor], size: int, rng: random.Random) -> None:
        self.rng = rng
        still = rng.random() < STILL_SHARE
        speed = 0.0 if still else rng.uniform(0.2, 2.0)
        self.planes = [place(pictures[0], size, rng, draw_velocity(rng, speed))]
        if rng.random() < LAYER_SHARE:
            speed = 0.0 if still else rng.uniform(0.2, 2.0)
            layer = place(pictures[1], size, rng, draw_velocity(rng, speed))
            outline = (
                size * rng.uniform(0.12, 0.35),
                rng.uniform(0, 0.35),
                rng.randint(2, 5),
                rng.uniform(0, 6.28),
            )
            shift = (size * rng.uniform(-0.35, 0.35), size * rng.uniform(-0.35, 0.35))
            self.planes.append(replace(layer, pose=Pose(shift=shift), outline=outline))
        self.noise = NOISE * rng.random() if rng.random() < 0.6 else 0.0
        self.light = LIGHT_SIGMA if rng.random() < LIGHT_SHARE else 0.0
        y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        self.pixels = torch.stack([x, y]).float() - (size - 1) / 2
        self.size = size
        self.earlier: list[Plane] | None = None

    def next(self) -> SyntheticFrame:
        """Make the next frame."""
        if self.earlier is not None:
            self.planes = [plane.advance() for plane in self.planes]
        image, cover = self.compose()
        if self.earlier is None:
            flow = torch.zeros_like(self.pixels)
            mask = torch.zeros_like(flow[:1])
        else:
            flow, mask = self.link(cover)
        self.earlier = self.planes
        seed = torch.Generator().manual_seed(self.rng.getrandbits(48))
        picture = image[:3] * (1 + self.light * self.rng.gauss(0, 1))
        if self.noise:
            picture = picture + self.noise * torch.randn(picture.shape, generator=seed)
        return SyntheticFrame(torch.cat([picture.clamp(0, 1), image[3:]]), flow, mask)

    def compose(self) -> tuple[Tensor, Tensor]:
        """Draw the planes over each other: the image, and how much of the front one is seen."""
        image = self.planes[0].sample(self.pixels)
        cover = torch.zeros_like(self.pixels[0])
        for plane in self.planes[1:]:
            cover = plane.covers(self.pixels)
            image = torch.lerp(image, plane.sample(self.pixels), cover.expand_as(image))
        return image, cover

    def link(self, cover: Tensor) -> tuple[Tensor, Tensor]:
        """Compute flow and mask to the frame before."""
        assert self.earlier is not None
        targets = [
            before.pose.invert(now.pose.apply(self.pixels))
            for before, now in zip(self.earlier, self.planes, strict=True)
        ]
        target = targets[0]
        mask = torch.ones_like(cover)
        if len(targets) > 1:
            front = cover >= 0.5
            target = torch.where(front, targets[1], targets[0])
            seen_then = self.earlier[1].covers(target, -EDGE_MARGIN)
            covered_then = self.earlier[1].covers(target, EDGE_MARGIN)
            mask = torch.where(front, seen_then, 1 - covered_then)
            mask = mask * (2 * (cover - 0.5).abs())
        mask = mask * (target.abs() <= (self.size - 1) / 2).all(0)
        if self.rng.random() < HOLE_SHARE:
            hole = place_hole(self.pixels, self.size, self.rng)
            mask = mask * (1 - hole)
        return target - self.pixels, mask[None]


def place(picture: Tensor, size: int, rng: random.Random, velocity: Pose) -> Plane:
    """Put a random part of a picture before the camera."""
    height, width = picture.shape[1:]
    middle = tuple(
        rng.uniform(size / 2, n - size / 2) if n > size else n / 2 for n in (width, height)
    )
    pose = Pose(scale=rng.uniform(0.7, 1.1))
    return Plane(picture, (middle[0], middle[1]), pose, velocity)


def draw_velocity(rng: random.Random, speed: float) -> Pose:
    """Draw a motion per frame."""
    if not speed:
        return Pose()
    return Pose(
        scale=math.exp(speed * ZOOM_SIGMA * rng.gauss(0, 1)),
        turn=speed * TURN_SIGMA * rng.gauss(0, 1),
        shift=(speed * SHIFT_SIGMA * rng.gauss(0, 1), speed * SHIFT_SIGMA * rng.gauss(0, 1)),
    )


def place_hole(pixels: Tensor, size: int, rng: random.Random) -> Tensor:
    """Draw an ellipse, (h, w) in [0, 1]."""
    x0, y0 = (size * rng.uniform(-0.5, 0.5) for _ in range(2))
    a, b = (size * rng.uniform(0.03, 0.25) for _ in range(2))
    distance = torch.hypot((pixels[0] - x0) / a, (pixels[1] - y0) / b)
    return ((1 - distance) * min(a, b) + 0.5).clamp(0, 1)


def warp_bicubic(image: Tensor, flow: Tensor) -> Tensor:
    """Warp (3, h, w) along a flow (2, h, w): about as sharp as `warp_along`, and quicker."""
    _, height, width = image.shape
    x = torch.arange(width, device=flow.device) + flow[0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[1]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    warped = F.grid_sample(
        image[None], grid[None], mode="bicubic", padding_mode="border", align_corners=True
    )
    return warped[0].clamp(0, 1)
