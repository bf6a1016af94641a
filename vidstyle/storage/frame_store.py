"""A folder of frames on the disk: which of them are whole, and how they are written and read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.frames import from_uint16, to_uint16
from vidstyle.storage import atomic, png16
from vidstyle.storage.atomic import disk_errors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FrameStore:
    """The frames of one kind of one render, as 16-bit files.

    Args:
        path: the folder.
        label: the render that they belong to, and their kind; a file with another label is none of
            them.
        size: (width, height) of every frame.
        labels: {index: label} of the frames that have one of their own.
    """

    path: Path
    label: str
    size: tuple[int, int]
    labels: Mapping[int, str] = field(default_factory=dict)

    def label_of(self, index: int) -> str:
        """Return the label that frame `index` must have."""
        return self.labels.get(index, self.label)

    def frame_path(self, index: int) -> Path:
        """Return the place of frame `index`."""
        return self.path / f"{index:06d}.png"

    def missing_frames(self, wanted: Iterable[int]) -> list[int]:
        """Return those of the wanted frames that must be made, in order: torn, foreign, empty and
        wrong-sized files count as missing.
        """
        return [
            index
            for index in wanted
            if not png16.is_sound(self.frame_path(index), self.label_of(index), index, self.size)
        ]

    def open(self) -> None:
        """Make the folder."""
        with disk_errors(self.path.parent, begun=False):
            self.path.mkdir(parents=True, exist_ok=True)

    def save(self, index: int, image: Tensor) -> None:
        """Write frame `index`, (3, H, W) in [0, 1]: whole on the disk when this returns."""
        data = png16.encode_frame(to_uint16(image), self.label_of(index), index)
        with disk_errors(self.path.parent):
            atomic.write_atomically(self.frame_path(index), data)

    def load(self, index: int) -> Tensor:
        """Read frame `index` as (3, H, W) in [0, 1], exactly as `frames.quantise` gave it."""
        return from_uint16(png16.decode_frame(self.frame_path(index)))

    def delete(self) -> None:
        """Remove the folder and all its frames."""
        shutil.rmtree(self.path, ignore_errors=True)

    def delete_frames(self, indices: Iterable[int]) -> None:
        """Remove some frames. The folder stays: another process may be about to write to it."""
        for index in indices:
            self.frame_path(index).unlink(missing_ok=True)
