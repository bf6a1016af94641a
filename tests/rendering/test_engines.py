"""Engines by name: which one a render gets, and what is refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from vidstyle.config.settings import RenderConfig
from vidstyle.errors import ConfigError
from vidstyle.machine.device import choose_device
from vidstyle.rendering.engines import (
    check_engine_settings,
    create_engine,
    register_engine,
    unregister_engine,
)
from vidstyle.stylize.optimise.engine import OptimisingEngine

Settings = Callable[..., RenderConfig]
DEVICE = choose_device("cpu", "fp32")


@pytest.fixture
def once() -> Iterator[SimpleNamespace]:
    """An engine that makes each frame once, registered as "once"."""
    engine = SimpleNamespace(multi_pass=False)
    register_engine("once", lambda config, device: engine)  # type: ignore[arg-type,return-value]
    yield engine
    unregister_engine("once")


def test_a_render_gets_the_engine_that_it_names(settings: Settings, once: SimpleNamespace) -> None:
    assert isinstance(create_engine(settings(), DEVICE), OptimisingEngine)
    assert create_engine(settings(engine="once"), DEVICE) is once  # type: ignore[comparison-overlap]


def test_a_name_is_taken_once(once: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="once"):
        register_engine("once", lambda config, device: once)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "none"}, "no engine called 'none'"),
        ({"engine": "once", "passes": 2}, "passes = 2"),
        ({"style_terms": "gram,foo"}, "foo"),
        ({"style_terms": "mrf", "style_layers": "relu1_1"}, "style_layers"),
        ({"style_terms": "mrf", "tile": 512}, "tile"),
    ],
)
def test_settings_that_do_not_suit_the_engine_are_refused(
    settings: Settings, once: SimpleNamespace, changes: dict[str, Any], words: str
) -> None:
    config = settings(**changes)
    for check in (check_engine_settings, lambda config: create_engine(config, DEVICE)):
        with pytest.raises(ConfigError) as caught:
            check(config)
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "needs_motion", "networks"),
    [
        ({}, True, ("lite",)),
        ({"per_frame": True}, False, ("lite",)),
        ({"polish": 2, "pooling": "max"}, True, ("lite", "vgg19")),
        ({"features": "vgg19"}, True, ("vgg19",)),
    ],
)
def test_the_optimiser_says_what_it_needs(
    settings: Settings, changes: dict[str, Any], needs_motion: bool, networks: tuple[str, ...]
) -> None:
    engine = create_engine(settings(**changes), DEVICE)
    assert (engine.needs_motion, engine.networks) == (needs_motion, networks)
    assert engine.multi_pass
    assert engine.memory((64, 48)) < engine.memory((640, 480))
    assert engine.work((64, 48), first=True).refined == changes.get("polish", 0)
