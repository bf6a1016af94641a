"""The score card as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.films import MEASURES, card, scores
from vidstyle.evaluation import metrics
from vidstyle.evaluation.edit_list import Transition
from vidstyle.evaluation.scorecard import DEFINITIONS
from vidstyle.motion.bars import Bars


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_mean_is_over_the_frames_where_it_is_defined_and_a_maximum_is_one() -> None:
    means = scores(
        warping_error_short=(None, 1.0, None, 3.0),
        drift_max=(None, 1.0, 5.0, 2.0),
        drift_colour=(None, None, None, None),
        content=(1.0, 2.0, 3.0, 4.0),
        content_near=(None, 7.0, None, 9.0),
    ).means()
    assert (means["warping_error_short"], means["drift_max"], means["drift_colour"]) == (2, 5, None)
    assert (means["content"], means["content_near"], means["content_beside"]) == (2.5, 8, 3)


def test_against_the_baseline_an_error_that_is_gone_is_d_and_the_rest_are_factors() -> None:
    against = card().against_baseline()
    assert against["d_short"] == pytest.approx(0.8)
    assert (
        against["content_near_ratio"],
        against["content_beside_ratio"],
        against["ghosting"],
    ) == (0.5, 1, 0.5)
    assert (
        card(baseline=scores(warping_error_short=(0.0,) * 14)).against_baseline()["d_short"] is None
    )
    assert card(baseline=None).against_baseline() == {}


def test_the_json_is_strict_and_every_figure_in_it_is_defined() -> None:
    got = strict(card().to_json())
    assert {*got["means"]} == {"source", "result", "baseline"} == {*got["per_frame"]} - {"pixels"}
    for film in ("source", "result", "baseline"):
        assert {*got["per_frame"][film]} == {*MEASURES}
        assert {*got["means"][film]} <= {*got["definitions"]}
    assert {*got["against_baseline"]} <= {*got["definitions"]}
    assert got["definitions"] == DEFINITIONS
    assert (got["metrics_version"], got["constants"], got["shots"]) == (
        2,
        {"near_px": 12.0},
        [0, 5],
    )
    assert got["transitions"] == [
        {"kind": "fade", "first": 2, "stop": 7},
        {"kind": "flash", "first": 10, "stop": 11},
    ]
    assert got["bars"] == {"top": 6, "bottom": 6, "left": 0, "right": 0}
    assert got["per_frame"]["result"]["warping_error_short"][:2] == [None, 0.002]
    assert got["pixels"] == {"warping_error_short": 0.75, "content_near": None}


def test_the_page_explains_every_figure() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert {name for name in DEFINITIONS if f"`{name}`" not in page} == set()
    assert f"version {metrics.METRICS_VERSION}" in page
    said = {
        "4/255": metrics.MAX_STATIC_MEAN_CHANGE,
        "16/255": metrics.MAX_STATIC_PIXEL_CHANGE,
        "5x5": metrics.STATIC_WINDOW_PIXELS,
        "12 pixels": metrics.NEAR_BOUNDARY_PIXELS,
    }
    assert [text for text in said if text not in page] == []
    assert [*said.values()] == [4 / 255, 16 / 255, 5, 12]


def test_a_figure_that_is_no_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        card(result=scores(style=(float("nan"),) * 14)).to_json()


def test_the_table_has_a_line_for_each_measure_and_columns_that_stand_below_each_other() -> None:
    text = card().text()
    assert "out.mp4: 14 frames of 64x48, 2 shots, 1 fade, 1 flash\n" in text
    assert "in.mp4, from its frame 3 on" in text
    assert "dis flow, lite features in fp32, definitions 2" in text
    table = text.split("\n\n")[1].splitlines()
    assert [len(line) for line in table if "D =" in line or "x " in line] == [len(table[0])] * 9
    line = next(line for line in table if line.startswith("warping error (t, t-1)"))
    assert line.split()[4:] == ["1.000000", "0.002000", "0.010000", "75", "%", "D", "=", "0.800"]
    assert next(line for line in table if line.startswith("style")).split()[2] == "-"
    assert all(line == line.rstrip() and line.isascii() for line in text.splitlines())


def test_the_header_says_what_is_left_out() -> None:
    everything = "left out  6 frames in transitions; bars of 6 above, 6 below, in pixels\n"
    assert everything in card().text()
    assert "left out  6 frames in transitions\n" in card(bars=Bars()).text()
    one_flash = card(transitions=(Transition("flash", 10, 11),), bars=Bars(left=3))
    assert "left out  1 frame in transitions; bars of 3 left, in pixels\n" in one_flash.text()
    whole = card(transitions=(), bars=Bars()).text()
    assert "out.mp4: 14 frames of 64x48, 2 shots\n" in whole
    assert "left out" not in whole


def test_without_a_baseline_the_table_does_not_speak_of_one() -> None:
    text = card(baseline=None).text()
    assert "baseline" not in text
    assert "ghosting" not in text
