"""The picture that a render takes its style from."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vidstyle.colours import Statistics, matched
from vidstyle.config import RenderConfig
from vidstyle.errors import ConfigError, StyleError
from vidstyle.video.probe import Source
from vidstyle.video.read import read_image


def load(config: RenderConfig, source: Source) -> Tensor | None:
    """The painting (3, H, W), or of a texture the input itself; None where no style is asked for.

    Raises StyleError when it cannot be read, ConfigError when a texture is asked for of something that moves.
    """
    if config.texture and source.kind != "image":
        why = f"{config.input} is a {source.kind}"
        raise ConfigError("a texture is made from an image", why, "take a frame of it, as a PNG or JPEG")
    return read_image(config.painting, StyleError) if config.painting else None


def in_colours_of(painting: Tensor | None, config: RenderConfig, seen: Callable[[], Statistics]) -> Tensor | None:
    """The painting as `config.keep_colors` wants it beside a source whose frames together have these statistics."""
    return painting if painting is None or config.keep_colors != "match" else matched(painting, seen())
