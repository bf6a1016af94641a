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

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.evaluation.evaluate import evaluate
    from vidstyle.evaluation.scorecard import ScoreCard
    from vidstyle.rendering.pipeline import Result, render
    from vidstyle.rendering.preview import Preview, preview

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

LATE = {
    "Preview": "rendering.preview",
    "RenderConfig": "config.settings",
    "Result": "rendering.pipeline",
    "ScoreCard": "evaluation.scorecard",
    "evaluate": "evaluation.evaluate",
    "preview": "rendering.preview",
    "render": "rendering.pipeline",
}
"""Loaded when first asked for: torch and OpenCV take seconds, and `vidstyle --help` needs
neither.
"""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in LATE:
        raise AttributeError(f"module 'vidstyle' has no attribute {name!r}")
    value = getattr(import_module(f"vidstyle.{LATE[name]}"), name)
    globals()[name] = value
    return value
