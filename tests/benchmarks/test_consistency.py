"""What the benchmark of consistency compares is what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.consistency import (
    VARIANTS,
    CachedFlow,
    average_rows,
    compare_to_baseline,
    format_cells,
    make_alternating_clip,
    measure_renders,
    parse_trial,
    render_variant,
)
from sample_videos import scene
from tests.helpers.films import folder, noise, texture, video
from vidstyle.config.settings import build
from vidstyle.config.toml import preset_values
from vidstyle.evaluation.clips import open_clip
from vidstyle.evaluation.scorecard import Scores
from vidstyle.rendering.models import load_flow, load_network

FRAMES = 4


def scores(factor: float) -> Scores:
    curve = tuple(factor * t for t in range(1, FRAMES + 1))
    return Scores(**dict.fromkeys(Scores.__dataclass_fields__, curve))


def test_a_variant_that_is_the_baseline_removes_nothing_and_changes_nothing() -> None:
    same = compare_to_baseline(scores(1), scores(1))
    assert {name for name, value in same.items() if value == 0} == {"d_short", "d_long"}
    assert {value for value in same.values() if value} == {1.0}


def test_a_tenth_of_the_error_is_nine_tenths_gone_and_the_mean_is_over_the_rows() -> None:
    tenth = compare_to_baseline(scores(0.1), scores(1))
    assert tenth["d_short"] == pytest.approx(0.9)
    assert tenth["style_ratio"] == pytest.approx(0.1)
    assert tenth["sharpness_last"] == pytest.approx(0.1)
    assert average_rows([tenth, compare_to_baseline(scores(0.3), scores(1))])[
        "d_long"
    ] == pytest.approx(0.8)


def test_what_a_clip_does_not_have_is_left_out_of_the_mean() -> None:
    none = replace(scores(0.1), warping_error_long=(None,) * FRAMES)
    rows = [compare_to_baseline(none, scores(1)), compare_to_baseline(scores(0.3), scores(1))]
    assert rows[0]["d_long"] is None
    assert average_rows(rows)["d_long"] == pytest.approx(0.7)
    assert format_cells(rows[0]).split(" | ")[1] == "-"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_render_that_the_settings_allow(name: str) -> None:
    build(preset_values("standard"), {"input": "-", "style": "-"}, VARIANTS[name])


def test_settings_to_try_are_read_as_what_they_are() -> None:
    name, settings = parse_trial("steady:temporal_weight=100,scales=2,rest=follow,per_frame=false")
    assert name == "steady"
    assert settings == {"temporal_weight": 100, "scales": 2, "rest": "follow", "per_frame": False}


def test_a_flow_is_computed_once_for_each_pair_and_direction(tmp_path: Path) -> None:
    asked: list[float] = []

    class Counted:
        digest = ""

        def __call__(self, a: Tensor, b: Tensor) -> Tensor:
            asked.append(float(a.mean()))
            return torch.full((2, *a.shape[1:]), float(a.mean()))

    for _ in range(2):
        flow = CachedFlow(Counted(), "counted", tmp_path)
        a, b = torch.zeros(3, 8, 8), torch.ones(3, 8, 8)
        assert torch.equal(flow(a, b), torch.zeros(2, 8, 8))
        assert torch.equal(flow(b, a), torch.ones(2, 8, 8))
    assert asked == [0, 1]


def test_two_images_become_a_film_that_shows_them_in_turn(tmp_path: Path) -> None:
    values = (40, 200)
    for i, value in enumerate(values, 1):
        cv2.imwrite(str(tmp_path / f"frame{i}.png"), np.full((36, 64, 3), value, np.uint8))
    film = make_alternating_clip(tmp_path, 5, tmp_path / "films")
    made = open_clip(film)
    assert [round(float(x.mean()) * 255) for x in made.read(5)] == [40, 200, 40, 200, 40]
    assert made.count == 5
    assert (
        make_alternating_clip(tmp_path, 5, tmp_path / "films").stat().st_mtime_ns
        == film.stat().st_mtime_ns
    ), "it was made anew"
    assert make_alternating_clip(tmp_path, 4, tmp_path / "films") != film


def test_renders_are_measured_without_the_transitions_of_their_clip(tmp_path: Path) -> None:
    a, b = texture(0), 1 - texture(5)
    clip = video(
        tmp_path / "in.mkv", [*[a] * 12, *(a + (b - a) * i / 5 for i in range(1, 5)), b, b]
    )
    # The painting changes in the dissolve, and where it ends.
    steady = [texture(1)] * 14 + [texture(2)] * 4
    folders = {
        "one": folder(tmp_path / "one.mkv", steady),
        "two": folder(tmp_path / "two.mkv", list(torch.stack(steady) + noise(18, 0.02))),
    }
    found = measure_renders(clip, folders, texture(7), load_flow("dis"), load_network("lite"))
    assert found["one"].means()["warping_error_short"] == 0
    assert found["two"].means()["warping_error_short"] == pytest.approx(2 * 0.02**2, rel=0.05)
    assert found["one"].style[11] is not None
    assert found["one"].style[12:16] == (None,) * 4


@pytest.mark.slow
def test_a_render_is_kept_and_taken_again(tmp_path: Path) -> None:
    samples = Path(scene.__file__).parent
    quick = {"first_iterations": 1, "first_scales": 1, "iterations": 1}
    folders = [
        render_variant(samples / "balloon.mp4", samples / "strokes.jpg", 3, 48, quick, tmp_path)
        for _ in range(2)
    ]
    assert folders[0] == folders[1]
    assert open_clip(folders[0]).count == 3
