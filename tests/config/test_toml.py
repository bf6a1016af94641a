"""Settings come back from TOML, and the presets are such files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.config.values import FILES, SETTINGS, other_value
from vidstyle.config import toml
from vidstyle.config.settings import build
from vidstyle.errors import ConfigError


@pytest.mark.parametrize(
    "but",
    [  # what contradicts the others
        {
            "passes": 1,
            "blend": 0.5,
            "temporal_from_pass": 0,
            "per_frame": False,
            "tile": 0,
            "texture": False,
            "tileable": False,
            "regions": None,
            "keep": "lossless",
        },
        {
            "tile": 0,
            "regions": None,
            "texture": False,
            "tileable": False,
            "long_term": 0,
            "per_frame": False,
            "passes": 17,
            "rest": "hold",
            "budget": "adaptive",
            "loop": None,
            "keyframes": (),
            "keep_frames": False,
        },
    ],
)
def test_toml_gives_back_every_setting(tmp_path: Path, but: dict[str, Any]) -> None:
    values = {name: other_value(name) for name in SETTINGS}
    full = build(
        FILES, values | {"features": "lite"} | but
    )  # the other one leaves nothing to polish
    (tmp_path / "all.toml").write_text(toml.to_toml(full), encoding="utf-8")
    read = toml.read_toml(tmp_path / "all.toml")
    # Switches that change no picture are left out where they are off.
    without_value = {name for name, value in but.items() if value in (None, ())}
    without_value |= {"keep_frames"} & set(but)
    assert set(read) == {*SETTINGS, "style"} - without_value
    assert build(FILES, read) == full


def test_toml_gives_back_pairs_of_files(tmp_path: Path) -> None:
    given = build(FILES, {"regions": ("a.png", "b.png")})
    (tmp_path / "pair.toml").write_text(toml.to_toml(given), encoding="utf-8")
    assert build(FILES, toml.read_toml(tmp_path / "pair.toml")) == given


@pytest.mark.parametrize("name", toml.PRESETS)
def test_a_preset_loads_and_fits(name: str) -> None:
    values = toml.preset_values(name)
    assert values
    assert set(values) <= set(SETTINGS)
    build(FILES, values)


def test_the_presets_go_from_quick_to_thorough() -> None:
    optimising = [name for name in toml.PRESETS if "engine" not in toml.preset_values(name)]
    steps = [build(FILES, toml.preset_values(name)) for name in optimising]
    assert len(steps) == 3
    assert [c.iterations for c in steps] == sorted(c.iterations for c in steps)
    assert [c.first_iterations for c in steps] == sorted(c.first_iterations for c in steps)


@pytest.mark.parametrize("name", ["best", "../configs/draft", ""])
def test_another_preset_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="draft, standard, reference"):
        toml.preset_values(name)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("iterations 40")
    for path in (tmp_path / "bad.toml", tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot read"):
            toml.read_toml(path)


def test_toml_lists_settings_under_their_groups_without_switches_that_are_off() -> None:
    text = toml.to_toml(build({"input": "in.mp4", "style": "-"}, {"keep_frames": True}))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# Picture", "# Steering the style", "# Delivery", "# Run"]
    assert text.startswith("# Picture\n")
    for words in (
        "per_frame = false",
        "keep_titles = false",
        "keep_frames = true",
        "engine = ",
    ):
        assert words in text
    for words in ("restart", "trace", "size", "style = ", "loop", "opacity", "keyframes"):
        assert f"\n{words}" not in text
