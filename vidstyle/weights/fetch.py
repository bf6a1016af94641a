"""Every weight file: where it comes from, where it is looked for, how it is fetched, checked and
read.

Only this module opens weight files. It unpickles nothing beyond plain tensors, and checks their
shapes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from vidstyle.errors import WeightsError
from vidstyle.storage.atomic import sha256
from vidstyle.weights import download
from vidstyle.weights.download import DownloadError, Progress
from vidstyle.weights.locate import ASSETS, NOTE, Located, _hub_dir, cache_dir, folders, locate
from vidstyle.weights.read import _read
from vidstyle.weights.registry import REGISTRY

if TYPE_CHECKING:
    from torch import Tensor


def fetch(
    name: str, weights_dir: Path | None = None, *, progress: Progress | None = None
) -> Located:
    """Locate the weights of `name`, downloading them if need be. WeightsError says which file to
    put where.
    """
    file = REGISTRY[name]
    found = locate(name, weights_dir)
    if not file.remote and not (found and found.verified):
        state = "damaged" if found else "missing"
        raise WeightsError(
            f"the embedded weights of {name} are {state}",
            str(ASSETS / file.filename),
            "reinstall vidstyle",
        )
    archive = cache_dir() / file.remote
    kept_whole = file.filename == file.remote
    if (
        found
    ):  # also an archive: the user's, or what a run left that was killed before it cut it down
        return found
    try:
        if kept_whole:
            download.from_hub(file.url, _hub_dir() / file.remote, file.sha256, file.size, progress)
        else:
            archive.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(archive.with_suffix(".lock")):
                if not (cache_dir() / file.filename).is_file():  # or another process was here first
                    download.from_web(file.url, archive, file.sha256, file.size, progress)
                    _cut_down(name, archive, cache_dir() / file.filename)
                    archive.unlink()
    except (DownloadError, OSError) as e:
        names, places = " or ".join(file.names), folders(name, weights_dir)
        raise WeightsError(
            f"no weights for {name}",
            f"{names} not found in {', '.join(map(str, places))}; download failed: {e}",
            f"put {names} into {places[0]}, or use "
            + ("--features lite and leave out --polish" if name == "vgg19" else "--flow dis"),
        ) from e
    return fetch(name, weights_dir)


def load(
    name: str, weights_dir: Path | None = None, *, progress: Progress | None = None
) -> tuple[dict[str, Tensor], str]:
    """The state dict of `name` (floats in fp32) and the sha256 of the file it was read from. Raises
    WeightsError.
    """
    found = fetch(name, weights_dir, progress=progress)
    return _read(name, found.path), found.digest


def _cut_down(name: str, archive: Path, target: Path) -> None:
    """Write the tensors of `archive` that are used to `target`, and the digest of that beside it as
    a note.
    """
    from safetensors.torch import save

    part = target.with_name(target.name + ".part")
    try:
        # One metadata key: several come out in random order, and the digest of the file goes into
        # fingerprints.
        data = save(_read(name, archive), {"origin": REGISTRY[name].url})
        with part.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        target.with_name(target.name + NOTE).write_text(sha256(part), encoding="ascii")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
