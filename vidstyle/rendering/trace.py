"""How a frame comes about, iteration by iteration: a film of its pictures, a plot and a file of its
losses (`--trace`).

What the optimiser evaluates is recorded and nothing is evaluated for the record, so the frame is
the same with and without it. L-BFGS tries points that it does not take: there the film stays at the
best picture so far. Losses of two sizes, or of two networks, do not compare: each size and each
network is a *part*, which begins anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.config.weighted_names import POLISHER
from vidstyle.errors import ConfigError
from vidstyle.evaluation import plots
from vidstyle.events import Note, Report
from vidstyle.frames import TIME_BASE, Timeline
from vidstyle.storage.atomic import disk_errors
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.record import Identity, existing, read_record, state_folder
from vidstyle.stylize import oklab
from vidstyle.stylize.optimise.engine import State, Stylizer
from vidstyle.stylize.resample import resize
from vidstyle.video import delivery, write

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.config.settings import RenderConfig
    from vidstyle.features.extractor import Extractor
    from vidstyle.frames import Frame, Motion
    from vidstyle.rendering.pipeline import Job
    from vidstyle.storage.checkpoint import Checkpoint

RATE = Fraction(25)
"""Frames per second of the film; an evaluation each."""

HELD = 25
"""Frames for which it stays at the result."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the objective.

    Args:
        iteration: counted from 1.
        scale: (width, height).
        features: the network.
        losses: {name of a term: its weighted value}.
        taken: whether it is the best of its part so far; all of Adam's are taken.
    """

    iteration: int
    scale: tuple[int, int]
    features: str
    losses: dict[str, float]
    taken: bool

    @property
    def total(self) -> float:
        return sum(self.losses.values())

    @property
    def part(self) -> tuple[tuple[int, int], str]:
        return self.scale, self.features


def files(output: Path) -> tuple[Path, Path, Path]:
    """Film, plot and figures of a render's output."""
    film, plot, figures = (
        output.with_name(f"{output.stem}.trace.{kind}") for kind in ("mp4", "png", "json")
    )
    return film, plot, figures


def check(output: Path, config: RenderConfig) -> None:
    """Raises OutputError where the trace cannot be written, or would replace what this render did
    not make.
    """
    record = read_record(state_folder(output))
    known = {**(record.get("traced") or {}), **(record.get("trace") or {})}
    for path in files(output):
        delivery.check_place(path, config.input, config.made_from)
        if path.exists() and not config.overwrite and not is_own(path, known):
            raise existing(path)


def is_own(path: Path, known: Mapping[str, Any]) -> bool:
    """Whether a file is the one that is on record, {name: its identity}."""
    identity = Identity.of(path)
    return identity is not None and asdict(identity) == known.get(path.name)


