"""The measurement of several clips frame after frame, next to one another, in memory that does not
grow with their length.

Frames of transitions are not measured. A dissolve and a fade part what comes before them from what
comes after, as a cut does; a flash only leaves out its own frames.

Pixels are measured on the CPU, so that figures are the same on every machine; the networks run on
their device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from vidstyle.evaluation import metrics
from vidstyle.evaluation.edit_list import Transition
from vidstyle.evaluation.scorecard import Curve, Scores
from vidstyle.features.extractor import CONTENT_LAYERS, STYLE_LAYERS, Network
from vidstyle.motion.flow import Flow
from vidstyle.stylize import losses
from vidstyle.stylize.resample import fit_style_image

LONG_GAP_FRAMES = 10
"""Frames between the two of a long pair."""
SOURCE = "source"
"""The name of the clip whose motion, static pixels and content the others are measured by."""

Frames = Mapping[str, Tensor]
"""{name of a clip: its image (3, H, W)}, all of the same time."""

MEASURES = tuple(field.name for field in fields(Scores))
CONSTANTS = {
    "long_gap": LONG_GAP_FRAMES,
    "still": metrics.MAX_STATIC_MEAN_CHANGE,
    "still_pixel": metrics.MAX_STATIC_PIXEL_CHANGE,
    "still_window_px": metrics.STATIC_WINDOW_PIXELS,
    "near_px": metrics.NEAR_BOUNDARY_PIXELS,
}
"""The numbers in the definitions; they are part of what `metrics.METRICS_VERSION` stands for."""


@dataclass(frozen=True)
class FramePair:
    """The motion of the source between frame t and an earlier frame s. One flow serves all clips.

    Args:
        earlier: frame s of every clip.
        flow: (2, H, W) from t to s.
        back: (2, H, W) from s to t.
        reliable: True (H, W) where the flow can be trusted.
    """

    earlier: Frames
    flow: Tensor
    back: Tensor
    reliable: Tensor


@dataclass(frozen=True)
class PixelMasks:
    """The pixels (H, W) of the source's current frame that measures look at; None where there is no
    earlier frame to tell them from.

    Args:
        static: they look as in the shot's first frame.
        near_boundary: they are near a motion boundary.
        uncovered: the previous frame does not show them.
    """

    static: Tensor | None
    near_boundary: Tensor | None
    uncovered: Tensor | None


class Meter:
    """Measures one frame of every clip at a time; `scores` and `pixel_shares` return the figures.

    Args:
        clips: their names, `SOURCE` among them.
        flow, network: the networks that measure.
        style_image: (3, H, W), any size; None: no style distance.
        shots: the first frames of shots, counted from the first frame that is added.
        transitions: counted in the same way; no frame belongs to two of them.

    It holds the last `LONG_GAP_FRAMES` frames of each clip, and the first one of the shot.
    """

    def __init__(
        self,
        clips: Collection[str],
        flow: Flow,
        network: Network,
        style_image: Tensor | None,
        shots: Collection[int],
        transitions: Collection[Transition] = (),
    ) -> None:
        self.flow = flow
        self.network = network
        self.style_image = style_image
        self.shots = frozenset(shots)
        self.transitions = {
            t: transition
            for transition in transitions
            for t in range(transition.first, transition.stop)
        }
        self.style_targets: dict[str, Tensor] = {}
        # None stands for a frame that is not measured.
        self.recent: deque[Frames | None] = deque(maxlen=LONG_GAP_FRAMES)
        self.first: Frames | None = None
        self.count = 0
        self.curves: dict[str, dict[str, list[float | None]]] = {
            clip: {name: [] for name in MEASURES} for clip in clips
        }
        self.shares: dict[str, list[float | None]] = {}

    def scores(self, clip: str) -> Scores:
        """Return the curves of one clip so far."""
        return Scores(**{name: tuple(curve) for name, curve in self.curves[clip].items()})

    def pixel_shares(self) -> dict[str, Curve]:
        """Return the share of the pixels that each measure looked at, by the measure's name."""
        return {name: tuple(curve) for name, curve in self.shares.items()}

    @torch.no_grad()
    def add(self, frames: Frames) -> None:
        """Measure the next frame of every clip, unless it belongs to a transition; all are of one
        size.
        """
        transition = self.transitions.get(self.count)
        if self.count in self.shots or (transition and transition.parts_shots):
            self.recent.clear()
            self.first = None
        if transition:
            self.leave_out()
        else:
            self.measure(frames)
        self.recent.append(None if transition else frames)
        self.count += 1

    def leave_out(self) -> None:
        """Record for a frame of a transition that no measure is defined."""
        for curves in self.curves.values():
            for name in MEASURES:
                curves[name].append(None)
        self.add_shares(None, None, PixelMasks(None, None, None))

    def measure(self, frames: Frames) -> None:
        """Measure a frame of every clip that belongs to one shot alone."""
        short = self.pair_with_earlier(frames, 1)
        long = self.pair_with_earlier(frames, LONG_GAP_FRAMES)
        masks = self.find_pixels(frames[SOURCE], short)
        self.add_shares(short, long, masks)
        maps = {clip: self.extract_maps(image) for clip, image in frames.items()}
        for clip, image in frames.items():
            figures = {
                "warping_error_short": measure_pair(image, clip, short),
                "warping_error_long": measure_pair(image, clip, long),
                **measure_drift(image, clip, self.first, masks.static),
                "style": self.style_distance(maps[clip], image.shape[1:]),
                "sharpness": metrics.gradient_energy(image),
            }
            if clip != SOURCE:
                figures |= content_distances(maps[clip], maps[SOURCE], masks.near_boundary)
            if masks.uncovered is not None:
                figures["saturation_uncovered"] = metrics.mean_saturation(image, masks.uncovered)
            for name in MEASURES:
                self.curves[clip][name].append(figures.get(name))
        if self.first is None:
            self.first = frames

    def pair_with_earlier(self, frames: Frames, gap: int) -> FramePair | None:
        """Pair the frame with the one `gap` frames earlier; None where the shot had not begun, or
        where that frame is not measured.
        """
        earlier = self.recent[-gap] if len(self.recent) >= gap else None
        if earlier is None:
            return None
        flow = self.flow(frames[SOURCE], earlier[SOURCE])
        back = self.flow(earlier[SOURCE], frames[SOURCE])
        return FramePair(earlier, flow, back, metrics.reliable_pixels(flow, back))

    def find_pixels(self, source: Tensor, short: FramePair | None) -> PixelMasks:
        """Find the pixels that the measures of parts of a frame look at."""
        return PixelMasks(
            static=metrics.static_pixels(source, self.first[SOURCE]) if self.first else None,
            near_boundary=metrics.near_boundary(short.flow) if short else None,
            uncovered=metrics.uncovered_pixels(short.flow, short.back) if short else None,
        )

    def add_shares(
        self, short: FramePair | None, long: FramePair | None, masks: PixelMasks
    ) -> None:
        """Record the share of the pixels that each measure looks at."""
        by_measure = {
            "warping_error_short": short.reliable if short else None,
            "warping_error_long": long.reliable if long else None,
            "drift": masks.static,
            "content_near": masks.near_boundary,
            "saturation_uncovered": masks.uncovered,
        }
        for name, mask in by_measure.items():
            share = None if mask is None else float(mask.float().mean())
            self.shares.setdefault(name, []).append(share)

    def extract_maps(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the content's feature maps of an image, and with a style image the style's."""
        layers = (*CONTENT_LAYERS, *(STYLE_LAYERS if self.style_image is not None else ()))
        return self.network(image[None].to(self.network.device), layers)

    def style_distance(self, maps: Mapping[str, Tensor], size: torch.Size) -> float | None:
        """Average over the layers the distance of the Gram matrices to those of the style image,
        which is brought to the area of the frame's `size` (H, W); None without a style image.
        """
        if self.style_image is None:
            return None
        if not self.style_targets:
            resized = fit_style_image(self.style_image, (size[0], size[1]))[None]
            target_maps = self.network(resized.to(self.network.device), STYLE_LAYERS)
            self.style_targets = {layer: losses.gram(target_maps[layer]) for layer in STYLE_LAYERS}
        distances = [
            float(losses.style(losses.gram(maps[layer]), self.style_targets[layer]))
            for layer in STYLE_LAYERS
        ]
        return sum(distances) / len(distances)


def measure_pair(image: Tensor, clip: str, pair: FramePair | None) -> float | None:
    """Measure the warping error of one clip's frame; None where there is no earlier frame."""
    if pair is None:
        return None
    return metrics.warping_error(image, pair.earlier[clip], pair.flow, pair.reliable)


def measure_drift(
    image: Tensor, clip: str, first: Frames | None, static: Tensor | None
) -> dict[str, float]:
    """Measure the change of one clip's frame since the shot's first frame over static pixels; empty
    without any.
    """
    if first is None or static is None:
        return {}
    drift = metrics.drift(image, first[clip], static)
    if drift is None:
        return {}
    return dict(zip(("drift", "drift_max", "drift_colour"), drift, strict=True))


def content_distances(
    maps: Mapping[str, Tensor], source_maps: Mapping[str, Tensor], near: Tensor | None
) -> dict[str, float | None]:
    """Measure the distance to the source's maps, over the frame and near its motion boundaries
    (`near`: True (H, W); None: not known).
    """
    (layer,) = CONTENT_LAYERS
    f = maps[layer]
    p = source_maps[layer]
    return {
        "content": float(losses.content(f, p)),
        "content_near": None if near is None else metrics.content_within(f, p, near.to(f.device)),
    }
