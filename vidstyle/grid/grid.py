"""A grid of results over one or two settings, as one contact sheet (as figure 3 of Gatys, Ecker,
Bethge 2016).

Each cell is a render of one frame. Finished ones wait in `photo.grid.png.vidstyle/` beside the
sheet, under their fingerprints, so that an interrupted grid continues, also as one with other
values::

    frame.png               the frame of a video that all cells show, 16-bit
    cells/0123abcd....png   finished cells
    lock                    held by the process that renders
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from vidstyle.config.fingerprint import fingerprint
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import ConfigError, InputError, Interrupted, OutputError, StyleError
from vidstyle.events import Download, Event, FrameDone, Note, Report, Started, silent
from vidstyle.frames import to_uint16
from vidstyle.grid import axes as vary
from vidstyle.grid import contact_sheet
from vidstyle.grid.axes import Axis, Cell
from vidstyle.grid.still_frame import frame_of
from vidstyle.machine.device import resolve_device
from vidstyle.rendering import pipeline
from vidstyle.rendering.models import Models
from vidstyle.storage import atomic, lock, png16, record
from vidstyle.storage.atomic import disk_errors
from vidstyle.video import delivery, image_io
from vidstyle.video.probe import Source, probe
from vidstyle.video.read import fit, read, read_image

SIZE = 320
"""Long side of a cell, where nothing else is asked for."""

LABEL = "grid-"
"""Begins the label of a sheet, by which it is known as ours; the rest is its fingerprint."""


@dataclass(frozen=True)
class Grid:
    """What was made: the sheet, how many columns and rows it has, how many cells this run rendered,
    and the mean seconds of those.
    """

    output: Path
    columns: int
    rows: int
    rendered: int
    seconds_per_cell: float | None


@dataclass
class Told:
    """Makes one progress of those of the cells, which are renders of a frame each."""

    report: Report
    total: int
    done: int
    seconds: list[float] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def __call__(self, event: Event) -> None:
        if isinstance(event, FrameDone):
            self.seconds.append(event.seconds)
            self.report(
                FrameDone(self.done, self.done + 1, self.total, event.iterations, event.seconds)
            )
        elif isinstance(event, Note) and event.text not in self.notes:
            self.notes.add(event.text)  # every cell would say the same
            self.report(event)
        elif isinstance(event, Download):
            self.report(event)


def grid(
    settings: Mapping[str, Any],
    axes: Sequence[Axis],
    report: Report = silent,
    stop: Callable[[], bool] = lambda: False,
) -> Grid:
    """Render the cells that are missing, and then the sheet of them all.

    Args:
        settings: what all cells have in common, as for `config.build`; of a video one frame is
            taken.
        axes: one, which varies over the columns, or two, the second over the rows.
        stop: asked before every cell; True ends the grid with `Interrupted`.

    Raises the errors of `vidstyle.errors`; finished cells are kept whatever happens.
    """
    cells = vary.cells(settings, axes)
    config = cells[0].config
    source = probe(config.input)
    output = config.output or config.input.with_name(f"{config.input.stem}.grid.png")
    check(cells, source, output)
    folder, complete = record.state_folder(output), False

    def finished() -> bool:
        done = complete and not config.keep_frames
        if done or not any((folder / "cells").glob("*")):
            shutil.rmtree(folder / "cells", ignore_errors=True)
            (folder / "frame.png").unlink(missing_ok=True)
            done = True
        return done

    with lock.held(folder, output, finished):
        with disk_errors(folder, begun=False):
            if config.restart:
                shutil.rmtree(folder / "cells", ignore_errors=True)
            (folder / "cells").mkdir(exist_ok=True)
        if source.kind == "image":
            frame = config.input
        else:
            frame = folder / "frame.png"
            frame_of(source, config.start, frame, report)
        shown = [still_of(cell.config, source, frame) for cell in cells]
        models = Models(report)
        paths = [folder / "cells" / f"{identified(one, folder, models)}.png" for one in shown]
        names = [one.name for one in axes]
        label = LABEL + fingerprint(
            {"sheet": contact_sheet.FORMAT, "axes": names, "cells": [path.stem for path in paths]}
        )
        there = f"{label} 0" == png16.label_of(output) and whole(output) and not config.keep_frames
        told = Told(report, len(cells), sum(map(whole, paths)))
        if there and not config.overwrite:
            report(Note(f"{output} is this very grid; -f renders it again"))
        else:
            refuse_other(output, label, config.overwrite)
            render(
                [(cell, one, path) for cell, one, path in zip(cells, shown, paths, strict=True)],
                models,
                told,
                stop,
            )
            refuse_other(
                output, label, config.overwrite
            )  # another program may have written it meanwhile
            picture = drawn(cells, axes, shown[0], paths)
            with disk_errors(folder):
                atomic.write_atomically(output, encoded(picture, output, label))
        complete = True
    mean = sum(told.seconds) / len(told.seconds) if told.seconds else None
    columns = len(axes[0].values)
    return Grid(output, columns, len(cells) // columns, len(told.seconds), mean)


def check(cells: Sequence[Cell], source: Source, output: Path) -> None:
    """Raises what speaks against the grid, as far as no frame need be decoded to know it."""
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
        why = f"{config.input} is a {source.kind}, whose labels need not be those of the frame that is shown"
        raise ConfigError(
            "regions do not go with it", why, "make the grid of a frame of it, as a PNG or JPEG"
        )
    for cell in cells:
        for one in cell.config.style:
            image_io.check_file(one.path, StyleError)
            if one.at is not None:
                why = f"a grid is of one frame, and {one.path} has a time: {one.at:g} s"
                raise ConfigError(
                    "a frame has no time", why, "give weights without times, as in a.jpg:0.7"
                )
        delivery.check_place(output, config.input, cell.config.made_from)
    folder = record.state_folder(output)
    if (folder / "render.json").exists():
        raise OutputError(
            f"cannot write {output}", f"{folder} holds the frames of a render", "choose another -o"
        )
    if output.exists() and not config.overwrite and not png16.label_of(output).startswith(LABEL):
        raise record.existing(output)


def refuse_other(output: Path, label: str, overwrite: bool) -> None:
    """Only the same grid is replaced unasked."""
    if output.exists() and not overwrite and png16.label_of(output) != f"{label} 0":
        raise OutputError(
            f"{output} exists",
            "it is another grid, or another picture",
            "use -f to replace it, or another -o",
        )


def still_of(config: RenderConfig, source: Source, frame: Path) -> RenderConfig:
    """The render of a cell, but for its output."""
    wanted, largest = config.size or SIZE, max(round(source.width * source.sar), source.height)
    changes = {
        "input": frame,
        "start": None,
        "codec": None,
        "crf": None,
        "size": wanted if wanted < largest else None,
    }
    off = dict.fromkeys(("keep_frames", "restart", "trace"), False)
    return config.model_copy(update={**changes, **off, "overwrite": True})


def identified(config: RenderConfig, folder: Path, models: Models) -> str:
    """The fingerprint of a cell's render. Raises what speaks against it."""
    job = pipeline.prepare(config.model_copy(update={"output": folder / "cells" / "cell.png"}))
    return fingerprint(pipeline.identity(job, resolve_device(config.device), models))


