"""How much of the disk a render takes, and the refusal when there is too little."""

from __future__ import annotations

import shutil
from pathlib import Path

from vidstyle.errors import DiskSpaceError
from vidstyle.units import disk_space

BYTES_PER_PIXEL = 5.8
"""A 16-bit PNG of a stylised frame: measured 5.6 of the 6 that it holds."""

ENCODED_BYTES_PER_PIXEL = {"ffv1": 4.0, "prores": 1.0}
"""Of the output; the lossy codecs stay below `LOSSY` at their default quality."""

LOSSY = 0.3


def checkpoints(frames: int, passes: int) -> int:
    """How many frames lie on the disk at most: each once, or with several passes three times, as
    the source and as two passes have it.
    """
    return frames if passes == 1 else 3 * frames


def needed(size: tuple[int, int], frames: int, missing: int, codec: str = "h264") -> int:
    """Bytes for `missing` checkpoints and an output of `frames` frames, at `size` (width,
    height).
    """
    encoded = ENCODED_BYTES_PER_PIXEL.get(codec, LOSSY)
    return round(size[0] * size[1] * (BYTES_PER_PIXEL * missing + encoded * frames))


def free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def check(bytes_needed: int, missing: int, folder: Path) -> None:
    """Raises DiskSpaceError when `folder` has less than `bytes_needed`."""
    there = free(folder)
    if bytes_needed > there:
        raise DiskSpaceError(
            "the disk is too small for this render",
            f"{disk_space(bytes_needed)} are needed for {missing} frames, {disk_space(there)} are free in {folder}",
            "make room, choose a smaller --size, put -o on another disk, or use --force to start all the same",
        )
