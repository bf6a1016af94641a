"""Weight files: located, else downloaded, checked and read.

Only this package opens weight files. It unpickles nothing beyond plain tensors, and checks their
shapes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from vidstyle.errors import WeightsError
from vidstyle.storage.atomic import sha256
from vidstyle.weights import locate
from vidstyle.weights.download import DownloadError, DownloadProgress, download_file
from vidstyle.weights.locate import DIGEST_NOTE, LocatedWeights, locate_weights
from vidstyle.weights.read import read_weights
from vidstyle.weights.registry import REGISTRY, WeightFile

if TYPE_CHECKING:
    from torch import Tensor


def fetch_weights(
    name: str, weights_dir: Path | None = None, *, progress: DownloadProgress | None = None
) -> LocatedWeights:
    """Locate the weights of `name`, downloading them if need be.

    Raises WeightsError, which says what file to put where.
    """
    file = REGISTRY[name]
    located = locate_weights(name, weights_dir)
    if not file.remote and not (located and located.is_verified):
        state = "damaged" if located else "missing"
        raise WeightsError(
            f"the embedded weights of {name} are {state}",
            str(locate.ASSETS / file.filename),
            "reinstall vidstyle",
        )
    if located:
        # It may be an archive: the user's, or that of a run which was killed before it reduced it.
        return located
    try:
        _download_weights(file, progress)
    except (DownloadError, OSError) as e:
        names = " or ".join(file.names)
        places = locate.search_folders(name, weights_dir)
        raise WeightsError(
            f"no weights for {name}",
            f"{names} not found in {', '.join(map(str, places))}; download failed: {e}",
            f"put {names} into {places[0]}, or use "
            + ("--features lite and leave out --polish" if name == "vgg19" else "--flow dis"),
        ) from e
    return fetch_weights(name, weights_dir)


def load_weights(
    name: str, weights_dir: Path | None = None, *, progress: DownloadProgress | None = None
) -> tuple[dict[str, Tensor], str]:
    """Return the state dict of `name` (floats in fp32) and the sha256 of the file it was read from.

    Raises WeightsError.
    """
    located = fetch_weights(name, weights_dir, progress=progress)
    return read_weights(name, located.path), located.digest


def _download_weights(file: WeightFile, progress: DownloadProgress | None) -> None:
    """Download a weight file to its place: torch.hub's cache where the file is used as it comes,
    else ours, reduced to the tensors that are used.
    """
    folder = locate.hub_folder() if file.is_kept_whole else locate.cache_folder()
    archive = folder / file.remote
    target = folder / file.filename
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(archive.with_suffix(".lock")):
        if target.is_file():
            # Another process was here first.
            return
        download_file(file.url, archive, file.sha256, file.size, progress)
        if not file.is_kept_whole:
            _reduce_archive(file, archive, target)
            archive.unlink()


def _reduce_archive(file: WeightFile, archive: Path, target: Path) -> None:
    """Write the tensors of `archive` that are used to `target`, and the digest of that next to it
    as a note.
    """
    from safetensors.torch import save

    part = target.with_name(target.name + ".part")
    try:
        # One metadata key: several come out in random order, and the digest of the file goes into
        # fingerprints.
        data = save(read_weights(file.name, archive), {"origin": file.url})
        with part.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        target.with_name(target.name + DIGEST_NOTE).write_text(sha256(part), encoding="ascii")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
