"""What this machine offers, for `vidstyle --version`, for bug reports, and for the record of a render."""

from __future__ import annotations

import platform
from pathlib import Path

from vidstyle import __version__, weights
from vidstyle.device import resolve_device, resolve_precision
from vidstyle.errors import ToolError


def describe(weights_dir: Path | None = None) -> str:
    """One line for each thing found, and why that one where there was a choice."""
    import cv2
    import torch

    device = resolve_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
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
            (f"weights {row.file.name}", row.status if row.status == "absent" else f"{row.status}, {row.places[0]}")
            for row in weights.table(weights_dir)
        ),
    ]
    width = max(len(name) for name, _ in found)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found)


def versions() -> dict[str, str]:
    """What frames may depend on beyond the settings: recorded, and warned about when it changes, never refused."""
    import cv2
    import torch

    from vidstyle.video.ffmpeg import find

    return {
        "vidstyle": __version__,
        "torch": torch.__version__,
        "opencv": cv2.__version__,
        "ffmpeg": find().version,  # decodes every pixel, and the thumbnails that cuts are found in
        "threads": str(torch.get_num_threads()),  # sums depend on how they are split
    }
