"""The device that computes, and the precision in which the features are fast on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vidstyle.errors import ConfigError

if TYPE_CHECKING:
    import torch

Precision = Literal["bf16", "fp16", "fp32"]


@dataclass(frozen=True)
class ComputeDevice:
    """The device of a render, and the precision of the features on it. Can be pickled.

    Args:
        device: the device that all networks and images are on.
        precision: the precision of the features; everything else is fp32.
    """

    device: torch.device
    precision: Precision


def choose_device(name: str, precision: str) -> ComputeDevice:
    """Return the device and the precision that the settings `device` and `precision` name, `auto`
    resolved on this machine.

    Raises ConfigError when there is no such device.
    """
    device = resolve_device(name)
    return ComputeDevice(device, resolve_precision(precision, device))


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`; for `auto` the first of cuda, mps and cpu that is there.

    Raises ConfigError when there is no such device.
    """
    import torch

    if name == "auto":
        name = _best_device()
    device = torch.device(name)
    is_there = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
    }
    if not is_there[device.type]:
        raise ConfigError(
            f"no device {name!r}",
            "torch finds none on this machine",
            "use --device auto or --device cpu",
        )
    return device


def _best_device() -> str:
    """Return the type of the fastest device of this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_precision(asked: str, device: torch.device) -> Precision:
    """Return the precision `asked` for; for `auto` the half precision that the device is fast at,
    bf16 before fp16, else fp32.
    """
    if asked == "auto":
        return "bf16" if is_bf16_fast(device) else "fp16" if is_fp16_fast(device) else "fp32"
    return "bf16" if asked == "bf16" else "fp16" if asked == "fp16" else "fp32"


def is_bf16_fast(device: torch.device) -> bool:
    """Tell whether bf16 is *faster* than fp32, not merely supported.

    A CPU with AVX-512 alone runs bf16 twice as slowly as fp32; one with AVX512-BF16 or AMX twice as
    fast. A GPU needs compute capability 8.0.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # torch has no public name for these two yet; without them the answer is the safe one.
        checks = (
            getattr(torch.cpu, name, None)
            for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        )
        return any(check() for check in checks if check is not None)
    return False


def is_fp16_fast(device: torch.device) -> bool:
    """Tell whether the device is a GPU with fast fp16 and without bf16: compute capability 7.0 and
    7.5 (Volta, Turing). Older ones run fp16 as slowly as a sixty-fourth of fp32.
    """
    import torch

    return device.type == "cuda" and (7, 0) <= torch.cuda.get_device_capability(device) < (8, 0)


@contextlib.contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Have the same command give the same bytes twice: forbid kernels whose sums depend on
    scheduling, and TF32, which is not fp32. Only CUDA has such; the block's end restores what was
    set before.
    """
    if device.type != "cuda":
        yield
        return
    import torch

    # Or cuBLAS refuses in deterministic mode.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn
    # torch.utils.deterministic is a module that is made at run time.
    filling = torch.utils.deterministic
    benchmark_before = cudnn.benchmark
    tf32_before = cudnn.allow_tf32
    algorithms_before = torch.are_deterministic_algorithms_enabled()
    filling_before = filling.fill_uninitialized_memory  # type: ignore[attr-defined]
    cudnn.benchmark = False
    cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True)
    # All buffers are written before they are read.
    filling.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        cudnn.benchmark = benchmark_before
        cudnn.allow_tf32 = tf32_before
        torch.use_deterministic_algorithms(algorithms_before)
        filling.fill_uninitialized_memory = filling_before  # type: ignore[attr-defined]
