"""Renders in this process, and what they report and store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vidstyle.config.settings import RenderConfig
from vidstyle.events import Encoding, Event, FrameDone
from vidstyle.rendering import pipeline
from vidstyle.storage.record import state_folder


@dataclass
class Watch:
    """Takes down what a render reports, and stops it after `limit` frames."""

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


def run(built: RenderConfig, limit: int | None = None) -> Watch:
    watch = Watch(limit)
    pipeline.render(built, watch, watch.stop)
    return watch


def frames_of(output: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((state_folder(output) / "frames").iterdir())}
