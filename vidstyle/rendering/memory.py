"""The memory that a render takes, kept within a limit: by dividing frames into tiles, or by a
refusal before it starts.

The figures are fitted to what `benchmarks/scaling.py` measured, on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from vidstyle.errors import MemoryLimitError
from vidstyle.units import disk_space

if TYPE_CHECKING:
    import torch

    from vidstyle.stylize.engine import Engine

GB = 10**9

DEVICE_MEMORY_SHARES = {"cpu": 0.25, "mps": 0.25, "cuda": 0.9}
"""The part of the device's memory that a render takes at most where the user says nothing: others
work on the machine too."""

PROCESS_BYTES = 0.7 * GB
"""Python, torch and OpenCV, and the weights of the networks."""

RAFT_BYTES = 2.5 * GB
"""The correlations of all pairs of positions, at the largest size at which RAFT looks."""

TILE_SIDES = (2048, 1536, 1024, 768, 512, 384, 256)
"""In pixels, the largest first. The smaller tiles are, the more of each is overlap."""

CGROUP = Path("/sys/fs/cgroup")
"""The folder in which the kernel tells the limits of the container that the process runs in."""

SMALLEST_FRAME_SIDE = 16
"""The shortest side of a frame, in pixels."""


@dataclass(frozen=True)
class MemoryDemand:
    """The things that the memory of a render depends on.

    Args:
        size: (width, height) of the frames.
        uses_raft: whether RAFT computes the flow.
        can_tile: whether features can be computed in tiles.
        process_bytes: what the process takes before the first frame.
        tile_sides: the sides of tiles that may be chosen, the largest first.
    """

    engine: Engine
    size: tuple[int, int]
    uses_raft: bool = False
    can_tile: bool = True
    process_bytes: float = PROCESS_BYTES
    tile_sides: tuple[int, ...] = TILE_SIDES

    def bytes(self, tile: int, size: tuple[int, int] | None = None) -> int:
        """Bytes that the render takes with tiles of this side, 0 without; `size` for another size
        of the frames.
        """
        flow = RAFT_BYTES if self.uses_raft else 0.0
        return round(self.process_bytes + self.engine.memory(size or self.size, tile) + flow)


@dataclass(frozen=True)
class MemoryFit:
    """The way in which a render fits: the side of its tiles, 0 for none, and the bytes that it
    takes and should take at most.
    """

    tile: int
    needed: int
    allowed: int


def total_memory(device: torch.device) -> int:
    """Bytes that the device has."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return min(int(psutil.virtual_memory().total), container_limit("memory.max", 2**62))


def free_memory() -> int:
    """Bytes of the machine's memory that are left for this process, its own included."""
    left = container_limit("memory.max", 2**62) - container_limit("memory.current", 0)
    own = int(psutil.Process().memory_info().rss)
    return min(int(psutil.virtual_memory().available), left) + own


def container_limit(name: str, otherwise: int) -> int:
    """Read a figure of the container that the process runs in."""
    try:
        return int((CGROUP / name).read_text())
    except (OSError, ValueError):  # there is none, or it says "max"
        return otherwise


def memory_limit(max_memory: float | None, device: torch.device) -> int:
    """Bytes that a render should take at most.

    By default they depend on the machine alone, not on what else runs on it: tiles change the last
    bits of a picture, and the same command gives the same.

    Args:
        max_memory: the user's limit in GB.
    """
    if max_memory is not None:
        return round(max_memory * GB)
    return round(DEVICE_MEMORY_SHARES[device.type] * total_memory(device))


def choose_tile(
    demand: MemoryDemand,
    allowed: int,
    *,
    asked: int | None = None,
    begun: int | None = None,
    is_hard_limit: bool = False,
) -> MemoryFit:
    """Choose the tiles of a render: as asked, else those that it was begun with, else the largest
    with which it fits, or none.

    Beyond the default limit it takes the smallest tiles: `check_free` then tells whether it can.

    Args:
        allowed: bytes.
        is_hard_limit: whether it must fit, because the user says so.

    Raises MemoryLimitError when it must fit and does not.
    """
    wanted = begun if asked is None else asked
    if not demand.can_tile:
        wanted = 0
    sides = (0, *demand.tile_sides) if wanted is None else (wanted,)
    side = next((side for side in sides if demand.bytes(side) <= allowed), sides[-1])
    fit = MemoryFit(side, demand.bytes(side), allowed)
    if fit.needed > allowed and is_hard_limit:
        hints = [f"allow more with --max-memory {math.ceil(fit.needed / GB * 10) / 10}"]
        is_pinned = begun is not None and asked is None
        if is_pinned:
            hints.append("start over with --restart")
        elif asked is not None:
            hints.append("leave --tile out")
        elif size := largest_size(demand, fit):
            hints.insert(0, f"choose --size {size}")
        raise too_large(demand, fit, hints, is_pinned=is_pinned)
    return fit


def too_large(
    demand: MemoryDemand, fit: MemoryFit, hints: list[str], *, is_pinned: bool
) -> MemoryLimitError:
    """The refusal of a render that does not fit.

    Args:
        is_pinned: whether the tiles are those of the frames that are there.
    """
    width, height = demand.size
    how = f"in tiles of {fit.tile}" if fit.tile else "without tiles"
    why = f"a frame of {width}x{height} takes about {disk_space(fit.needed)} {how}"
    if is_pinned:
        why += ", as the frames that are there were made"
    what = f"the render does not fit into {disk_space(fit.allowed)} of memory"
    return MemoryLimitError(what, why, ", or ".join(hints))


def largest_size(demand: MemoryDemand, fit: MemoryFit) -> int | None:
    """The largest long side, of even length, with which the render fits; None when no size does."""
    width, height = demand.size

    def fits(half: int) -> bool:
        scale = 2 * half / max(width, height)
        size = (
            max(SMALLEST_FRAME_SIDE, 2 * round(width * scale / 2)),
            max(SMALLEST_FRAME_SIDE, 2 * round(height * scale / 2)),
        )
        return demand.bytes(fit.tile, size) <= fit.allowed

    low = SMALLEST_FRAME_SIDE // 2
    high = (max(width, height) + 1) // 2
    if not fits(low):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return 2 * low


def check_free(fit: MemoryFit, device: torch.device) -> None:
    """Raise MemoryLimitError when there is less memory free than the render takes.

    Of a GPU's nothing is known: what is in use there may be this process' own.
    """
    if device.type != "cpu":
        return
    there = free_memory()
    if fit.needed > there:
        raise MemoryLimitError(
            "there is not enough memory free",
            f"the render takes about {disk_space(fit.needed)}, {disk_space(there)} are free",
            "close other programs, choose a smaller --size or --max-memory, or use --force to "
            "start all the same",
        )
