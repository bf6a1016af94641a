"""Measures films frame after frame, side by side: the figures of `metrics`, in order, in memory
that does not grow.

Pixels are measured on the CPU, so that they come out alike on every machine; the networks run on
their device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from vidstyle.evaluation import metrics
from vidstyle.evaluation.scorecard import Curve, Scores
from vidstyle.features.extractor import CONTENT_LAYERS, STYLE_LAYERS, Network
from vidstyle.motion.flow import Flow
from vidstyle.stylize import losses
from vidstyle.stylize.resample import fit_style_image

LONG = 10
"""Frames between the two of a long pair."""
SOURCE = "source"
"""The film whose motion, stillness and content the others are measured by."""

Frames = Mapping[str, Tensor]
"""One image (3, H, W) for each film."""

NAMES = tuple(field.name for field in fields(Scores))
CONSTANTS = {
    "long_gap": LONG,
    "still": metrics.STILL,
    "still_pixel": metrics.STILL_PIXEL,
    "still_window_px": metrics.AROUND,
    "near_px": metrics.NEAR,
}
"""The numbers in the definitions; they are part of what `metrics.VERSION` stands for."""


@dataclass(frozen=True)
class Pair:
    """An earlier frame s of every film, and what links frame t to it in the source: the flow (2, H,
    W), that back, and where it can be trusted (H, W). One flow serves all films.
    """

    earlier: Frames
    flow: Tensor
    back: Tensor
    where: Tensor


class Meter:
    """Takes one frame of every film at a time; `scores` and `pixels` have what was measured.

    Args:
        films: their names, `SOURCE` among them.
        flow, network: what measures.
        painting: (3, H, W), any size; None: no style distance.
        shots: the first frames of shots, counted from the first frame that comes.

    It holds the last `LONG` frames of each film, and the first one of the shot.
    """

    def __init__(
        self,
        films: Collection[str],
        flow: Flow,
        network: Network,
        painting: Tensor | None,
        shots: Collection[int],
    ) -> None:
        self.flow, self.network, self.painting, self.shots = (
            flow,
            network,
            painting,
            frozenset(shots),
        )
        self.target: dict[str, Tensor] = {}
        self.held: deque[Frames] = deque(maxlen=LONG)
        self.first: Frames = {}
        self.count = 0
        self.curves: dict[str, dict[str, list[float | None]]] = {
            film: {name: [] for name in NAMES} for film in films
        }
        self.shares: dict[str, list[float | None]] = {}

    def scores(self, film: str) -> Scores:
        return Scores(**{name: tuple(curve) for name, curve in self.curves[film].items()})

    def pixels(self) -> dict[str, Curve]:
        """The share of the pixels that each measure looked at, by the measure's name."""
        return {name: tuple(curve) for name, curve in self.shares.items()}

    @torch.no_grad()
    def add(self, frames: Frames) -> None:
        """Measure the next frame of every film; all are of one size."""
        if self.count in self.shots:
            self.held.clear()
            self.first = frames
        source = frames[SOURCE]
        fresh = not self.held
        short, long = self.pair(source, 1), self.pair(source, LONG)
        still = None if fresh else metrics.still(source, self.first[SOURCE])
        near = metrics.near_boundary(short.flow) if short else None
        uncovered = metrics.uncovered(short.flow, short.back) if short else None
        looked = {
            "warping_error_short": short.where if short else None,
            "warping_error_long": long.where if long else None,
            "drift": still,
            "content_near": near,
            "saturation_uncovered": uncovered,
        }
        for name, where in looked.items():
            self.shares.setdefault(name, []).append(
                None if where is None else float(where.float().mean())
            )
        maps = {film: self.maps(image) for film, image in frames.items()}
        for film, image in frames.items():
            found = {
                "warping_error_short": error(image, film, short),
                "warping_error_long": error(image, film, long),
                **self.drift(image, film, still),
                "style": self.style(maps[film], source),
                **({} if film == SOURCE else content(maps[film], maps[SOURCE], near)),
                "sharpness": metrics.gradient_energy(image),
                "saturation_uncovered": None
                if uncovered is None
                else metrics.saturation(image, uncovered),
            }
            for name in NAMES:
                self.curves[film][name].append(found.get(name))
        self.held.append(frames)
        self.count += 1

    def pair(self, source: Tensor, gap: int) -> Pair | None:
        """The frame with the one `gap` frames earlier; None where the shot had not begun."""
        if len(self.held) < gap:
            return None
        earlier = self.held[-gap]
        there, back = self.flow(source, earlier[SOURCE]), self.flow(earlier[SOURCE], source)
        return Pair(earlier, there, back, metrics.reliable(there, back))

    def drift(self, image: Tensor, film: str, still: Tensor | None) -> dict[str, float]:
        found = None if still is None else metrics.drift(image, self.first[film], still)
        return (
            dict(zip(("drift", "drift_max", "drift_colour"), found, strict=True)) if found else {}
        )

    def maps(self, image: Tensor) -> dict[str, Tensor]:
        """The maps of an image: the content's, and with a painting the style's."""
        layers = (*CONTENT_LAYERS, *(STYLE_LAYERS if self.painting is not None else ()))
        return self.network(image[None].to(self.network.device), layers)

    def style(self, maps: Mapping[str, Tensor], frame: Tensor) -> float | None:
        """Mean over the layers of the distance to the painting, as it is brought to the size of
        `frame`.
        """
        if self.painting is None:
            return None
        if not self.target:
            painting = fit_style_image(self.painting, (frame.shape[1], frame.shape[2]))[None]
            wanted = self.network(painting.to(self.network.device), STYLE_LAYERS)
            self.target = {layer: losses.gram(wanted[layer]) for layer in STYLE_LAYERS}
        each = [
            float(losses.style(losses.gram(maps[layer]), self.target[layer]))
            for layer in STYLE_LAYERS
        ]
        return sum(each) / len(each)


def error(image: Tensor, film: str, pair: Pair | None) -> float | None:
    return (
        None
        if pair is None
        else metrics.warping_error(image, pair.earlier[film], pair.flow, pair.where)
    )


def content(
    maps: Mapping[str, Tensor], wanted: Mapping[str, Tensor], near: Tensor | None
) -> dict[str, float | None]:
    """The distance to the source's maps, over the frame and near its motion boundaries."""
    (layer,) = CONTENT_LAYERS
    f, p = maps[layer], wanted[layer]
    return {
        "content": float(losses.content(f, p)),
        "content_near": None if near is None else metrics.content_within(f, p, near.to(f.device)),
    }
