"""The checks of a render before it begins, the cheap ones first.

`inspect` looks at all that is known without decoding the input or loading a network: the files, the
place of the output, memory, disk, label maps, and the frames of an earlier run. `prepare` then
decodes the input once, for its exact times, its shots and its damage.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from vidstyle.config import style_images
from vidstyle.errors import ConfigError, DecodeError
from vidstyle.events import Note, Report, silent
from vidstyle.machine.device import choose_device
from vidstyle.motion.bars import Bars
from vidstyle.rendering import film, fingerprint_parts, memory, sources, trace
from vidstyle.rendering.early_layers import discard_promised
from vidstyle.rendering.engines import create_engine
from vidstyle.rendering.job import Job, Request
from vidstyle.rendering.label_maps import LabelMaps
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.packing import refuse_lossless_final
from vidstyle.rendering.survey import (
    Survey,
    glance_at_long_film,
    survey_film,
    survey_part,
)
from vidstyle.storage.checkpoint import refuse_changed_settings
from vidstyle.storage.record import (
    is_own_output,
    output_exists_error,
    read_started_parts,
)
from vidstyle.units import disk_space
from vidstyle.video import delivery as deliveries
from vidstyle.video import read
from vidstyle.video.probe import Source, probe
from vidstyle.video.track_trial import try_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vidstyle.config.settings import RenderConfig
    from vidstyle.frames import Timeline
    from vidstyle.machine.device import ComputeDevice
    from vidstyle.rendering.memory import MemoryFit
    from vidstyle.stylize.engine import Engine
    from vidstyle.video.delivery import Delivery
    from vidstyle.video.scan import Scan


def inspect(config: RenderConfig) -> Request:
    """Look at everything that can refuse the render without decoding the input.

    Raises the errors of `vidstyle.errors` that are refusals.
    """
    device = choose_device(config.device, config.precision)
    engine = create_engine(config, device)
    source = probe(config.input)
    if config.deinterlace == "off":
        source = replace(source, fields="")
    if config.texture:
        check_texture_input(source)
    check_style_times(config.style, source)
    film.refuse_unmoving(config, source)
    rims = sources.find_style_rims(config)
    size = read.fit(source.width, source.height, config.size)
    delivery = plan_output(config, source, size)
    refuse_lossless_final(config, delivery)
    if delivery.path.exists() and not config.overwrite and not is_own_output(delivery.path):
        raise output_exists_error(delivery.path)
    if config.trace:
        made_from = (config.input, *config.protected_files)
        trace.check_trace(delivery.path, made_from, overwrite=config.overwrite)
    film.check_keyframe_files(config.keyframes, size, delivery.path)
    fit = fit_memory(config, engine, size, device, delivery.path)
    label_maps = None
    if config.regions:
        label_maps = LabelMaps(config.regions, size, rims[0], must_be_fixed=config.passes > 1)
    notes = [Note(text, warning=True) for text in source.warnings]
    if source.fields:
        leaves = "--deinterlace off leaves the combs in"
        notes.append(Note(f"the video is interlaced: whole frames are made of it ({leaves})"))
    delivery = try_delivery(delivery, source)
    notes += [Note(text, warning=True) for text in delivery.warnings]
    notes += [Note(text) for text in delivery.notes]
    if fit.tile and config.tile is None:
        within = f"to stay within {disk_space(fit.allowed)} of memory (--max-memory)"
        notes.append(Note(f"features are computed in tiles of {fit.tile} pixels, {within}"))
    notes += sources.note_rims(config, rims)
    notes += label_maps.notes if label_maps else ()
    request = Request(
        config=config,
        source=source,
        delivery=delivery,
        size=size,
        device=device,
        engine=engine,
        memory=fit,
        label_maps=label_maps,
        style_rims=rims,
        notes=tuple(notes),
    )
    known = fingerprint_parts.known_or_absent(request)
    refuse_changed_settings(request.output, known, restart=config.restart)
    return request


def prepare(request: Request, report: Report = silent, *, seen: Survey | None = None) -> Job:
    """Decode the input once, or recall what that told, and decide what is rendered of it.

    Args:
        seen: what is known of the input already.

    Raises DecodeError when it is damaged and the user does not allow that, and what only its exact
    times can refuse.
    """
    config = request.config
    if seen is None:
        seen = see_input(request, report)
    scanned, edit = seen.scanned, seen.edit
    notes = list(request.notes)
    if scanned.missing:
        there = len(scanned.timeline)
        why = f"{scanned.missing} frames are missing, {there} are there: {scanned.complaint}"
        if not config.allow_damaged:
            hint = "use --allow-damaged to render what is left"
            if scanned.clock_restart is not None:
                why = (
                    f"its clock goes back after frame {scanned.clock_restart}: {scanned.complaint}"
                )
                hint = f"{ONE_CLOCK_HINT}, or use --allow-damaged"
            what = f"{config.input} is damaged"
            raise DecodeError(what, why, hint, scanned.missing, is_refusal=True)
        notes.append(Note(f"{config.input} is damaged: {why}", warning=True))
    notes += note_clock(config.input, scanned)
    part = choose_part(scanned.timeline, config.start, config.duration)
    if request.label_maps:
        request.label_maps.check_length(part.stop)
    deliveries.check_times(request.output, scanned.timeline)
    notes += note_unseen_styles(config.style, scanned.timeline, part)
    bars = Bars()
    if config.bars == "keep" and seen.may_have_bars and is_film(request):
        looked_at = part if seen.part is None else common_frames(part, FrameRange(*seen.part))
        bars = film.find_film_bars(request.source, request.size, scanned, looked_at)
    is_loop = seen.is_exact and film.leads_to_first(request, scanned, part)
    notes += film.note_transitions(edit, part) + film.note_bars(bars)
    job = Job(
        config=config,
        source=request.source,
        delivery=request.delivery,
        source_colours=seen.statistics if config.keep_colors == "match" else None,
        timeline=scanned.timeline,
        edit=edit,
        seek=scanned.seek_index,
        part=part,
        size=request.size,
        device=request.device,
        engine=request.engine,
        memory=request.memory,
        label_maps=request.label_maps,
        style_rims=request.style_rims,
        notes=tuple(notes),
        bars=bars,
        keyframes=film.find_keyframes(config.keyframes, scanned.timeline, edit, part),
        is_loop=is_loop,
    )
    is_closed = any(layer.is_loop for layer in job.layers)
    job = replace(
        job, notes=(*notes, *film.note_loop(is_asked_for=config.loop is True, is_loop=is_closed))
    )
    if seen.is_exact and len(part) == len(scanned.timeline):
        discard_promised(request.output, {"frame_count": len(part)}, report)
    known = fingerprint_parts.known_or_absent(request) | fingerprint_parts.of_part(part)
    refuse_changed_settings(request.output, known, restart=config.restart)
    return job


ONE_CLOCK_HINT = "give it one clock first, with ffmpeg -i IN -c copy OUT.mkv"


def note_clock(path: Path, scanned: Scan) -> list[Note]:
    """Warn of a clock that goes back: what follows has no times of its own."""
    if scanned.clock_restart is None:
        return []
    at = scanned.clock_restart
    text = (
        f"the clock of {path} goes back after frame {at}, as in files that were joined: what "
        f"follows is shown too fast, and its sound is lost or late; {ONE_CLOCK_HINT}"
    )
    return [Note(text, warning=True)]


def common_frames(one: FrameRange, other: FrameRange) -> FrameRange:
    """Return the frames that are in both ranges."""
    return FrameRange(max(one.first, other.first), min(one.stop, other.stop))


def see_input(request: Request, report: Report) -> Survey:
    """Decode the input once, or recall what that told; of a long film of which a part is rendered,
    decode that part alone, whatever is known of the rest: the same command sees the same.
    """
    config = request.config
    needs_colours = config.keep_colors == "match"
    # Colours are those of all frames, and numbers of frames those of a scan.
    needs_all = needs_colours or config.keyframes or config.regions
    if not needs_all and (config.start is not None or config.duration is not None):
        known = glance_at_long_film(request.source)
        if known is not None:
            part = choose_part(known.scanned.timeline, config.start, config.duration)
            seen = survey_part(request.source, known, part, report)
            if seen is not None:
                return seen
    is_cached = not config.no_cache
    return survey_film(
        request.source, needs_colours=needs_colours, is_cached=is_cached, report=report
    )


def is_film(request: Request) -> bool:
    """Tell whether there are pictures in a row, and these are what is painted."""
    return request.source.kind != "image" and not request.config.texture


def check_texture_input(source: Source) -> None:
    """Raise ConfigError when a texture is asked for of something that moves."""
    if source.kind != "image":
        why = f"{source.path} is a {source.kind}"
        hint = "take a frame of it, as a PNG or JPEG"
        raise ConfigError("a texture is made from an image", why, hint)


def check_style_times(styles: Sequence[style_images.StyleImage], source: Source) -> None:
    """Raise ConfigError when the style moves, and the input does not."""
    timed = [one for one in styles if one.at is not None]
    if source.kind == "image" and timed:
        why = f"{source.path} is an image, and {timed[0].path} has a time: {timed[0].at:g} s"
        hint = "give weights without times, as in a.jpg:0.7"
        raise ConfigError("an image has no time", why, hint)


def plan_output(
    config: RenderConfig,
    source: Source,
    size: tuple[int, int],
) -> Delivery:
    """Decide the output's path, container and codec. Raises OutputError."""
    request = deliveries.DeliveryRequest(
        config.named_after,
        config.output,
        config.codec,
        config.crf,
        config.protected_files,
        config.audio,
        is_part=config.start is not None or config.duration is not None,
    )
    return deliveries.plan_delivery(source, request, size)


