"""What is static in a shot, kept on the disk once in a while: a render that goes on in the middle
of a long shot need not look through all of it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vidstyle.storage.atomic import disk_errors, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

LANDMARK_FRAMES = 48
"""From one landmark to the next."""

KEPT_LANDMARKS = 2
"""The last one may be of frames whose records are lost."""


STATE_NAMES = ("reference", "static_frames")
"""Of `StaticTracker.state`."""


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of one pass over a layer, in the folder of its records.

    Args:
        label: of the render that they belong to, and of the pass.
    """

    folder: Path
    label: str

    def path_of(self, index: int) -> Path:
        """Return the file of the landmark at a frame."""
        return self.folder / f"{index:06d}.static"

    def save(self, index: int, state: Mapping[str, Tensor], direction: int) -> None:
        """Write what is known after a frame, and remove what is farther back than is needed."""
        data = save(dict(state), {"label": self.label, "frame": str(index)})
        with disk_errors(self.folder.parent):
            write_atomically(self.path_of(index), data)
        self.path_of(index - direction * KEPT_LANDMARKS * LANDMARK_FRAMES).unlink(missing_ok=True)

    def load(self, index: int) -> dict[str, Tensor] | None:
        """Read what is known after a frame; None where that is not there, or damaged."""
        try:
            with safe_open(self.path_of(index), framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata != {"label": self.label, "frame": str(index)}:
                    return None
                return {name: file.get_tensor(name) for name in STATE_NAMES}
        except (OSError, SafetensorError):
            return None
