from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for i in range(10):
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        name = f"{'style' if i % 2 else 'photo'}_{i}.png"
        cv2.imwrite(str(images / name), cv2.resize(coarse, (96, 80), interpolation=cv2.INTER_CUBIC))
    return images
