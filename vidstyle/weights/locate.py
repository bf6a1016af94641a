"""The places where weight files are looked for, and what is found there."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from vidstyle.errors import WeightsError
from vidstyle.storage.atomic import sha256
from vidstyle.weights.registry import REGISTRY, WeightFile

ASSETS = Path(__file__).parents[1] / "assets"
"""The folder of the weights that are embedded in the package."""

DIGEST_NOTE = ".sha256"
"""The suffix of the note with the digest of a reduced file."""


@dataclass(frozen=True)
class LocatedWeights:
    """A weight file on this machine.

    Args:
        path: the file.
        digest: its sha256.
        is_verified: the digest is the known one.
    """

    path: Path
    digest: str
    is_verified: bool


@dataclass(frozen=True)
class WeightsStatus:
    """A line of `vidstyle weights`.

    Args:
        file: the file in the registry.
        status: embedded, verified, unverified or absent.
        places: where it is, or was looked for.
    """

    file: WeightFile
    status: str
    places: tuple[Path, ...]


def cache_folder() -> Path:
    """Return the folder where vidstyle keeps its downloads."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vidstyle"


def hub_folder() -> Path:
    """Return the folder where torch.hub keeps its downloads."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def search_folders(name: str, weights_dir: Path | None = None) -> tuple[Path, ...]:
    """Return the folders in which the weights of `name` are looked for, in this order."""
    if not REGISTRY[name].remote:
        return (ASSETS,)
    given = (weights_dir, os.environ.get("VIDSTYLE_WEIGHTS"))
    chosen = (Path(folder).expanduser() for folder in given if folder)
    return *chosen, cache_folder(), hub_folder()


def locate_weights(name: str, weights_dir: Path | None = None) -> LocatedWeights | None:
    """Return the file that `load_weights` would read now, without downloading; None when there is
    none.

    Raises WeightsError when it cannot be read.
    """
    file = REGISTRY[name]
    try:
        for folder in search_folders(name, weights_dir):
            for filename in file.names:
                path = folder / filename
                if path.is_file():
                    digest = sha256(path)
                    is_verified = digest.startswith(file.sha256) or _is_noted(path, digest)
                    return LocatedWeights(path, digest, is_verified)
    except OSError as e:
        why = f"{e.filename}: {e.strerror}"
        raise WeightsError(
            f"cannot read the weights of {name}", why, "make the file readable, or remove it"
        ) from e
    return None


def status_table(weights_dir: Path | None = None) -> list[WeightsStatus]:
    """List all weight files with their status, for `vidstyle weights`. Raises WeightsError."""
    rows = []
    for name, file in REGISTRY.items():
        located = locate_weights(name, weights_dir)
        if located is None:
            rows.append(WeightsStatus(file, "absent", search_folders(name, weights_dir)))
            continue
        known = "verified" if file.remote else "embedded"
        status = known if located.is_verified else "unverified"
        rows.append(WeightsStatus(file, status, (located.path,)))
    return rows


def _is_noted(path: Path, digest: str) -> bool:
    """Tell whether a note of `fetch` has this digest. Anybody can lay a note next to a file, so it
    is valid only in our cache.
    """
    note = path.with_name(path.name + DIGEST_NOTE)
    return path.parent == cache_folder() and note.is_file() and note.read_bytes() == digest.encode()
