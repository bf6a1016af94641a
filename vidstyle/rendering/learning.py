"""Styles that the network learns before a render: from the painting and some frames of the film,
once for each painting, film and settings. What was learned is kept in the cache.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import pickle
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from filelock import FileLock

from vidstyle.errors import Interrupted, StyleError
from vidstyle.events import Learning
from vidstyle.machine.device import deterministic
from vidstyle.rendering.engines import feedforward_settings
from vidstyle.rendering.models import JobNetworks, Models
from vidstyle.rendering.sources import (
    decode_images,
    read_style_images,
)
from vidstyle.rendering.style_files import (
    STYLE_SUFFIX,
    LearnedStyle,
    is_style_file,
    load_style,
    round_style,
    save_style,
)
from vidstyle.stylize import oklab
from vidstyle.stylize.detail import combine, observe
from vidstyle.stylize.feedforward.engine import (
    FEATURES,
    PAINTER,
    build_networks,
    measure_style,
    read_gram_style,
)
from vidstyle.stylize.feedforward.fit import StyleFit
from vidstyle.stylize.resample import resize
from vidstyle.stylize.style.targets import StyleTargets
from vidstyle.weights.locate import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from vidstyle.config.settings import RenderConfig
    from vidstyle.events import Report, Stop
    from vidstyle.machine.device import ComputeDevice
    from vidstyle.rendering.job import Job
    from vidstyle.rendering.layers import FrameRange
    from vidstyle.stylize.engine import Engine
    from vidstyle.stylize.feedforward.painter import NetworkStyle
    from vidstyle.stylize.feedforward.settings import FeedforwardSettings
    from vidstyle.video.seek import SeekIndex

SAMPLES = 8
"""Frames of the film that a style is learned on, and whose statistics stand for those of all."""

SAMPLED_PIXELS = 8 * 10**6
"""Pixels of all of them together, about; there are two frames at least."""

FIGURES = "figures"
"""The weights of what finds figures, for the detail maps."""

TIMED_STEPS = 3
"""Steps that are timed, after a first one, before it is decided how many there will be."""

LEAST_STEPS = 8

CHECKPOINT_STEPS = 25

LEARNING_FORMAT = 3
"""Raised where the same lesson teaches something else."""


@runtime_checkable
class LearningEngine(Protocol):
    """An engine that learns styles before it is built."""

    def with_styles(self, styles: Sequence[NetworkStyle], samples: Tensor | None) -> Engine:
        """Return the engine with what was learned, and perhaps frames of its source."""
        ...


@dataclass(frozen=True)
class Lesson:
    """What a style is learned from.

    Args:
        painting: (3, H, W).
        pictures: frames, each (3, h, w), all of the size of the render.
        settings: what is minimised, and how long.
    """

    painting: Tensor
    pictures: Sequence[Tensor]
    settings: FeedforwardSettings


@dataclass(frozen=True)
class Classroom:
    """Where a style is learned."""

    models: Models
    device: ComputeDevice
    weights_dir: Path | None
    report: Report
    stop: Stop

    @property
    def networks(self) -> JobNetworks:
        """The networks, on the device."""
        return JobNetworks(self.models, self.device, self.weights_dir)


def prepare_engine(
    job: Job, models: Models, report: Report, stop: Stop, folder: Path | None = None
) -> Engine:
    """Give an engine that learns its styles; return any other as it is.

    Args:
        folder: where the state of the render is. What was learned is kept there as well: all its
            frames are painted with it, on whatever machine and whatever becomes of the cache.

    Raises Interrupted where the user wants to stop; what was learned until then is kept.
    """
    engine = job.engine
    if not isinstance(engine, LearningEngine):
        return engine
    samples = sample_source(job) if needs_samples(job.config, engine) else []
    paintings = read_style_images(job)
    room = Classroom(models, job.device, job.config.weights_dir, report, stop)
    settings = feedforward_settings(job.config)
    styles = []
    for i, (path, painting) in enumerate(zip(job.config.style_files, paintings, strict=True)):
        lesson = Lesson(painting, samples, settings)
        if is_style_file(path):
            styles.append(load_style(path).style)
        elif folder is not None and settings.learn_seconds:
            styles.append(learn_for_render(lesson, room, folder / f"learned.{i}{STYLE_SUFFIX}"))
        else:
            styles.append(learn_style(lesson, room).style)
    return engine.with_styles(styles, torch.stack(samples) if samples else None)


def needs_samples(config: RenderConfig, engine: Engine) -> bool:
    """Tell whether the engine learns from frames of the film: styles that come in a file have
    learned.
    """
    is_learning = isinstance(engine, LearningEngine)
    return is_learning and not all(is_style_file(path) for path in config.style_files)


def learn_for_render(lesson: Lesson, room: Classroom, kept: Path) -> NetworkStyle:
    """Learn a style, and keep it in this file of a render's state, unless it is there already."""
    # Machines that share the render do not share the cache.
    with FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            save_style(kept, learn_style(lesson, room))
        return load_style(kept).style


