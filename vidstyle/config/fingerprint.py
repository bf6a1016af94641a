"""The fingerprint of a render: a digest of everything that changes its frames."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

RENDER_FORMAT = 9
"""An integer that is raised by hand whenever the same settings give other frames than before; part
of every fingerprint.
"""

ASKED_BY = {"first_frame": "start", "frame_count": "duration"}
"""Each part of a fingerprint that has another name than the setting that asks for it, and that
setting. The setting's name is hashed, and old records hold it.
"""


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Return 16 hex digits over the parts of a render; equal parts give equal digits on every
    machine.

    Args:
        parts: whatever changes a frame, as plain values. The frames that are rendered are
            `first_frame` and `frame_count`.

    Raises:
        ValueError: a part has the name of a setting in seconds instead.
    """
    if misnamed := sorted(set(ASKED_BY.values()) & parts.keys()):
        raise ValueError(f"no parts of a fingerprint: {', '.join(misnamed)}")
    return hash_values({ASKED_BY.get(name, name): value for name, value in parts.items()})


def hash_values(values: Mapping[str, Any]) -> str:
    """Return 16 hex digits over named plain values and the render format."""
    canonical = json.dumps(
        {"render_format": RENDER_FORMAT, **values}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def with_part_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a record of any version under their present names."""
    part_names = {setting: part for part, setting in ASKED_BY.items()}
    return {part_names.get(name, name): value for name, value in stored.items()}
