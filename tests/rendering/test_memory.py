"""A render stays within the memory it may take: it takes tiles, or says beforehand which size would
fit.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.renders import frames_of, run
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted, SettingsChangedError
from vidstyle.features import extractor
from vidstyle.rendering import memory
from vidstyle.rendering.prepare import inspect

Command = Callable[..., Any]
Settings = Callable[..., RenderConfig]
LARGE = 3000


@pytest.fixture
def plan(
    command: Command, film: Path, painting: Path, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """plan(*flags): what --dry-run says of a large render."""

    def of(*flags: object) -> dict[str, Any]:
        line = (
            film,
            "--style",
            painting,
            "-o",
            tmp_path / "out.mp4",
            "--size",
            LARGE,
            "--duration",
            0.2,
            *flags,
        )
        got = command(*line, "--dry-run", "--json", "--force")
        assert got.code == 0, got.err
        return dict(json.loads(got.out))

    return of


def test_less_memory_means_smaller_tiles_and_always_less_than_allowed(
    plan: Callable[..., dict[str, Any]],
) -> None:
    found = [plan("--max-memory", limit) for limit in (20, 7, 5, 4.4)]
    for one in found:
        assert one["memory_needed"] <= one["memory_allowed"]
    assert [one["memory_allowed"] for one in found] == [20e9, 7e9, 5e9, 4.4e9]
    assert found[0]["tile"] == 0
    sides = [one["tile"] or LARGE for one in found]
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] < LARGE
    assert plan("--max-memory", 20, "--tile", 512)["tile"] == 512


@pytest.mark.parametrize("flags", [(), ("--flow", "dis"), ("--features", "vgg19")])
def test_what_does_not_fit_is_refused_with_a_size_that_does(
    command: Command, film: Path, painting: Path, tmp_path: Path, flags: tuple[object, ...]
) -> None:
    line = (
        film,
        "--style",
        painting,
        "-o",
        tmp_path / "out.mp4",
        "--dry-run",
        "--max-memory",
        2,
        *flags,
    )
    got = command(*line, "--size", LARGE)
    assert got.code == 2
    assert got.err.startswith(
        "vidstyle: the render does not fit into 2.00 GB of memory\n  why: a frame of 3000x2000 "
    )
    size = int(re.findall(r"choose --size (\d+)", got.err)[0])
    assert 300 < size < LARGE
    assert command(*line, "--size", size).code == 0
    assert command(*line, "--size", size + 20).code == 2
    assert not list(tmp_path.iterdir())


def test_no_size_is_promised_where_none_fits(
    command: Command, film: Path, painting: Path, tmp_path: Path
) -> None:
    got = command(
        film, "--style", painting, "-o", tmp_path / "out.mp4", "--max-memory", 0.1, "--dry-run"
    )
    assert got.code == 2
    assert "--size" not in got.err
    assert "allow more with --max-memory 0.8" in got.err


def test_what_is_not_free_is_refused_unless_forced(
    command: Command, film: Path, painting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 10**8)
    line = (
        film,
        "--style",
        painting,
        "-o",
        tmp_path / "out.mp4",
        "--max-memory",
        10**7,
        "--dry-run",
    )
    got = command(*line)
    assert got.code == 2
    assert "there is not enough memory free" in got.err
    assert command(*line, "--force").code == 0


def test_a_render_in_tiles_continues_with_its_tiles_whatever_the_memory_is_then(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = functools.partial(memory.MemoryDemand, process_bytes=0, tile_sides=(32, 16))
    monkeypatch.setattr(memory, "MemoryDemand", small)
    # Or the tiles' overlap is larger than the picture.
    monkeypatch.setattr(extractor, "network_halo", lambda name: 0)
    demand = small(inspect(settings(precision="fp32")).engine, (48, 32))
    assert demand.bytes(32) < demand.bytes(0)
    between = (demand.bytes(32) + demand.bytes(0)) / 2e9
    built = settings(keep_frames=True, max_memory=between, precision="fp32")
    with pytest.raises(Interrupted):
        run(built, limit=3)
    plenty = built.model_copy(update={"max_memory": 4.0})
    with pytest.raises(SettingsChangedError, match="tile: 32 -> None"):
        run(plenty.model_copy(update={"tile": 0}))
    run(plenty)
    at_once = settings(keep_frames=True, output=tmp_path / "whole.mp4", tile=32, precision="fp32")
    run(at_once)
    assert frames_of(built.output) == frames_of(at_once.output)
