"""TODO weights.locate."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import WeightsError
from vidstyle.storage.atomic import sha256
from vidstyle.weights.registry import REGISTRY, WeightFile

if TYPE_CHECKING:
    pass


ASSETS = Path(__file__).parents[1] / "assets"


NOTE = ".sha256"


@dataclass(frozen=True)
class Located:
    """A weight file on this machine; `verified` when its digest is the known one, `digest` is its
    sha256.
    """

    path: Path
    digest: str
    verified: bool


@dataclass(frozen=True)
class Row:
    """A line of `vidstyle weights`: embedded, verified, unverified or absent, and where it is or
    was looked for.
    """

    file: WeightFile
    status: str
    places: tuple[Path, ...]


def cache_dir() -> Path:
    """Where vidstyle keeps what it downloaded."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vidstyle"


def folders(name: str, weights_dir: Path | None = None) -> tuple[Path, ...]:
    """Where the weights of `name` are looked for, in this order."""
    if not REGISTRY[name].remote:
        return (ASSETS,)
    given = (weights_dir, os.environ.get("VIDSTYLE_WEIGHTS"))
    return *(Path(folder).expanduser() for folder in given if folder), cache_dir(), _hub_dir()


def locate(name: str, weights_dir: Path | None = None) -> Located | None:
    """The file that `load` would read now, without downloading; None when there is none."""
    file = REGISTRY[name]
    try:
        for path in (
            folder / filename for folder in folders(name, weights_dir) for filename in file.names
        ):
            if path.is_file():
                digest = sha256(path)
                return Located(path, digest, digest.startswith(file.sha256) or _noted(path, digest))
    except OSError as e:
        why = f"{e.filename}: {e.strerror}"
        raise WeightsError(
            f"cannot read the weights of {name}", why, "make the file readable, or remove it"
        ) from e
    return None


def table(weights_dir: Path | None = None) -> list[Row]:
    """What is where, for `vidstyle weights`."""
    rows = []
    for name, file in REGISTRY.items():
        found = locate(name, weights_dir)
        known = "verified" if file.remote else "embedded"
        status = "absent" if found is None else known if found.verified else "unverified"
        rows.append(Row(file, status, (found.path,) if found else folders(name, weights_dir)))
    return rows


def _noted(path: Path, digest: str) -> bool:
    """Whether `_cut_down` wrote this digest; anybody can lay a note beside a file, so it counts
    only in our cache.
    """
    note = path.with_name(path.name + NOTE)
    return path.parent == cache_dir() and note.is_file() and note.read_bytes() == digest.encode()


def _hub_dir() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"
