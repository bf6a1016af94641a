"""The plan of a render: what it would do, without doing it (`--dry-run`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidstyle.config.facts import STEERING
from vidstyle.config.settings import settings_that_affect
from vidstyle.config.weighted_names import REFINEMENT_NETWORK
from vidstyle.events import Report, silent
from vidstyle.machine import disk
from vidstyle.rendering.engines import learned_paintings
from vidstyle.rendering.learning import LearningEngine
from vidstyle.rendering.models import missing_weights
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.space import check_space, disk_needed
from vidstyle.rendering.survey import glance_at_film
from vidstyle.storage.record import count_finished_frames
from vidstyle.units import counted, disk_space
from vidstyle.weights.registry import REGISTRY

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig


@dataclass(frozen=True)
class Plan:
    """The plan of a render: sizes in pixels, times in seconds, space in bytes.

    Args:
        shots: first frames of shots; None: the render will look for them.
        repeats: frames that are the one before once more.
        styles: as they were given, with weights and times.
        steering: the settings that steer the style, where they are not the usual ones.
        composition: the same of those that change finished frames without painting.
        first_iterations, iterations: of the first frame of a shot, and of every other one; with
            several `passes`, of the first and of each later one.
        first_polish, polish: how many of them are done on VGG-19.
        held_to: how many frames back the frames are that each one is linked to; none without links.
        held_from_pass: the first pass with the temporal loss; 0 where there is none.
        tile: side of the tiles that features are computed in; 0: at once.
        learn_seconds: about how long the network learns each painting; 0: it does not.
    """

    input: str
    output: str
    frames: int
    seconds: float
    width: int
    height: int
    shots: tuple[int, ...] | None
    repeats: int
    codec: str
    styles: tuple[str, ...]
    steering: dict[str, str]
    composition: dict[str, str]
    features: str
    first_polish: int
    polish: int
    passes: int
    first_iterations: int
    iterations: int
    held_to: tuple[int, ...]
    held_from_pass: int
    flow: str
    device: str
    precision: str
    tile: int
    learn_seconds: float
    memory_needed: int
    memory_allowed: int
    disk_needed: int
    disk_free: int
    notes: tuple[str, ...]

    def text(self) -> str:
        """The plan in lines for a terminal."""
        shots = "shots not looked for yet"
        if self.shots is not None:
            shots = counted(len(self.shots), "shot")
        frames = counted(self.frames, "frame")
        repeats = f" ({self.repeats} of them repeats)" if self.repeats else ""
        features = f"{self.features} features{self.describe_polish()}"
        memory = (
            f"about {disk_space(self.memory_needed)} needed, "
            f"{disk_space(self.memory_allowed)} allowed"
        )
        if self.tile:
            memory += f"; features in tiles of {self.tile}"
        steering = ", ".join(f"{name} = {value}" for name, value in self.steering.items())
        rows = [
            ("input", f"{self.input}: {frames}{repeats}, {self.seconds:.2f} s, {shots}"),
            ("output", f"{self.output}: {self.width}x{self.height}, {self.codec}"),
            ("style", ", ".join(self.styles)),
            ("steering", steering),
            ("finish", ", ".join(f"{name} = {value}" for name, value in self.composition.items())),
            ("models", f"{features} in {self.precision} on {self.device}, {self.flow} flow"),
            ("passes", self.describe_passes()),
            ("links", self.describe_links()),
            ("learning", self.describe_learning()),
            ("memory", memory),
            (
                "disk",
                f"{disk_space(self.disk_needed)} needed, {disk_space(self.disk_free)} free",
            ),
            *(("note", note) for note in self.notes),
        ]
        return "\n".join(f"{name:<9} {text}" for name, text in rows if text)

    def describe_passes(self) -> str:
        """Say how often frames are made; nothing where it is once."""
        if self.passes == 1:
            return ""
        temporal = "not held to its neighbour"
        if self.held_from_pass:
            temporal = f"held to its neighbour from pass {max(2, self.held_from_pass)} on"
        return (
            f"{self.passes}: {self.first_iterations} iterations of every frame by itself, then "
            f"{self.iterations} in each of {self.passes - 1} more; {temporal}"
        )

    def describe_learning(self) -> str:
        """Say how long the network learns; nothing where it does not."""
        if not self.learn_seconds:
            return ""
        return f"about {self.learn_seconds:g} s for each painting, unless it was learned before"

    def describe_links(self) -> str:
        """Say which frames each one is linked to; nothing where it is the one before."""
        if self.passes > 1 or len(self.held_to) < 2:
            return ""
        *others, last = self.held_to
        start = "" if self.held_from_pass else ", to start from, without being held to them"
        return f"each frame to those {', '.join(map(str, others))} and {last} before it{start}"

    def describe_polish(self) -> str:
        """Say which iterations are done on VGG-19."""
        if not self.first_polish:
            return ""
        last = f", {REFINEMENT_NETWORK} in the last {self.first_polish} iterations of "
        if self.polish in (0, self.first_polish):
            return f"{last}every frame"
        if self.passes > 1:
            return f"{last}every frame in pass 1 and the last {self.polish} in every later one"
        return f"{last}a shot's first frame and the last {self.polish} of every other one"


def format_setting(value: object) -> str:
    """Write a setting as a user writes it."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def plan_render(config: RenderConfig, report: Report = silent) -> Plan:
    """Plan the render of `config`.

    Raises what speaks against the input, the style, the output, the device and the disk. Whether
    older frames fit is known in full only once the weights are at hand, and whether a long film is
    damaged once it is looked through.
    """
    request = inspect(config)
    seen = glance_at_film(request.source, is_cached=not config.no_cache)
    job = prepare(request, report, seen=seen)
    frames = job.frame_count
    stored = count_finished_frames(job.delivery.path)
    missing = max(0, frames - stored)
    check_space(job, missing)
    is_learning = isinstance(job.engine, LearningEngine) and bool(learned_paintings(config))
    are_linked = job.engine.needs_motion and frames > len(job.layers)
    first_work = job.engine.work(job.size, first=True)
    other_work = job.engine.work(job.size, first=False)
    downloads = [
        f"{name}: {REGISTRY[name].size / 1e6:.0f} MB of weights will be downloaded"
        for name in missing_weights(job)
    ]
    return Plan(
        input=str(config.input),
        output=str(job.delivery.path),
        frames=frames,
        seconds=float(job.rendered_timeline.duration),
        width=job.size[0],
        height=job.size[1],
        shots=tuple(shot.first for shot in job.shots) if seen is None or seen.is_exact else None,
        repeats=len(job.repeats),
        codec=job.delivery.codec,
        styles=tuple(map(str, config.style)),
        steering={
            name: format_setting(value) for name, value in config.changed_settings(STEERING).items()
        },
        composition={
            name: format_setting(getattr(config, name))
            for name in settings_that_affect("composition")
            if getattr(config, name)
        },
        features=config.features,
        first_polish=first_work.refined,
        polish=other_work.refined if are_linked or config.passes > 1 else 0,
        passes=config.passes,
        first_iterations=first_work.iterations,
        iterations=other_work.iterations,
        held_to=config.distances if are_linked else (),
        held_from_pass=config.first_temporal_pass if config.temporal_weight else 0,
        flow=config.flow,
        device=str(job.device.device),
        precision=job.device.precision,
        tile=job.memory.tile,
        learn_seconds=config.learn if is_learning else 0.0,
        memory_needed=job.memory.needed,
        memory_allowed=job.memory.allowed,
        disk_needed=disk_needed(job, missing),
        disk_free=disk.free_bytes(job.delivery.path.parent),
        notes=(*(note.text for note in job.notes), *downloads),
    )
