"""The score card: the figures of a clip and their curves, as a table and as JSON.

`measure` computes the curves; `docs/metrics.md` has the formulas with their limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from vidstyle.evaluation.edit_list import Transition, count_in_words
from vidstyle.motion.bars import Bars

Curve = tuple[float | None, ...]
"""A value for each frame; None where it is not defined."""

DEFINITIONS = {
    "warping_error_short": (
        "E(t, t-1) = sum over c and p in M of (O_t(p) - warp(O_t-1, w)(p))^2 / (3 |M|); w: flow "
        "of the source from t to t-1, M: reliable pixels, forward-backward consistent, no "
        "motion boundary, inside; images in [0, 1]; mean over the pairs within a shot of which "
        "neither frame belongs to a transition"
    ),
    "warping_error_long": (
        "E(t, t-10), with the flow and the reliable pixels of the source from t to t-10; mean "
        "over the pairs as above"
    ),
    "drift": (
        "mean over c and p in R of |O_t(p) - O_first(p)|; first: the shot's first frame that "
        "belongs to no transition, R: pixels that look in source frame t as they did in it; mean "
        "over frames"
    ),
    "drift_max": "the largest |O_t(p) - O_first(p)| over c and p in R; maximum over frames",
    "drift_colour": (
        "|mean over p in R of (O_t(p) - O_first(p))| of the channel where it is largest; "
        "maximum over frames"
    ),
    "style": (
        "mean over relu1_1 .. relu5_1 of |G - A|^2 / |A|^2, G = F F^T / (h w) of the frame and "
        "A of the painting at the frame's area; mean over frames"
    ),
    "content": (
        "|F - P|^2 / |P|^2 at relu4_2, F of the frame and P of the source's; mean over frames"
    ),
    "content_near": (
        "the same over the positions of relu4_2 that hold a pixel within 12 px of a motion "
        "boundary of the source's flow from t to t-1; mean over the frames that have any"
    ),
    "content_beside": (
        "the content distance over the whole frame; mean over the frames that content_near has"
    ),
    "sharpness": (
        "mean of (O(x+1, y) - O(x, y))^2 plus mean of (O(x, y+1) - O(x, y))^2; mean over frames"
    ),
    "saturation_uncovered": (
        "mean over the pixels that source frame t shows and t-1 does not (the flow does not "
        "return, or points outside) of (max - min) / max over the channels of O_t; mean over "
        "the frames that have any"
    ),
    "d_short": "1 - warping_error_short of the result / that of the baseline",
    "d_long": "1 - warping_error_long of the result / that of the baseline",
    "style_ratio": "style of the result / that of the baseline",
    "content_ratio": "content of the result / that of the baseline",
    "content_beside_ratio": "content_beside of the result / that of the baseline",
    "content_near_ratio": "content_near of the result / that of the baseline",
    "ghosting": (
        "content_near_ratio / content_beside_ratio: 1 means no worse near motion boundaries "
        "than elsewhere"
    ),
    "sharpness_ratio": "sharpness of the result / that of the baseline",
    "saturation_uncovered_ratio": (
        "saturation_uncovered of the result / that of the baseline: below 1 there is haze"
    ),
    "pixels": (
        "share of the pixels that warping_error_short and _long, drift, content_near and "
        "saturation_uncovered look at; mean over the frames where it is defined"
    ),
    "transitions": (
        "frames first .. stop - 1 of the source, in the result's count, that are mixed from two "
        "shots (dissolve), faded to a flat colour (fade) or lit by a flash; nothing is measured "
        "in them, and no pair joins the two sides of a dissolve or a fade"
    ),
    "bars": (
        "rows above and below and columns left and right, in pixels of the result, that are bars "
        "of the source; all clips are measured inside them"
    ),
}
"""The definition of each name in the JSON. S is the source, O the clip that is measured, c a
channel, p a pixel.
"""


@dataclass(frozen=True)
class Scores:
    """The curves of one clip, in the units of `DEFINITIONS`.

    For the source `content` and `content_near` are None everywhere; without a style image `style`
    is.
    """

    warping_error_short: Curve
    warping_error_long: Curve
    drift: Curve
    drift_max: Curve
    drift_colour: Curve
    style: Curve
    content: Curve
    content_near: Curve
    sharpness: Curve
    saturation_uncovered: Curve

    def means(self) -> dict[str, float | None]:
        """Reduce each curve to one figure: the mean over the frames where it is defined, or the
        maximum for the two maxima of drift. None: it is defined nowhere.
        """
        figures = {field.name: mean_defined(getattr(self, field.name)) for field in fields(self)}
        for name in ("drift_max", "drift_colour"):
            figures[name] = max((x for x in getattr(self, name) if x is not None), default=None)
        pairs = zip(self.content, self.content_near, strict=True)
        whole_frame = [whole for whole, near in pairs if near is not None]
        figures["content_beside"] = mean_defined(whole_frame)
        return figures


@dataclass(frozen=True)
class ScoreCard:
    """The figures of a result, with the files and the setup that they were measured on.

    Args:
        result, source, baseline: their curves; the source's own are the floor. baseline: None where
            none was given.
        pixels: for each measure that does not use all pixels, the share that it uses, in [0, 1].
        shots: first frames of shots, 0 included, as indices of the result's frames.
        transitions: the frames that are not measured, in order.
        bars: those of the source, in pixels of the result; what is inside them is measured.
        inputs: for each file its path, frames, size and digest; for the source also the frame at
            which the result begins.
        setup: the networks, precision and device that measured.
        constants: the numbers in the definitions.
        versions: the versions of the program and its libraries.
        metrics_version: version of the definitions; figures of different versions cannot be
            compared.
    """

    result: Scores
    source: Scores
    baseline: Scores | None
    pixels: Mapping[str, Curve]
    shots: tuple[int, ...]
    transitions: tuple[Transition, ...]
    bars: Bars
    inputs: Mapping[str, Mapping[str, Any]]
    setup: Mapping[str, str]
    constants: Mapping[str, float]
    versions: Mapping[str, str]
    metrics_version: int

    @property
    def clips(self) -> dict[str, Scores]:
        """The scores by the name of the clip: source, result, baseline."""
        clips = {"source": self.source, "result": self.result}
        return clips | ({"baseline": self.baseline} if self.baseline else {})

    def against_baseline(self) -> dict[str, float | None]:
        """Compare the result with the baseline (see `compare_scores`); empty without a baseline."""
        return compare_scores(self.result, self.baseline) if self.baseline else {}

    def to_dict(self) -> dict[str, Any]:
        """Collect everything that was measured, in plain types."""
        return {
            "metrics_version": self.metrics_version,
            "versions": dict(self.versions),
            "setup": dict(self.setup),
            "constants": dict(self.constants),
            "inputs": {name: dict(facts) for name, facts in self.inputs.items()},
            "shots": list(self.shots),
            "transitions": [asdict(transition) for transition in self.transitions],
            "bars": asdict(self.bars),
            "definitions": DEFINITIONS,
            "means": {name: scores.means() for name, scores in self.clips.items()},
            "against_baseline": self.against_baseline(),
            "pixels": {name: mean_defined(curve) for name, curve in self.pixels.items()},
            "per_frame": {
                **{name: asdict(scores) for name, scores in self.clips.items()},
                "pixels": {name: list(curve) for name, curve in self.pixels.items()},
            },
        }

    def to_json(self) -> str:
        """Write `to_dict` as strict JSON: no NaN, no infinity, nothing beyond ASCII."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def text(self) -> str:
        """Write the table for a terminal, with - where a figure is not defined."""
        clips = self.clips
        means = [scores.means() for scores in clips.values()]
        shares = {name: mean_defined(curve) for name, curve in self.pixels.items()}
        comparison = self.against_baseline()
        lines = [["", *clips, "pixels", "to baseline" if comparison else ""]]
        for label, name, digits, compared_name in TABLE_ROWS:
            figures = [format_figure(one[name], digits) for one in means]
            share = format_percent(shares[name]) if name in shares else ""
            lines.append([label, *figures, share, format_comparison(compared_name, comparison)])
        if comparison:
            ghosting = format_comparison("ghosting", comparison)
            lines.append(["  ghosting", *("" for _ in means), "", ghosting])
        return "\n".join([*self.header_lines(), "", *align_columns(lines)])

    def header_lines(self) -> list[str]:
        """Name the files and the setup above the table."""
        result = self.inputs["result"]
        source = self.inputs["source"]
        shots = count_in_words(self.shots, self.transitions)
        size = f"{result['width']}x{result['height']}"
        lines = [
            f"result    {result['path']}: {result['frames']} frames of {size}, {shots}",
            f"source    {source['path']}, from its frame {source['first']} on",
        ]
        for name, word in {"baseline": "baseline", "style": "painting"}.items():
            if name in self.inputs:
                lines.append(f"{word:<10}{self.inputs[name]['path']}")
        if left_out := self.describe_left_out():
            lines.append(f"left out  {left_out}")
        setup = self.setup
        networks = f"{setup['flow']} flow, {setup['features']} features in {setup['precision']}"
        return [*lines, f"measured  {networks}, definitions {self.metrics_version}"]

    def describe_left_out(self) -> str:
        """Say which frames and pixels are not measured; "" where all are."""
        parts = []
        if frame_count := sum(one.stop - one.first for one in self.transitions):
            noun = "frame" if frame_count == 1 else "frames"
            parts.append(f"{frame_count} {noun} in transitions")
        if not self.bars.is_empty:
            parts.append(f"bars of {self.bars.describe()}, in pixels")
        return "; ".join(parts)


