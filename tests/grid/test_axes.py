"""`NAME=V1,V2,...` is one axis of a grid, and the axes make its cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidstyle.config.settings import RenderConfig
from vidstyle.errors import ConfigError
from vidstyle.grid import axes as vary

SETTINGS: dict[str, Any] = {"input": Path("in.png"), "style": "stripes.png", "passes": 4}


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("content_weight=1e-3, 1e-2", "content_weight", ("1e-3", "1e-2")),
        ("--style-scale=1,2,", "style_scale", ("1", "2")),
        (
            "style_layers=relu1_1;relu1_1,relu2_1=0.5",
            "style_layers",
            ("relu1_1", "relu1_1,relu2_1=0.5"),
        ),
        ("style=a=b.png", "style", ("a=b.png",)),
    ],
)
def test_values_are_divided_at_semicolons_or_else_at_commas(
    text: str, name: str, values: tuple[str, ...]
) -> None:
    assert vary.parse_axis(text) == vary.Axis(name, values)


@pytest.mark.parametrize("name", ["opacity", "keep_titles", "keyframes"])
def test_what_is_done_with_painted_frames_is_not_varied(name: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot vary '{name}'") as e:
        vary.parse_axis(f"{name}=1,2")
    assert "a grid shows how they are painted" in e.value.why


def test_labels_say_the_setting_and_its_value() -> None:
    config = RenderConfig(**{**SETTINGS, "passes": 1, "content_weight": 100, "texture": False})
    assert vary.label_setting("content_weight", config.content_weight) == "content_weight 100"
    assert vary.label_setting("texture", config.texture) == "texture false"
    assert vary.label_setting("style", config.style) == "stripes"
    assert vary.label_setting("learning_rate", config.learning_rate) == "learning_rate 0.03"


def test_the_first_axis_varies_over_the_columns_and_motion_is_left_out() -> None:
    axes = vary.parse_axes(["seed=1,2,3", "tv_weight=0,1e-1"])
    cells = vary.make_cells(SETTINGS, axes)
    places = [(cell.place["seed"], cell.place["tv_weight"]) for cell in cells]
    assert places == [(seed, tv) for tv in ("0", "1e-1") for seed in ("1", "2", "3")]
    assert [(cell.config.seed, cell.config.tv_weight) for cell in cells] == [
        (int(seed), float(tv)) for seed, tv in places
    ]
    assert str(cells[-1]) == "seed = 3, tv_weight = 1e-1"
    assert {cell.config.passes for cell in cells} == {1}


def test_what_a_grid_does_not_do_is_left_out_of_its_cells() -> None:
    unused = {"loop": True, "opacity": 0.5, "keep_titles": True, "keyframes": ["3=a.png"]}
    cells = vary.make_cells({**SETTINGS, **unused}, vary.parse_axes(["bars=keep,paint"]))
    assert [cell.config.bars for cell in cells] == ["keep", "paint"]
    for cell in cells:
        assert cell.config.loop is None
        assert (cell.config.opacity, cell.config.keep_titles, cell.config.keyframes) == (
            (),
            False,
            (),
        )
