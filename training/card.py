"""What a weight file says of itself, and how its training is known again."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from safetensors import safe_open

from vidstyle.features import lite


def architecture() -> dict[str, Any]:
    names = ("WIDTHS", "DEPTHS", "EXPANDED", "RANKS", "TAPS")
    values = {name.lower(): getattr(lite, name) for name in names}
    return {
        name: list(value) if isinstance(value, tuple) else dict(value)
        for name, value in values.items()
    }


def card_of(path: Path) -> dict[str, Any]:
    """The card of a weight file; its metadata as they are where it has none."""
    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    card: dict[str, Any] = json.loads(metadata["card"]) if "card" in metadata else metadata
    return card


def commit() -> str:
    """Of the checkout, with `-dirty` where it has been changed since; empty outside of one."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def code() -> str:
    """A digest of the training's own source: what it does, whatever else a commit holds."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(lite.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
