"""The report of `vidstyle --version`: the versions, and what was found on this machine."""

from __future__ import annotations

import platform
from pathlib import Path

from vidstyle import __version__
from vidstyle.errors import ToolError
from vidstyle.machine.device import resolve_device, resolve_precision
from vidstyle.weights.locate import status_table


def report_version(weights_dir: Path | None = None) -> str:
    """Return one line for each thing found, and why that one where there was a choice."""
    import cv2
    import torch

    device = resolve_device("auto")
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )
    rows = [
        ("vidstyle", __version__),
        ("python", platform.python_version()),
        ("torch", f"{torch.__version__}, CUDA {torch.version.cuda or 'not built in'}"),
        ("device", f"{device} ({name}), features in {resolve_precision('auto', device)}"),
        ("opencv", cv2.__version__),
        ("ffmpeg", describe_ffmpeg()),
    ]
    for row in status_table(weights_dir):
        place = "" if row.status == "absent" else f", {row.places[0]}"
        rows.append((f"weights {row.file.name}", f"{row.status}{place}"))
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def describe_ffmpeg() -> str:
    """Return the version and place of the ffmpeg that renders use, and why that one; or why there
    is none.
    """
    from vidstyle.video.ffmpeg import find

    try:
        tool = find()
    except ToolError as e:
        return f"none: {e.why}"
    return f"{tool.version}, {tool.path}: {tool.why}"