def fit_memory(
    config: RenderConfig,
    engine: Engine,
    size: tuple[int, int],
    device: ComputeDevice,
    output: Path,
) -> MemoryFit:
    """Find out how frames of `size` (width, height) fit into memory. A render that was begun
    continues with its own tiles.

    Raises MemoryLimitError.
    """
    parts = None if config.restart else read_started_parts(output)
    begun_tile = None
    if parts and all(parts.get(name) == getattr(config, name) for name in ("size", "features")):
        begun_tile = parts.get("tile", 0)
    demand = memory.MemoryDemand(
        engine,
        size,
        uses_raft=engine.needs_motion and config.flow != "dis",
        can_tile=engine.tileable and config.regions is None,
    )
    allowed = memory.memory_limit(config.max_memory, device.device)
    fit = memory.choose_tile(
        demand,
        allowed,
        asked=config.tile,
        begun=begun_tile,
        is_hard_limit=config.max_memory is not None,
    )
    if not config.force:
        memory.check_free(fit, device.device)
    return fit


def choose_part(timeline: Timeline, start: float | None, duration: float | None) -> FrameRange:
    """Choose the frames that are shown from second `start` on for `duration` seconds; by default
    all of them.

    Raises ConfigError when there are none.
    """
    # In whole ticks: the float 0.1 is a little more than 1/10, and would miss the frame at 0.1 s.
    begin_time = Fraction(start or 0)
    begin = round(begin_time / timeline.time_base)
    end = round((begin_time + Fraction(duration or 0)) / timeline.time_base)
    inside = [i for i, t in enumerate(timeline.pts) if t >= begin and (duration is None or t < end)]
    if not inside:
        first_time = float(timeline.pts[0] * timeline.time_base)
        last_time = float(timeline.pts[-1] * timeline.time_base)
        raise ConfigError(
            "no frame lies in the part to render",
            f"its frames are shown from {first_time:.2f} s to {last_time:.2f} s",
            "choose an earlier --start, or a longer --duration",
        )
    return FrameRange(inside[0], inside[-1] + 1)


def note_unseen_styles(
    styles: Sequence[style_images.StyleImage], timeline: Timeline, part: FrameRange
) -> list[Note]:
    """Warn of a style whose time is more than a second after the input's last frame, and of one
    that has no share in any frame to render.
    """
    timed = [one for one in styles if one.at is not None]
    if not timed:
        return []
    times = [t * timeline.time_base for t in timeline.pts]
    mixtures = [style_images.mixture_shares(styles, times[i]) for i in part.indices]
    totals = [sum(shares) for shares in zip(*mixtures, strict=True)]
    unseen = {
        path
        for path, total in zip(style_images.list_files(styles), totals, strict=True)
        if not total
    }
    warned = [one for one in timed if one.path in unseen or (one.at or 0) > times[-1] + 1]
    first_time = float(times[part.first])
    last_time = float(times[part.stop - 1])
    shown = f"frames are shown from {first_time:.2f} s to {last_time:.2f} s"
    return [
        Note(f"style {one.path} has the time {one.at:g} s, and {shown}", warning=True)
        for one in warned
    ]
