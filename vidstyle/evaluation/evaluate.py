"""`vidstyle.evaluate`: does a result flicker, drift, ghost or blur, and how near is it to the style
image and to its source?

Source, result and baseline are read at the same time; memory does not grow with their length.
`metrics` has the definitions, `scorecard` the figures that are derived from them.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from torch import Tensor

from vidstyle.config.settings import build
from vidstyle.errors import Interrupted, StyleError
from vidstyle.evaluation.comparison import Comparison, align_clips
from vidstyle.evaluation.instruments import (
    FEATURE_NAMES,
    FLOW_NAMES,
    Instruments,
    choose_network,
    fetch_missing_weights,
    load_instruments,
)
from vidstyle.evaluation.measure import CONSTANTS, SOURCE, Meter
from vidstyle.evaluation.metrics import METRICS_VERSION
from vidstyle.evaluation.scorecard import ScoreCard
from vidstyle.events import Measured, Report, Stop, never_stop, silent
from vidstyle.machine.device import deterministic, resolve_device
from vidstyle.machine.versions import library_versions
from vidstyle.storage.atomic import sha256
from vidstyle.video.ffmpeg import find
from vidstyle.video.read import read_image


def evaluate(
    result: Path | str,
    source: Path | str,
    style: Path | str | None = None,
    baseline: Path | str | None = None,
    *,
    start: float | None = None,
    flow: str | None = None,
    features: str | None = None,
    weights_dir: Path | None = None,
    device: str = "auto",
    report: Report = silent,
    stop: Stop = never_stop,
) -> ScoreCard:
    """Measure `result`, a stylised clip, against `source`, the clip that it was made from.

    Args:
        result, baseline: a video, a GIF or an image, or the folder OUTPUT.vidstyle that a render
            with `keep_frames` left: its frames have 16 bits and have gone through no encoder.
        style: the style image; None: no style distance.
        baseline: the same clip stylised frame by frame; with it, D = 1 - E / E_baseline says how
            much flicker is gone.
        start: second of the source at which the result begins, as in a render.
        flow: "dis", "raft-small" or "raft-large"; None: RAFT-small where its weights are, else DIS.
        features: "vgg19" or "lite"; None: VGG-19 where its weights are, else lite.
        stop: asked before every frame; True ends it with `Interrupted`.

    Raises InputError when the clips cannot be compared, and the errors of the files and weights
    that it reads.
    """
    # The settings of a render that choose the same part of the source, and the same device.
    config = build({"input": Path(source), "style": Path("-"), "start": start, "device": device})
    torch_device = resolve_device(config.device)
    flow = choose_network("flow", flow, FLOW_NAMES, weights_dir)
    features = choose_network("features", features, FEATURE_NAMES, weights_dir)
    style_image = None if style is None else read_image(Path(style), StyleError)
    baseline_path = None if baseline is None else Path(baseline)
    comparison = align_clips(Path(result), baseline_path, config.input, config.start, report)
    fetch_missing_weights((flow, features), weights_dir, report)
    with deterministic(torch_device):
        instruments = load_instruments(flow, features, torch_device, weights_dir)
        meter = measure_clips(comparison, instruments, style_image, report, stop)
    return make_score_card(meter, comparison, instruments, None if style is None else Path(style))


def measure_clips(
    comparison: Comparison,
    instruments: Instruments,
    style_image: Tensor | None,
    report: Report,
    stop: Stop,
) -> Meter:
    """Read all clips frame by frame and measure them. Raises Interrupted."""
    meter = Meter(
        comparison.clips,
        instruments.flow,
        instruments.network,
        style_image,
        comparison.shots,
        comparison.transitions,
    )
    with contextlib.closing(comparison.read_frames()) as moments:
        report(Measured(0, comparison.count))
        for done, frames in enumerate(moments, 1):
            if stop():
                raise Interrupted(
                    "interrupted", "nothing was written", "the same command measures again", 130
                )
            meter.add(frames)
            report(Measured(done, comparison.count))
    return meter


def make_score_card(
    meter: Meter, comparison: Comparison, instruments: Instruments, style: Path | None
) -> ScoreCard:
    """Combine the curves with everything that they depend on."""
    inputs: dict[str, dict[str, Any]] = {
        name: clip.describe() for name, clip in comparison.clips.items()
    }
    inputs[SOURCE] |= {"first": comparison.first}
    if style is not None:
        inputs["style"] = {"path": str(style), "sha256": sha256(style)}
    return ScoreCard(
        result=meter.scores("result"),
        source=meter.scores(SOURCE),
        baseline=meter.scores("baseline") if "baseline" in comparison.clips else None,
        pixels=meter.pixel_shares(),
        shots=comparison.shots,
        transitions=comparison.transitions,
        bars=comparison.bars,
        inputs=inputs,
        setup=instruments.describe(),
        constants=CONSTANTS,
        versions=library_versions(find().version),
        metrics_version=METRICS_VERSION,
    )
