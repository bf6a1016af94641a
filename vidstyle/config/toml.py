"""Settings in TOML: the presets, the user's files, and settings written as such a file."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from vidstyle.config.facts import GROUPS, RESULT_AFFECTING
from vidstyle.config.settings import RenderConfig, facts_of
from vidstyle.errors import ConfigError

PRESETS = ("fast", "balanced", "draft", "standard", "reference")


def preset_values(name: str) -> dict[str, Any]:
    """Return the settings of a preset, from the wheel (`vidstyle/configs`) or from the checkout
    (`configs`). Raises ConfigError where there is none of this name.
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
    """Read the settings in a user's TOML file. Raises ConfigError."""
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(
            f"cannot read {path}", str(e), "give a TOML file with lines like: iterations = 40"
        ) from e
    return values


def to_toml(config: RenderConfig) -> str:
    """Write the settings as TOML that `-c` reads, under a heading for each group.

    Settings without a value are left out, and so are switches that are off and change no picture:
    `restart = true` in a file would throw frames away at every run.
    """
    lines: list[str] = []
    if styles := [str(one) for one in config.style if one.path.name != "-"]:
        lines.append(f"style = {json.dumps(styles, ensure_ascii=False)}")
    values = config.model_dump(mode="json")
    for group in GROUPS:
        named = [name for name in values if facts_of(name).group == group]
        written = [
            f"{name} = {json.dumps(values[name], ensure_ascii=False)}"
            for name in named
            if values[name] not in (None, [])
            and (values[name] is not False or facts_of(name).affects in RESULT_AFFECTING)
        ]
        heading = ["", f"# {group}"] if lines else [f"# {group}"]
        lines += [*heading, *written] if written else []
    return "\n".join(lines) + "\n"
