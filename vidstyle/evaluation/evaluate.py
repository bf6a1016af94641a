"""The score card of a result: does it flicker, drift, ghost or blur, and is it still the painting
and the film?

Source, result and baseline are read side by side; what is held does not grow with their length.
`metrics` has the definitions, `scorecard` what is made of the figures.

Imports stay inside the functions: `vidstyle/__init__.py` binds this module's function by name and
must stay light.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import ConfigError, InputError, Interrupted
from vidstyle.evaluation.scorecard import ScoreCard
from vidstyle.events import Measured, Note, Report, silent
from vidstyle.rendering.models import load_flow, load_network

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig
    from vidstyle.evaluation.clips import Film
    from vidstyle.video.probe import Source

FLOWS = ("raft-small", "raft-large", "dis")
FEATURES = ("vgg19", "lite")


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
    stop: Callable[[], bool] = lambda: False,
) -> ScoreCard:
    """Measure `result`, a stylised film, against `source`, the film that it was made of.

    Args:
        result, baseline: a video, a GIF or an image, or the folder OUTPUT.vidstyle that a render
            with `keep_frames` left: its frames have 16 bits and have gone through no encoder.
        style: the painting; None: no style distance.
        baseline: the same film stylised frame by frame; with it, D = 1 - E / E_baseline says how
            much flicker is gone.
        start: second of the source at which the result begins, as in a render.
        flow: "dis", "raft-small" or "raft-large"; None: RAFT-small where its weights are, else DIS.
        features: "vgg19" or "lite"; None: VGG-19 where its weights are, else lite.
        stop: asked before every frame; True ends it with `Interrupted`.

    Raises InputError when the films cannot be compared, and the errors of the files and weights
    that it reads.
    """
    from vidstyle.config.settings import build
    from vidstyle.errors import StyleError
    from vidstyle.evaluation import metrics
    from vidstyle.evaluation.measure import CONSTANTS, SOURCE, Meter
    from vidstyle.machine import versions
    from vidstyle.machine.device import deterministic, resolve_device, resolve_precision
    from vidstyle.rendering.models import downloading
    from vidstyle.storage.atomic import sha256
    from vidstyle.video.read import read_image
    from vidstyle.weights import fetch, registry

    # The settings of a render that choose the same part of the source, and the same device.
    config = build({"input": Path(source), "style": Path("-"), "start": start, "device": device})
    where = resolve_device(config.device)
    precision = resolve_precision("auto", where)
    flow = network_at_hand("flow", flow, FLOWS, weights_dir)
    features = network_at_hand("features", features, FEATURES, weights_dir)
    painting = read_image(Path(style), StyleError) if style is not None else None
    compared = compare(
        Path(result), Path(baseline) if baseline is not None else None, config, report
    )
    for name in (flow, features):
        if name in registry.REGISTRY:
            fetch.fetch(name, weights_dir, progress=downloading(name, report))
    with contextlib.ExitStack() as stack:
        stack.enter_context(deterministic(where))
        estimator = load_flow(flow, where, weights_dir)
        network = load_network(features, device=where, precision=precision, weights_dir=weights_dir)
        films = compared.films
        meter = Meter(films, estimator, network, painting, compared.shots)
        # Closed here and not by the garbage collector: the decoders must be gone when this is over.
        readers = [
            stack.enter_context(contextlib.closing(film.read(compared.count)))
            for film in films.values()
        ]
        report(Measured(0, compared.count))
        for done, images in enumerate(zip(*readers, strict=True), 1):
            if stop():
                raise Interrupted(
                    "interrupted", "nothing was written", "the same command measures anew", 130
                )
            meter.add(dict(zip(films, images, strict=True)))
            report(Measured(done, compared.count))
    inputs = {name: film.facts for name, film in films.items()}
    inputs[SOURCE] |= {"first": compared.first}
    if style is not None:
        inputs["style"] = {"path": str(style), "sha256": sha256(Path(style))}
    return ScoreCard(
        result=meter.scores("result"),
        source=meter.scores(SOURCE),
        baseline=meter.scores("baseline") if "baseline" in films else None,
        pixels=meter.pixels(),
        shots=compared.shots,
        inputs=inputs,
        setup={
            "flow": flow,
            "flow_weights": estimator.digest,
            "features": features,
            "feature_weights": network.digest,
            "pooling": "average",
            "precision": precision,
            "device": where.type,
        },
        constants=CONSTANTS,
        versions=versions.versions(),
        metrics_version=metrics.VERSION,
    )


def network_at_hand(
    what: str, name: str | None, names: tuple[str, ...], weights_dir: Path | None
) -> str:
    """The network asked for; else the first of `names`, the better one, if its weights are here,
    else the last, which needs none.
    """
    from vidstyle.weights import locate

    if name is None:
        return names[0] if locate.locate(names[0], weights_dir) else names[-1]
    if name not in names:
        raise ConfigError(
            f"no {what} called {name!r}", f"there are {', '.join(names)}", "choose one of these"
        )
    return name


@dataclass(frozen=True)
class Comparison:
    """Films of one size that run together: frame 0 of all others belongs to frame `first` of the
    source.

    Args:
        films: by name; the source is read at the size of the result, and only where the result is.
        count: frames that are compared.
        shots: first frames of shots, counted as in the result.
    """

    films: dict[str, Film]
    first: int
    count: int
    shots: tuple[int, ...]


def compare(
    result: Path, baseline: Path | None, config: RenderConfig, report: Report
) -> Comparison:
    """Bring the films together with `config.input` from `config.start` on, the cheap things first.
    Raises InputError when they do not fit.
    """
    from vidstyle.evaluation import clips
    from vidstyle.motion import shots
    from vidstyle.rendering.pipeline import chosen
    from vidstyle.storage.atomic import sha256
    from vidstyle.video.probe import probe
    from vidstyle.video.scan import scan

    found = probe(config.input)
    others = {"result": clips.opened(result)} | (
        {} if baseline is None else {"baseline": clips.opened(baseline)}
    )
    differences = shots.ContentDifference()
    scanned = scan(found, differences.add)
    first, stop = chosen(scanned.timeline, config)
    check_fit(others, config.input, first, stop - first, config.start)
    count, size = others["result"].count, others["result"].size
    digest = sha256(config.input)
    for name, other in others.items():
        if other.made_of not in (None, digest):
            made = f"the {name} was rendered from another file than {config.input}: its figures may say nothing"
            report(Note(made, warning=True))
    for note in notes(others["result"], found, first, len(scanned.timeline), scanned.missing):
        report(note)
    film = clips.Film(
        path=config.input,
        count=len(scanned.timeline),
        size=(found.width, found.height),
        read=lambda wanted: clips.images(found, size, first, first + wanted),
        identity={"sha256": digest},
    )
    cuts = (t - first for t in shots.find_cuts(differences.scores) if first < t < first + count)
    return Comparison({"source": film, **others}, first, count, (0, *cuts))


def check_fit(
    others: dict[str, Film], source: Path, first: int, there: int, start: float | None
) -> None:
    """Raises InputError unless the source has a frame for each of the result's from `first` on (of
    `there`), and the baseline too.
    """
    result = others["result"]
    if result.count > there:
        where = f"from {start} s on" if start else "in all"
        raise InputError(
            f"{result.path} is longer than its source",
            f"it has {result.count} frames, and {source} has {there} {where}",
            "give the video that it was rendered from, and the --start of its render",
        )
    for film in others.values():
        if film.first is not None and film.first != first:
            raise InputError(
                f"{film.path} does not begin where it is measured",
                f"its first frame was made of frame {film.first} of the source, and this is frame {first}",
                "give the --start of its render",
            )
        if film.size != result.size:
            raise InputError(
                f"{film.path} is not of the result's size",
                f"it is {film.size[0]}x{film.size[1]}, and {result.path} is {result.size[0]}x{result.size[1]}",
                "render both with the same --size",
            )
        if film.count < result.count:
            raise InputError(
                f"{film.path} is shorter than the result",
                f"it has {film.count} frames, and {result.path} has {result.count}",
                "render both from the same part of the video",
            )


def notes(result: Film, source: Source, first: int, frames: int, missing: int) -> list[Note]:
    """What the reader of the figures should know about the films."""
    from vidstyle.video.read import fit

    found = [Note(text, warning=True) for text in source.warnings]
    if missing:
        found.append(
            Note(
                f"{source.path} is damaged: {missing} frames are missing, the others count",
                warning=True,
            )
        )
    if result.count < frames:
        part = (
            f"frames {first} to {first + result.count - 1}"
            if result.count > 1
            else f"frame {first}"
        )
        found.append(
            Note(
                f"the result has {result.count} frames: it is measured by {part} of the source's {frames}"
            )
        )
    wanted = fit(source.width, source.height, max(result.size))
    if max(abs(a - b) for a, b in zip(wanted, result.size, strict=True)) > 2:
        shapes = f"{result.size[0]}x{result.size[1]} is not the shape of the source's {source.width}x{source.height}"
        found.append(Note(f"{shapes}: the source is measured stretched to it", warning=True))
    return found
