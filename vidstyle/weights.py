"""Every weight file: where it comes from, where it is looked for, how it is fetched, checked and read.

Only this module opens weight files. It unpickles nothing beyond plain tensors, and checks their shapes.
"""

from __future__ import annotations

import os
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from vidstyle import download
from vidstyle.download import DownloadError, Progress, sha256
from vidstyle.errors import WeightsError
from vidstyle.packing import unpack

if TYPE_CHECKING:
    from torch import Tensor

BASE_URL = "https://download.pytorch.org/models/"
ASSETS = Path(__file__).parent / "assets"
NOTE = ".sha256"
VGG19_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 2))
"""(channels, convolutions) of each resolution, up to relu5_2: as deep as anyone has matched styles."""


@dataclass(frozen=True)
class WeightFile:
    """One network's weights.

    Args:
        filename: the name it is kept under.
        remote: the name it has at `BASE_URL`; "" for the embedded ones. Such a file is used too, wherever it is found.
        size: bytes of the file that is downloaded, or embedded.
        sha256: of that file; its first 8 digits where its author publishes no more.
    """

    name: str
    filename: str
    remote: str
    author: str
    licence: str
    size: int
    sha256: str

    @property
    def url(self) -> str:
        return BASE_URL + self.remote if self.remote else ""

    @property
    def names(self) -> tuple[str, ...]:
        """The file names that are looked for, the better one first."""
        return tuple(dict.fromkeys(name for name in (self.filename, self.remote) if name))


@dataclass(frozen=True)
class Located:
    """A weight file on this machine; `verified` when its digest is the known one, `digest` is its sha256."""

    path: Path
    digest: str
    verified: bool


@dataclass(frozen=True)
class Row:
    """A line of `vidstyle weights`: embedded, verified, unverified or absent, and where it is or was looked for."""

    file: WeightFile
    status: str
    places: tuple[Path, ...]


REGISTRY = {
    file.name: file
    for file in (
        WeightFile(
            name="lite",
            filename="lite.safetensors",
            remote="",
            author="vidstyle, distilled from VGG-19",
            licence="MIT (the teacher: CC BY 4.0, see NOTICE)",
            size=3_869_824,
            sha256="051b55e606f05ba81552fe5a0b5a8214b6387fa95d71d5a9c1d6775c6aab615d",
        ),
        WeightFile(
            name="vgg19",
            filename="vgg19_features.safetensors",
            remote="vgg19-dcbb9e9d.pth",
            author="torchvision, network of Simonyan & Zisserman 2014",
            licence="BSD-3-Clause (torchvision; the Oxford weights: CC BY 4.0)",
            size=574_673_361,
            sha256="dcbb9e9d",
        ),
        WeightFile(
            name="raft-small",
            filename="raft_small_C_T_V1-ad48884c.pth",
            remote="raft_small_C_T_V1-ad48884c.pth",
            author="Teed & Deng 2020, ported by torchvision",
            licence="BSD-3-Clause",
            size=4_006_600,
            sha256="ad48884c",
        ),
        WeightFile(
            name="raft-large",
            filename="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            remote="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            author="torchvision, network of Teed & Deng 2020",
            licence="BSD-3-Clause",
            size=21_106_800,
            sha256="ff5fadd5",
        ),
    )
}


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
        for path in (folder / filename for folder in folders(name, weights_dir) for filename in file.names):
            if path.is_file():
                digest = sha256(path)
                return Located(path, digest, digest.startswith(file.sha256) or _noted(path, digest))
    except OSError as e:
        why = f"{e.filename}: {e.strerror}"
        raise WeightsError(f"cannot read the weights of {name}", why, "make the file readable, or remove it") from e
    return None


def fetch(name: str, weights_dir: Path | None = None, *, progress: Progress | None = None) -> Located:
    """Locate the weights of `name`, downloading them if need be. WeightsError says which file to put where."""
    file = REGISTRY[name]
    found = locate(name, weights_dir)
    if not file.remote and not (found and found.verified):
        state = "damaged" if found else "missing"
        raise WeightsError(
            f"the embedded weights of {name} are {state}", str(ASSETS / file.filename), "reinstall vidstyle"
        )
    archive = cache_dir() / file.remote
    kept_whole = file.filename == file.remote
    if found:  # also an archive: the user's, or what a run left that was killed before it cut it down
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
    """The state dict of `name` (floats in fp32) and the sha256 of the file it was read from. Raises WeightsError."""
    found = fetch(name, weights_dir, progress=progress)
    return _read(name, found.path), found.digest


