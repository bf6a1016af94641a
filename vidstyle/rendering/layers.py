"""The layers of a render: the paint of each shot, over all frames in which the shot can be seen.

Where a film is cut, a frame has one layer. In a dissolve it has two, the outgoing shot and the
incoming one, each painted as if it were alone and mixed as the source is. A shot with several
frames that the user has painted has a layer for each, and they are mixed where they meet. A loop
has one more layer for its last frames, painted backward from the first frame.

A layer is painted from its *anchor* outwards: forward to its last frame, and backward to its first.
Nothing of it depends on another layer, except for that of a loop, which begins with the first
frame's paint.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidstyle.motion.edit import Colour, Dissolve, Edit, Fade

MEETING_FRAMES = 24
"""Frames over which two layers of the same shot pass over into one another, at most."""

LEAST_GAIN = 0.15
"""Of a faded frame that is painted from: in a darker one little is left but the noise of the codec,
and nobody sees what is painted in it."""

KEYFRAME_STRENGTH = 4.0
"""The factor of the temporal loss's weight in frames that are painted from one of the user's."""

NEAR_STRENGTH = 3.0
"""What comes to that, as a part of it, in the frame next to the user's."""

NEAR_FRAMES = 4
"""The frames in which this halves."""

LOOP_FRAMES = 24
"""The same for a loop: its last frames pass over into those that lead to its first one."""


@dataclass(frozen=True)
class FrameRange:
    """The frames `first` .. `stop` - 1."""

    first: int
    stop: int

    def __len__(self) -> int:
        return max(0, self.stop - self.first)

    def __contains__(self, index: int) -> bool:
        return self.first <= index < self.stop

    @property
    def indices(self) -> range:
        """Every frame, in order."""
        return range(self.first, self.stop)


@dataclass(frozen=True)
class KeyframeImage:
    """A frame that the user has painted.

    Args:
        index: of the render.
        digest: sha256 of the file.
    """

    index: int
    path: Path
    digest: str


@dataclass(frozen=True)
class Layer:
    """The paint of one shot.

    Args:
        frames: those that it is seen in.
        anchor: the frame that is painted first; its number is that of the layer. That of a loop
            stands after the last frame: it is the first one again.
        keyframe: the picture that the anchor is; None: it is painted.
        is_loop: whether the anchor is the paint of frame 0.
    """

    frames: FrameRange
    anchor: int
    keyframe: KeyframeImage | None = None
    is_loop: bool = False

    @property
    def forward(self) -> range:
        """The anchor and the frames after it, in the order in which they are painted."""
        return range(self.anchor, max(self.anchor + 1, self.frames.stop))

    @property
    def backward(self) -> range:
        """The frames before the anchor, in the order in which they are painted."""
        return range(self.anchor - 1, self.frames.first - 1, -1)

    def temporal_strength(self, index: int) -> float:
        """The factor of the temporal loss's weight in a frame.

        What the user has painted is no minimum of the objective, which would soon have its own way:
        the frames next to it are held more firmly, and all that are painted from it more than
        others.
        """
        if self.keyframe is None:
            return 1.0
        distance = abs(index - self.anchor)
        return KEYFRAME_STRENGTH * (1 + NEAR_STRENGTH * 2 ** ((1 - distance) / NEAR_FRAMES))

    @property
    def is_given(self) -> bool:
        """True where the anchor is a picture that is there, and not painted."""
        return self.keyframe is not None or self.is_loop


@dataclass(frozen=True)
class Mixture:
    """The frames `first` .. in which two layers are mixed.

    Args:
        outgoing, incoming: numbers of layers, in their order.
        shares: of the incoming one, for each frame.
        dissolve: the source is mixed as well, and has to be taken apart; None: it is one shot.
    """

    first: int
    outgoing: int
    incoming: int
    shares: tuple[float, ...]
    dissolve: Dissolve | None = None

    @property
    def frames(self) -> FrameRange:
        """The frames in which both are seen."""
        return FrameRange(self.first, self.first + len(self.shares))


