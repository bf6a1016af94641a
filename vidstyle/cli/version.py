"""TODO cli.version."""

from __future__ import annotations

import platform
from pathlib import Path

from vidstyle import __version__
from vidstyle.errors import ToolError
from vidstyle.machine.device import resolve_device, resolve_precision
from vidstyle.weights import locate


def describe(weights_dir: Path | None = None) -> str:
    """One line for each thing found, and why that one where there was a choice."""
    import cv2
    import torch

    device = resolve_device("auto")
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )
    try:
        from vidstyle.video.ffmpeg import find

        tool = find()
        ffmpeg = f"{tool.version}, {tool.path}: {tool.why}"
    except ToolError as e:
        ffmpeg = f"none: {e.why}"
    found = [
        ("vidstyle", __version__),
        ("python", platform.python_version()),
        ("torch", f"{torch.__version__}, CUDA {torch.version.cuda or 'not built in'}"),
        ("device", f"{device} ({name}), features in {resolve_precision('auto', device)}"),
        ("opencv", cv2.__version__),
        ("ffmpeg", ffmpeg),
        *(
            (
                f"weights {row.file.name}",
                row.status if row.status == "absent" else f"{row.status}, {row.places[0]}",
            )
            for row in locate.status_table(weights_dir)
        ),
    ]
    width = max(len(name) for name, _ in found)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found)
