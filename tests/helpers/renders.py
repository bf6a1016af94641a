"""Renders in this process, and what they report and store."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidstyle.config import settings as configs
from vidstyle.config.settings import RenderConfig
from vidstyle.events import Encoding, Event, FrameDone
from vidstyle.rendering import pipeline
from vidstyle.storage.record import state_folder


@dataclass
class Watch:
    """Notes down what a render reports, and stops it after `limit` frames."""

    limit: int | None = None
    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def stop(self) -> bool:
        return self.limit is not None and len(self.frames) >= self.limit

    @property
    def frames(self) -> list[int]:
        return [e.frame for e in self.events if isinstance(e, FrameDone)]

    @property
    def encoded(self) -> bool:
        return any(isinstance(e, Encoding) for e in self.events)


@dataclass(frozen=True)
class Uninterrupted:
    """A render that ran through with `--keep-frames`.

    Args:
        folder: the directory of its output and its state; a test that changes them takes a copy.
        frames: {file name of a frame: its bytes}.
        film: the bytes of the output.
        watch: everything that it reported.
    """

    folder: Path
    frames: dict[str, bytes]
    film: bytes
    watch: Watch

    def copy_to(self, folder: Path) -> None:
        """Copy output and state, with their times, into a folder of a test's own."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


def quick_settings(film: Path, painting: Path, output: Path, /, **changes: Any) -> RenderConfig:
    """Build the settings of a render that takes less than a second for a film of 12 frames of
    48x32.
    """
    quick = {"first_iterations": 3, "first_scales": 1, "iterations": 1, "output": output}
    return configs.build({"input": film, "style": painting, "device": "cpu"}, quick, changes)


def run(built: RenderConfig, limit: int | None = None) -> Watch:
    """Render, or continue, in this process; `Interrupted` is raised after `limit` frames."""
    watch = Watch(limit)
    pipeline.render(built, watch, watch.stop)
    return watch


def run_through(built: RenderConfig) -> Uninterrupted:
    """Render in one go, into an empty folder, with `keep_frames`."""
    assert built.output is not None
    watch = run(built)
    return Uninterrupted(
        built.output.parent, frames_of(built.output), built.output.read_bytes(), watch
    )


def frames_of(output: Path) -> dict[str, bytes]:
    """Return {file name: bytes} of the frames that a render to `output` has kept, in order."""
    return {p.name: p.read_bytes() for p in sorted((state_folder(output) / "frames").iterdir())}
