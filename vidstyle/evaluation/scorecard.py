"""The score card: the figures of a film and what they are made of, as a table and as JSON.

Light: `vidstyle/__init__.py` imports it. What measures is in `meter`, the formulas with their
limits in `docs/metrics.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

Curve = tuple[float | None, ...]
"""A value for each frame; None where it is not defined."""

DEFINITIONS = {
    "warping_error_short": "E(t, t-1) = sum over c and p in M of (O_t(p) - warp(O_t-1, w)(p))^2 / (3 |M|); w: flow of "
    "the source from t to t-1, M: reliable pixels, forward-backward consistent, no motion boundary, inside; images in "
    "[0, 1]; mean over the pairs within a shot",
    "warping_error_long": "E(t, t-10), with the flow and the reliable pixels of the source from t to t-10; mean over "
    "the pairs within a shot",
    "drift": "mean over c and p in R of |O_t(p) - O_first(p)|; first: the shot's first frame, R: pixels that look in "
    "source frame t as they did in it; mean over frames",
    "drift_max": "the largest |O_t(p) - O_first(p)| over c and p in R; maximum over frames",
    "drift_colour": "|mean over p in R of (O_t(p) - O_first(p))| of the channel where it is largest; maximum over "
    "frames",
    "style": "mean over relu1_1 .. relu5_1 of |G - A|^2 / |A|^2, G = F F^T / (h w) of the frame and A of the painting "
    "at the frame's area; mean over frames",
    "content": "|F - P|^2 / |P|^2 at relu4_2, F of the frame and P of the source's; mean over frames",
    "content_near": "the same over the positions of relu4_2 that hold a pixel within 12 px of a motion boundary of the "
    "source's flow from t to t-1; mean over the frames that have any",
    "content_beside": "the content distance over the whole frame; mean over the frames that content_near has",
    "sharpness": "mean of (O(x+1, y) - O(x, y))^2 plus mean of (O(x, y+1) - O(x, y))^2; mean over frames",
    "saturation_uncovered": "mean over the pixels that source frame t shows and t-1 does not (the flow does not "
    "return, or points outside) of (max - min) / max over the channels of O_t; mean over the frames that have any",
    "d_short": "1 - warping_error_short of the result / that of the baseline",
    "d_long": "1 - warping_error_long of the result / that of the baseline",
    "style_ratio": "style of the result / that of the baseline",
    "content_ratio": "content of the result / that of the baseline",
    "content_beside_ratio": "content_beside of the result / that of the baseline",
    "content_near_ratio": "content_near of the result / that of the baseline",
    "ghosting": "content_near_ratio / content_beside_ratio: 1 means no worse near motion boundaries than elsewhere",
    "sharpness_ratio": "sharpness of the result / that of the baseline",
    "saturation_uncovered_ratio": "saturation_uncovered of the result / that of the baseline: below 1 there is haze",
    "pixels": "share of the pixels that warping_error_short and _long, drift, content_near and saturation_uncovered "
    "look at; mean over the frames where it is defined",
}
"""What each name in the JSON stands for. S is the source, O the film that is measured, c a channel,
p a pixel.
"""


@dataclass(frozen=True)
class Scores:
    """The curves of one film, in the units of `DEFINITIONS`; of the source `content` and
    `content_near` are None everywhere, and without a painting `style` is.
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
        """One figure for each curve: the mean over the frames where it is defined, of the two
        maxima of drift the largest. None: it is defined nowhere.
        """
        found = {field.name: mean(getattr(self, field.name)) for field in fields(self)}
        for name in ("drift_max", "drift_colour"):
            found[name] = max((x for x in getattr(self, name) if x is not None), default=None)
        pairs = zip(self.content, self.content_near, strict=True)
        found["content_beside"] = mean([whole for whole, near in pairs if near is not None])
        return found


