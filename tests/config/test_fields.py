"""Every setting has its help and keeps its bounds."""

from __future__ import annotations

from typing import Any

import pytest
from annotated_types import Ge, Gt, Le, Lt

from tests.config.values import FILES, NEEDS, SETTINGS
from vidstyle.config.facts import GROUPS
from vidstyle.config.settings import RenderConfig, build, facts_of
from vidstyle.errors import ConfigError


def bounds() -> list[tuple[str, Any, bool]]:
    """(setting, value, whether it is allowed) at both sides of every bound."""
    cases = []
    for name in SETTINGS:
        kind = RenderConfig.model_fields[name].annotation
        step: float = 1 if kind in (int, int | None) else 1e-6
        for bound in RenderConfig.model_fields[name].metadata:
            if isinstance(bound, Ge):
                cases += [(name, bound.ge, True), (name, bound.ge - step, False)]
            elif isinstance(bound, Gt):
                cases += [(name, bound.gt + step, True), (name, bound.gt, False)]
            elif isinstance(bound, Le):
                cases += [(name, bound.le, True), (name, bound.le + step, False)]
            elif isinstance(bound, Lt):
                cases += [(name, bound.lt - step, True), (name, bound.lt, False)]
    return cases


@pytest.mark.parametrize("name", RenderConfig.model_fields)
def test_every_setting_has_a_sentence_of_help(name: str) -> None:
    description = RenderConfig.model_fields[name].description
    assert description
    assert description.endswith(".")
    assert name in FILES or facts_of(name).group in GROUPS


@pytest.mark.parametrize(("name", "value", "allowed"), bounds())
def test_bounds_hold_on_both_sides(name: str, value: float, allowed: bool) -> None:
    if allowed:
        assert getattr(build(FILES, NEEDS.get(name, {}), {name: value}), name) == value
    else:
        with pytest.raises(ConfigError, match=name):
            build(FILES, NEEDS.get(name, {}), {name: value})


@pytest.mark.parametrize(
    "name", [n for n in SETTINGS if RenderConfig.model_fields[n].annotation in (int, float)]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "many", None])
def test_numbers_are_numbers(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        build(FILES, {name: value})
