"""Films as another program sees them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def frames_of(clip: Path) -> list[NDArray[np.uint8]]:
    """Every frame as (H, W, 3) BGR, by a decoder that is not ours."""
    capture = cv2.VideoCapture(str(clip))
    frames = []
    while (got := capture.read())[0]:
        frames.append(np.asarray(got[1], np.uint8))
    capture.release()
    return frames
