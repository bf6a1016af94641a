"""Figures are drawn without a display, and refused without matplotlib."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from vidstyle.errors import ConfigError
from vidstyle.machine import plotting


def test_a_figure_is_a_png_of_its_size_and_the_same_each_time() -> None:
    def draw() -> bytes:
        figure = plotting.new_figure(3, 2)
        figure.subplots().plot([1, 2], [3, 4])
        return plotting.encode_figure(figure)

    data = draw()
    assert data == draw()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (2 * plotting.DOTS_PER_INCH, 3 * plotting.DOTS_PER_INCH, 3)
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (plotting.require_matplotlib, lambda: plotting.new_figure(1, 1)):
        with pytest.raises(ConfigError, match="cannot draw curves") as e:
            draw()
        assert "pip install 'vidstyle[plot]'" in e.value.hint
