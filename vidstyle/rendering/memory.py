"""How much memory a render takes, and how it is kept within a limit: by dividing frames into tiles,
or by a refusal before it starts.

The figures are fitted to what `benchmarks/scaling.py` measured, on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from vidstyle.config.settings import RenderConfig
from vidstyle.config.weighted_names import POLISHER, WHOLE, parsed
from vidstyle.errors import MemoryLimitError
from vidstyle.machine.device import Precision
from vidstyle.units import disk_space

if TYPE_CHECKING:
    import torch

GB = 10**9

SHARE = {"cpu": 0.25, "mps": 0.25, "cuda": 0.9}
"""Of the device's memory, what a render takes at most where nothing else is said: others work on
the machine too.
"""

PROCESS = 0.7 * GB
"""Python, torch and OpenCV, the networks' weights and their painting."""

FRAME_BYTES = {"cpu": 380, "mps": 380, "cuda": 300}
"""For each pixel of the frame: the picture, its gradient and Adam's moments, and the frames that
are on their way. Those of MPS and CUDA are guesses."""

LBFGS_BYTES = 100
"""More, for each pixel of the frame, where L-BFGS keeps pairs of steps and gradients."""

LINKED_BYTES = 230
"""More, for each pixel of the frame, where it is linked to another one: flow, mask, and what it is
held to.
"""

LINK_BYTES = 100
"""For each pixel and each earlier frame beyond the last one that a frame is held to."""

SPARED_BYTES = 150
"""Less, for each pixel of the frame, where there are tiles (`device.spare_memory`)."""

FEATURE_BYTES = {
    ("lite", "bf16"): 620,
    ("lite", "fp16"): 620,
    ("lite", "fp32"): 1050,
    ("vgg19", "bf16"): 2300,
    ("vgg19", "fp16"): 2300,
    ("vgg19", "fp32"): 4000,
}
"""For each pixel whose features are computed at once, with their gradients."""

PHOTOREAL_BYTES = 120
"""More, for each pixel of the frame, where the matting Laplacian is held."""

WHOLE_BYTES = 200
"""More, for each pixel of the frame, where the features' distributions are sorted, or patches
searched. A guess.
"""

RAFT = 2.5 * GB
"""The correlations of all pairs of cells, at the largest size at which RAFT looks."""

SIDES = (2048, 1536, 1024, 768, 512, 384, 256)
"""Of tiles, the largest first. The smaller they are, the more of each is overlap."""

CGROUP = Path("/sys/fs/cgroup")
"""Where the kernel tells the limits of the container that the process runs in."""


@dataclass(frozen=True)
class Demand:
    """What a render's memory depends on.

    Args:
        size: (width, height).
        device: its type.
    """

    config: RenderConfig
    size: tuple[int, int]
    precision: Precision
    device: str

    @property
    def networks(self) -> tuple[str, ...]:
        return (self.config.features, POLISHER) if self.config.polish else (self.config.features,)

    def bytes(self, tile: int) -> int:
        """With tiles of this side; 0: without."""
        width, height = self.size
        config, pixels = self.config, width * height
        each = {name: FEATURE_BYTES[name, self.precision] for name in self.networks}
        features = float(max(each[name] * seen(name, self.size, tile) for name in each))
        if not tile:  # without gradients, and as large as the style's scale makes it
            features = max(features, max(each.values()) / 2 * pixels * config.style_scale**2)
        linked = 0 if config.per_frame else LINKED_BYTES + LINK_BYTES * (len(config.distances) - 1)
        optimizer = LBFGS_BYTES if config.optimizer == "lbfgs" else 0
        spared = SPARED_BYTES if tile and self.device == "cpu" else 0
        steering = PHOTOREAL_BYTES * bool(config.photorealism)
        steering += (
            WHOLE_BYTES * len(config.paintings) * bool(WHOLE & set(parsed(config.style_terms)))
        )
        frame = (FRAME_BYTES[self.device] + optimizer + linked + steering - spared) * pixels
        flow = 0.0 if self.config.per_frame or self.config.flow == "dis" else RAFT
        return round(PROCESS + features + frame + flow)