class Trace:
    """The trace of the first frame that this run renders afresh."""

    def __init__(self, job: Job, stylizer: Stylizer, store: Checkpoint, report: Report) -> None:
        self.job, self.stylizer, self.store, self.report = job, stylizer, store, report
        self.evaluations: list[Evaluation] = []
        self.film: list[Path] = []
        width, height = (n // 2 * 2 for n in job.size)  # encoders like it
        self.pictures = FrameStore(
            store.folder / "trace", f"{store.fingerprint}-trace", (width, height)
        )
        known = store.record.get("trace") or {}
        self.hand_over(known)  # what a killed run had ready
        self.delivered = bool(known) and all(is_own(self.place(name), known) for name in known)
        self.plotted = self.delivered or self.can_plot()

    def can_plot(self) -> bool:
        try:
            plots.require()
        except ConfigError as e:
            hint = "pip install 'vidstyle[plot]' lets it have one"
            self.report(Note(f"the trace will have no plot: {e.why}; {hint}", warning=True))
            return False
        return True

    def step(self, state: State, frame: Frame, motion: Motion | None) -> tuple[State, Tensor, int]:
        """`Stylizer.step`, recorded where it is the frame to trace."""
        if motion is not None or self.evaluations or self.delivered:
            return self.stylizer.step(state, frame, motion)
        frame = frame.to(self.stylizer.device)
        self.source, self.index = frame.image, frame.index
        self.pictures.open()
        try:
            self.show(self.stylizer.first_image(frame))
            self.stylizer.watch = self.watch
            made = self.stylizer.step(state, frame, motion)
        except BaseException:
            self.pictures.drop()
            raise
        finally:
            self.stylizer.watch = None
        self.keep(made[1])
        self.film += self.film[-1:] * (HELD - 1)
        return made

    def watch(self, extractor: Extractor, picture: Tensor, losses: Mapping[str, Tensor]) -> None:
        """Takes an evaluation down."""
        features = POLISHER if extractor is self.stylizer.polisher else self.job.config.features
        values = {name: float(value) for name, value in losses.items()}
        one = Evaluation(
            len(self.evaluations) + 1,
            (picture.shape[2], picture.shape[1]),
            features,
            values,
            taken=True,
        )
        before = [
            other.total for other in self.evaluations if other.part == one.part and other.taken
        ]
        if (
            before and self.job.config.optimizer == "lbfgs" and not one.total <= before[-1]
        ):  # it may not be finite
            self.evaluations.append(
                Evaluation(one.iteration, one.scale, features, values, taken=False)
            )
            self.film.append(self.film[-1])
        else:
            self.evaluations.append(one)
            self.show(picture)

    def show(self, picture: Tensor) -> None:
        """Keep what the optimiser has, (3, h, w), as it would be seen: at full size, and in the
        source's colours where lightness alone is painted.
        """
        large = resize(picture, tuple(self.source.shape[1:]))
        if self.job.config.keep_colors == "luminance":
            large = oklab.with_colours_of(large, self.source)
        self.keep(large)

    def keep(self, picture: Tensor) -> None:
        """A picture of the size of the render goes to the disk: there are as many as iterations."""
        width, height = self.pictures.size
        index = len(self.film)
        self.pictures.save(index, picture[:, :height, :width])
        self.film.append(self.pictures.file(index))

    def deliver(self) -> None:
        """Make the files as soon as there is something to show, and give them their names."""
        if self.delivered or not self.evaluations:
            return
        film, plot, figures = (self.pictures.path / path.name for path in files(self.store.output))
        self.encode(film)
        with disk_errors(self.store.folder):
            figures.write_text(as_json(self.evaluations), encoding="utf-8")
            if self.plotted:
                plot.write_bytes(plots.losses_png(self.evaluations))
        made = [path for path in (film, plot, figures) if path.exists()]
        check(self.store.output, self.job.config)  # again: one may have appeared since
        # On record first, so that a run that continues this one knows them for its own.
        known = {path.name: asdict(identity) for path in made if (identity := Identity.of(path))}
        self.store.save_record(trace=known)
        self.hand_over(known)
        self.delivered = True
        of = f" of frame {self.index}" if self.store.count > 1 else ""
        self.report(
            Note(f"the trace{of}: {', '.join(str(self.place(path.name)) for path in made)}")
        )

    def encode(self, film: Path) -> None:
        """The film, in the state directory."""
        ticks = round(1 / (RATE * TIME_BASE))
        times = Timeline(tuple(i * ticks for i in range(len(self.film))), ticks, RATE, RATE)

        def on_start(pid: int, temporary: Path) -> None:
            self.store.save_record(encoder={"pid": pid, "temporary": str(temporary)})

        plan = delivery.plan_plain_mp4(film)
        traced = write.FinishedFilm(self.film, times, plan, sar=self.job.source.sar)
        made = write.encode_film(traced, self.pictures.path, on_start)
        made.replace(film)
        self.store.save_record(encoder=None)

    def hand_over(self, known: Mapping[str, Any]) -> None:
        """Move the files on record out of the state directory, and drop what they were made
        from.
        """
        with disk_errors(self.store.folder):
            for name in known:
                if (self.pictures.path / name).exists():
                    (self.pictures.path / name).replace(self.place(name))
        self.pictures.drop()

    def place(self, name: str) -> Path:
        return self.store.output.with_name(name)

    def tell(self) -> None:
        """Warns where a render ends and nothing was traced."""
        if not self.delivered:
            why = "earlier runs have rendered every frame that starts afresh"
            self.report(
                Note(f"there is nothing to trace: {why}; --restart renders them anew", warning=True)
            )


def as_json(evaluations: Sequence[Evaluation]) -> str:
    """A list with a line for each evaluation; null where a loss is not finite, which JSON has no
    word for.
    """

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    lines = [
        json.dumps(
            {
                "iteration": one.iteration,
                "scale": one.scale,
                "features": one.features,
                "losses": {name: finite(value) for name, value in one.losses.items()},
                "total": finite(one.total),
                "taken": one.taken,
            }
        )
        for one in evaluations
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"
