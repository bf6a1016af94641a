"""The device and the precision are chosen once, by what the machine is fast at."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vidstyle.errors import ConfigError
from vidstyle.machine.device import (
    ComputeDevice,
    choose_device,
    deterministic,
    is_bf16_fast,
    is_fp16_fast,
    resolve_device,
    resolve_precision,
)

CPU = torch.device("cpu")
CUDA = torch.device("cuda")
MPS = torch.device("mps")


def cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def test_bf16_is_only_chosen_where_the_cpu_says_it_has_it() -> None:
    flags = next((x for x in cpu_info() if x.startswith("flags")), "")
    if not flags:
        pytest.skip("no /proc/cpuinfo on this system")
    assert is_bf16_fast(CPU) == ("avx512_bf16" in flags or "amx_bf16" in flags)


@pytest.mark.parametrize(
    ("capability", "bf16", "fp16", "precision"),
    [
        ((6, 1), False, False, "fp32"),
        ((7, 0), False, True, "fp16"),
        ((7, 5), False, True, "fp16"),
        ((8, 0), True, False, "bf16"),
        ((9, 0), True, False, "bf16"),
        ((12, 0), True, False, "bf16"),
    ],
)
def test_a_gpu_computes_in_the_half_precision_that_it_is_fast_at(
    capability: tuple[int, int],
    bf16: bool,
    fp16: bool,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    assert (is_bf16_fast(CUDA), is_fp16_fast(CUDA)) == (bf16, fp16)
    assert resolve_precision("auto", CUDA) == precision


@pytest.mark.parametrize("device", [CPU, MPS])
def test_fp16_is_for_gpus_alone(device: torch.device) -> None:
    assert not is_fp16_fast(device)
    assert resolve_precision("auto", MPS) == "fp32"


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("device", [CPU, CUDA, MPS])
def test_a_precision_that_was_asked_for_stays(precision: str, device: torch.device) -> None:
    assert resolve_precision(precision, device) == precision


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [
        (False, False, "cpu"),
        (False, True, "mps"),
        (True, False, "cuda"),
        (True, True, "cuda"),
    ],
)
def test_auto_is_the_fastest_device_that_is_there(
    cuda: bool, mps: bool, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.cuda.device_count", lambda: int(cuda))
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
    assert resolve_device("auto") == torch.device(best)
    there = {"cpu": True, "cuda": cuda, "cuda:0": cuda, "cuda:1": False, "mps": mps}
    for name, is_there in there.items():
        if is_there:
            assert resolve_device(name) == torch.device(name)
        else:
            with pytest.raises(ConfigError, match=name):
                resolve_device(name)


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp32"])
def test_a_choice_can_be_pickled_and_compared(precision: str) -> None:
    chosen = choose_device("cpu", precision)
    assert chosen == ComputeDevice(CPU, resolve_precision(precision, CPU))
    assert pickle.loads(pickle.dumps(chosen)) == chosen
    assert hash(chosen) == hash(choose_device("cpu", precision))


def test_the_cpu_is_deterministic_as_it_is() -> None:
    with deterministic(CPU):
        assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("before", [True, False])
def test_kernels_are_deterministic_on_a_gpu_until_the_block_ends(before: bool) -> None:
    cudnn = torch.backends.cudnn
    was = cudnn.allow_tf32
    cudnn.allow_tf32 = before
    try:
        with contextlib.suppress(KeyError), deterministic(CUDA):
            assert torch.are_deterministic_algorithms_enabled()
            assert not cudnn.allow_tf32
            assert not cudnn.benchmark
            raise KeyError
        assert cudnn.allow_tf32 == before
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        cudnn.allow_tf32 = was


@pytest.mark.parametrize("module", ["device", "allocator", "disk"])
def test_the_import_is_light(module: str) -> None:
    code = (
        f"import sys, vidstyle.machine.{module}\n"
        "sys.exit(bool({'torch', 'cv2', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
