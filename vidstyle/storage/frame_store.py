"""A folder of checkpointed frames: which of them are whole, and how they come and go."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.frames import from_uint16, to_uint16
from vidstyle.storage import atomic, png16
from vidstyle.storage.atomic import disk_errors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FrameStore:
    """Frames of one kind of one render, as 16-bit files.

    Args:
        label: which render they belong to, and which kind they are; a file with another one is none
            of them.
        size: (width, height) of each.
    """

    path: Path
    label: str
    size: tuple[int, int]

    def file(self, index: int) -> Path:
        return self.path / f"{index:06d}.png"

    def files(self) -> list[Path]:
        """All that are there, whole or not."""
        return list(self.path.glob("*.png"))

    def missing(self, wanted: Iterable[int]) -> list[int]:
        """Those of the wanted frames that must be made: torn, foreign, empty and wrong-sized files
        count as missing.
        """
        return [i for i in wanted if not png16.is_sound(self.file(i), self.label, i, self.size)]

    def open(self) -> None:
        """Make it, and sweep up what a killed run was writing."""
        with disk_errors(self.path.parent, begun=False):
            self.path.mkdir(parents=True, exist_ok=True)
            for leftover in self.path.glob("*.tmp"):
                leftover.unlink()

    def save(self, index: int, image: Tensor) -> None:
        """Keep frame `index`, (3, H, W): whole on the disk when this returns."""
        data = png16.encode(to_uint16(image), self.label, index)
        with disk_errors(self.path.parent):
            atomic.write_atomically(self.file(index), data)

    def load(self, index: int) -> Tensor:
        """Frame `index` as (3, H, W) in [0, 1], exactly as `frames.quantise` gave it."""
        return from_uint16(png16.decode(self.file(index)))

    def drop(self) -> None:
        """Its frames are no longer needed."""
        shutil.rmtree(self.path, ignore_errors=True)
