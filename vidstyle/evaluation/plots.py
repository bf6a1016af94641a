"""Curves as a picture: of a score card, what changes from frame to frame, and where; of a trace,
how losses fall.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidstyle.errors import ConfigError

if TYPE_CHECKING:
    from vidstyle.evaluation.scorecard import ScoreCard
    from vidstyle.rendering.trace import Evaluation

COLOURS = {"result": "#d1495b", "baseline": "#30638e", "source": "#8a8a8a"}
PANELS = (
    ("warping error (t, t-1)", "warping_error_short"),
    ("warping error (t, t-10)", "warping_error_long"),
    ("drift", "drift"),
    ("style distance", "style"),
    ("content distance", "content"),
    ("content distance\nnear boundaries", "content_near"),
    ("sharpness", "sharpness"),
    ("saturation,\nuncovered", "saturation_uncovered"),
)


LEAST = 1e-4
"""Of the largest loss, the share down to which losses are drawn."""


def require() -> None:
    """Raises ConfigError where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as e:
        raise ConfigError(
            "cannot draw curves",
            f"matplotlib cannot be loaded: {e}",
            "pip install 'vidstyle[plot]', or leave out --plot",
        ) from e


def png(card: ScoreCard) -> bytes:
    """A picture with a panel for each measure, a line for each film and a dashed one at each cut.
    The same card gives the same bytes.

    Without pyplot, which would keep the figure alive and ask for a display.
    """
    require()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [
        (title, name)
        for title, name in PANELS
        if any(x is not None for scores in card.films.values() for x in getattr(scores, name))
    ]
    figure = Figure(figsize=(10, 1 + 1.5 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, name) in zip(grid, panels, strict=True):
        for film, scores in card.films.items():
            curve = getattr(scores, name)
            for first, stop in zip(card.shots, (*card.shots[1:], len(curve)), strict=True):
                # A gap where it is not defined; points, or a value between two gaps would not be
                # seen.
                points = [
                    (t, float("nan") if curve[t] is None else curve[t]) for t in range(first, stop)
                ]
                axes.plot(
                    *zip(*points, strict=True),
                    color=COLOURS[film],
                    label=film,
                    linewidth=1.2,
                    marker=".",
                    ms=3,
                )
        for cut in card.shots[1:]:
            axes.axvline(cut, color="black", linewidth=0.8, linestyle="--")
        axes.set_ylabel(title, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.01)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    grid[-1].set_xlabel("frame; dashed: a cut", fontsize=8)
    handles = {
        label: line
        for axes in grid
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=3, fontsize=8)
    setup = card.setup
    figure.suptitle(
        f"{setup['flow']} flow, {setup['features']} features", fontsize=9, x=0.01, ha="left"
    )
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def losses_png(evaluations: Sequence[Evaluation]) -> bytes:
    """A picture of how the losses fall, in logarithms: each term and their total, of the best
    picture so far, anew in each part. The same evaluations give the same bytes.
    """
    require()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = list(dict.fromkeys(name for one in evaluations for name in one.losses))
    lines = {"total": "black", **{name: f"C{i}" for i, name in enumerate(names)}}
    parts = [list(group) for _, group in itertools.groupby(evaluations, key=lambda one: one.part)]
    networks = {one.features for one in evaluations}
    for part in parts:
        best = list(itertools.accumulate(part, better))
        at = [one.iteration for one in part]
        for name, colour in lines.items():
            losses = [one.total if name == "total" else one.losses[name] for one in best]
            values = [loss or float("nan") for loss in losses]  # 0 has no logarithm
            thick = 2.0 if name == "total" else 1.2
            axes.plot(at, values, color=colour, label=name, linewidth=thick, marker=".", ms=3)
        axes.axvline(at[0] - 0.5, color="black", linewidth=0.5)
        width, height = part[0].scale
        label = f" {width}x{height}" + (f"\n {part[0].features}" if len(networks) > 1 else "")
        axes.text(
            at[0] - 0.5, 1, label, transform=axes.get_xaxis_transform(), fontsize=7, va="bottom"
        )
    axes.set_yscale("log")
    # A picture that starts from its content has lost nothing of it, to within a rounding.
    least = LEAST * max((one.total for one in evaluations if one.taken), default=1.0)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], least))
    taken = all(one.taken for one in evaluations)
    axes.set_ylabel("weighted loss" if taken else "weighted loss of the best so far", fontsize=8)
    axes.set_xlabel(
        "iteration; upright lines: another size or network, whose losses do not compare", fontsize=8
    )
    axes.margins(x=0.01)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    handles = {label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def better(before: Evaluation, one: Evaluation) -> Evaluation:
    """What the optimiser has after an evaluation."""
    return one if one.taken else before
