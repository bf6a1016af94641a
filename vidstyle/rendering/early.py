"""The first shots of a long film, painted while the rest of it is still being looked through.

The packets of a film tell its times in seconds, a scan tells its shots, and its damage, in minutes.
So shots are painted as soon as the scan is well past them. What was painted is on record: a shot
that the whole film shows to be another one than it seemed is painted again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vidstyle.errors import DecodeError, Interrupted
from vidstyle.events import Scanning
from vidstyle.motion.bars import find_bars
from vidstyle.rendering import fingerprint_parts
from vidstyle.rendering.background_scan import BackgroundScan, PartialSurvey
from vidstyle.rendering.composition import frame_labels
from vidstyle.rendering.early_layers import (
    EarlyLayer,
    describe_layer,
    discard_unlike,
    forget_layers,
    read_layers,
    record_layers,
)
from vidstyle.rendering.encoding import delivery_settings
from vidstyle.rendering.film import choose_bar_frames, decode_single_frame
from vidstyle.rendering.job_store import open_store
from vidstyle.rendering.layer_render import render_missing
from vidstyle.rendering.layers import FrameRange, Layer
from vidstyle.rendering.learning import choose_cheap_samples, needs_samples
from vidstyle.rendering.models import weight_files
from vidstyle.rendering.prepare import prepare
from vidstyle.rendering.sources import FIRST_SAMPLE, choose_shot_samples, usable_frames
from vidstyle.rendering.survey import (
    Survey,
    glance_at_long_film,
    is_long_film,
    keep_survey,
    load_survey,
    promised_frames,
    recognise_frames,
    survey_path,
)
from vidstyle.storage.record import read_started_parts

if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from pathlib import Path

    from torch import Tensor

    from vidstyle.events import Report, Stop
    from vidstyle.rendering.job import Job, Request
    from vidstyle.rendering.models import Models
    from vidstyle.storage.checkpoint import Checkpoint
    from vidstyle.video.seek import SeekIndex

WAITING_SECONDS = 0.25
"""From one look at the scan to the next."""

ROUND_FRAMES = 240
"""Frames that are painted from one look at the scan to the next, about, once it is far ahead."""

EARLY_BAR_FRAMES = 4
"""Frames in which bars are looked for before it is certain whether the film has any."""


def may_begin_early(request: Request) -> bool:
    """Tell whether a film is long, and nothing that its first frames depend on is known only at the
    end of a scan, or lies in the numbers of later frames.
    """
    config = request.config
    if config.start is not None or config.duration is not None or config.loop:
        return False
    if config.keep_colors == "match" or config.keyframes or config.regions or config.trace:
        return False
    has_times = any(one.at is not None for one in config.style) or any(
        key.at is not None for key in config.opacity
    )
    if config.keep_titles or has_times:
        return False
    return is_long_film(request.source)


def paint_while_scanning(request: Request, report: Report, stop: Stop, models: Models) -> Job:
    """Look through a long film, and paint its first shots meanwhile; return the job of all of it,
    as `prepare` does.

    Raises what a render raises; what is painted is kept.
    """
    is_cached = not request.config.no_cache
    path = survey_path(request.source)
    seen = load_survey(path) if is_cached else None
    early = EarlyPaint(request, report, stop, models)
    if seen is None:
        seen = early.paint_while_scanning()
        if is_cached:
            keep_survey(path, seen)
    try:
        job = prepare(request, report, seen=seen)
    except DecodeError as e:
        if not early.painted:
            raise
        # It is no refusal any more.
        raise DecodeError(e.what, e.why, e.hint, e.missing) from e
    if early.store is not None and job.config.restart:
        # It has begun: what is painted stays.
        job = replace(job, config=job.config.model_copy(update={"restart": False}))
    return job


class EarlyPaint:
    """Paints the shots that are known."""

    def __init__(self, request: Request, report: Report, stop: Stop, models: Models) -> None:
        self.request = request
        self.report = report
        self.stop = stop
        self.models = models
        self.store: Checkpoint | None = None
        self.is_possible = True
        self.sampled: SeekIndex | None = None
        """The index of the packets, with the checksums of frames that are needed from the first."""
        self.painted: set[EarlyLayer] = set()

    def paint_while_scanning(self) -> Survey:
        """Look through the film, and paint meanwhile what is known of it."""
        source = self.request.source
        with BackgroundScan(source) as scan:
            known = glance_at_long_film(source)
            total = len(known.scanned.timeline) if known else promised_frames(source)
            while (seen := scan.wait(WAITING_SECONDS)) is None:
                if self.stop():
                    why = "the input was being looked through"
                    raise Interrupted("interrupted", why, "the same command continues", 130)
                self.report(Scanning(scan.frames_seen, max(scan.frames_seen, total)))
                if known is not None and self.is_possible:
                    self.paint(known, scan.look(known.scanned.seek_index))
        return seen

    def paint(self, known: Survey, seen: PartialSurvey) -> None:
        """Paint the frames that are settled and not painted yet.

        Args:
            known: what the packets of the film tell.
        """
        if not seen.settled:
            return
        job = self.prepare_early(known, seen)
        if job is None:
            self.is_possible = False
            return
        if self.store is None:
            self.store = self.open_store(job)
        if self.store is None:
            self.is_possible = False
            return
        on_record = read_layers(self.store.folder)
        if seen.settled < max((one.stop for one in on_record), default=0):
            # An earlier run knew more.
            return
        labels = frame_labels(job, self.store.fingerprint)
        self.store.final = replace(self.store.final, labels=labels)
        discard_unlike(job, self.store, self.report)
        self.painted.intersection_update(read_layers(self.store.folder))
        chosen = choose_settled(job, seen.settled, self.painted)
        if not chosen:
            return
        layers = [layer for layer, _ in chosen]
        record_layers(self.store, [painted for _, painted in chosen])
        elsewhere = count_painted(self.painted, {layer.anchor for layer in layers})
        render_missing(
            job,
            layers,
            self.store,
            self.report,
            self.stop,
            self.models,
            painted_elsewhere=elsewhere,
        )
        self.painted.update(painted for _, painted in chosen)

    def open_store(self, job: Job) -> Checkpoint | None:
        """Open the checkpoint; None where the render is done already."""
        digests = self.models.fetch(weight_files(job), job.config.weights_dir)
        parts = fingerprint_parts.complete(job, digests)
        store = open_store(job, parts, self.report, restart=job.config.restart)
        if job.config.restart:
            forget_layers(store.folder)
        return None if store.is_delivered(delivery_settings(job, store)) else store

    def prepare_early(self, known: Survey, seen: PartialSurvey) -> Job | None:
        """Prepare the job as far as it is known; None where it must wait for the whole film: what
        seem to be bars may be the picture elsewhere, and frames may not be where the packets say.
        """
        if self.sampled is None:
            promised = len(known.scanned.timeline)
            is_restart = self.request.config.restart
            if not is_restart and is_begun_otherwise(self.request.output, promised):
                return None
            self.sampled = self.recognise_samples(known)
            if self.sampled is None or (seen.may_have_bars and self.has_bars(known)):
                return None
        checksums = tuple(
            seen_one if seen_one >= 0 else sampled_one
            for seen_one, sampled_one in zip(
                seen.seek.checksums, self.sampled.checksums, strict=True
            )
        )
        scanned = replace(known.scanned, seek_index=replace(seen.seek, checksums=checksums))
        survey = Survey(scanned, seen.edit, may_have_bars=False, is_exact=False)
        return prepare(self.request, seen=survey)

    def recognise_samples(self, known: Survey) -> SeekIndex | None:
        """Look at the frames that an engine learns from."""
        index = known.scanned.seek_index
        if not needs_samples(self.request.config, self.request.engine):
            return index
        count = len(known.scanned.timeline)
        samples = choose_cheap_samples(FrameRange(0, count), self.request.size, index)
        return recognise_frames(self.request.source, index, samples)

    def has_bars(self, known: Survey) -> bool:
        """Tell whether some frames look as if the film had bars, or cannot be looked at."""
        request = self.request
        if request.config.bars != "keep":
            return False
        source = request.source
        index = known.scanned.seek_index
        is_lost = False

        def frames() -> Generator[Tensor, None, None]:
            nonlocal is_lost
            part = FrameRange(0, len(known.scanned.timeline))
            chosen = choose_bar_frames(part, index)
            for at in chosen[:: -(-len(chosen) // EARLY_BAR_FRAMES)]:
                recognised = recognise_frames(source, index, [at])
                if recognised is None:
                    is_lost = True
                    return
                yield decode_single_frame(source, request.size, recognised, at)

        bars = find_bars(frames())
        return is_lost or not bars.is_empty


def choose_settled(
    job: Job, settled: int, painted: Collection[EarlyLayer]
) -> list[tuple[Layer, EarlyLayer]]:
    """Choose what can be painted when the frames before `settled` are known: whole layers, and of a
    layer that goes on its frames up to one of those from which its statistics are taken. Several
    passes go over all of a layer.

    Args:
        painted: what is painted already.
    """
    chosen = []
    missing = 0
    for layer in job.layers:
        if layer.frames.first >= settled or missing >= ROUND_FRAMES:
            break
        begun = [one.stop for one in painted if one.anchor == layer.anchor]
        left = layer.frames.stop - max(begun, default=layer.frames.first)
        if not left:
            continue
        is_known = layer.frames.stop <= settled
        stop = None
        if job.config.passes == 1 and not (is_known and left <= ROUND_FRAMES):
            stop = choose_stop(job, layer, settled, max(begun, default=layer.frames.first))
        if stop is not None:
            part = replace(layer, frames=FrameRange(layer.frames.first, stop))
            chosen.append((part, describe_layer(job, layer, stop, is_open=True)))
            missing += stop - max(begun, default=layer.frames.first)
        elif is_known:
            whole = describe_layer(job, layer, layer.frames.stop, is_open=False)
            chosen.append((layer, whole))
            missing += left
    return chosen


def choose_stop(job: Job, layer: Layer, settled: int, begun: int) -> int | None:
    """Choose how far a layer that goes on is painted next; None where nothing of it can be.

    Args:
        begun: how far it is painted.
    """
    known = replace(layer, frames=FrameRange(layer.frames.first, min(settled, layer.frames.stop)))
    # A shot that may stay short has another sample.
    is_long = len(usable_frames(job, known)) > FIRST_SAMPLE
    if not is_long or not has_certain_anchor(job, known):
        return None
    ends = [at + 1 for at in choose_shot_samples(job, known) if at + 1 > begun]
    far = [end for end in ends if end - begun >= ROUND_FRAMES]
    return far[0] if far else max(ends, default=None)


def has_certain_anchor(job: Job, layer: Layer) -> bool:
    """Tell whether no frame after those of `layer` can be a better anchor than its own."""
    plan = job.layer_plan
    at = layer.anchor
    is_plain = at not in plan.flashes and at not in plan.fades and plan.mixture_at(at) is None
    return at in layer.frames and is_plain


def count_painted(painted: Collection[EarlyLayer], without: Collection[int]) -> int:
    """Count the frames that are painted, but for those of these layers."""
    ends: dict[int, int] = {}
    for one in painted:
        if one.anchor not in without:
            ends[one.anchor] = max(ends.get(one.anchor, 0), one.stop - one.first)
    return sum(ends.values())


def is_begun_otherwise(output: Path, promised: int) -> bool:
    """Tell whether an earlier run has found other frames than the packets promise, or bars."""
    begun = read_started_parts(output)
    return begun is not None and (
        begun.get("frame_count") != promised or begun.get("bar_pixels") is not None
    )
