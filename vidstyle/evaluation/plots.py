"""The curves of a score card as a picture: how each measure changes from frame to frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidstyle.evaluation.scorecard import Curve, ScoreCard
from vidstyle.machine.plotting import encode_figure, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLIP_COLOURS = {"result": "#d1495b", "baseline": "#30638e", "source": "#8a8a8a"}
TRANSITION_COLOUR = "#ececec"
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
"""The title of each panel, and the measure that it shows."""


def draw_score_card(card: ScoreCard) -> bytes:
    """Draw a panel for each measure as a PNG, with a line for each clip, a dashed one at each cut
    and a shade over each transition. The same card gives the same bytes. Raises ConfigError without
    matplotlib.
    """
    panels = [
        (title, name)
        for title, name in PANELS
        if any(x is not None for scores in card.clips.values() for x in getattr(scores, name))
    ]
    # Where nothing is measured, there is still the edit to show.
    panels = panels or [PANELS[0]]
    figure = new_figure(10, 1 + 1.5 * len(panels))
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, name) in zip(rows, panels, strict=True):
        for clip, scores in card.clips.items():
            draw_curve(axes, getattr(scores, name), card.shots, clip)
        draw_edit(axes, card)
        axes.set_ylabel(title, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.01)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    shaded = "; shaded: transitions, not measured" if card.transitions else ""
    rows[-1].set_xlabel(f"frame; dashed: a cut{shaded}", fontsize=8)
    handles = {
        label: line
        for axes in rows
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=3, fontsize=8)
    networks = f"{card.setup['flow']} flow, {card.setup['features']} features"
    figure.suptitle(networks, fontsize=9, x=0.01, ha="left")
    return encode_figure(figure)


def draw_edit(axes: Axes, card: ScoreCard) -> None:
    """Draw a dashed line at each cut, and a shade over each transition: a shot that comes in by one
    has no line.
    """
    for transition in card.transitions:
        # A frame is as wide as the distance of two.
        first = transition.first - 0.5
        stop = transition.stop - 0.5
        axes.axvspan(first, stop, color=TRANSITION_COLOUR, linewidth=0, zorder=0)
    for cut in card.shots[1:]:
        if not any(one.first <= cut < one.stop for one in card.transitions):
            axes.axvline(cut, color="black", linewidth=0.8, linestyle="--")


def draw_curve(axes: Axes, curve: Curve, shots: tuple[int, ...], clip: str) -> None:
    """Draw the curve of one clip, interrupted at every cut and where it is not defined.

    Points as well as lines: a value between two gaps would not be seen otherwise.
    """
    for first, stop in zip(shots, (*shots[1:], len(curve)), strict=True):
        values = [float("nan") if value is None else value for value in curve[first:stop]]
        axes.plot(
            range(first, stop),
            values,
            color=CLIP_COLOURS[clip],
            label=clip,
            linewidth=1.2,
            marker=".",
            ms=3,
        )
