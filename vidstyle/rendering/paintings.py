"""The picture that a render takes its style from."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vidstyle.config.settings import RenderConfig
from vidstyle.errors import ConfigError, StyleError
from vidstyle.stylize.oklab import Statistics, matched
from vidstyle.video.probe import Source
from vidstyle.video.read import read_image


def load(config: RenderConfig, source: Source) -> tuple[Tensor, ...]:
    """The paintings, each (3, H, W), or of a texture the input itself; none where no style is asked
    for.

    Raises StyleError when one cannot be read, ConfigError when a texture is asked for of something
    that moves, or a style that moves for something that does not.
    """
    if config.texture and source.kind != "image":
        why = f"{config.input} is a {source.kind}"
        raise ConfigError(
            "a texture is made from an image", why, "take a frame of it, as a PNG or JPEG"
        )
    if source.kind == "image" and (timed := [one for one in config.style if one.at is not None]):
        why = f"{config.input} is an image, and {timed[0].path} has a time: {timed[0].at:g} s"
        raise ConfigError(
            "an image has no time", why, "give weights without times, as in a.jpg:0.7"
        )
    return tuple(read_image(path, StyleError) for path in config.style_files)


def in_colours_of(
    paintings: tuple[Tensor, ...], config: RenderConfig, seen: Callable[[], Statistics]
) -> tuple[Tensor, ...]:
    """The paintings as `config.keep_colors` wants them beside a source whose frames together have
    these statistics.
    """
    return (
        paintings
        if config.keep_colors != "match"
        else tuple(matched(one, seen()) for one in paintings)
    )
