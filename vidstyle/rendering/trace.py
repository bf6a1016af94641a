"""The trace of a frame, iteration by iteration: a film of its pictures, a plot and a file of its
losses (`--trace`).

What the optimiser evaluates is recorded and nothing is evaluated for the record, so the frame is
the same with and without it. L-BFGS tries points that it does not take: there the film stays at the
best picture so far. Losses of two sizes, or of two networks, do not compare: each size and each
network is a *part* of its own.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.errors import ConfigError
from vidstyle.events import Note, Report
from vidstyle.frames import TIME_BASE, Timeline
from vidstyle.machine.plotting import require_matplotlib
from vidstyle.rendering.loss_plot import Evaluation, losses_png
from vidstyle.storage.atomic import disk_errors
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.record import FileIdentity, output_exists_error, read_record, state_folder
from vidstyle.stylize import oklab
from vidstyle.stylize.resample import resize
from vidstyle.video import delivery, write

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.rendering.job import Job
    from vidstyle.rendering.schedule import Work
    from vidstyle.storage.checkpoint import Checkpoint
    from vidstyle.stylize.engine import Observer, Step

FILM_RATE = Fraction(25)
"""Frames per second of the film; an evaluation each."""

RESULT_FRAMES = 25
"""Frames for which it stays at the result."""


def trace_files(output: Path) -> tuple[Path, Path, Path]:
    """The paths of film, plot and figures of a render's output."""
    return (
        output.with_name(f"{output.stem}.trace.mp4"),
        output.with_name(f"{output.stem}.trace.png"),
        output.with_name(f"{output.stem}.trace.json"),
    )


def check_trace(output: Path, made_from: Sequence[Path], *, overwrite: bool) -> None:
    """Raise OutputError where the trace cannot be written, or would replace what this render did
    not make.

    Args:
        made_from: the input, and the other files that the render is made from.
    """
    source, *others = made_from
    record = read_record(state_folder(output))
    known = {**(record.get("traced") or {}), **(record.get("trace") or {})}
    for path in trace_files(output):
        delivery.check_place(path, source, others)
        if path.exists() and not overwrite and not is_on_record(path, known):
            raise output_exists_error(path)


def is_on_record(path: Path, known: Mapping[str, Any]) -> bool:
    """Tell whether a file is the one that is on record, {name: its identity}."""
    identity = FileIdentity.of(path)
    return identity is not None and asdict(identity) == known.get(path.name)


