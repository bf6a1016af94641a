"""What the benchmark of a whole render counts is what was done."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.render import PARTS, measure_in_process, parse_setting
from benchmarks.scaling import fit_exponent, repeat_clip
from vidstyle.video.probe import probe
from vidstyle.video.scan import scan

FRAMES = 5


@pytest.fixture(scope="module")
def found(film: Path, painting: Path) -> dict[str, float]:
    quick = {
        "size": 48,
        "first_iterations": 4,
        "first_scales": 1,
        "iterations": 3,
        "budget": "fixed",
        "rest": "follow",
    }
    return measure_in_process({"input": film, "style": painting, "device": "cpu", **quick}, FRAMES)


def test_a_render_is_timed_in_its_parts(found: dict[str, float]) -> None:
    assert (found["frames"], found["linked"], found["iterations per linked frame"]) == (
        FRAMES,
        FRAMES - 1,
        3,
    )
    assert all(found[name] > 0 for name in (*PARTS, "start-up", "import torch", "encode"))
    in_all = found["seconds per linked frame"] / found["iteration alone"]
    assert found["frame over iteration"] == pytest.approx(in_all)
    assert found["wall over iterations"] == pytest.approx(in_all / 3)


def test_its_memory_is_counted_from_what_torch_takes(found: dict[str, float]) -> None:
    assert 0 < found["beyond torch"] < found["peak"]
    assert found["resident at frame 20"] == found["resident at the end"] <= found["peak"]


def test_settings_are_taken_as_what_they_are() -> None:
    wished = dict(
        map(parse_setting, ("tile=64", "features=vgg19", "per_frame=true", "tv_weight=0.5"))
    )
    assert wished == {"tile": 64, "features": "vgg19", "per_frame": True, "tv_weight": 0.5}


@pytest.mark.parametrize("power", [0.9, 1.0, 1.3])
def test_the_exponent_is_that_of_the_law(power: float) -> None:
    pixels = [57_600, 230_400, 2_073_600]
    assert fit_exponent(pixels, [3e-6 * n**power for n in pixels]) == pytest.approx(power)
    bent = [3e-6 * n**power * math.exp(0.1 * i) for i, n in enumerate(pixels)]
    assert fit_exponent(pixels, bent) > power


def test_a_clip_is_repeated_to_its_full_length(film: Path, tmp_path: Path) -> None:
    timeline = scan(probe(repeat_clip(film, 30, tmp_path))).timeline
    assert len(timeline) == 30
