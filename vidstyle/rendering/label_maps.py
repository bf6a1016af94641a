"""Which region each pixel belongs to, from label images beside the source and beside the
painting.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.errors import ConfigError, InputError, StyleError
from vidstyle.events import Note
from vidstyle.storage.atomic import sha256
from vidstyle.stylize.style.regions import (
    REST,
    find_flat_pixels,
    find_labels,
    name_colours,
    pair_labels,
)
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image
from vidstyle.video.scan import scan

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
"""Suffixes of what counts as a frame in a folder."""


STRETCHED = 0.02
"""Change of its sides' relation from which on a picture of labels is said to be stretched."""


def doubts(path: Path, image: Tensor) -> Generator[Note, None, None]:
    """What speaks against an image (3, H, W) being one of labels."""
    if float(find_flat_pixels(image).float().mean()) < 0.5:
        yield Note(f"{path} has few flat colours: is it a picture of labels?", warning=True)


def digest(path: Path) -> str:
    """sha256 of a file, or of all the pictures of a folder."""
    if not path.is_dir():
        return sha256(path)
    return hashlib.sha256(
        "".join(sha256(picture) for picture in pictures(path)).encode()
    ).hexdigest()


def pictures(folder: Path) -> list[Path]:
    """The frames of a folder, in the order of their names and of the numbers in them."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    ]
    return sorted(filter(Path.is_file, found), key=lambda path: (numbered(path.name), path.name))


def numbered(name: str) -> list[tuple[int, str]]:
    """A name as words and numbers: 2 comes before 10."""
    return [
        (int(part or 0), "") if i % 2 else (0, part)
        for i, part in enumerate(re.split(r"(\d+)", name))
    ]


class Regions:
    """The painting's regions, and the source's that take their style from them.

    Args:
        files: the source's labels, an image, or a video or a folder of images that has them for
            every frame; and the painting's.
        size: (width, height) of the render.
        stop: one more than the last frame that is rendered.
        fixed: the source's labels must be an image.

    Raises:
        InputError, StyleError: they cannot be read, or are too few.
        ConfigError: they have no colour in common.
    """

    def __init__(
        self, files: tuple[Path, Path], size: tuple[int, int], stop: int, *, fixed: bool
    ) -> None:
        self.size, self.path = size, files[0]
        self.folder = pictures(files[0]) if files[0].is_dir() else []
        if files[0].is_dir() and not self.folder:
            why = f"it has none of {', '.join(sorted(PICTURES))}"
            raise InputError(
                f"no pictures in {files[0]}", why, "give a folder with a picture for every frame"
            )
        self.source = probe(self.folder[0] if self.folder else files[0])
        of_style = read_image(files[1], StyleError)
        self.style, self.notes = find_labels(of_style), [*doubts(files[1], of_style)]
        self.names = [*name_colours(self.style.palette), REST]
        self.fixed: Tensor | None = None
        if self.source.kind == "image" and not self.folder:
            first = self.picture(self.path)
            self.fixed = self.masks(first, must_match=True)
            self.notes += [*doubts(self.path, first), self.account(self.fixed)]
        elif fixed:
            why = "passes go over the video forth and back, and its labels would have to come along"
            kind = "folder" if self.folder else self.source.kind
            raise ConfigError(
                f"{files[0]} is a {kind}", why, "give an image of the labels, or one pass"
            )
        elif (count := len(self.folder) or len(scan(self.source).timeline)) < stop:
            why = f"it has {count} frames, and frames up to {stop} are to be rendered"
            raise InputError(
                f"{files[0]} is too short", why, "give an image, or labels for every frame"
            )
        if abs(self.source.width * size[1] / (self.source.height * size[0]) - 1) > STRETCHED:
            own = f"{self.source.width}x{self.source.height}"
            self.notes.append(
                Note(f"{files[0]} is stretched from {own} to {size[0]}x{size[1]}", warning=True)
            )

    def account(self, masks: Tensor) -> Note:
        """Which regions there are, and how much of the picture each has."""
        named = zip(self.names, masks.mean((1, 2)).tolist(), strict=True)
        shares = [f"{name} {share:.0%}" for name, share in named if share and name != REST]
        rest = float(masks[-1].mean())
        alone = (
            f"; {rest:.0%} has no counterpart, and takes the style of the whole painting"
            if rest
            else ""
        )
        return Note(f"regions: {', '.join(shares)}{alone}", warning=rest > 0)

    def picture(self, path: Path) -> Tensor:
        with contextlib.closing(read(probe(path), self.size, 0, 1)) as frames:
            return next(frames).image

    @property
    def painting(self) -> Tensor:
        """(k, h, w): every region's part of the painting, and all of it for what has none."""
        own = torch.stack([self.style.indices == i for i in range(len(self.style.palette))]).float()
        return torch.cat([own, torch.ones_like(own[:1])])

    def masks(self, image: Tensor, *, must_match: bool = False) -> Tensor:
        """(k, H, W): every region's part of a source frame, from its labels (3, H, W)."""
        whole = torch.zeros(len(self.names), *image.shape[1:])
        try:
            of_source, _ = pair_labels(find_labels(image), self.style)
        except ConfigError:
            if must_match:
                raise
            whole[-1] = 1  # in a video things come and go
            return whole
        for name, mask in of_source.items():
            whole[self.names.index(name)] = mask[0]
        return whole

    def masks_of(self, path: Path) -> Tensor:
        return self.masks(self.picture(path))

    def frames(self, first: int, stop: int) -> Generator[Callable[[], Tensor], None, None]:
        """What makes those of the source's frames `first` .. `stop` - 1: not every frame's are
        asked for.
        """
        if (fixed := self.fixed) is not None:
            yield from itertools.repeat(lambda: fixed, stop - first)
            return
        if self.folder:
            for path in self.folder[first:stop]:
                yield functools.partial(self.masks_of, path)
            return
        with contextlib.closing(read(self.source, self.size, first, stop)) as frames:
            for frame in frames:
                yield functools.partial(self.masks, frame.image)


def masks_beside(
    regions: Regions | None, first: int, stop: int
) -> contextlib.AbstractContextManager[Iterable[Callable[[], Tensor] | None]]:
    """What makes the masks of the source's frames `first` .. `stop` - 1; None for each where there
    are none.
    """
    if regions is None:
        return contextlib.nullcontext(itertools.repeat(None, stop - first))
    return contextlib.closing(regions.frames(first, stop))
