"""The card of a weight file: its architecture, and the training that it comes from."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from safetensors import safe_open

from vidstyle.features import lite


def architecture() -> dict[str, Any]:
    """List the constants that fix the shape of the network."""
    names = ("WIDTHS", "DEPTHS", "EXPANDED", "RANKS", "TAPS")
    values = {name.lower(): getattr(lite, name) for name in names}
    return {
        name: list(value) if isinstance(value, tuple) else dict(value)
        for name, value in values.items()
    }


def card_of(path: Path) -> dict[str, Any]:
    """Read the card of a weight file; its metadata as they are where it has none."""
    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    card: dict[str, Any] = json.loads(metadata["card"]) if "card" in metadata else metadata
    return card


def commit() -> str:
    """Name the commit of the checkout, with `-dirty` where files have changed since; empty outside
    of a checkout.
    """
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
    """Compute a digest of the training's own source, whatever else a commit holds."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(lite.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
