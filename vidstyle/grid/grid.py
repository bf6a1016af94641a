"""A grid of results over one or two settings, as one contact sheet (as figure 3 of Gatys, Ecker,
Bethge 2016).

Each cell is a render of one frame. Finished ones are kept in `photo.grid.png.vidstyle/` next to the
sheet, named after their fingerprints, so that an interrupted grid continues, also as one with other
values::

    frame.png               the frame of a video that all cells show, 16-bit
    cells/0123abcd....png   finished cells
    lock                    locked by the process that renders
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from vidstyle.config.fingerprint import fingerprint, hash_values
from vidstyle.config.settings import RenderConfig
from vidstyle.config.style_images import StyleImage
from vidstyle.errors import ConfigError, InputError, Interrupted, OutputError, StyleError
from vidstyle.events import (
    Download,
    Event,
    FrameDone,
    Note,
    Report,
    Started,
    Stop,
    never_stop,
    silent,
)
from vidstyle.frames import to_uint16
from vidstyle.grid import contact_sheet
from vidstyle.grid.axes import Axis, Cell, label_setting, make_cells
from vidstyle.grid.still_frame import save_still
from vidstyle.rendering import fingerprint_parts
from vidstyle.rendering.engines import check_engine_settings
from vidstyle.rendering.job import Job
from vidstyle.rendering.models import Models, weight_files
from vidstyle.rendering.pipeline import render_job
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.sources import read_inside_rims
from vidstyle.storage import atomic, lock, png16, record
from vidstyle.storage.atomic import disk_errors
from vidstyle.video import delivery, image_io
from vidstyle.video.probe import Source, probe
from vidstyle.video.read import read, read_image

CELL_LONG_SIDE = 320
"""The long side of a cell in pixels, where nothing else is asked for."""

SHEET_LABEL = "grid-"
"""Begins the label of a sheet, by which a grid knows its own; the rest is its fingerprint."""


@dataclass(frozen=True)
class GridResult:
    """The outcome of a grid.

    Args:
        output: the sheet.
        columns, rows: how many it has.
        rendered: cells that this run rendered.
        seconds_per_cell: the mean over those; None without any.
    """

    output: Path
    columns: int
    rows: int
    rendered: int
    seconds_per_cell: float | None


@dataclass(frozen=True)
class PlannedCell:
    """A cell and its render, of the frame that all cells show."""

    cell: Cell
    job: Job

    @property
    def path(self) -> Path:
        """The file of the finished cell, named after the fingerprint of the render."""
        return self.job.delivery.path


@dataclass
class CellProgress:
    """Reports the progress of a grid: receives the events of the cells, which are renders of one
    frame each, and counts cells instead.
    """

    report: Report
    total: int
    done: int
    seconds: list[float] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def __call__(self, event: Event) -> None:
        if isinstance(event, FrameDone):
            self.seconds.append(event.seconds)
            self.report(
                FrameDone(
                    self.done,
                    self.done + 1,
                    self.total,
                    event.iterations,
                    event.seconds,
                    event.path,
                )
            )
        elif isinstance(event, Note) and event.text not in self.notes:
            # Every cell would say the same.
            self.notes.add(event.text)
            self.report(event)
        elif isinstance(event, Download):
            self.report(event)


class CellFolder:
    """The state directory of a grid, which holds its finished cells.

    Args:
        keep_cells: keep them after success.
    """

    def __init__(self, path: Path, *, keep_cells: bool) -> None:
        self.path = path
        self.keep_cells = keep_cells
        self.is_complete = False

    @property
    def cells(self) -> Path:
        """The directory of the cells."""
        return self.path / "cells"

    @property
    def frame(self) -> Path:
        """The file of the frame that all cells show."""
        return self.path / "frame.png"

    def open(self, *, restart: bool) -> None:
        """Make the directory, and drop the cells of earlier runs where they are not wanted."""
        with disk_errors(self.path, begun=False):
            if restart:
                shutil.rmtree(self.cells, ignore_errors=True)
            self.cells.mkdir(exist_ok=True)

    def remove_unneeded(self) -> bool:
        """Remove the files after success, or where no cell is finished. True: the directory itself
        may go as well.
        """
        if any(self.cells.glob("*")) and not (self.is_complete and not self.keep_cells):
            return False
        shutil.rmtree(self.cells, ignore_errors=True)
        self.frame.unlink(missing_ok=True)
        return True


def render_grid(
    settings: Mapping[str, Any],
    axes: Sequence[Axis],
    report: Report = silent,
    stop: Stop = never_stop,
) -> GridResult:
    """Render the cells that are missing, and then the sheet of them all.

    Args:
        settings: what all cells have in common, as for `config.build`; of a video one frame is
            shown.
        axes: one, which varies over the columns, or two, the second over the rows.
        stop: asked before every cell; True ends the grid with `Interrupted`.

    Raises the errors of `vidstyle.errors`; finished cells are kept whatever happens.
    """
    cells = make_cells(settings, axes)
    config = cells[0].config
    source = probe(config.input)
    output = config.output or config.input.with_name(f"{config.input.stem}.grid.png")
    check_grid(cells, source, output)
    folder = CellFolder(record.state_folder(output), keep_cells=config.keep_frames)
    with lock.lock_folder(folder.path, output, folder.remove_unneeded):
        folder.open(restart=config.restart)
        still = config.input if source.kind == "image" else folder.frame
        if source.kind != "image":
            save_still(source, config.start, still, report)
        models = Models(report)
        planned = [plan_cell(cell, source, still, folder, models) for cell in cells]
        progress = CellProgress(report, len(planned), sum(is_finished(one.path) for one in planned))
        label = label_sheet(axes, planned)
        if is_up_to_date(output, label) and not config.keep_frames and not config.overwrite:
            report(Note(f"{output} is this very grid; -f renders it again"))
        else:
            refuse_other(output, label, overwrite=config.overwrite)
            render_cells(planned, models, progress, stop)
            # Another program may have written the output meanwhile.
            refuse_other(output, label, overwrite=config.overwrite)
            sheet = compose_sheet(planned, axes)
            with disk_errors(folder.path):
                atomic.write_atomically(output, encode_sheet(sheet, output, label))
        folder.is_complete = True
    seconds = progress.seconds
    mean = sum(seconds) / len(seconds) if seconds else None
    columns = len(axes[0].values)
    return GridResult(output, columns, len(cells) // columns, len(seconds), mean)


def check_grid(cells: Sequence[Cell], source: Source, output: Path) -> None:
    """Refuse everything that can be refused before a frame is decoded.

    Raises ConfigError, StyleError and OutputError.
    """
    config = cells[0].config
    if output.suffix.lower() not in delivery.IMAGES:
        hint = f"use one of {' '.join(delivery.IMAGES)}"
        raise OutputError(f"cannot write {output}", "a grid is one picture", hint)
    if source.kind == "image" and config.start:
        raise ConfigError(
            "an image has no time",
            f"{config.input} is an image, and --start is given",
            "leave it out",
        )
    if source.kind != "image" and config.regions:
        labels = "whose labels need not be those of the frame that is shown"
        raise ConfigError(
            "regions do not go with it",
            f"{config.input} is a {source.kind}, {labels}",
            "make the grid of a frame of it, as a PNG or JPEG",
        )
    for cell in cells:
        check_engine_settings(cell.config)
        check_still_styles(cell.config.style)
        delivery.check_place(output, config.input, cell.config.protected_files)
    folder = record.state_folder(output)
    if (folder / "render.json").exists():
        raise OutputError(
            f"cannot write {output}", f"{folder} holds the frames of a render", "choose another -o"
        )
    is_sheet = png16.label_of(output).startswith(SHEET_LABEL)
    if output.exists() and not config.overwrite and not is_sheet:
        raise record.output_exists_error(output)


def check_still_styles(styles: Sequence[StyleImage]) -> None:
    """Raise StyleError for a file that cannot be read, ConfigError for a style with a time, and for
    the source itself among the style images.
    """
    for one in styles:
        if one.is_original:
            raise ConfigError(
                "original is no painting",
                "a grid shows how frames are painted, and nothing of the input through them",
                "leave it out",
            )
        image_io.check_file(one.path, StyleError)
        if one.at is not None:
            raise ConfigError(
                "a frame has no time",
                f"a grid is of one frame, and {one.path} has a time: {one.at:g} s",
                "give weights without times, as in a.jpg:0.7",
            )


def refuse_other(output: Path, label: str, *, overwrite: bool) -> None:
    """Raise OutputError where something else than the same grid would be replaced unasked."""
    if output.exists() and not overwrite and png16.label_of(output) != f"{label} 0":
        raise OutputError(
            f"{output} exists",
            "it is another grid, or another picture",
            "use -f to replace it, or another -o",
        )


def plan_cell(
    cell: Cell, source: Source, still: Path, folder: CellFolder, models: Models
) -> PlannedCell:
    """Prepare the render of a cell, and name its file after the render's fingerprint.

    Raises what speaks against the render.
    """
    config = configure_still(cell.config, source, still)
    # The name of the output is not known yet: it depends on the job.
    unnamed = config.model_copy(update={"output": folder.cells / "cell.png"})
    job = prepare(inspect(unnamed))
    digests = models.fetch(weight_files(job), config.weights_dir)
    path = folder.cells / f"{fingerprint(fingerprint_parts.complete(job, digests))}.png"
    return PlannedCell(cell, replace(job, delivery=replace(job.delivery, path=path)))


def configure_still(config: RenderConfig, source: Source, still: Path) -> RenderConfig:
    """Turn the settings of a cell into those of the render of its frame, except for the output."""
    wanted = config.size or CELL_LONG_SIDE
    largest = max(round(source.width * source.sar), source.height)
    changes = {
        "input": still,
        "start": None,
        "codec": None,
        "crf": None,
        "size": wanted if wanted < largest else None,
    }
    off = dict.fromkeys(("keep_frames", "restart", "trace"), False)
    return config.model_copy(update={**changes, **off, "overwrite": True})


def is_finished(path: Path) -> bool:
    """Tell whether this is a finished cell, or a sheet: a whole picture."""
    try:
        return image_io.decode_image(path.read_bytes()) is not None
    except OSError:
        return False


def label_sheet(axes: Sequence[Axis], planned: Sequence[PlannedCell]) -> str:
    """Return the label of a sheet: equal labels mean equal sheets."""
    parts = {
        "sheet": contact_sheet.SHEET_FORMAT,
        "axes": [axis.name for axis in axes],
        "cells": [one.path.stem for one in planned],
    }
    return SHEET_LABEL + hash_values(parts)


def is_up_to_date(output: Path, label: str) -> bool:
    """Tell whether the output is the sheet of this label, whole."""
    return png16.label_of(output) == f"{label} 0" and is_finished(output)


def render_cells(
    planned: Sequence[PlannedCell],
    models: Models,
    progress: CellProgress,
    stop: Stop,
) -> None:
    """Render every cell that is missing into its file. Raises Interrupted."""
    progress.report(Started(progress.total, progress.done, *planned[0].job.size))
    for number, one in enumerate(planned, 1):
        if is_finished(one.path):
            continue
        if stop():
            raise Interrupted(
                "interrupted",
                f"{progress.done} of {progress.total} cells are done and kept",
                "the same command continues",
                130,
            )
        progress.report(Note(f"cell {number} of {progress.total}: {one.cell}"))
        render_job(one.job, progress, models=models)
        progress.done += 1


def compose_sheet(planned: Sequence[PlannedCell], axes: Sequence[Axis]) -> Tensor:
    """Compose the sheet, (3, H, W) in [0, 1]: the cells with their labels, the frame and the style
    images.
    """
    job = planned[0].job
    frame = next(iter(read(job.source, job.size))).image
    column_count = len(axes[0].values)
    pictures = [read_image(one.path, InputError) for one in planned]
    columns = planned[:column_count]
    rows = planned[::column_count]
    labels = contact_sheet.SheetLabels(
        columns=[
            label_setting(axes[0].name, getattr(one.cell.config, axes[0].name)) for one in columns
        ],
        rows=[
            label_setting(axis.name, getattr(one.cell.config, axis.name))
            for axis in axes[1:]
            for one in rows
        ],
    )
    return contact_sheet.draw_sheet(
        [pictures[i : i + column_count] for i in range(0, len(pictures), column_count)],
        labels,
        place_originals(frame, columns, rows, axes),
    )


def place_originals(
    frame: Tensor, columns: Sequence[PlannedCell], rows: Sequence[PlannedCell], axes: Sequence[Axis]
) -> contact_sheet.Originals:
    """Place the frame and the style images: where the style varies, each style image stands at its
    column or row.
    """
    names = [axis.name for axis in axes]
    if "style" not in names:
        together = [frame, *read_cell_styles(rows[0])]
        return contact_sheet.Originals([], [], [together, *([] for _ in rows[1:])])
    if names[0] == "style":
        above = [read_cell_styles(one)[0] for one in columns]
        return contact_sheet.Originals([frame], above, [[] for _ in rows])
    return contact_sheet.Originals([frame], [], [read_cell_styles(one) for one in rows])


def read_cell_styles(planned: PlannedCell) -> list[Tensor]:
    """Read the style images of a cell, (3, H, W) each, inside their rims; a texture has none."""
    return [] if planned.job.config.texture else list(read_inside_rims(planned.job))


def encode_sheet(sheet: Tensor, output: Path, label: str) -> bytes:
    """Encode a sheet in the format of the output's name. Only a PNG, which is the default, can
    carry the label.

    Raises OutputError where the format holds no picture of that size.
    """
    kind = output.suffix.lower()
    if kind == ".png":
        return png16.encode_frame(to_uint16(sheet), label, 0)
    array = np.rint(to_uint16(sheet) / 257).astype(np.uint8)
    quality = cv2.IMWRITE_WEBP_QUALITY if kind == ".webp" else cv2.IMWRITE_JPEG_QUALITY
    try:
        ok, data = cv2.imencode(kind, array[:, :, ::-1], [quality, 95])
    except cv2.error:
        ok = False
    if not ok:
        raise OutputError(
            f"cannot write {output}",
            f"{output.suffix} holds no picture of {array.shape[1]}x{array.shape[0]}",
            "use -o with a .png: all cells are kept",
        )
    return data.tobytes()