def compare_scores(result: Scores, baseline: Scores) -> dict[str, float | None]:
    """Compare the means of two clips: D = 1 - result / baseline for the warping errors, the
    quotient result / baseline for everything else. The keys are those of `DEFINITIONS`; None where
    a quotient is not defined.
    """
    result_means = result.means()
    baseline_means = baseline.means()
    ratios = {name: divide(value, baseline_means[name]) for name, value in result_means.items()}
    near = ratios["content_near"]
    whole = ratios["content_beside"]
    return {
        "d_short": subtract_from_one(ratios["warping_error_short"]),
        "d_long": subtract_from_one(ratios["warping_error_long"]),
        "style_ratio": ratios["style"],
        "content_ratio": ratios["content"],
        "content_beside_ratio": whole,
        "content_near_ratio": near,
        "ghosting": divide(near, whole),
        "sharpness_ratio": ratios["sharpness"],
        "saturation_uncovered_ratio": ratios["saturation_uncovered"],
    }


TABLE_ROWS = (
    ("warping error (t, t-1)", "warping_error_short", 6, "d_short"),
    ("warping error (t, t-10)", "warping_error_long", 6, "d_long"),
    ("drift, mean", "drift", 4, ""),
    ("drift, largest", "drift_max", 4, ""),
    ("drift, mean colour", "drift_colour", 4, ""),
    ("style distance", "style", 4, "style_ratio"),
    ("sharpness", "sharpness", 6, "sharpness_ratio"),
    ("content distance", "content", 4, "content_ratio"),
    ("  of frames with boundaries", "content_beside", 4, "content_beside_ratio"),
    ("  near those boundaries", "content_near", 4, "content_near_ratio"),
    ("saturation, uncovered", "saturation_uncovered", 4, "saturation_uncovered_ratio"),
)
"""For each line of the table: its label, the measure, the digits, and the name of the comparison
with the baseline ("": none).
"""


