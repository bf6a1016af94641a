"""vidstyle: a video and a painting in, a stylised video that does not flicker out.

import vidstyle

config = vidstyle.RenderConfig(input="in.mp4", style="munch.jpg", size=640)
result = vidstyle.render(config)
print(result.output)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from vidstyle.errors import (
    ConfigError,
    DecodeError,
    DiskFullError,
    DiskSpaceError,
    EncodeError,
    FFmpegError,
    InputError,
    Interrupted,
    LockedError,
    MemoryLimitError,
    OutputError,
    Refusal,
    RenderError,
    SettingsChangedError,
    StyleError,
    ToolError,
    VidstyleError,
    WeightsError,
)

# Functions of their modules' names: bound now, so that a later import of a module cannot take its place. The modules
# are light.
from vidstyle.evaluate import evaluate
from vidstyle.preview import Preview, preview
from vidstyle.scorecard import ScoreCard

if TYPE_CHECKING:
    from vidstyle.config import RenderConfig
    from vidstyle.pipeline import Result, render

__all__ = [
    "ConfigError",
    "DecodeError",
    "DiskFullError",
    "DiskSpaceError",
    "EncodeError",
    "FFmpegError",
    "InputError",
    "Interrupted",
    "LockedError",
    "MemoryLimitError",
    "OutputError",
    "Preview",
    "Refusal",
    "RenderConfig",
    "RenderError",
    "Result",
    "ScoreCard",
    "SettingsChangedError",
    "StyleError",
    "ToolError",
    "VidstyleError",
    "WeightsError",
    "evaluate",
    "preview",
    "render",
]

LATE = {"RenderConfig": "config", "Result": "pipeline", "render": "pipeline"}
"""Loaded when first asked for: torch and OpenCV take seconds, and `vidstyle --help` needs neither."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in LATE:
        raise AttributeError(f"module 'vidstyle' has no attribute {name!r}")
    value = getattr(import_module(f"vidstyle.{LATE[name]}"), name)
    globals()[name] = value
    return value
