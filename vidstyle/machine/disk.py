"""The disk space that a render takes, and the refusal when there is too little."""

from __future__ import annotations

import shutil
from pathlib import Path

from vidstyle.errors import DiskSpaceError
from vidstyle.units import disk_space

CHECKPOINT_BYTES_PER_PIXEL = 5.8
"""The size of a 16-bit PNG of a stylised frame: measured 5.6 of the 6 that it holds."""

PACKED_BYTES_PER_PIXEL = {8: 1.25, 12: 2.75, 16: 4.35}
"""The size of a packed frame, by its depth in bits: measured 1.17 to 1.23 with 8. Of more bits,
which are noise mostly, each takes an eighth of a byte in each channel."""

ENCODED_BYTES_PER_PIXEL = {"ffv1": 4.0, "prores": 1.0}
"""The size of the output with the codecs that are lossless or nearly so."""

LOSSY_BYTES_PER_PIXEL = 0.17
"""The size below which all others stay at their default quality: measured 0.02 to 0.07 of steady
films, up to 0.13 where no frame is linked to the one before."""

STEPS_FOR_TWICE = 6
"""Steps of quality that make a file twice as large."""


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
    bits: int | None = 8,
    finer: int = 0,
) -> int:
    """Return the bytes that a render still takes.

    Args:
        size: (width, height) of its frames.
        frames: the number of frames of the output.
        missing: the number of checkpoints that are still to be written, and lie there at once.
        codec: the codec of the output.
        packed: the number of frames that are still to be packed.
        bits: the depth of these; None: they are kept as the output will have them.
        finer: steps by which the quality of the output is better than the codec's default.
    """
    lossy = LOSSY_BYTES_PER_PIXEL * 2 ** (max(0, finer) / STEPS_FOR_TWICE)
    encoded = ENCODED_BYTES_PER_PIXEL.get(codec, min(lossy, ENCODED_BYTES_PER_PIXEL["ffv1"]))
    kept = encoded if bits is None else PACKED_BYTES_PER_PIXEL[bits]
    stored = CHECKPOINT_BYTES_PER_PIXEL * missing + kept * packed
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
