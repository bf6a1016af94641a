"""The disk space that a render takes, and the refusal when there is too little."""

from __future__ import annotations

import shutil
from pathlib import Path

from vidstyle.errors import DiskSpaceError
from vidstyle.units import disk_space

CHECKPOINT_BYTES_PER_PIXEL = 5.8
"""The size of a 16-bit PNG of a stylised frame: measured 5.6 of the 6 that it holds."""

PACKED_BYTES_PER_PIXEL = {8: 1.3, 12: 2.8, 16: 4.4}
"""The size of a packed frame, by its depth in bits: measured 1.17 to 1.23 with 8. Of more bits,
which are noise mostly, each takes an eighth of a byte in each channel."""

ENCODED_BYTES_PER_PIXEL = {"ffv1": 4.0, "prores": 1.0}
"""The size of the output with the codecs that are lossless or nearly so."""

LOSSY_BYTES_PER_PIXEL = 0.3
"""The size below which all others stay at their default quality."""


def max_checkpoints(frames: int, passes: int, longest_shot: int) -> int:
    """Return how many frames lie on the disk at most.

    With several passes those of one shot are there three times, for the source and for two passes.

    Args:
        frames: the number of frames of the output.
        longest_shot: the number of frames of its longest shot.
    """
    return frames if passes == 1 else frames + 2 * longest_shot


def needed_bytes(
    size: tuple[int, int],
    frames: int,
    missing: int,
    codec: str = "h264",
    *,
    packed: int = 0,
    bits: int = 8,
) -> int:
    """Return the bytes that a render still takes.

    Args:
        size: (width, height) of its frames.
        frames: the number of frames of the output.
        missing: the number of checkpoints that are still to be written, and lie there at once.
        codec: the codec of the output.
        packed: the number of frames that are still to be packed.
        bits: the depth of these.
    """
    encoded = ENCODED_BYTES_PER_PIXEL.get(codec, LOSSY_BYTES_PER_PIXEL)
    stored = CHECKPOINT_BYTES_PER_PIXEL * missing + PACKED_BYTES_PER_PIXEL[bits] * packed
    return round(size[0] * size[1] * (stored + encoded * frames))


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk of `folder`."""
    return shutil.disk_usage(folder).free


def refuse_small_disk(needed: int, missing: int, folder: Path) -> None:
    """Raise DiskSpaceError when `folder` has less than `needed` bytes for `missing` frames."""
    free = free_bytes(folder)
    if needed > free:
        raise DiskSpaceError(
            "the disk is too small for this render",
            f"{disk_space(needed)} are needed for {missing} frames, "
            f"{disk_space(free)} are free in {folder}",
            "make room, choose a smaller --size, put -o on another disk, "
            "or use --force to start all the same",
        )
