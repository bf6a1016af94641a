"""The reading of weight files: plain tensors of the expected shapes, or a refusal."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.errors import WeightsError
from vidstyle.weights.int8 import unpack
from vidstyle.weights.registry import REGISTRY, WeightFile, vgg19_shapes

if TYPE_CHECKING:
    from torch import Tensor


def read_weights(name: str, path: Path) -> dict[str, Tensor]:
    """Read the tensors of `name` from a file of either format, floats as fp32.

    Raises WeightsError when the file is damaged, hostile, or of another network.
    """
    file = REGISTRY[name]
    try:
        tensors = _read_tensors(file, path)
    # A damaged pickle raises nearly anything.
    except Exception as e:
        raise WeightsError(
            f"cannot read the weights of {name}",
            f"{path}: {(str(e).splitlines() or [type(e).__name__])[0]}",
            "it is damaged or no weight file: remove it or put a whole one there",
        ) from e
    expected = expected_shapes(name) or {key: tuple(x.shape) for key, x in tensors.items()}
    if problems := _compare_shapes(tensors, expected):
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        raise WeightsError(
            f"these are not the weights of {name}",
            f"{path}: {problems[0]}{more}",
            f"remove it or put {file.filename} there",
        )
    return {
        key: tensors[key].float() if tensors[key].is_floating_point() else tensors[key]
        for key in expected
    }


def expected_shapes(name: str) -> dict[str, tuple[int, ...]] | None:
    """Return the shape of each tensor that the state dict of `name` must hold; None for the
    embedded one, which its digest identifies.
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


def _read_tensors(file: WeightFile, path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file and leave out the rest, whatever it is."""
    import torch
    from safetensors.torch import load_file

    state: Any
    if path.suffix == ".safetensors":
        state = load_file(path)
    elif file.is_kept_whole:
        # The file is there already, so torch.hub only reads it.
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
    values = state.items() if isinstance(state, dict) else ()
    return unpack({key: x.detach() for key, x in values if isinstance(x, torch.Tensor)})


def _compare_shapes(tensors: dict[str, Tensor], expected: dict[str, tuple[int, ...]]) -> list[str]:
    """Describe each tensor that is missing or of another shape."""
    problems = []
    for key, shape in expected.items():
        if key not in tensors:
            problems.append(f"{key} is missing")
        elif tuple(tensors[key].shape) != shape:
            problems.append(f"{key} is {tuple(tensors[key].shape)} instead of {shape}")
    return problems
