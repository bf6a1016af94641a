"""The versions of the software that frames depend on."""

from __future__ import annotations

from vidstyle import __version__


def library_versions(ffmpeg: str) -> dict[str, str]:
    """Return the versions on which frames may depend beyond the settings: recorded, and warned
    about when they change, never refused.

    Args:
        ffmpeg: the version of the binary in use, which decodes every pixel, and the thumbnails that
            cuts are found in.
    """
    import cv2
    import torch

    return {
        "vidstyle": __version__,
        "torch": torch.__version__,
        "opencv": cv2.__version__,
        "ffmpeg": ffmpeg,
        # Sums depend on how they are split.
        "threads": str(torch.get_num_threads()),
    }