def table(weights_dir: Path | None = None) -> list[Row]:
    """What is where, for `vidstyle weights`."""
    rows = []
    for name, file in REGISTRY.items():
        found = locate(name, weights_dir)
        known = "verified" if file.remote else "embedded"
        status = "absent" if found is None else known if found.verified else "unverified"
        rows.append(Row(file, status, (found.path,) if found else folders(name, weights_dir)))
    return rows


def vgg19_shapes() -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of VGG-19 that is used, under torchvision's names."""
    shapes: dict[str, tuple[int, ...]] = {}
    index, inputs = 0, 3
    for channels, convolutions in VGG19_STAGES:
        for _ in range(convolutions):
            shapes[f"features.{index}.weight"] = (channels, inputs, 3, 3)
            shapes[f"features.{index}.bias"] = (channels,)
            index, inputs = index + 2, channels  # a convolution and its ReLU
        index += 1  # the pooling
    return shapes


def _shapes(name: str) -> dict[str, tuple[int, ...]] | None:
    """What the state dict of `name` must hold; None for the embedded one, whose digest says it all."""
    if not REGISTRY[name].remote:
        return None
    if name == "vgg19":
        return vgg19_shapes()
    import torch
    from torchvision.models import optical_flow

    with torch.device("meta"):
        model = getattr(optical_flow, name.replace("-", "_"))(weights=None, progress=False)
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def _read(name: str, path: Path) -> dict[str, Tensor]:
    """The tensors of `name` in a file of either format."""
    import torch
    from safetensors.torch import load_file

    file = REGISTRY[name]
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        elif file.filename == file.remote:  # there already, so torch.hub only reads it
            state = torch.hub.load_state_dict_from_url(
                file.url, str(path.parent), "cpu", progress=False, check_hash=True, weights_only=True
            )
        else:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        found = state.items() if isinstance(state, dict) else ()
        tensors = unpack({key: x.detach() for key, x in found if isinstance(x, torch.Tensor)})
    except Exception as e:  # a damaged pickle raises nearly anything
        raise WeightsError(
            f"cannot read the weights of {name}",
            f"{path}: {(str(e).splitlines() or [type(e).__name__])[0]}",
            "it is damaged or no weight file: remove it or put a whole one there",
        ) from e
    expected = _shapes(name) or {key: tuple(x.shape) for key, x in tensors.items()}
    problems = [
        f"{key} is {tuple(tensors[key].shape)} instead of {shape}" if key in tensors else f"{key} is missing"
        for key, shape in expected.items()
        if key not in tensors or tuple(tensors[key].shape) != shape
    ]
    if problems:
        why = f"{path}: {problems[0]}" + (f" (and {len(problems) - 1} more)" if problems[1:] else "")
        raise WeightsError(f"these are not the weights of {name}", why, f"remove it or put {file.filename} there")
    return {key: tensors[key].float() if tensors[key].is_floating_point() else tensors[key] for key in expected}


def _cut_down(name: str, archive: Path, target: Path) -> None:
    """Write the tensors of `archive` that are used to `target`, and the digest of that beside it as a note."""
    from safetensors.torch import save

    part = target.with_name(target.name + ".part")
    try:
        # One metadata key: several come out in random order, and the digest of the file goes into fingerprints.
        data = save(_read(name, archive), {"origin": REGISTRY[name].url})
        with part.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        target.with_name(target.name + NOTE).write_text(sha256(part), encoding="ascii")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _noted(path: Path, digest: str) -> bool:
    """Whether `_cut_down` wrote this digest; anybody can lay a note beside a file, so it counts only in our cache."""
    note = path.with_name(path.name + NOTE)
    return path.parent == cache_dir() and note.is_file() and note.read_bytes() == digest.encode()


def _hub_dir() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"