class Trace:
    """Traces the first frame of a shot that this run makes first (`loop.FrameWatcher`).

    While that frame is made it is the observer of its engine (`stylize.engine.Observer`).
    """

    def __init__(self, job: Job, store: Checkpoint, report: Report) -> None:
        self.job = job
        self.store = store
        self.report = report
        self.evaluations: list[Evaluation] = []
        self.film: list[Path] = []
        width, height = job.size
        even_size = (width // 2 * 2, height // 2 * 2)  # encoders like it
        label = f"{store.fingerprint}-trace"
        self.pictures = FrameStore(store.folder / "trace", label, even_size)
        known = store.record.get("trace") or {}
        self.hand_over(known)  # the files that a killed run had ready
        self.delivered = bool(known) and all(
            is_on_record(self.place(name), known) for name in known
        )
        self.plotted = self.delivered or self.can_plot()

    def can_plot(self) -> bool:
        """Tell whether there will be a plot, and warn where there will be none."""
        try:
            require_matplotlib()
        except ConfigError as e:
            hint = "pip install 'vidstyle[plot]' lets it have one"
            self.report(Note(f"the trace will have no plot: {e.why}; {hint}", warning=True))
            return False
        return True

    @contextlib.contextmanager
    def watch(self, work: Work) -> Iterator[Observer | None]:
        """Observe the frame if it is the one to trace."""
        is_first = work.motion is None and work.previous_pass is None and not work.is_repeat
        is_first &= work.given is None
        if not is_first or self.evaluations or self.delivered:
            yield None
            return
        self.index = work.frame.index
        self.source = work.frame.image
        self.pictures.open()
        try:
            yield self
        except BaseException:
            self.pictures.delete()
            raise

    def finish(self, work: Work, step: Step) -> None:
        """Show the result of the traced frame for a while, and deliver."""
        if self.delivered or not self.evaluations or work.frame.index != self.index:
            return
        self.save_picture(step.image)
        self.film += self.film[-1:] * (RESULT_FRAMES - 1)
        self.deliver()

    def start(self, image: Tensor) -> None:
        """Take the image that the optimisation starts from."""
        self.show(image)

    def evaluate(self, image: Tensor, losses: Mapping[str, Tensor], features: str) -> None:
        """Take one evaluation of the objective."""
        scale = (image.shape[2], image.shape[1])
        values = {name: float(value) for name, value in losses.items()}
        number = len(self.evaluations) + 1
        new = Evaluation(number, scale, features, values, taken=True)
        before = [
            other.total for other in self.evaluations if other.part == new.part and other.taken
        ]
        is_better = not before or new.total <= before[-1]  # False where it is not finite
        if self.job.config.optimizer == "lbfgs" and not is_better:
            self.evaluations.append(replace(new, taken=False))
            self.film.append(self.film[-1])
        else:
            self.evaluations.append(new)
            self.show(image)

    def show(self, image: Tensor) -> None:
        """Save the image that the optimiser has, (3, h, w), as it would be seen: at full size, and
        in the source's colours where lightness alone is painted.
        """
        source = self.source.to(image.device)
        large = resize(image, tuple(source.shape[1:]))
        if self.job.config.keep_colors == "luminance":
            large = oklab.keep_source_colours(large, source)
        self.save_picture(large)

    def save_picture(self, image: Tensor) -> None:
        """Save one picture of the film, (3, H, W). There are as many as iterations, so they wait on
        the disk.
        """
        width, height = self.pictures.size
        index = len(self.film)
        self.pictures.save(index, image[:, :height, :width])
        self.film.append(self.pictures.frame_path(index))

    def deliver(self) -> None:
        """Make the files, and give them their names."""
        names = [path.name for path in trace_files(self.store.output)]
        film, plot, figures = (self.pictures.path / name for name in names)
        self.encode(film)
        with disk_errors(self.store.folder):
            figures.write_text(as_json(self.evaluations), encoding="utf-8")
            if self.plotted:
                plot.write_bytes(losses_png(self.evaluations))
        written = [path for path in (film, plot, figures) if path.exists()]
        config = self.job.config
        made_from = (config.input, *config.protected_files)
        # One may have appeared since.
        check_trace(self.store.output, made_from, overwrite=config.overwrite)
        # On record first, so that a run that continues this one knows them for its own.
        known = {
            path.name: asdict(identity) for path in written if (identity := FileIdentity.of(path))
        }
        self.store.save_record(trace=known)
        self.hand_over(known)
        self.delivered = True
        of = f" of frame {self.index}" if self.store.count > 1 else ""
        places = ", ".join(str(self.place(path.name)) for path in written)
        self.report(Note(f"the trace{of}: {places}"))

    def encode(self, film: Path) -> None:
        """Encode the film, in the state directory."""
        ticks = round(1 / (FILM_RATE * TIME_BASE))
        times = Timeline(
            tuple(i * ticks for i in range(len(self.film))), ticks, FILM_RATE, FILM_RATE
        )

        def on_start(pid: int, temporary: Path) -> None:
            self.store.save_record(encoder={"pid": pid, "temporary": str(temporary)})

        plan = delivery.plan_plain_mp4(film)
        traced = write.FinishedFilm(self.film, times, plan, sar=self.job.source.sar)
        encoded = write.encode_film(traced, self.pictures.path, on_start)
        encoded.replace(film)
        self.store.save_record(encoder=None)

    def hand_over(self, known: Mapping[str, Any]) -> None:
        """Move the files on record out of the state directory, and drop what they were made
        from.
        """
        with disk_errors(self.store.folder):
            for name in known:
                if (self.pictures.path / name).exists():
                    (self.pictures.path / name).replace(self.place(name))
        self.pictures.delete()

    def place(self, name: str) -> Path:
        """The path of a file of the trace, next to the output."""
        return self.store.output.with_name(name)

    def warn_if_nothing(self) -> None:
        """Warn where a render ends and nothing was traced."""
        if not self.delivered:
            why = "earlier runs have rendered the first frame of every shot"
            self.report(
                Note(
                    f"there is nothing to trace: {why}; --restart renders them again", warning=True
                )
            )


def as_json(evaluations: Sequence[Evaluation]) -> str:
    """Write the evaluations as a JSON list with a line for each; null where a loss is not finite,
    which JSON has no word for.
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