def sample_source(job: Job) -> list[Tensor]:
    """Decode frames spread over a render, each (3, H, W)."""
    chosen = choose_cheap_samples(job.part, job.size, job.seek)
    return [
        job.bars.crop(image)
        for at in chosen
        for _, image in decode_images(job, at - job.part.first, at - job.part.first + 1)
    ]


def choose_cheap_samples(part: FrameRange, size: tuple[int, int], seek: SeekIndex) -> list[int]:
    """Choose frames of the file, spread over a part of it that is rendered at `size` (width,
    height).
    """
    even = (part.first + index for index in choose_samples(len(part), size))
    return sorted({seek.cheap_frame_near(index, part.first) for index in even})


def choose_samples(count: int, size: tuple[int, int]) -> list[int]:
    """Choose frames spread over `count` of them, of `size` (width, height): two, or as many more as
    memory is for.
    """
    most = max(2, min(SAMPLES, SAMPLED_PIXELS // (size[0] * size[1])))
    chosen = min(count, most)
    return sorted({round(i * (count - 1) / max(1, chosen - 1)) for i in range(chosen)})


def learn_style(lesson: Lesson, room: Classroom) -> LearnedStyle:
    """Learn a style, go on learning it, or recall it."""
    device = room.device.device
    settings = lesson.settings
    _, reader = build_networks(room.networks.weights(PAINTER), device)
    extractor = room.networks.network(FEATURES)
    painting = lesson.painting.to(device)
    size = (int(lesson.pictures[0].shape[1]), int(lesson.pictures[0].shape[2]))
    read = read_gram_style(extractor, reader, painting, size, settings)
    if not settings.learn_seconds:
        return LearnedStyle(read)
    digests = room.models.fetch((FEATURES, PAINTER, FIGURES), room.weights_dir)
    path = cache_folder() / "styles" / f"{lesson_key(lesson, digests, room.device)}{STYLE_SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process may learn the same, and this one waits for it then.
    with FileLock(path.with_suffix(".lock")):
        if path.exists():
            with contextlib.suppress(StyleError):  # It is damaged.
                return load_style(path)
        return learn_anew(lesson, room, read, path)


def learn_anew(lesson: Lesson, room: Classroom, read: NetworkStyle, path: Path) -> LearnedStyle:
    """Learn a style from where it was read, or go on learning it, and keep it in a file."""
    device = room.device.device
    settings = lesson.settings
    base, _ = build_networks(room.networks.weights(PAINTER), device)
    extractor = room.networks.network(FEATURES)
    size = (int(lesson.pictures[0].shape[1]), int(lesson.pictures[0].shape[2]))
    pictures = [prepare_picture(image, settings, room) for image in lesson.pictures]
    measured = measure_style(extractor, lesson.painting.to(device), size, settings)
    target = StyleTargets([measured])
    fit = StyleFit(
        settings,
        base,
        read.numbers,
        pictures,
        target,
        extractor,
        room.device.precision,
        LEAST_STEPS,
    )
    with deterministic(device):
        run_fit(fit, settings.learn_seconds, path.with_suffix(".part"), room.report, room.stop)
        before, now = fit.measure(round_style(fit.style))
    card = {"steps": fit.done, "loss_before": round(before, 4), "loss": round(now, 4)}
    return keep_learned(LearnedStyle(fit.style, card=card), path)


def prepare_picture(image: Tensor, settings: FeedforwardSettings, room: Classroom) -> Tensor:
    """Prepare a picture (3, h, w) to learn on: as the network sees it, with its detail map, (4, h,
    w).
    """
    detail = torch.zeros_like(image[:1])
    if settings.losses.detail_weight:
        search = room.models.figures(room.device.device, room.weights_dir)
        detail = resize(combine(observe(image, search)), tuple(image.shape[1:]))
    seen = oklab.to_grey(image) if settings.luminance_only else image
    return torch.cat([seen, detail])


def keep_learned(learned: LearnedStyle, path: Path) -> LearnedStyle:
    """Write what was learned, and read it again: every run has it as its file has."""
    save_style(path, learned)
    path.with_suffix(".part").unlink(missing_ok=True)
    return load_style(path)


def run_fit(
    fit: StyleFit,
    seconds: float,
    checkpoint: Path,
    report: Report,
    stop: Stop,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Take the steps that fit into some seconds, with a checkpoint now and then."""
    earlier = load_checkpoint(checkpoint, fit.device)
    if earlier is not None:
        fit.restore(earlier)
    else:
        start = copy.deepcopy(fit.state())
        fit.advance()
        begun = clock()
        for _ in range(TIMED_STEPS):
            fit.advance()
        each = (clock() - begun) / TIMED_STEPS
        fit.restore({**start, "steps": choose_steps(seconds / each)})
        # However early it is interrupted, it goes on with as many steps.
        save_checkpoint(fit, checkpoint)
    while fit.done < fit.steps:
        if stop():
            raise Interrupted(
                "interrupted",
                f"{fit.done} of {fit.steps} steps of learning are done, and all but the last "
                f"{fit.done % CHECKPOINT_STEPS} are kept",
                "the same command continues",
                130,
            )
        fit.advance()
        report(Learning(fit.done, fit.steps))
        if fit.done % CHECKPOINT_STEPS == 0:
            # Films begin again here whether it is interrupted or not.
            fit.films = []
            save_checkpoint(fit, checkpoint)


def save_checkpoint(fit: StyleFit, path: Path) -> None:
    """Write the state of a fit, whole or not at all."""
    partial = path.with_suffix(".writing")
    torch.save(fit.state(), partial)
    partial.replace(path)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read the state of a fit; None where there is none, or it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
        return None
    return state


def choose_steps(count: float) -> int:
    """Round a number of steps down to a power of the square root of 2: two runs on one machine
    come to the same one, although their clocks differ.
    """
    steps = LEAST_STEPS * 1.0
    while steps * 2**0.5 <= count:
        steps *= 2**0.5
    return round(steps)


def lesson_key(lesson: Lesson, digests: dict[str, str], device: ComputeDevice) -> str:
    """Name what a style is learned from and how, in 24 hexadecimal digits."""
    digest = hashlib.sha256()
    words = {
        "settings": asdict(lesson.settings),
        "weights": digests,
        "format": LEARNING_FORMAT,
        "device": device.device.type,
        "precision": device.precision,
    }
    digest.update(json.dumps(words, sort_keys=True, default=str).encode())
    for image in (lesson.painting, *lesson.pictures):
        digest.update(str(tuple(image.shape)).encode())
        digest.update((image * 255).round().to(torch.uint8).cpu().numpy().tobytes())
    return digest.hexdigest()[:24]
