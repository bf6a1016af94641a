"""TODO config.fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any

RENDER_FORMAT = 7
"""Raised by hand whenever the same settings give other frames than before; part of every
fingerprint.
"""


def fingerprint(parts: dict[str, Any]) -> str:
    """16 hex digits over everything that changes a frame; equal parts give equal digits on every
    machine.
    """
    canonical = json.dumps(
        {"render_format": RENDER_FORMAT, **parts}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
