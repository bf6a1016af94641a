"""The fit of the network to one style: all its weights, and the gains and offsets of the style, by
Adam on the optimiser's objective, over films made from pictures of the user's clip.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidstyle.features.extractor import Extractor
from vidstyle.machine.device import Precision
from vidstyle.stylize.feedforward.network import StyleNetwork
from vidstyle.stylize.feedforward.objective import NetworkObjective, Sample
from vidstyle.stylize.feedforward.painter import NetworkStyle, adapt_network
from vidstyle.stylize.feedforward.settings import FeedforwardSettings
from vidstyle.stylize.feedforward.synthetic_motion import SyntheticFilm, warp_bicubic
from vidstyle.stylize.style.targets import StyleTargets

BATCH = 1
CROP = 256
"""Pixels of a crop, a side."""

LAST_SHARE = 0.85
"""The share of films that end with a frame. The network knows how one frame follows another, and a
frame that follows teaches little about the style.
"""

RATE = 4e-3
NUMBERS_RATE = 4.0
"""Of gains and offsets, as a multiple of that of the weights."""

WARM_UP = 10
BETAS = (0.9, 0.99)
LARGEST_LOSS = 50.0


@dataclass
class FilmOnTheWay:
    """A film, and its last painted frame (3, h, w)."""

    film: SyntheticFilm
    painted: Tensor | None = None


class StyleFit:
    """The fit of one style, step by step.

    Args:
        base: the network that it starts from.
        numbers: gains and offsets that it starts from, (`STYLE_NUMBERS`,).
        pictures: each (4, H, W): RGB and the detail map, in [0, 1], at the size of the render.
        target: the style, at the size of the render.
        steps: how many there will be.
    """

    def __init__(
        self,
        settings: FeedforwardSettings,
        base: StyleNetwork,
        numbers: Tensor,
        pictures: Sequence[Tensor],
        target: StyleTargets,
        extractor: Extractor,
        precision: Precision,
        steps: int,
        seed: int = 1,
    ) -> None:
        self.base = base
        self.network = copy.deepcopy(base).requires_grad_(True)
        self.read = numbers.detach().clone()[None]
        self.numbers = self.read.clone().requires_grad_(True)
        self.pictures = pictures
        self.target = target
        self.steps = steps
        self.precision = precision
        self.device = numbers.device
        self.seed = seed
        self.objective = NetworkObjective(
            extractor, settings.losses, settings.style.weight, LARGEST_LOSS
        )
        self.links = settings.is_linked
        self.size = min(CROP, *(min(p.shape[1:]) // 16 * 16 for p in pictures))
        groups = [
            {"params": list(self.network.parameters()), "scale": 1.0},
            {"params": [self.numbers], "scale": NUMBERS_RATE},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=RATE, betas=BETAS)
        self.done = 0
        self.losses: list[dict[str, float]] = []
        self.films: list[FilmOnTheWay] = []

    def advance(self) -> None:
        """Take one step."""
        # Each step draws by its own number, so that a fit that was interrupted goes on the same.
        rng = random.Random(self.seed * 1_000_003 + self.done)
        if not self.films:
            self.films = [FilmOnTheWay(self.begin_film(rng)) for _ in range(BATCH)]
        rate = min(1, (self.done + 1) / WARM_UP)
        rate *= 0.5 + 0.5 * math.cos(math.pi * self.done / self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * rate * group["scale"]
        samples = [self.take_sample(one) for one in self.films]
        half = torch.bfloat16 if self.precision == "bf16" else torch.float32
        with torch.autocast(self.device.type, half, enabled=self.precision == "bf16"):
            images = self.network(
                torch.stack([s.frame for s in samples]),
                torch.stack([s.warped for s in samples]),
                torch.stack([s.mask for s in samples]),
                self.numbers.expand(BATCH, -1),
            )
        loss, self.losses = self.objective(images, samples)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.done += 1
        for one, image in zip(self.films, images.detach(), strict=True):
            one.painted = image
        self.films = [
            FilmOnTheWay(self.begin_film(rng)) if rng.random() < LAST_SHARE else one
            for one in self.films
        ]

    def begin_film(self, rng: random.Random) -> SyntheticFilm:
        """Begin a film of two of the pictures."""
        pictures = (rng.choice(self.pictures), rng.choice(self.pictures))
        return SyntheticFilm(pictures, self.size, random.Random(rng.getrandbits(48)))

    def take_sample(self, one: FilmOnTheWay) -> Sample:
        """Take the next frame of a film."""
        made = one.film.next()
        image, detail = made.image[:3].to(self.device), made.image[3:].to(self.device)
        mask = made.mask.to(self.device)
        if one.painted is None or not self.links:
            return Sample(
                image, detail, torch.full_like(image, 0.5), torch.zeros_like(mask), self.target
            )
        warped = warp_bicubic(one.painted, made.flow.to(self.device))
        return Sample(image, detail, warped, mask, self.target)

    @torch.no_grad()
    def measure(self, learned: NetworkStyle) -> tuple[float, float]:
        """Measure the style's loss on the middle of each picture, painted as a first frame: before
        anything was learned, and with what was. Means.
        """
        changed = adapt_network(self.base, learned)
        before, now = (
            [self.measure_picture(picture, *pair) for picture in self.pictures]
            for pair in ((self.base, self.read), (changed, learned.numbers[None]))
        )
        return sum(before) / len(before), sum(now) / len(now)

    def measure_picture(self, picture: Tensor, network: StyleNetwork, numbers: Tensor) -> float:
        """Measure the style's loss on the middle of a picture (4, H, W), painted by a network."""
        top, left = ((n - self.size) // 2 for n in picture.shape[1:])
        part = picture[:, top : top + self.size, left : left + self.size].to(self.device)
        image, detail = part[:3], part[3:]
        nothing = torch.full_like(image, 0.5)
        sample = Sample(image, detail, nothing, torch.zeros_like(detail), self.target)
        painted = network(image[None], nothing[None], sample.mask[None], numbers)
        _, [values] = self.objective(painted, [sample])
        names = dict.fromkeys(term.name for term in self.target.terms())
        return sum(values[name] for name in names)

    @property
    def style(self) -> NetworkStyle:
        """The style as it is learned so far."""
        base = self.base.state_dict()
        changes = {name: x.detach() - base[name] for name, x in self.network.state_dict().items()}
        return NetworkStyle(self.numbers.detach()[0].clone(), changes)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on later, for `torch.save`; films begin again."""
        return {
            "network": self.network.state_dict(),
            "numbers": self.numbers.detach(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "steps": self.steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.load_state_dict(state["network"])
        self.numbers.data.copy_(state["numbers"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.steps = state["done"], state["steps"]
        self.films = []
