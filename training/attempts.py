"""Images that the network itself is stylizing.

Optimisation finds whatever a network cannot see. So the network is taught on the images that it
leads to, as in imitation learning on the learner's own states (DAgger, Ross et al. 2011).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from training.data import Images
from training.grams import gram, relative
from training.teacher import Lesson
from vidstyle.features.extractor import STYLE_LAYERS
from vidstyle.stylize import losses

Maps = dict[str, Tensor]
BATCH = 4
BETAS = (0.9, 0.99)


@dataclass
class Attempt:
    """One image on its way from a content to a style, with Adam's moments; all (3, size, size)."""

    content: Tensor
    style: Tensor
    image: Tensor
    mean: Tensor
    square: Tensor
    end: int
    rate: float
    content_weight: float
    tv_weight: float
    done: int = 0
    lesson: Lesson | None = field(default=None, repr=False)
    """The lesson of `style`; computed once and not part of a checkpoint."""
    content_target: Tensor | None = field(default=None, repr=False)
    """(rank, h', w') in bf16: the teacher's relu4_2 of `content`; likewise."""

    def state(self) -> dict[str, object]:
        """List the fields that a checkpoint keeps."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("lesson", "content_target")
        }


def make_attempt(images: Images, rng: random.Random, longest: int) -> Attempt:
    """Begin an attempt on random images, with random settings, of at most `longest` iterations."""
    content = images.content(rng)
    style = images.style(rng)
    start = images.any(rng) if rng.random() < 0.4 else content.clone()
    return Attempt(
        content,
        style,
        start.clamp(0, 1),
        torch.zeros_like(start),
        torch.zeros_like(start),
        end=round(longest / 8 ** rng.random()),
        rate=0.02 * 5 ** rng.random(),
        content_weight=0.02 * 5 ** rng.random(),
        tv_weight=rng.choice((0.0, 0.3)),
    )


def advance(
    pool: list[Attempt], network: Callable[[Tensor], Maps], iterations: int, device: torch.device
) -> None:
    """Do `iterations` steps of Adam on each attempt's image, in place."""
    for i in range(0, len(pool), BATCH):
        some = pool[i : i + BATCH]
        content, style, x, mean, square = (
            torch.stack([getattr(a, name) for a in some]).to(device)
            for name in ("content", "style", "image", "mean", "square")
        )
        with torch.no_grad():
            grams = {name: gram(f) for name, f in network(style).items() if name in STYLE_LAYERS}
            kept = losses.to_full_precision(network(content)["relu4_2"])
        rate, content_weight, tv_weight = (
            torch.tensor([float(getattr(a, name)) for a in some], device=device, dtype=x.dtype)
            for name in ("rate", "content_weight", "tv_weight")
        )
        done = torch.tensor([a.done for a in some], device=device)
        for _ in range(iterations):
            x.requires_grad_()
            maps = network(x)
            loss = relative(losses.to_full_precision(maps["relu4_2"]), kept) @ content_weight
            loss = (
                loss
                + torch.stack([relative(gram(maps[name]), a) for name, a in grams.items()])
                .mean(0)
                .sum()
            )
            loss = loss + torch.stack([losses.total_variation(image) for image in x]) @ tv_weight
            (gradient,) = torch.autograd.grad(loss, x)
            with torch.no_grad():
                done = done + 1
                mean.lerp_(gradient, 1 - BETAS[0])
                square.lerp_(gradient.square(), 1 - BETAS[1])
                b1, b2 = (column(1 - beta**done) for beta in BETAS)
                x = (x - column(rate) * (mean / b1) / ((square / b2).sqrt() + 1e-12)).clamp(0, 1)
        for j, a in enumerate(some):
            a.image, a.mean, a.square = (t[j].cpu().clone() for t in (x, mean, square))
            a.done += iterations


def column(values: Tensor) -> Tensor:
    """Reshape (b,) to (b, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
