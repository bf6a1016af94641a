"""The versions that are recorded are those in use."""

from __future__ import annotations

import cv2
import torch

import vidstyle
from vidstyle.machine.versions import library_versions


def test_every_library_that_frames_depend_on_is_named() -> None:
    assert library_versions("n7.1") == {
        "vidstyle": vidstyle.__version__,
        "torch": torch.__version__,
        "opencv": cv2.__version__,
        "ffmpeg": "n7.1",
        "threads": str(torch.get_num_threads()),
    }
