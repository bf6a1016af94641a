"""Values that tests of the settings use: files, and a value for each that is not its default."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from vidstyle.config.settings import RenderConfig, facts_of

FILES = {"input": "in.mp4", "style": "munch.jpg"}
SETTINGS = [name for name in RenderConfig.model_fields if facts_of(name).group]
"""The names of all settings that are not the files of a command."""

AS_BEFORE = {"bars": "paint", "detail": 0.0, "style_crop": "off"}
"""The settings whose default is not their neutral value, at that value: a render as it was before.
"""

NEEDS: dict[str, dict[str, Any]] = {
    # The pooling of lite cannot be chosen.
    "pooling": {"features": "vgg19"},
    "learn": {"engine": "fast"},
    "blend": {"passes": 50},
    "temporal_from_pass": {"passes": 50},
    "texture": {"style": None},
    "tileable": {"style": None, "texture": True},
    "mrf_bidirectional": {"style_terms": "mrf"},
    "mrf_coherence": {"style_terms": "mrf"},
}

"""The other settings without which some would change nothing, and are refused."""

OTHERS: dict[str, Any] = {
    "engine": "fast",
    "style_layers": "relu1_1,relu3_1=2",
    "content_layers": "relu3_1",
    "style_terms": "gram=0.5,mrf",
    "regions": ("a.png", "b.png"),
    "keyframes": ("120=fixed.png", "4.8s=other.png"),
    "opacity": ("0@0s", "1@3s"),
}

"""Another value of settings whose text says more than a name."""


def other_value(name: str) -> Any:
    """Return a valid value that is not the default."""
    if name in OTHERS:
        return OTHERS[name]
    field = RenderConfig.model_fields[name]
    kind: Any = field.annotation
    kinds = get_args(kind) if get_origin(kind) is not Literal else ()
    kind = next((k for k in kinds if k is not type(None)), kind)
    if get_origin(kind) is Literal:
        return next(value for value in get_args(kind) if value != field.default)
    if kind in (int, float):
        return (
            field.default / 2 + 0.01
            if isinstance(field.default, float)
            else (field.default or 15) + 1
        )
    return {bool: True, Path: "elsewhere", str: "cpu"}[kind]
