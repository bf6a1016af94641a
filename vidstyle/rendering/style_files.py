"""Style files: what the network has learned of a painting, and the painting itself, so that every
engine takes one wherever a painting goes.

::

    munch.style    safetensors: numbers, changes.NAME (as `weights/int8.py` packs it), painting (a
                   JPEG)
                   metadata: the format, the network that it changes, and the style's card, as JSON
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vidstyle.errors import StyleError
from vidstyle.storage.atomic import write_atomically
from vidstyle.stylize.feedforward.engine import PAINTER
from vidstyle.stylize.feedforward.network import STYLE_NUMBERS, StyleNetwork
from vidstyle.stylize.feedforward.painter import NetworkStyle
from vidstyle.weights.int8 import pack, unpack
from vidstyle.weights.registry import REGISTRY

STYLE_SUFFIX = ".style"
STYLE_KEY = "vidstyle"
STYLE_FORMAT = "style 1"
CHANGES_PREFIX = "changes."
PAINTING_SIDE = 1024
"""Pixels of the longer side of the painting in the file, at most."""

PAINTING_QUALITY = 85

DIGEST_DIGITS = 16


@dataclass(frozen=True)
class LearnedStyle:
    """The content of a style file.

    Args:
        painting: (3, H, W); None where a style is kept for one render alone.
        card: its name, and what was set and measured while it was learned.
    """

    style: NetworkStyle
    painting: Tensor | None = None
    card: Mapping[str, Any] = field(default_factory=dict)


def is_style_file(path: Path) -> bool:
    """Tell whether a file is meant to be a learned style, by its name."""
    return path.suffix.lower() == STYLE_SUFFIX


def save_style(path: Path, learned: LearnedStyle) -> None:
    """Write a style file, whole or not at all."""
    tensors = {"numbers": learned.style.numbers.float().cpu().contiguous()}
    for name, change in pack(learned.style.changes).items():
        tensors[CHANGES_PREFIX + name] = change.cpu().contiguous()
    if learned.painting is not None:
        tensors["painting"] = torch.from_numpy(encode_painting(learned.painting))
    # One key: safetensors writes several in any order.
    about = {"format": STYLE_FORMAT, "base": base_digest(), "card": dict(learned.card)}
    metadata = {STYLE_KEY: json.dumps(about)}
    write_atomically(path, save(tensors, metadata))


def round_style(style: NetworkStyle) -> NetworkStyle:
    """Round a style to what its file holds."""
    changes = {name: x.float() for name, x in unpack(pack(style.changes)).items()}
    return NetworkStyle(style.numbers.float(), changes)


def load_style(path: Path) -> LearnedStyle:
    """Read a style file. Raises StyleError where it is none, is damaged, or changes a network that
    this version has no more.
    """
    with opened(path) as (file, about):
        if about.get("base") != base_digest():
            raise ValueError("it was learned with the network of another version of vidstyle")
        tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        return unpack_style(tensors, dict(about["card"]))


def load_painting(path: Path) -> Tensor:
    """Read the painting (3, H, W) of a style file, whatever version learned it. Raises StyleError
    where there is none.
    """
    with opened(path) as (file, _):
        if "painting" not in list(file.keys()):
            raise ValueError("its painting is not in it")
        return decode_painting(file.get_tensor("painting").numpy())


def read_card(path: Path) -> dict[str, Any]:
    """Read the card of a style file. Raises StyleError where it is none, or damaged."""
    with opened(path) as (_, about):
        return dict(about["card"])


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a style file, and read its metadata; what goes wrong with it becomes a StyleError."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(STYLE_KEY, "{}"))
            if not isinstance(about, dict) or about.get("format") != STYLE_FORMAT:
                raise ValueError("its metadata are not those of a style")
            yield file, about
    except FileNotFoundError as e:
        hint = "vidstyle learn makes one of a painting, and vidstyle styles lists ready ones"
        raise StyleError(f"there is no style {path}", "no file has this name", hint) from e
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, cv2.error) as e:
        raise style_file_error(path, str(e) or type(e).__name__) from e


def base_digest() -> str:
    """Name the network that learned styles are changes of."""
    return REGISTRY[PAINTER].sha256[:DIGEST_DIGITS]


def unpack_style(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> LearnedStyle:
    """Take the tensors of a style file apart. Raises ValueError and KeyError."""
    shapes = {name: x.shape for name, x in StyleNetwork().state_dict().items()}
    int8_changes = {
        name.removeprefix(CHANGES_PREFIX): x
        for name, x in tensors.items()
        if name.startswith(CHANGES_PREFIX)
    }
    changes = {name: x.float() for name, x in unpack(int8_changes).items()}
    numbers = tensors["numbers"]
    if numbers.shape != (STYLE_NUMBERS,) or any(
        shapes.get(name) != x.shape for name, x in changes.items()
    ):
        raise ValueError("its numbers are those of another network")
    painting = decode_painting(tensors["painting"].numpy()) if "painting" in tensors else None
    return LearnedStyle(NetworkStyle(numbers, changes), painting, card)


def style_file_error(path: Path, why: str) -> StyleError:
    """The error for a file that is no style file."""
    return StyleError(
        f"{path} is not a style that vidstyle can use", why, "learn it again: vidstyle learn"
    )


def encode_painting(painting: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Encode a painting (3, H, W) as JPEG bytes."""
    pixels = (painting.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    height, width = pixels.shape[:2]
    scale = min(1.0, PAINTING_SIDE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, PAINTING_QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    return np.asarray(encoded, np.uint8).reshape(-1)


def decode_painting(encoded: np.ndarray[Any, Any]) -> Tensor:
    """Decode a painting, (3, H, W) in [0, 1]. Raises ValueError."""
    pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if pixels is None:
        raise ValueError("its painting is damaged")
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
