"""Films with transitions, drawn so that all of them are known, and their renders."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
from torch import Tensor

from tests.helpers.films import shifted, texture, video
from tests.helpers.renders import Watch, quick_settings
from vidstyle.errors import Interrupted
from vidstyle.frames import to_uint16
from vidstyle.motion.bars import Bars
from vidstyle.motion.edit import Dissolve, Edit, Fade, Flash
from vidstyle.rendering.job import Job
from vidstyle.rendering.layers import KeyframeImage
from vidstyle.rendering.models import Models
from vidstyle.rendering.pipeline import render_job
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.storage.atomic import sha256

SIZE = (32, 48)
"""(h, w) of the films here."""

BLACK = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class EditedFilm:
    """A film and all that is known of it.

    Args:
        settings: those of its render.
        pictures: {frame: picture} of the frames that the user has painted.
    """

    frames: Sequence[Tensor]
    edit: Edit
    bars: Bars = field(default_factory=Bars)
    is_loop: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    pictures: dict[int, Tensor] = field(default_factory=dict)

    def with_settings(self, **settings: Any) -> EditedFilm:
        """The same film with these settings as well."""
        return replace(self, settings={**self.settings, **settings})


def pan(seed: int, count: int, step: int = 1) -> list[Tensor]:
    """A camera that moves to the right."""
    return shifted(texture(seed, (SIZE[0], SIZE[1] + count * step)), count, (step, 0), SIZE)


def dissolving(first: int = 4, length: int = 4, count: int = 12) -> EditedFilm:
    """Two pans, one of which passes over into the other."""
    shares = tuple((i + 1) / (length + 1) for i in range(length))
    stop = first + length
    a = pan(1, count)
    b = [1 - image for image in pan(2, count)]
    mixed = [(1 - share) * a[i] + share * b[i] for i, share in enumerate(shares, first)]
    dissolve = Dissolve(first, stop, shares)
    return EditedFilm([*a[:first], *mixed, *b[stop:]], Edit((0, dissolve.cut), (dissolve,)))


def fading(*, comes_in: bool, count: int = 10) -> EditedFilm:
    """A pan that comes out of black, or goes into it."""
    gains = (0.0, 0.0, 0.1, 0.4, 0.7)
    frames = pan(1, count)
    fade = Fade(0, 5, gains, BLACK)
    if not comes_in:
        fade = Fade(count - 5, count, gains[::-1], BLACK)
    for index, gain in zip(range(fade.first, fade.stop), fade.gains, strict=True):
        frames[index] = gain * frames[index]
    return EditedFilm(frames, Edit((0,), fades=(fade,)))


def flashing(first: int = 4, stop: int = 6, count: int = 9) -> EditedFilm:
    """A pan with a flash."""
    frames = pan(1, count)
    for index in range(first, stop):
        frames[index] = (1.5 * frames[index] + 0.3).clamp(0, 1)
    return EditedFilm(frames, Edit((0,), flashes=(Flash(first, stop),)))


def barred(film: EditedFilm) -> EditedFilm:
    """The same film between two bars, which are not quite black."""
    frames = [image.clone() for image in film.frames]
    for index, image in enumerate(frames):
        image[:, :5] = image[:, -5:] = 0.01 + 0.0005 * index
    return replace(film, frames=frames, bars=Bars(top=5, bottom=5))


def looping(count: int = 10) -> EditedFilm:
    """A camera that goes to and fro."""
    frames = pan(1, count)
    half = count // 2 + 1
    return EditedFilm(
        [*frames[:half], *frames[1 : count - half + 1][::-1]], Edit((0,)), is_loop=True
    )


def painted(*indices: int, count: int = 10) -> EditedFilm:
    """A pan of which the user has painted some frames."""
    frames = pan(1, count)
    pictures = {index: 1 - frames[index].flip(0) for index in indices}
    return EditedFilm(frames, Edit((0,)), pictures=pictures)


def save_picture(path: Path, image: Tensor) -> Path:
    """Write a picture (3, H, W) as a PNG of 16 bits."""
    cv2.imwrite(str(path), to_uint16(image)[:, :, ::-1])
    return path


MODELS = Models()
"""Loaded once for all renders here."""


def prepare_film(film: EditedFilm, folder: Path, painting: Path, **changes: Any) -> Job:
    """Write a film and prepare its render into `folder`, with what is known of it."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / "film.mkv"
    if not path.exists():
        video(path, film.frames)
    given = {"keep_frames": True, "weights_dir": None, **film.settings, **changes}
    config = quick_settings(path, painting, folder / "out.mkv", **given)
    job = prepare(inspect(config))
    keyframes = []
    for index, image in sorted(film.pictures.items()):
        picture = save_picture(folder / f"picture{index}.png", image)
        keyframes.append(KeyframeImage(index, picture, sha256(picture)))
    return replace(
        job,
        edit=film.edit,
        bars=film.bars,
        keyframes=tuple(keyframes),
        is_loop=film.is_loop,
    )


class Asked:
    """Stops a render when it has asked so many times whether it should."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.count = 0

    def __call__(self) -> bool:
        self.count += 1
        return self.limit is not None and self.count > self.limit


def render_film(job: Job, stop: Callable[[], bool] | None = None) -> Watch:
    """Make the finished frames of a job, and no output."""
    watch = Watch()
    render_job(job, watch, stop or Asked(), MODELS, lambda *args: None)
    return watch


def interrupt_film(job: Job, asks: int) -> Watch:
    """Begin the render of a job, and stop it when it asks whether to go on once more than `asks`
    times. Nothing is raised where it ends before.
    """
    watch = Watch()
    with contextlib.suppress(Interrupted):
        render_job(job, watch, Asked(asks), MODELS, lambda *args: None)
    return watch
