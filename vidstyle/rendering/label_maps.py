"""Label maps: which region each pixel of the source and of the style image belongs to."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Generator
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
from vidstyle.stylize.style.rim import Rim
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image
from vidstyle.video.scan import scan
from vidstyle.video.seek import SeekIndex

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
"""Files in a folder that are frames."""

NOTED_STRETCH = 0.02
"""Relative change of the aspect ratio from which on a label map is said to be stretched."""

SMALLEST_FLAT_SHARE = 0.5
"""Share of flat colours below which an image is hardly a label map."""


def note_unlikely_labels(path: Path, image: Tensor) -> list[Note]:
    """Warn where an image (3, H, W) does not look like a label map."""
    if float(find_flat_pixels(image).float().mean()) >= SMALLEST_FLAT_SHARE:
        return []
    return [Note(f"{path} has few flat colours: is it a picture of labels?", warning=True)]


def label_digest(path: Path) -> str:
    """Compute the sha256 of a file, or of all images of a folder."""
    if not path.is_dir():
        return sha256(path)
    return hashlib.sha256("".join(map(sha256, list_images(path))).encode()).hexdigest()


def list_images(folder: Path) -> list[Path]:
    """List the images of a folder in the order of their names, and of the numbers in them."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    ]
    return sorted(images, key=lambda path: (natural_key(path.name), path.name))


def natural_key(name: str) -> list[tuple[int, str]]:
    """Split a name into words and numbers, so that 2 comes before 10."""
    return [
        (int(part or 0), "") if i % 2 else (0, part)
        for i, part in enumerate(re.split(r"(\d+)", name))
    ]


class LabelMaps:
    """The regions of the style image, and those of the source that take their style from them.

    Args:
        files: the labels of the source (an image, or a video or a folder of images that has them
            for every frame), and those of the style image.
        size: (width, height) of the render.
        style_rim: what is cut off the style image, and off its labels.
        must_be_fixed: whether the labels of the source must be an image.

    Raises:
        InputError, StyleError: they cannot be read.
        ConfigError: they have no colour in common, or are not fixed although they must be.
    """

    def __init__(
        self,
        files: tuple[Path, Path],
        size: tuple[int, int],
        style_rim: Rim,
        *,
        must_be_fixed: bool,
    ) -> None:
        self.path, style_path = files
        self.size = size
        self.folder = list_images(self.path) if self.path.is_dir() else []
        if self.path.is_dir() and not self.folder:
            why = f"it has none of {', '.join(sorted(IMAGE_SUFFIXES))}"
            hint = "give a folder with a picture for every frame"
            raise InputError(f"no pictures in {self.path}", why, hint)
        self.source = probe(self.folder[0] if self.folder else self.path)
        style_image = style_rim.crop(read_image(style_path, StyleError))
        self.style = find_labels(style_image)
        self.names = [*name_colours(self.style.palette), REST]
        self.notes = note_unlikely_labels(style_path, style_image)
        self.seek: SeekIndex | None = None
        self.fixed: Tensor | None = None
        if self.source.kind == "image" and not self.folder:
            image = self.read_labels(self.path)
            self.fixed = self.source_masks(image, must_match=True)
            self.notes += note_unlikely_labels(self.path, image)
            self.notes.append(self.describe_regions(self.fixed))
        elif must_be_fixed:
            why = "passes go over the video forth and back, and its labels would have to come along"
            kind = "folder" if self.folder else self.source.kind
            hint = "give an image of the labels, or one pass"
            raise ConfigError(f"{self.path} is a {kind}", why, hint)
        width, height = size
        if abs(self.source.width * height / (self.source.height * width) - 1) > NOTED_STRETCH:
            own = f"{self.source.width}x{self.source.height}"
            text = f"{self.path} is stretched from {own} to {width}x{height}"
            self.notes.append(Note(text, warning=True))

    def check_length(self, stop: int) -> None:
        """Raise InputError when there are no labels for every source frame before `stop`."""
        if self.fixed is not None:
            return
        count = len(self.folder)
        if not count:
            scanned = scan(self.source)
            count = len(scanned.timeline)
            self.seek = scanned.seek_index
        if count < stop:
            why = f"it has {count} frames, and frames up to {stop} are to be rendered"
            hint = "give an image, or labels for every frame"
            raise InputError(f"{self.path} is too short", why, hint)

    def describe_regions(self, masks: Tensor) -> Note:
        """Say which regions there are, and how much of the picture each covers."""
        shares = zip(self.names, masks.mean((1, 2)).tolist(), strict=True)
        listed = [f"{name} {share:.0%}" for name, share in shares if share and name != REST]
        rest = float(masks[-1].mean())
        alone = ""
        if rest:
            alone = f"; {rest:.0%} has no counterpart, and takes the style of the whole painting"
        return Note(f"regions: {', '.join(listed)}{alone}", warning=rest > 0)

    def read_labels(self, path: Path) -> Tensor:
        """Read one label image at the size of the render, (3, H, W)."""
        with contextlib.closing(read(probe(path), self.size, 0, 1)) as frames:
            return next(frames).image

    @property
    def style_masks(self) -> Tensor:
        """The masks of the style image, (k, h, w): of each region, and all of it for what has no
        counterpart.
        """
        regions = range(len(self.style.palette))
        own = torch.stack([self.style.indices == i for i in regions]).float()
        return torch.cat([own, torch.ones_like(own[:1])])

    def source_masks(self, image: Tensor, *, must_match: bool = False) -> Tensor:
        """Make the masks of a source frame, (k, H, W), from its labels (3, H, W)."""
        masks = torch.zeros(len(self.names), *image.shape[1:])
        try:
            of_source, _ = pair_labels(find_labels(image), self.style)
        except ConfigError:
            if must_match:
                raise
            masks[-1] = 1  # in a video things come and go
            return masks
        for name, mask in of_source.items():
            masks[self.names.index(name)] = mask[0]
        return masks

    def read_masks(self, path: Path) -> Tensor:
        """Make the masks of a source frame, (k, H, W), from the file of its labels."""
        return self.source_masks(self.read_labels(path))

    def frames(self, first: int, stop: int) -> Generator[Callable[[], Tensor], None, None]:
        """Give for each of the source frames `first` .. `stop` - 1 a function that makes its masks:
        not those of every frame are asked for.
        """
        fixed = self.fixed
        if fixed is not None:
            yield from itertools.repeat(lambda: fixed, stop - first)
            return
        if self.folder:
            for path in self.folder[first:stop]:
                yield functools.partial(self.read_masks, path)
            return
        with contextlib.closing(read(self.source, self.size, first, stop, self.seek)) as frames:
            for frame in frames:
                yield functools.partial(self.source_masks, frame.image)
