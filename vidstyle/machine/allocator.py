"""TODO machine.allocator."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def share_cores() -> None:
    """Have OpenMP's threads wait for one another by spinning for a moment only (GNU's runtime,
    which torch's wheels bring). By default they spin for milliseconds: beside the threads that
    decode, follow the flow and write, or beside another program, that takes the very core that the
    awaited thread would need. For a program, before torch is loaded; what the environment says of
    it already stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of mallopt: only what is larger is a mapping of its own, which ends when it is
freed.
"""


KEEP, SPARE = 2**30, 2**22
"""Bytes of that threshold: all maps of a frame stay in the heap, or only small ones."""


keeping: list[Callable[[int, int], int]] = []
"""mallopt, where `keep_memory` has been asked for and had an effect."""


def keep_memory() -> None:
    """Have glibc keep the memory of freed maps for the next iteration instead of returning it to
    the kernel, which clears every page before it lends it out again: a tenth of an iteration on the
    CPU. For the whole process, so only a program may ask for it; does nothing on other systems.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    # An older glibc refuses that much; the other settings alone would then make things worse.
    if mallopt and mallopt(MMAP_THRESHOLD, KEEP):
        keeping.append(mallopt)
        mallopt(
            -1, 2**31 - 1
        )  # M_TRIM_THRESHOLD: what lies free at the end of the heap and is less stays there
        mallopt(-8, 1)  # M_ARENA_MAX: one heap for all threads, or each would keep one of its own


def spare_memory(*, sparing: bool) -> None:
    """Where a program keeps memory, give larger maps back at once after all, or keep them again:
    between kept ones of unlike sizes holes stay open, a sixth of what a large frame takes.
    """
    for mallopt in keeping[:1]:
        mallopt(MMAP_THRESHOLD, SPARE if sparing else KEEP)


def return_memory() -> None:
    """Give glibc's free memory back to the kernel after all: when what comes is of other sizes than
    what was.
    """
    if sys.platform.startswith("linux") and (
        trim := getattr(ctypes.CDLL(None), "malloc_trim", None)
    ):
        trim(0)
