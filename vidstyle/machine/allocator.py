"""The memory allocator and the threads of the process: settings of glibc and of GNU's OpenMP that
make a render faster or smaller.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

M_TRIM_THRESHOLD = -1
"""mallopt: less than that many bytes that lie free at the end of the heap stay there."""

M_MMAP_THRESHOLD = -3
"""mallopt: only a block of more bytes is a mapping of its own, which ends when it is freed."""

M_ARENA_MAX = -8
"""mallopt: the number of heaps."""

KEEPING_THRESHOLD = 2**30
"""M_MMAP_THRESHOLD with which all maps of a frame stay in the heap."""

SPARING_THRESHOLD = 2**22
"""M_MMAP_THRESHOLD with which only small ones do."""

active_mallopt: list[Callable[[int, int], int]] = []
"""The C library's mallopt, where `keep_memory` has been asked for and had an effect."""


def share_cores() -> None:
    """Have OpenMP's threads wait for one another by spinning for a moment only (GNU's runtime,
    which torch's wheels bring). By default they spin for milliseconds: next to the threads that
    decode, follow the flow and write, or to another program, that takes the very core that the
    awaited thread needs. For a program, before torch is loaded; what the environment already says
    about it stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def keep_memory() -> None:
    """Have glibc keep the memory of freed maps for the next iteration instead of returning it to
    the kernel, which clears every page before it lends it out again: a tenth of an iteration on the
    CPU. For the whole process, so only a program may ask for it; does nothing on other systems.
    """
    if not sys.platform.startswith("linux"):
        return
    # musl has none.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # An older glibc refuses that much; the other settings alone would then make things worse.
    if mallopt and mallopt(M_MMAP_THRESHOLD, KEEPING_THRESHOLD):
        active_mallopt.append(mallopt)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        # One heap for all threads, or each would keep one of its own.
        mallopt(M_ARENA_MAX, 1)


def spare_memory(*, sparing: bool) -> None:
    """Return larger maps to the kernel as soon as they are freed, or keep them again, where the
    program has asked for `keep_memory`: between kept ones of different sizes holes stay open, a
    sixth of what a large frame takes.
    """
    for mallopt in active_mallopt[:1]:
        mallopt(M_MMAP_THRESHOLD, SPARING_THRESHOLD if sparing else KEEPING_THRESHOLD)


def return_memory() -> None:
    """Return glibc's free memory to the kernel once: for a moment after which maps have other
    sizes than before.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
