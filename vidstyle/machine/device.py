"""Which device computes, and in which precision the features are fast on it."""

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
    device: torch.device
    precision: Precision


def choose_device(name: str, precision: str) -> ComputeDevice:
    device = resolve_device(name)
    return ComputeDevice(device, resolve_precision(precision, device))


def resolve_device(name: str) -> torch.device:
    """`auto` is the first of cuda, mps and cpu that is there. Raises ConfigError when the one asked
    for is not.
    """
    import torch

    if name == "auto":
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    device = torch.device(name)
    there = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
    }
    if not there[device.type]:
        raise ConfigError(
            f"no device {name!r}",
            "torch finds none on this machine",
            "use --device auto or --device cpu",
        )
    return device


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is *faster* than fp32, not merely supported.

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


def fast_fp16(device: torch.device) -> bool:
    """Whether the device is a GPU with fast fp16 and without bf16: compute capability 7.0 and 7.5
    (Volta, Turing). Older ones run fp16 as slowly as a sixty-fourth of fp32.
    """
    import torch

    return device.type == "cuda" and (7, 0) <= torch.cuda.get_device_capability(device) < (8, 0)


def resolve_precision(asked: str, device: torch.device) -> Precision:
    """`auto` is the half precision that the device is fast at, bf16 before fp16, else fp32;
    anything else stays as asked.
    """
    if asked == "auto":
        return "bf16" if fast_bf16(device) else "fp16" if fast_fp16(device) else "fp32"
    return "bf16" if asked == "bf16" else "fp16" if asked == "fp16" else "fp32"


@contextlib.contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """The same command twice gives the same bytes: forbids kernels whose sums depend on scheduling,
    and TF32, which is not fp32. Only CUDA has such; what was set before comes back at the end.
    """
    if device.type != "cuda":
        yield
        return
    import torch

    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # or cuBLAS refuses in deterministic mode
    cudnn, filling = torch.backends.cudnn, torch.utils.deterministic
    before = cudnn.benchmark, cudnn.allow_tf32, torch.are_deterministic_algorithms_enabled()
    filled = filling.fill_uninitialized_memory  # type: ignore[attr-defined]  # made at run time
    cudnn.benchmark = cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True)
    filling.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # all buffers are written before they are read
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before[:2]
        torch.use_deterministic_algorithms(before[2])
        filling.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
