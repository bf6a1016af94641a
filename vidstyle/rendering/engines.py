"""The engines that a render can choose from, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidstyle.errors import ConfigError

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.machine.device import ComputeDevice
    from vidstyle.stylize.engine import Engine

EngineFactory = Callable[["RenderConfig", "ComputeDevice"], "Engine"]
"""Makes an engine from the settings of a render, without loading any weights. It raises ConfigError
where they do not suit it."""

ENGINES: dict[str, EngineFactory] = {}
"""By the value of the setting `engine`."""


def register_engine(name: str, factory: EngineFactory) -> None:
    """Make an engine known under `name`."""
    ENGINES[name] = factory


def create_engine(config: RenderConfig, device: ComputeDevice) -> Engine:
    """Make the engine that the settings name. Raises ConfigError when there is none of that name,
    or the settings do not suit it.
    """
    if config.engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise ConfigError(f"no engine called {config.engine!r}", f"there are {known}", "choose one")
    engine = ENGINES[config.engine](config, device)
    if config.passes > 1 and not engine.multi_pass:
        raise ConfigError(
            "the settings do not fit",
            f"passes = {config.passes} go over finished frames, and engine = {config.engine} "
            "cannot do that",
            "leave passes out, or choose another engine",
        )
    return engine