def seen(network: str, size: tuple[int, int], tile: int) -> int:
    """The pixels that features are computed for at once, at most, in a frame of `size` (width,
    height).
    """
    from vidstyle.features import extractor
    from vidstyle.features.extractor import STRIDE
    from vidstyle.stylize.resample import MARGIN

    canvas = [length + 2 * MARGIN for length in size]
    if tile:
        largest = tile + STRIDE + 2 * extractor.network_halo(network)
        canvas = [min(length, largest) for length in canvas]
    return canvas[0] * canvas[1]


def total(device: torch.device) -> int:
    """Bytes that the device has."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return min(int(psutil.virtual_memory().total), container("memory.max", 2**62))


def free() -> int:
    """Bytes of the machine's memory that are left for this process, those it has already
    included.
    """
    left = container("memory.max", 2**62) - container("memory.current", 0)
    return min(int(psutil.virtual_memory().available), left) + int(
        psutil.Process().memory_info().rss
    )


def container(name: str, otherwise: int) -> int:
    """A figure of the container that the process runs in."""
    try:
        return int((CGROUP / name).read_text())
    except (OSError, ValueError):  # there is none, or it says "max"
        return otherwise


def limit(config: RenderConfig, device: torch.device) -> int:
    """Bytes that the render should take at most. By default they depend on the machine alone, not
    on what else runs on it: tiles change the last bits of a picture, and the same command gives the
    same.
    """
    if config.max_memory is not None:
        return round(config.max_memory * GB)
    return round(SHARE[device.type] * total(device))


@dataclass(frozen=True)
class Fit:
    """How a render fits: the side of its tiles, 0 for none, and the bytes it takes and should take
    at most.
    """

    tile: int
    needed: int
    allowed: int


def choose(demand: Demand, allowed: int, begun: int | None = None) -> Fit:
    """Tiles as asked, else those that the render was begun with, else the largest with which it
    fits, or none.

    Raises MemoryLimitError when it does not fit into what the user allows. Beyond the default limit
    it only takes the smallest tiles: `check_free` then tells whether it can.
    """
    asked = begun if demand.config.tile is None else demand.config.tile
    if (
        demand.config.regions
        or demand.config.tileable
        or WHOLE & set(parsed(demand.config.style_terms))
    ):
        asked = 0
    sides = (0, *SIDES) if asked is None else (asked,)
    side = next((side for side in sides if demand.bytes(side) <= allowed), sides[-1])
    fit = Fit(side, demand.bytes(side), allowed)
    if fit.needed > allowed and demand.config.max_memory is not None:
        raise too_large(demand, fit, pinned=begun is not None and demand.config.tile is None)
    return fit


def too_large(demand: Demand, fit: Fit, *, pinned: bool) -> MemoryLimitError:
    """`pinned`: the tiles are those of the frames that are there."""
    width, height = demand.size
    how = f"in tiles of {fit.tile}" if fit.tile else "without tiles"
    hints = [f"allow more with --max-memory {math.ceil(fit.needed / GB * 10) / 10}"]
    if pinned:
        hints.append("start over with --restart")
    elif demand.config.tile is not None:
        hints.append("leave --tile out")
    elif size := fits(demand, fit):
        hints.insert(0, f"choose --size {size}")
    return MemoryLimitError(
        f"the render does not fit into {disk_space(fit.allowed)} of memory",
        f"a frame of {width}x{height} takes about {disk_space(fit.needed)} {how}"
        + (", as the frames that are there were made" if pinned else ""),
        ", or ".join(hints),
    )


def fits(demand: Demand, fit: Fit) -> int | None:
    """The largest long side, of even length, with which the render fits; None when no size does."""
    width, height = demand.size

    def does(half: int) -> bool:
        scale = 2 * half / max(width, height)
        size = (max(16, 2 * round(width * scale / 2)), max(16, 2 * round(height * scale / 2)))
        return (
            Demand(demand.config, size, demand.precision, demand.device).bytes(fit.tile)
            <= fit.allowed
        )

    low, high = 8, (max(width, height) + 1) // 2
    if not does(low):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if does(middle) else (low, middle)
    return 2 * low


def check_free(fit: Fit, device: torch.device) -> None:
    """Raises MemoryLimitError when there is less memory free than the render takes. Of a GPU's
    nothing is known: what is in use there may be this process' own.
    """
    if device.type == "cpu" and fit.needed > (there := free()):
        raise MemoryLimitError(
            "there is not enough memory free",
            f"the render takes about {disk_space(fit.needed)}, {disk_space(there)} are free",
            "close other programs, choose a smaller --size or --max-memory, or use --force to start all the same",
        )
