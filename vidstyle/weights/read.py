"""TODO weights.read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.errors import WeightsError
from vidstyle.weights.int8 import unpack
from vidstyle.weights.registry import REGISTRY, vgg19_shapes

if TYPE_CHECKING:
    from torch import Tensor


def _shapes(name: str) -> dict[str, tuple[int, ...]] | None:
    """What the state dict of `name` must hold; None for the embedded one, whose digest says it
    all.
    """
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
                file.url,
                str(path.parent),
                "cpu",
                progress=False,
                check_hash=True,
                weights_only=True,
            )
        else:
            state = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
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
        f"{key} is {tuple(tensors[key].shape)} instead of {shape}"
        if key in tensors
        else f"{key} is missing"
        for key, shape in expected.items()
        if key not in tensors or tuple(tensors[key].shape) != shape
    ]
    if problems:
        why = f"{path}: {problems[0]}" + (
            f" (and {len(problems) - 1} more)" if problems[1:] else ""
        )
        raise WeightsError(
            f"these are not the weights of {name}", why, f"remove it or put {file.filename} there"
        )
    return {
        key: tensors[key].float() if tensors[key].is_floating_point() else tensors[key]
        for key in expected
    }
