"""The allocator is only tuned for a program that asks for it, and only as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from vidstyle.machine import allocator
from vidstyle.machine.allocator import keep_memory, return_memory, share_cores, spare_memory


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for anything yet."""
    monkeypatch.setattr(allocator, "active_mallopt", [])


@pytest.mark.parametrize(
    ("system", "granted", "asked"),
    [("linux", 1, [-3, -1, -8]), ("linux", 0, [-3]), ("linux", None, []), ("darwin", 1, [])],
)
def test_freed_memory_is_kept_only_where_all_of_it_can_be(
    system: str, granted: int | None, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    thresholds: list[int] = []

    def mallopt(parameter: int, value: int) -> int | None:
        calls.append(parameter)
        thresholds.extend([value] if parameter == -3 else [])
        return granted

    libc = SimpleNamespace(mallopt=mallopt) if granted is not None else SimpleNamespace()
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("ctypes.CDLL", lambda _: libc)
    spare_memory(sparing=True)
    assert not calls  # a program that does not ask for anything keeps its own ways
    keep_memory()
    assert calls == asked
    before = len(calls)
    spare_memory(sparing=True)
    spare_memory(sparing=False)
    if asked == [-3, -1, -8]:
        large, small, again = thresholds
        assert small < large == again
    else:
        assert len(calls) == before


@pytest.mark.parametrize(
    ("system", "libc", "calls"),
    [
        ("linux", lambda trim: SimpleNamespace(malloc_trim=trim), 1),
        ("linux", lambda trim: SimpleNamespace(), 0),
        ("darwin", lambda trim: SimpleNamespace(malloc_trim=trim), 0),
    ],
)
def test_free_memory_is_returned_where_the_c_library_can(
    system: str, libc: Callable[..., object], calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trims: list[int] = []
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("ctypes.CDLL", lambda _: libc(trims.append))
    return_memory()
    assert trims == [0] * calls


@pytest.mark.parametrize(
    ("environment", "spin"),
    [
        ({}, "10000"),
        ({"OMP_WAIT_POLICY": "active"}, None),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
    ],
)
def test_waiting_threads_spin_briefly_unless_the_environment_says_more(
    environment: dict[str, str], spin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # Taken back at the end, also where it was not set before.
    monkeypatch.setenv("GOMP_SPINCOUNT", os.environ.get("GOMP_SPINCOUNT", ""))
    if "GOMP_SPINCOUNT" not in environment:
        del os.environ["GOMP_SPINCOUNT"]
    share_cores()
    assert os.environ.get("GOMP_SPINCOUNT") == spin
