"""Matplotlib without a display: pyplot, which keeps every figure alive, is not used."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from vidstyle.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 110


def require_matplotlib() -> None:
    """Raise ConfigError where matplotlib, an optional dependency, is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as e:
        raise ConfigError(
            "cannot draw curves",
            f"matplotlib cannot be loaded: {e}",
            "pip install 'vidstyle[plot]', or leave out --plot",
        ) from e


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, its size in inches. Raises ConfigError without matplotlib."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def encode_figure(figure: Figure) -> bytes:
    """Encode a figure as a PNG. The same figure gives the same bytes."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DOTS_PER_INCH)
    return data.getvalue()
