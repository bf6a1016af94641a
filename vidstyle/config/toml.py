"""Settings in TOML: the presets, the user's files, and settings written down as such a file."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from vidstyle.config.settings import (
    DELIVERY,
    FRAMES,
    PICTURE,
    RUN,
    STEERING,
    RenderConfig,
    group_of,
)
from vidstyle.errors import ConfigError

PRESETS = ("draft", "standard", "reference")


def preset_values(name: str) -> dict[str, Any]:
    """The settings of a preset, from the wheel (`vidstyle/configs`) or from the checkout
    (`configs`).
    """
    packaged = resources.files("vidstyle") / "configs" / f"{name}.toml"
    text = (
        packaged if packaged.is_file() else Path(__file__).parents[2] / "configs" / f"{name}.toml"
    )
    if name not in PRESETS or not text.is_file():
        raise ConfigError(
            f"no preset {name!r}",
            f"the presets are {', '.join(PRESETS)}",
            "pick one of them, or use -c FILE.toml",
        )
    values: dict[str, Any] = tomllib.loads(text.read_text(encoding="utf-8"))
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a user's TOML file."""
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(
            f"cannot read {path}", str(e), "give a TOML file with lines like: iterations = 40"
        ) from e
    return values


def to_toml(config: RenderConfig) -> str:
    """The settings as TOML that `-c` reads back; what is unset is left out."""
    lines: list[str] = []
    if styles := [str(one) for one in config.style if one.path.name != "-"]:
        lines.append(f"style = {json.dumps(styles, ensure_ascii=False)}")
    group = None
    values = config.model_dump(mode="json")
    for name in sorted(
        values, key=lambda name: (PICTURE, STEERING, DELIVERY, RUN, None).index(group_of(name))
    ):
        value = values[name]
        # A switch that is off is left out: `restart = true` in a file would throw frames away at
        # every run.
        if (
            value is None
            or group_of(name) is None
            or (value is False and group_of(name) not in FRAMES)
        ):
            continue
        if group_of(name) != group:
            group = group_of(name)
            lines += ["", f"# {group}"] if lines else [f"# {group}"]
        lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
