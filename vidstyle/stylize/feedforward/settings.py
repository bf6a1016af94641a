"""The settings of the feed-forward engine."""

from __future__ import annotations

from dataclasses import dataclass

from vidstyle.stylize.optimise.settings import LossSettings
from vidstyle.stylize.style.settings import StyleSettings


@dataclass(frozen=True)
class FeedforwardSettings:
    """Everything that the pictures of the network depend on, beyond style images and weights.

    Args:
        losses: what is minimised while a style is learned.
        style: the same of the style.
        learn_seconds: about how long a style is learned; 0: it is read off the painting.
        is_linked: whether a frame sees the one before it.
        luminance_only: the lightness alone is painted, and the frame keeps its colours.
    """

    losses: LossSettings
    style: StyleSettings
    learn_seconds: float = 60.0
    is_linked: bool = True
    luminance_only: bool = False