@dataclass(frozen=True)
class LayerPlan:
    """All layers of a render, and how its frames are put together from them.

    Args:
        layers: in the order in which they are seen.
        mixtures: in order; no frame is in two of them.
        fades: {frame: (gain, colour)} of the frames that are not fully lit.
        flashes: {frame: the last frame before the flash that it belongs to}.
    """

    layers: tuple[Layer, ...]
    mixtures: tuple[Mixture, ...]
    fades: dict[int, tuple[float, Colour]]
    flashes: dict[int, int]

    def shares(self, index: int) -> tuple[tuple[Layer, float], ...]:
        """The layers of a frame with the share of each, 1 together."""
        mixture = self.mixture_at(index)
        if mixture is None:
            position = bisect.bisect_right(self.layers, index, key=lambda one: one.frames.first)
            return ((self.layers[position - 1], 1.0),)
        share = mixture.shares[index - mixture.first]
        outgoing = self.layers[mixture.outgoing]
        return ((outgoing, 1 - share), (self.layers[mixture.incoming], share))

    def mixture_at(self, index: int) -> Mixture | None:
        """The mixture that a frame is in."""
        position = bisect.bisect_right(self.mixtures, index, key=lambda one: one.first)
        if position and index in self.mixtures[position - 1].frames:
            return self.mixtures[position - 1]
        return None

    def dissolve_at(self, index: int) -> Dissolve | None:
        """The dissolve that a frame is in, counted from the render's first frame."""
        mixture = self.mixture_at(index)
        return None if mixture is None else mixture.dissolve

    def is_incoming(self, layer: Layer, index: int) -> bool:
        """Tell whether a layer is the second one of the mixture that a frame is in."""
        mixture = self.mixture_at(index)
        # Of a layer that is painted in parts there are several of one anchor.
        return mixture is not None and self.layers[mixture.incoming].anchor == layer.anchor

    def is_usable(self, index: int) -> bool:
        """Tell whether the source shows enough of its shot in a frame to be painted from it."""
        return index not in self.flashes and self.fades.get(index, (1.0,))[0] >= LEAST_GAIN

    def source_index(self, layer: Layer, index: int) -> int:
        """The frame whose source stands for that of a frame: itself, or where it shows too little
        the next one towards the anchor.
        """
        step = 1 if index < layer.anchor else -1
        while index != layer.anchor and not self.is_usable(index):
            index += step
        return index


def shift_dissolve(dissolve: Dissolve, by: int) -> Dissolve:
    """Count a dissolve from another frame."""
    return replace(dissolve, first=dissolve.first + by, stop=dissolve.stop + by)


def plan_layers(
    edit: Edit,
    count: int,
    part: FrameRange,
    keyframes: Sequence[KeyframeImage] = (),
    *,
    is_loop: bool = False,
) -> LayerPlan:
    """Plan the layers of the frames `part` of a file of `count` frames.

    Args:
        keyframes: in order of their frames, none in a dissolve or a fade (`refuse_transition`).
        is_loop: the last frame leads to the first.

    Two shots that have a single frame to begin with, where the part is one of a dissolve, cannot
    be told apart: the frame is painted as it is.
    """
    plan = plan_shots(edit, count, part, keyframes, is_loop=is_loop)
    anchors = [layer.anchor + part.first for layer in plan.layers]
    twice = {anchor for anchor, count in Counter(anchors).items() if count > 1}
    if twice:
        dissolves = tuple(
            one for one in edit.dissolves if not any(one.first <= i < one.stop for i in twice)
        )
        edit = replace(edit, dissolves=dissolves)
        plan = plan_shots(edit, count, part, keyframes, is_loop=is_loop)
    return plan


