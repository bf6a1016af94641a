"""The losses of a traced frame as curves over its iterations.

Losses of two sizes, or of two networks, do not compare: each size and each network is a *part*,
whose curves restart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidstyle.machine.plotting import encode_figure, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALLEST_DRAWN_SHARE = 1e-4
"""Losses are drawn down to this share of the largest one."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the objective.

    Args:
        iteration: counted from 1.
        scale: (width, height).
        features: the name of the network.
        losses: {name of a term: its weighted value}.
        taken: True where it is the best of its part so far; all of Adam's are.
    """

    iteration: int
    scale: tuple[int, int]
    features: str
    losses: dict[str, float]
    taken: bool

    @property
    def total(self) -> float:
        """The sum of the weighted losses, which is minimised."""
        return sum(self.losses.values())

    @property
    def part(self) -> tuple[tuple[int, int], str]:
        """The size and the network: only within one part do losses compare."""
        return self.scale, self.features


def losses_png(evaluations: Sequence[Evaluation]) -> bytes:
    """Draw how the losses fall, on a logarithmic axis, as a PNG: each term and their total, of the
    best image so far, starting again in each part. The same evaluations give the same bytes.

    Raises ConfigError without matplotlib.
    """
    figure = new_figure(10, 5)
    axes = figure.subplots()
    names = list(dict.fromkeys(name for one in evaluations for name in one.losses))
    colours = {"total": "black", **{name: f"C{i}" for i, name in enumerate(names)}}
    networks = {one.features for one in evaluations}
    for _, group in itertools.groupby(evaluations, key=lambda one: one.part):
        draw_part(axes, list(group), colours, name_network=len(networks) > 1)
    axes.set_yscale("log")
    # An image that starts from its content has a content loss of 0, to within a rounding.
    totals = (one.total for one in evaluations if one.taken)
    largest = max((total for total in totals if 0 < total < math.inf), default=1.0)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], SMALLEST_DRAWN_SHARE * largest))
    all_taken = all(one.taken for one in evaluations)
    loss_label = "weighted loss" if all_taken else "weighted loss of the best so far"
    axes.set_ylabel(loss_label, fontsize=8)
    axes.set_xlabel(
        "iteration; upright lines: another size or network, whose losses do not compare", fontsize=8
    )
    axes.margins(x=0.01)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    handles = {label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=8)
    return encode_figure(figure)


def draw_part(
    axes: Axes, part: Sequence[Evaluation], colours: dict[str, str], *, name_network: bool
) -> None:
    """Draw a curve for each loss of one part, after an upright line that is labelled with its size.

    Args:
        colours: {name of a term, or "total": its colour}, in the order of the legend.
        name_network: write the network next to the size.
    """
    best = list(itertools.accumulate(part, keep_better))
    iterations = [one.iteration for one in part]
    for name, colour in colours.items():
        losses = [one.total if name == "total" else one.losses[name] for one in best]
        # 0 has no logarithm.
        values = [loss or float("nan") for loss in losses]
        thickness = 2.0 if name == "total" else 1.2
        axes.plot(
            iterations, values, color=colour, label=name, linewidth=thickness, marker=".", ms=3
        )
    left = iterations[0] - 0.5
    axes.axvline(left, color="black", linewidth=0.5)
    width, height = part[0].scale
    label = f" {width}x{height}" + (f"\n {part[0].features}" if name_network else "")
    axes.text(left, 1, label, transform=axes.get_xaxis_transform(), fontsize=7, va="bottom")


def keep_better(best: Evaluation, current: Evaluation) -> Evaluation:
    """Return the evaluation whose image the optimiser keeps."""
    return current if current.taken else best
