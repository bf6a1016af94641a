"""A folder of frames on the disk: which of them are whole, and how they are written and read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vidstyle.frames import from_uint16, to_uint16
from vidstyle.storage import atomic, png16
from vidstyle.storage.atomic import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Packed(Protocol):
    """Frames that are kept together, at less depth."""

    def label_of(self, index: int) -> str:
        """Return the label of a frame; "" where it is not there."""
        ...

    def paint_label_of(self, index: int) -> str:
        """Return the label of a frame that is as it was painted, but for its depth; "" where it is
        not there, or was encoded with losses.
        """
        ...

    def load(self, index: int) -> NDArray[np.uint16]:
        """Read a frame, (H, W, 3) uint16 RGB."""
        ...

    def decode_from(self, index: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """Read a frame and those after it that are kept in the same file, with their indices."""
        ...

    def delete(self) -> None:
        """Remove all frames."""
        ...


@dataclass(frozen=True)
class FrameStore:
    """The frames of one kind of one render, as 16-bit files.

    Args:
        path: the folder.
        label: the render that they belong to, and their kind; a file with another label is none of
            them.
        size: (width, height) of every frame.
        labels: {index: label} of the frames that have one of their own.
        packed: those that nothing needs at full depth any more; None: all are files.
    """

    path: Path
    label: str
    size: tuple[int, int]
    labels: Mapping[int, str] = field(default_factory=dict)
    packed: Packed | None = None

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
        return [i for i in self.missing_at_full_depth(wanted) if not self.is_packed(i)]

    def missing_at_full_depth(self, wanted: Iterable[int]) -> list[int]:
        """Return those of the wanted frames of which there is no sound file, in order."""
        return [
            index
            for index in wanted
            if not png16.is_sound(self.frame_path(index), self.label_of(index), index, self.size)
        ]

    def is_packed(self, index: int) -> bool:
        """Tell whether frame `index` is among the packed ones, with the label that it must have."""
        return self.packed is not None and self.packed.label_of(index) == self.label_of(index)

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
        """Read frame `index` as (3, H, W) in [0, 1], exactly as `frames.quantise` gave it, or where
        it is packed at the depth of those.
        """
        path = self.frame_path(index)
        if self.packed is not None and not path.exists() and self.is_packed(index):
            return from_uint16(self.packed.load(index))
        return from_uint16(png16.decode_frame(path))

    def delete(self) -> None:
        """Remove the folder and all its frames."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.packed is not None:
            self.packed.delete()

    def delete_frames(self, indices: Iterable[int]) -> None:
        """Remove some frames. The folder stays: another process may be about to write to it."""
        for index in indices:
            self.frame_path(index).unlink(missing_ok=True)