def plan_shots(
    edit: Edit,
    count: int,
    part: FrameRange,
    keyframes: Sequence[KeyframeImage],
    *,
    is_loop: bool,
) -> LayerPlan:
    """Plan the layers as `plan_layers` does, whether or not their anchors differ."""
    fades = frame_gains(edit.fades, part)
    flashes = {
        index - part.first: flash.first - 1 - part.first
        for flash in edit.flashes
        for index in range(flash.first, flash.stop)
        if index in part
    }
    layers: list[Layer] = []
    mixtures: list[Mixture] = []
    incoming = {dissolve.cut: dissolve for dissolve in edit.dissolves}
    cuts = edit.cuts or (0,)
    ends = (*cuts[1:], count)
    for cut, end in zip(cuts, ends, strict=True):
        before = incoming.get(cut)
        after = incoming.get(end)
        first = before.first if before else cut
        stop = after.stop if after else end
        frames = FrameRange(max(first, part.first) - part.first, min(stop, part.stop) - part.first)
        if not len(frames):
            continue
        own = FrameRange(cut - part.first, end - part.first)
        clean_first = (before.stop if before else cut) - part.first
        clean_stop = (after.first if after else end) - part.first
        clean = FrameRange(clean_first, clean_stop)
        inside = [one for one in keyframes if one.index in own]
        if before and layers and layers[-1].frames.stop > frames.first:
            dissolve = shift_dissolve(before, -part.first)
            window = FrameRange(max(0, dissolve.first), min(dissolve.stop, len(part)))
            shares = dissolve.shares[window.first - dissolve.first : window.stop - dissolve.first]
            number = len(layers)
            mixtures.append(Mixture(window.first, number - 1, number, shares, dissolve))
        if inside:
            split_at_keyframes(frames, inside, layers, mixtures)
        else:
            layers.append(Layer(frames, choose_anchor(frames, own, clean, fades, flashes)))
    if is_loop:
        close_loop(len(part), layers, mixtures, fades)
    return LayerPlan(tuple(layers), tuple(mixtures), fades, flashes)


def frame_gains(fades: Sequence[Fade], part: FrameRange) -> dict[int, tuple[float, Colour]]:
    """Return {frame: (gain, colour)} of the rendered frames that are faded."""
    return {
        index - part.first: (gain, fade.colour)
        for fade in fades
        for index, gain in zip(range(fade.first, fade.stop), fade.gains, strict=True)
        if index in part
    }


def choose_anchor(
    frames: FrameRange,
    own: FrameRange,
    clean: FrameRange,
    fades: dict[int, tuple[float, Colour]],
    flashes: dict[int, int],
) -> int:
    """Choose the frame that decides the look of a layer: the first that is fully lit and shows
    nothing but its shot; where there is none, the best lit one.

    Args:
        own: the frames in which the shot has at least half.
        clean: those in which it is alone.
    """

    def quality(index: int) -> tuple[float, ...]:
        gain = fades.get(index, (1.0, None))[0]
        away = max(clean.first - index, index - clean.stop + 1, 0)
        return (index not in flashes, away == 0, gain, -away, index in own, -index)

    return max(frames.indices, key=quality)


def split_at_keyframes(
    frames: FrameRange,
    keyframes: Sequence[KeyframeImage],
    layers: list[Layer],
    mixtures: list[Mixture],
) -> None:
    """Add a layer for each of the painted frames of a shot, and mix those that meet."""
    first = frames.first
    for one, following in zip(keyframes, [*keyframes[1:], None], strict=True):
        if following is None:
            layers.append(Layer(FrameRange(first, frames.stop), one.index, one))
            return
        between = following.index - one.index - 1
        length = min(between, MEETING_FRAMES)
        begin = one.index + 1 + (between - length) // 2
        layers.append(Layer(FrameRange(first, begin + length), one.index, one))
        if length:
            number = len(layers)
            mixtures.append(Mixture(begin, number - 1, number, rising_shares(length)))
        first = begin


def rising_shares(length: int) -> tuple[float, ...]:
    """Return shares that rise in (0, 1), s^2 (3 - 2 s) for even s: next to its own end a layer is
    seen nearly alone.
    """
    even = ((i + 1) / (length + 1) for i in range(length))
    return tuple(s**2 * (3 - 2 * s) for s in even)


def close_loop(
    count: int,
    layers: list[Layer],
    mixtures: list[Mixture],
    fades: dict[int, tuple[float, Colour]],
) -> None:
    """Add the layer that leads from the last frames to the first one."""
    if 0 in fades or count - 1 in fades or any(0 in one.frames for one in mixtures):
        return
    last = layers[-1]
    busy = max((one.frames.stop for one in mixtures), default=0)
    begin = max(count - LOOP_FRAMES, last.anchor + 1, last.frames.first, busy, count // 2)
    length = count - begin
    if length < 1 or last.frames.stop != count:
        return
    layers.append(Layer(FrameRange(begin, count), count, is_loop=True))
    number = len(layers) - 1
    mixtures.append(Mixture(begin, number - 1, number, rising_shares(length)))
