"""What this machine offers, for `vidstyle --version`, for bug reports, and for the record of a
render.
"""

from __future__ import annotations

from vidstyle import __version__


def versions() -> dict[str, str]:
    """What frames may depend on beyond the settings: recorded, and warned about when it changes,
    never refused.
    """
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
