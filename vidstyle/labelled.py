"""Which region each pixel belongs to, from label images beside the source and beside the painting."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.errors import ConfigError, InputError, StyleError
from vidstyle.stylize.regions import REST, labels, named, paired
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image
from vidstyle.video.scan import scan


class Regions:
    """The painting's regions, and the source's that take their style from them.

    Args:
        files: the source's labels, an image or a video that has them for every frame, and the painting's.
        size: (width, height) of the render.
        stop: one more than the last frame that is rendered.
        fixed: the source's labels must be an image.

    Raises:
        InputError, StyleError: they cannot be read, or the video is too short.
        ConfigError: they have no colour in common.
    """

    def __init__(self, files: tuple[Path, Path], size: tuple[int, int], stop: int, *, fixed: bool) -> None:
        self.size, self.source = size, probe(files[0])
        self.style = labels(read_image(files[1], StyleError))
        self.names = [*named(self.style.palette), REST]
        if self.source.kind != "image" and fixed:
            why = "passes go over the video forth and back, and its labels would have to come along"
            raise ConfigError(f"{files[0]} is a {self.source.kind}", why, "give an image of the labels, or one pass")
        if self.source.kind != "image" and (count := len(scan(self.source).timeline)) < stop:
            why = f"it has {count} frames, and frames up to {stop} are to be rendered"
            raise InputError(f"{files[0]} is too short", why, "give an image, or labels for every frame")
        self.fixed: Tensor | None = None
        if self.source.kind == "image":
            with contextlib.closing(read(self.source, size, 0, 1)) as frames:
                self.fixed = self.masks(next(frames).image, must_match=True)

    @property
    def painting(self) -> Tensor:
        """(k, h, w): every region's part of the painting, and all of it for what has none."""
        own = torch.stack([self.style.indices == i for i in range(len(self.style.palette))]).float()
        return torch.cat([own, torch.ones_like(own[:1])])

    def masks(self, image: Tensor, *, must_match: bool = False) -> Tensor:
        """(k, H, W): every region's part of a source frame, from its labels (3, H, W)."""
        whole = torch.zeros(len(self.names), *image.shape[1:])
        try:
            of_source, _ = paired(labels(image), self.style)
        except ConfigError:
            if must_match:
                raise
            whole[-1] = 1  # in a video things come and go
            return whole
        for name, mask in of_source.items():
            whole[self.names.index(name)] = mask[0]
        return whole

    def frames(self, first: int, stop: int) -> Generator[Callable[[], Tensor], None, None]:
        """What makes those of the source's frames `first` .. `stop` - 1: not every frame's are asked for."""
        if (fixed := self.fixed) is not None:
            yield from itertools.repeat(lambda: fixed, stop - first)
            return
        with contextlib.closing(read(self.source, self.size, first, stop)) as frames:
            for frame in frames:
                yield functools.partial(self.masks, frame.image)


def masks_beside(
    regions: Regions | None, first: int, stop: int
) -> contextlib.AbstractContextManager[Iterable[Callable[[], Tensor] | None]]:
    """What makes the masks of the source's frames `first` .. `stop` - 1; None for each where there are none."""
    if regions is None:
        return contextlib.nullcontext(itertools.repeat(None, stop - first))
    return contextlib.closing(regions.frames(first, stop))