@dataclass(frozen=True)
class ScoreCard:
    """What was measured of a result, on what, and with what.

    Args:
        result, source, baseline: their curves; the source's own are the floor. baseline: None where
            none was given.
        pixels: shares of the pixels that count, for the measures that do not look at all of them.
        shots: first frames of shots, 0 included, counted in the result.
        inputs: of each file its path, frames, size and digest; of the source also the frame at
            which the result begins.
        setup: networks, precision and device that measured.
        constants: the numbers in the definitions.
        metrics_version: version of the definitions; figures of different versions cannot be
            compared.
    """

    result: Scores
    source: Scores
    baseline: Scores | None
    pixels: Mapping[str, Curve]
    shots: tuple[int, ...]
    inputs: Mapping[str, Mapping[str, Any]]
    setup: Mapping[str, str]
    constants: Mapping[str, float]
    versions: Mapping[str, str]
    metrics_version: int

    @property
    def films(self) -> dict[str, Scores]:
        """The scores by the name of the film."""
        films = {"source": self.source, "result": self.result}
        return films | ({"baseline": self.baseline} if self.baseline else {})

    def against_baseline(self) -> dict[str, float | None]:
        """What the result is to the baseline, None where that is not defined; nothing without a
        baseline.
        """
        return against(self.result, self.baseline) if self.baseline else {}

    def to_dict(self) -> dict[str, Any]:
        """All there is to know, of plain types."""
        return {
            "metrics_version": self.metrics_version,
            "versions": dict(self.versions),
            "setup": dict(self.setup),
            "constants": dict(self.constants),
            "inputs": {name: dict(facts) for name, facts in self.inputs.items()},
            "shots": list(self.shots),
            "definitions": DEFINITIONS,
            "means": {name: scores.means() for name, scores in self.films.items()},
            "against_baseline": self.against_baseline(),
            "pixels": {name: mean(curve) for name, curve in self.pixels.items()},
            "per_frame": {
                **{name: asdict(scores) for name, scores in self.films.items()},
                "pixels": {name: list(curve) for name, curve in self.pixels.items()},
            },
        }

    def to_json(self) -> str:
        """`to_dict` as JSON in the strict sense: no NaN, no infinity, nothing beyond ASCII."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def text(self) -> str:
        """The table for a terminal; - where a figure is not defined."""
        films = [scores.means() for scores in self.films.values()]
        shares = {name: mean(curve) for name, curve in self.pixels.items()}
        against = self.against_baseline()
        lines = [["", *self.films, "pixels", "to baseline" if against else ""]]
        for label, name, digits, comparison in ROWS:
            cells = [figure(means[name], digits) for means in films]
            share = percent(shares[name]) if name in shares else ""
            lines.append([label, *cells, share, compared(comparison, against)])
        if against:
            lines.append(["  ghosting", *("" for _ in films), "", compared("ghosting", against)])
        return "\n".join([*self.preamble(), "", *aligned(lines)])

    def preamble(self) -> list[str]:
        """What was measured, and with what."""
        result, source = self.inputs["result"], self.inputs["source"]
        shots = f"{len(self.shots)} shot" + ("s" if len(self.shots) > 1 else "")
        setup = self.setup
        lines = [
            f"result    {result['path']}: {result['frames']} frames of {result['width']}x{result['height']}, {shots}",
            f"source    {source['path']}, from its frame {source['first']} on",
        ]
        names = {"baseline": "baseline", "style": "painting"}
        lines += [
            f"{word:<10}{self.inputs[name]['path']}"
            for name, word in names.items()
            if name in self.inputs
        ]
        measured = f"{setup['flow']} flow, {setup['features']} features in {setup['precision']}"
        return [*lines, f"measured  {measured}, definitions {self.metrics_version}"]


def against(result: Scores, baseline: Scores) -> dict[str, float | None]:
    """What one film is to another one, None where that is not defined; the names are those of
    `DEFINITIONS`.
    """
    ours, theirs = result.means(), baseline.means()

    def over(name: str) -> float | None:
        return quotient(ours[name], theirs[name])

    def gone(name: str) -> float | None:
        left = over(name)
        return None if left is None else 1 - left

    near, beside = over("content_near"), over("content_beside")
    return {
        "d_short": gone("warping_error_short"),
        "d_long": gone("warping_error_long"),
        "style_ratio": over("style"),
        "content_ratio": over("content"),
        "content_beside_ratio": beside,
        "content_near_ratio": near,
        "ghosting": quotient(near, beside),
        "sharpness_ratio": over("sharpness"),
        "saturation_uncovered_ratio": over("saturation_uncovered"),
    }


ROWS = (
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
"""Of each line of the table: what it says, the measure, its digits, and what sets it against the
baseline.
"""


def mean(curve: Sequence[float | None]) -> float | None:
    """Over what is defined; None: nothing is."""
    values = [x for x in curve if x is not None]
    return sum(values) / len(values) if values else None


def quotient(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b


def figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def compared(name: str, against: Mapping[str, float | None]) -> str:
    """A share that is gone as D, anything else as a factor."""
    if name not in against:
        return ""
    value = against[name]
    if value is None:
        return "-"
    return f"D = {value:.3f}" if name.startswith("d_") else f"x {value:.3f}"


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be, the first one to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
