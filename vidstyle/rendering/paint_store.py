"""The painted frames of a layer, wherever on the disk they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.storage.frame_store import FrameStore


@dataclass(frozen=True)
class PaintStore:
    """The painted frames of a layer: in one store where they are finished, in another elsewhere.

    Args:
        is_finished: tells whether the paint of a frame is the finished frame.
    """

    finished: FrameStore
    unfinished: FrameStore
    is_finished: Callable[[int], bool]

    def store_of(self, index: int) -> FrameStore:
        """The store that a frame lies in."""
        return self.finished if self.is_finished(index) else self.unfinished

    def frame_path(self, index: int) -> Path:
        """Return the place of frame `index`."""
        return self.store_of(index).frame_path(index)

    def missing_frames(self, wanted: Iterable[int]) -> list[int]:
        """Return those of the wanted frames that must be made, in order."""
        return [index for index in wanted if self.store_of(index).missing_frames([index])]

    def missing_at_full_depth(self, wanted: Iterable[int]) -> list[int]:
        """Return those of the wanted frames of which there is no sound 16-bit file, in order."""
        return [i for i in wanted if self.store_of(i).missing_at_full_depth([i])]

    def is_packed(self, index: int) -> bool:
        """Tell whether frame `index` is among the packed ones."""
        return self.store_of(index).is_packed(index)

    def open(self) -> None:
        """Make the folders."""
        self.finished.open()
        self.unfinished.open()

    def save(self, index: int, image: Tensor) -> None:
        """Write frame `index`, (3, H, W) in [0, 1]: whole on the disk when this returns."""
        self.store_of(index).save(index, image)

    def load(self, index: int) -> Tensor:
        """Read frame `index` as (3, H, W) in [0, 1], exactly as `frames.quantise` gave it."""
        return self.store_of(index).load(index)