def mean_defined(curve: Sequence[float | None]) -> float | None:
    """Average the values that are defined; None: none is."""
    values = [x for x in curve if x is not None]
    return sum(values) / len(values) if values else None


def divide(numerator: float | None, denominator: float | None) -> float | None:
    """Divide two figures; None where one is not defined, or the denominator is 0."""
    return None if numerator is None or not denominator else numerator / denominator


def subtract_from_one(ratio: float | None) -> float | None:
    """Turn the share that is left into the share that is gone."""
    return None if ratio is None else 1 - ratio


def format_figure(value: float | None, digits: int) -> str:
    """Write a figure with so many digits after the point, or - where it is not defined."""
    return "-" if value is None else f"{value:.{digits}f}"


def format_percent(share: float | None) -> str:
    """Write a share in [0, 1] in percent, or - where it is not defined."""
    return "-" if share is None else f"{100 * share:.0f} %"


def format_comparison(name: str, comparison: Mapping[str, float | None]) -> str:
    """Write the comparison called `name`: a share that is gone as D, anything else as a factor;
    nothing where there is no such comparison.
    """
    if name not in comparison:
        return ""
    value = comparison[name]
    if value is None:
        return "-"
    return f"D = {value:.3f}" if name.startswith("d_") else f"x {value:.3f}"


def align_columns(lines: Sequence[Sequence[str]]) -> list[str]:
    """Pad the cells so that columns line up: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