def whole(path: Path) -> bool:
    """Whether this is a finished cell."""
    try:
        return image_io.decode_image(path.read_bytes()) is not None
    except OSError:
        return False


def render(
    cells: Sequence[tuple[Cell, RenderConfig, Path]],
    models: Models,
    told: Told,
    stop: Callable[[], bool],
) -> None:
    """Every cell that is missing, into its file. Raises Interrupted."""
    source = probe(cells[0][1].input)
    told.report(Started(told.total, told.done, *fit(source.width, source.height, cells[0][1].size)))
    for number, (cell, config, path) in enumerate(cells, 1):
        if whole(path):
            continue
        if stop():
            why = f"{told.done} of {told.total} cells are done and kept"
            raise Interrupted("interrupted", why, "the same command continues", 130)
        told.report(Note(f"cell {number} of {told.total}: {cell}"))
        pipeline.render(config.model_copy(update={"output": path}), told, models=models)
        told.done += 1


def drawn(
    cells: Sequence[Cell], axes: Sequence[Axis], config: RenderConfig, paths: Sequence[Path]
) -> Tensor:
    """The sheet: its cells with their labels, the frame and the paintings."""
    count = len(axes[0].values)
    pictures = [read_image(path, InputError) for path in paths]
    source = probe(config.input)
    frame = next(iter(read(source, fit(source.width, source.height, config.size)))).image
    columns, rows = cells[:count], cells[::count]
    return contact_sheet.draw(
        [pictures[i : i + count] for i in range(0, len(pictures), count)],
        [vary.label(cell.config, axes[0].name) for cell in columns],
        [vary.label(cell.config, axes[1].name) for cell in rows] if len(axes) > 1 else [],
        beside(
            frame,
            columns,
            rows,
            next((i for i, one in enumerate(axes) if one.name == "style"), None),
        ),
    )


def beside(
    frame: Tensor, columns: Sequence[Cell], rows: Sequence[Cell], varied: int | None
) -> contact_sheet.Beside:
    """Where the frame and the paintings go: at each column (`varied` is 0) or row (1) the painting
    that it has.
    """

    def paintings(cell: Cell) -> list[Tensor]:
        return [
            read_image(path, StyleError)
            for path in dict.fromkeys(one.path for one in cell.config.style)
        ]

    if varied is None:
        return contact_sheet.Beside([], [], [[frame, *paintings(rows[0])], *([] for _ in rows[1:])])
    if varied == 0:
        return contact_sheet.Beside(
            [frame], [paintings(cell)[0] for cell in columns], [[] for _ in rows]
        )
    return contact_sheet.Beside([frame], [], [paintings(cell) for cell in rows])


def encoded(picture: Tensor, output: Path, label: str) -> bytes:
    """The sheet's file; of the formats only PNG, which is the default, can say whose it is."""
    if output.suffix.lower() == ".png":
        return png16.encode(to_uint16(picture), label, 0)
    array = np.rint(to_uint16(picture) / 257).astype(np.uint8)
    options = {".webp": [cv2.IMWRITE_WEBP_QUALITY, 95]}.get(
        output.suffix.lower(), [cv2.IMWRITE_JPEG_QUALITY, 95]
    )
    try:
        done, data = cv2.imencode(output.suffix.lower(), array[:, :, ::-1], options)
    except cv2.error:
        done = False
    if not done:
        why = f"{output.suffix} holds no picture of {array.shape[1]}x{array.shape[0]}"
        raise OutputError(f"cannot write {output}", why, "use -o with a .png: all cells are kept")
    return data.tobytes()
