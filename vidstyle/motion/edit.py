"""The edit of a film: where its shots begin and end, and how they pass over into one another.

Frames are counted from the first one of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]
"""sRGB-encoded red, green and blue in [0, 1]."""


@dataclass(frozen=True)
class Dissolve:
    """The frames `first` .. `stop` - 1, in which one shot passes over into the next: S_t = (1 -
    shares[t - first]) A_t + shares[t - first] B_t.

    Frame `first` - 1 is the last one of the outgoing shot A alone, `stop` the first one of the
    incoming shot B alone.

    Args:
        shares: of the incoming shot, one for each frame, in (0, 1) and never falling.
    """

    first: int
    stop: int
    shares: tuple[float, ...]

    @property
    def cut(self) -> int:
        """The first frame in which the incoming shot has at least half."""
        return next(
            (self.first + i for i, share in enumerate(self.shares) if share >= 0.5), self.stop
        )


@dataclass(frozen=True)
class Fade:
    """The frames `first` .. `stop` - 1 of one shot, which are L_t as it would be fully lit, faded
    to a flat colour: S_t = gains[t - first] L_t + (1 - gains[t - first]) colour.

    Args:
        gains: one for each frame, in [0, 1): 0 where nothing but the colour is seen. They rise in
            a fade-in, and fall in a fade-out.
    """

    first: int
    stop: int
    gains: tuple[float, ...]
    colour: Colour


@dataclass(frozen=True)
class Flash:
    """The frames `first` .. `stop` - 1 of one shot, one to three, that light or damage makes unlike
    both the frame before and the frame after, which are alike.
    """

    first: int
    stop: int


@dataclass(frozen=True)
class Edit:
    """The shots of a film, and the transitions between and inside them.

    Args:
        cuts: the first frame of each shot, 0 included. A shot that comes in by a dissolve begins at
            `Dissolve.cut`; one that comes in by a fade begins in the middle of the flat frames
            between it and the shot before, or at the first of its own frames where there are none.
        dissolves, fades, flashes: in order; no frame belongs to two of them.
    """

    cuts: tuple[int, ...]
    dissolves: tuple[Dissolve, ...] = ()
    fades: tuple[Fade, ...] = ()
    flashes: tuple[Flash, ...] = ()
