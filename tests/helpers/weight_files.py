"""Weight files in small, and a server that holds them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vidstyle.weights import registry

VGG19, ARCHIVE = "vgg19_features.safetensors", registry.REGISTRY["vgg19"].remote
State = dict[str, Tensor]


@dataclass
class Web:
    """What the server holds, whether it breaks off halfway, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks_off: bool = False
    asked: list[str] = field(default_factory=list)


def vgg19(seed: int = 0) -> State:
    """A whole VGG-19's state dict in small: with the convolutions and the classifier that are not
    used.
    """
    generator = torch.Generator().manual_seed(seed)
    shapes = registry.vgg19_shapes() | {"features.32.bias": (51,), "classifier.0.weight": (7, 51)}
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def raft(name: str) -> State:
    from torchvision.models import optical_flow

    state: State = getattr(optical_flow, name.replace("-", "_"))(
        weights=None, progress=False
    ).state_dict()
    return state


def pickled(state: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def know(monkeypatch: pytest.MonkeyPatch, name: str, body: bytes) -> None:
    """Let the stand-in be the file that the registry expects."""
    changed = replace(registry.REGISTRY[name], sha256=hashlib.sha256(body).hexdigest()[:8])
    monkeypatch.setitem(registry.REGISTRY, name, changed)


def used(state: State) -> State:
    return {key: state[key] for key in registry.vgg19_shapes()}


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def left(*folders: Path) -> set[str]:
    """File names, without the lock."""
    return {path.name for folder in folders for path in folder.iterdir() if path.suffix != ".lock"}
