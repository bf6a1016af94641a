"""What a render would do, without doing it (`--dry-run`)."""

from __future__ import annotations

from dataclasses import dataclass

from vidstyle.config.facts import STEERING
from vidstyle.config.settings import RenderConfig, facts_of
from vidstyle.config.weighted_names import REFINEMENT_NETWORK
from vidstyle.machine import disk
from vidstyle.machine.device import resolve_device, resolve_precision
from vidstyle.rendering import pipeline
from vidstyle.rendering.models import weight_files
from vidstyle.storage.record import state_folder
from vidstyle.stylize.optimise.pyramid import polish_iterations
from vidstyle.units import counted, disk_space
from vidstyle.weights import locate, registry


@dataclass(frozen=True)
class Plan:
    """Sizes in pixels, times in seconds, space in bytes; `shots` are first frames.

    Args:
        first_iterations, iterations: of a frame that starts afresh, and of every other one; with
            several `passes`, of the first and of each later one.
        first_polish, polish: how many of them are polished.
        held_to: how many frames back the frames are that each one is held to; none without links.
        held_from_pass: the first pass in which they are; 0 where there is no temporal loss.
        styles: as they were given, with weights and times.
        steering: the settings that steer the style, where they are not the usual ones.
        tile: side of the tiles that features are computed in; 0: at once.
    """

    input: str
    output: str
    frames: int
    seconds: float
    width: int
    height: int
    shots: tuple[int, ...]
    codec: str
    styles: tuple[str, ...]
    steering: dict[str, str]
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
    memory_needed: int
    memory_allowed: int
    disk_needed: int
    disk_free: int
    notes: tuple[str, ...]

    def text(self) -> str:
        features = f"{self.features} features{self.polishing()}"
        lines = [
            f"input     {self.input}: {counted(self.frames, 'frame')}, {self.seconds:.2f} s, "
            + counted(len(self.shots), "shot"),
            f"output    {self.output}: {self.width}x{self.height}, {self.codec}",
            *([f"style     {', '.join(self.styles)}"] if self.styles else []),
            *(
                [f"steering  {', '.join(f'{k} = {v}' for k, v in self.steering.items())}"]
                if self.steering
                else []
            ),
            f"models    {features} in {self.precision} on {self.device}, {self.flow} flow",
            *self.linking(),
            f"memory    about {disk_space(self.memory_needed)} needed, {disk_space(self.memory_allowed)} allowed"
            + (f"; features in tiles of {self.tile}" if self.tile else ""),
            f"disk      {disk_space(self.disk_needed)} needed, {disk_space(self.disk_free)} free",
        ]
        return "\n".join([*lines, *(f"note      {note}" for note in self.notes)])

    def linking(self) -> list[str]:
        """How the frames hang together, where that is not the usual way."""
        if self.passes > 1:
            first = f"{self.first_iterations} iterations of every frame by itself, then {self.iterations} in each of"
            held = f"held to its neighbour from pass {max(2, self.held_from_pass)} on"
            held = held if self.held_from_pass else "not held to its neighbour"
            return [f"passes    {self.passes}: {first} {self.passes - 1} more; {held}"]
        if len(self.held_to) > 1:
            *others, last = self.held_to
            start = "" if self.held_from_pass else ", to start from, without being held to them"
            return [
                f"links     each frame to those {', '.join(map(str, others))} and {last} before it{start}"
            ]
        return []

    def polishing(self) -> str:
        if not self.first_polish:
            return ""
        last = f", {REFINEMENT_NETWORK} in the last {self.first_polish} iterations of "
        if self.polish in (0, self.first_polish):
            return f"{last}every frame"
        if self.passes > 1:
            return f"{last}every frame in pass 1 and the last {self.polish} in every later one"
        return f"{last}a shot's first frame and the last {self.polish} of every other one"


def steered(config: RenderConfig) -> list[str]:
    """The settings of that group that are not at their defaults."""
    fields = type(config).model_fields
    return [
        name
        for name in fields
        if facts_of(name).group == STEERING and getattr(config, name) != fields[name].default
    ]


def said(value: object) -> str:
    """A setting as a user writes it."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def of(config: RenderConfig) -> Plan:
    """The plan for `config`. Raises what speaks against the input, the style, the output, the
    device and the disk; whether older checkpoints fit is only known once the models are loaded.
    """
    device = resolve_device(config.device)
    job = pipeline.prepare(config)
    frames = len(job.timeline)
    kept = sum(1 for _ in (state_folder(job.delivery.path) / "frames").glob("*.png"))
    missing = max(0, frames - kept)
    linked = not config.per_frame and frames > len(job.shots)
    again = linked or config.passes > 1  # some frames do not start afresh
    first_polish, polish = (
        polish_iterations(config, job.size[::-1], fresh=fresh) for fresh in (True, False)
    )
    pipeline.check_space(job, missing)
    absent = [name for name in weight_files(config) if not locate.locate(name, config.weights_dir)]
    fetching = [
        f"{name}: {registry.REGISTRY[name].size / 1e6:.0f} MB of weights will be downloaded"
        for name in absent
    ]
    return Plan(
        input=str(config.input),
        output=str(job.delivery.path),
        frames=frames,
        seconds=float(job.timeline.duration),
        width=job.size[0],
        height=job.size[1],
        shots=tuple(sorted(job.shots)),
        codec=job.delivery.codec,
        styles=tuple(map(str, config.style)),
        steering={name: said(getattr(config, name)) for name in steered(config)},
        features=config.features,
        first_polish=first_polish,
        polish=polish if again else 0,
        passes=config.passes,
        first_iterations=config.first_iterations,
        iterations=config.iterations,
        held_to=config.distances if linked else (),
        held_from_pass=config.first_temporal_pass if config.temporal_weight else 0,
        flow=config.flow,
        device=str(device),
        precision=resolve_precision(config.precision, device),
        tile=job.memory.tile,
        memory_needed=job.memory.needed,
        memory_allowed=job.memory.allowed,
        disk_needed=pipeline.disk_needed(job, missing),
        disk_free=disk.free(job.delivery.path.parent),
        notes=(*(note.text for note in job.notes), *fetching),
    )
