"""The seam between a render and the way its frames are stylised.

An `Engine` is a way to stylise, with its settings, before any weights are loaded: it says what it
needs and what it takes, and can be pickled. A `Stylizer` is that engine with its networks and its
style images in place: it makes one frame after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vidstyle.features.extractor import Extractor
    from vidstyle.frames import Frame, Motion


@dataclass(frozen=True)
class State:
    """All that crosses a frame boundary: stylised frames (3, H, W), exactly as their 16-bit files
    hold them.

    Args:
        image: the previous one; None before the first frame of a shot.
        earlier: {j: the one j frames before the next}, j >= 2.
    """

    image: Tensor | None = None
    earlier: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def images(self) -> dict[int, Tensor]:
        """{j: the stylised frame j before the next}."""
        return {**({} if self.image is None else {1: self.image}), **self.earlier}

    def followed_by(self, image: Tensor, reach: int) -> State:
        """The state of the next frame; nothing is kept that is more than `reach` frames back."""
        return State(image, {j + 1: x for j, x in self.images.items() if j < reach})


@dataclass(frozen=True)
class Step:
    """One stylised frame.

    Args:
        image: (3, H, W) in [0, 1], exactly as its 16-bit file will hold it.
        state: what the next frame starts from.
        iterations: evaluations of an objective that it took; 0 where the previous
            frame was taken as it is.
    """

    image: Tensor
    state: State
    iterations: int


class Observer(Protocol):
    """Watches how one frame is made; it must not change the frame."""

    def start(self, image: Tensor) -> None:
        """Take the image (3, h, w) that the optimisation starts from."""
        ...

    def evaluate(self, image: Tensor, losses: Mapping[str, Tensor], features: str) -> None:
        """Take one evaluation of the objective.

        Args:
            image: (3, h, w) at the size of its scale; it is changed in place afterwards.
            losses: {name of a term: its weighted value, a scalar}.
            features: the name of the network whose features are matched.
        """
        ...


class NetworkSource(Protocol):
    """Gives an engine its networks, on the device and in the precision of the render."""

    def network(self, name: str, pooling: str = "average") -> Extractor:
        """Load the feature network called `name`, once."""
        ...

    def weights(self, name: str) -> Mapping[str, Tensor]:
        """Read the tensors of the weight file of `name`, floats in fp32."""
        ...


ShotSamples = Mapping[int, Callable[[], "Sequence[Tensor]"]]
"""{index of a frame of a shot: makes its source (3, H, W), and perhaps that of frames before it},
spread over the shot; none where no frame shows the shot alone and in full light."""


@dataclass(frozen=True)
class FrameWork:
    """The iterations that a frame takes.

    Args:
        iterations: evaluations of the objective.
        refined: how many of them, at the end, are done on the refinement network.
    """

    iterations: int
    refined: int = 0


@dataclass(frozen=True)
class FrameCost:
    """Seconds that the frames of a render take to stylise.

    Args:
        first: the first frame of a shot.
        linked: every other one that is not static.
    """

    first: float
    linked: float


class Stylizer(Protocol):
    """Stylises the frames of one render, one after the other."""

    device: torch.device

    def step(
        self,
        state: State,
        frame: Frame,
        motion: Motion | None,
        observer: Observer | None = None,
    ) -> Step:
        """Stylise one frame.

        Args:
            state: what the frame before it left, with the earlier frames that `motion.farther`
                names.
            frame: the source frame.
            motion: what links it to the frames before it; None for the first frame of a shot.
            observer: is shown how the frame is made, where the engine has something to show.
        """
        ...

    def cost(self, frame: Frame, linked_iterations: float | None = None) -> FrameCost:
        """Measure what frames cost, on one of the source.

        Args:
            linked_iterations: how many a linked frame takes in the mean, where that is known.
        """
        ...


@runtime_checkable
class MultiPassStylizer(Stylizer, Protocol):
    """A stylizer that can also go over a finished frame again (Ruder 2016, section 4.4)."""

    def revise(
        self,
        state: State,
        frame: Frame,
        motion: Motion | None,
        image: Tensor,
        *,
        temporal_loss: bool,
    ) -> Step:
        """Stylise a frame once more.

        Args:
            state: its neighbour as this pass has left it; nothing for the first frame of a shot in
                the direction of this pass.
            motion: what links it to that neighbour; None where there is none.
            image: (3, H, W), the frame as the pass before left it.
            temporal_loss: whether the frame is also held to its neighbour by the temporal loss.
        """
        ...


@runtime_checkable
class ShotStylizer(Stylizer, Protocol):
    """A stylizer that looks at a shot before it paints its frames."""

    def begin_shot(self, samples: ShotSamples) -> None:
        """Take frames of the shot whose frames come next."""
        ...


class Engine(Protocol):
    """A way to stylise frames, with its settings, before any weights are loaded."""

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the weight files that it reads."""
        ...

    @property
    def needs_motion(self) -> bool:
        """True where a frame needs flow and mask to those before it."""
        ...

    @property
    def needs_detail(self) -> bool:
        """True where a frame needs a detail map (`stylize.detail`)."""
        ...

    @property
    def motion_side(self) -> int | None:
        """Pixels of the longer side, at most, at which motion is seen; None: at full size."""
        ...

    @property
    def multi_pass(self) -> bool:
        """True where its stylizer is a `MultiPassStylizer`."""
        ...

    @property
    def tileable(self) -> bool:
        """True where the features of a frame can be computed tile by tile."""
        ...

    def fingerprint_parts(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Name what it adds to the fingerprint of a render, beyond the settings.

        Args:
            digests: {name of a network: sha256 of its weights}.
        """
        ...

    def memory(self, size: tuple[int, int], tile: int = 0) -> int:
        """Bytes that stylising a frame of `size` (width, height) takes at most.

        Args:
            tile: side of the tiles that features are computed in; 0: of the whole frame at once.
        """
        ...

    def work(self, size: tuple[int, int], *, first: bool) -> FrameWork:
        """The work of a frame of `size` (width, height): of the first of a shot, or another one."""
        ...

    def build(
        self,
        networks: NetworkSource,
        style_images: Sequence[Tensor],
        size: tuple[int, int],
        device: torch.device,
        *,
        tile: int = 0,
        style_masks: Tensor | None = None,
    ) -> Stylizer:
        """Put networks and style images in place.

        Args:
            style_images: each (3, H, W), any size; none where no style is asked for.
            size: (width, height) of the frames.
            tile: as in `memory`.
            style_masks: (k, h, w), how much of each pixel of the style image belongs to each of its
                regions, any size; None: all of it is one.
        """
        ...
