"""The record of what was painted before the whole film was known, in the state directory of the
render.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from vidstyle.events import Note
from vidstyle.rendering import fingerprint_parts
from vidstyle.rendering.layer_files import LayerFiles
from vidstyle.rendering.layers import FrameRange, Layer
from vidstyle.rendering.sources import choose_shot_samples
from vidstyle.storage.atomic import disk_errors, write_atomically
from vidstyle.storage.checkpoint import remove_render_files
from vidstyle.storage.lock import lock_shot
from vidstyle.storage.record import read_started_parts, state_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from vidstyle.events import Report
    from vidstyle.rendering.job import Job
    from vidstyle.storage.checkpoint import Checkpoint

RECORD_NAME = "early.json"


@dataclass(frozen=True)
class EarlyLayer:
    """A layer of which something was painted, or begun.

    Args:
        first, stop: the frames that are painted.
        anchor: the number of the layer.
        is_open: whether the layer may go on after them.
        digest: of all that tells how the paint of these frames comes about.
    """

    first: int
    stop: int
    anchor: int
    is_open: bool
    digest: str


def describe_layer(job: Job, layer: Layer, stop: int, *, is_open: bool) -> EarlyLayer:
    """Describe what decides the paint of a layer's frames up to `stop`."""
    plan = job.layer_plan
    indices = range(layer.frames.first, stop)
    mixtures = [
        (one.first, one.shares, one.dissolve, plan.layers[one.outgoing].anchor)
        for one in plan.mixtures
        if one.first in indices
    ]
    words = [
        layer.keyframe,
        layer.is_loop,
        None if is_open else layer.frames.stop,
        mixtures,
        [(i, plan.fades[i]) for i in indices if i in plan.fades],
        [(i, plan.flashes[i]) for i in indices if i in plan.flashes],
        [i for i in choose_shot_samples(job, layer) if i in indices],
    ]
    digest = hashlib.sha256(repr(words).encode()).hexdigest()[:32]
    return EarlyLayer(layer.frames.first, stop, layer.anchor, is_open, digest)


def is_same(job: Job, early: EarlyLayer) -> bool:
    """Tell whether the film has a layer whose frames are painted as these were."""
    return any(
        describe_layer(job, layer, early.stop, is_open=early.is_open) == early
        for layer in job.layers
        if layer.anchor == early.anchor and early.stop <= layer.frames.stop
    )


def record_layers(store: Checkpoint, painted: Sequence[EarlyLayer]) -> None:
    """Put on record that these layers are being painted, in addition to those that are there."""
    kept = read_layers(store.folder)
    write_layers(store.folder, [*kept, *(one for one in painted if one not in kept)])


def write_layers(folder: Path, layers: Sequence[EarlyLayer]) -> None:
    """Write the record."""
    data = TypeAdapter(list[EarlyLayer]).dump_json(list(layers))
    with disk_errors(folder):
        write_atomically(folder / RECORD_NAME, data)


def read_layers(folder: Path) -> list[EarlyLayer]:
    """Read the layers on record in a state directory."""
    try:
        return TypeAdapter(list[EarlyLayer]).validate_json((folder / RECORD_NAME).read_bytes())
    except (OSError, ValueError):
        return []


def forget_layers(folder: Path) -> None:
    """Remove the record."""
    (folder / RECORD_NAME).unlink(missing_ok=True)


def discard_promised(output: Path, parts: Mapping[str, Any], report: Report) -> None:
    """Remove what was painted of a film that is another one than its packets and its first shots
    promised.

    Args:
        parts: those of the fingerprint that only the whole film tells.
    """
    folder = state_folder(output)
    begun = read_started_parts(output)
    if begun is None or not (folder / RECORD_NAME).exists():
        return
    if any(begun.get(name) != value for name, value in parts.items()):
        report(Note("the film is not what its packets promised: its frames are painted again"))
        remove_render_files(folder)


def discard_without_bars(job: Job, report: Report) -> None:
    """Remove what was painted early of a film whose bars were not seen yet."""
    bars = {"bar_pixels": None, **fingerprint_parts.of_bars(job.bars)}
    discard_promised(job.delivery.path, bars, report)


def discard_unlike(job: Job, store: Checkpoint, report: Report) -> None:
    """Remove the paint of layers on record that the film does not have, as far as is known, and all
    that was painted on from it.

    Raises LockedError while another process renders one of them.
    """
    on_record = read_layers(store.folder)
    unlike = {one.anchor for one in on_record if not is_same(job, one)}
    again = 0
    for anchor in sorted(unlike):
        ends = [one for one in on_record if one.anchor == anchor]
        first = min(one.first for one in ends)
        stop = min(max(one.stop for one in ends), job.frame_count)
        files = LayerFiles(job, Layer(FrameRange(first, stop), anchor), store)
        with lock_shot(store.folder, anchor):
            files.delete_working_files()
            files.paint.unfinished.delete()
            files.final.delete_frames(range(first, stop))
        again += stop - first
    if again:
        write_layers(store.folder, [one for one in on_record if one.anchor not in unlike])
        text = f"{again} frames belong to other shots than it seemed, and are painted again"
        report(Note(text))


def settle_early_layers(job: Job, store: Checkpoint, report: Report) -> None:
    """Keep of what was painted early what belongs to the film, now that all of it is known."""
    discard_unlike(job, store, report)
    forget_layers(store.folder)
