"""The time and the memory of a whole render, part by part.

    python benchmarks/render.py CLIP [--style PAINTING] [--size 640] [--frames 90] [--set NAME=VALUE
    ...] [--json]

Renders the first frames of the clip in a process of its own, with the default settings and those of
`--set`, and times what its threads do: decoding, flow and mask, optimising, writing checkpoints,
encoding. Some overlap, so together they may be more than what a frame takes. Every few frames, in
the same process, one iteration alone is timed on the frame that was just made, because a machine is
not equally fast at all times. The wall time of all linked frames, divided by their iterations times
that, says what everything else costs.

Stop whatever else computes: threads that wait for one another on shared cores distort everything.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

SAMPLES = Path(__file__).resolve().parents[1] / "sample_videos"
FRAMES_BETWEEN_CHECKS = 6
"""Linked frames from one timing of an iteration alone to the next."""
PARTS = ("decode", "flow and mask", "optimise", "checkpoint")
KILO = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of ru_maxrss."""


class Watch:
    """Collects seconds by the name of a part, and the events of the frames.

    Args:
        alone: whether to time an iteration alone; the seconds that this took at each frame are in
            `check_seconds`.
    """

    def __init__(self, *, alone: bool) -> None:
        self.time_alone = alone
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self.first_step: float | None = None
        self.last_frame = 0.0
        self.alone: list[float] = []
        self.check_seconds: list[float] = []
        self.frames: list[Any] = []
        self.resident: list[int] = []
        self.is_linked: list[bool] = []

    def time_calls(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its calls are timed as part `name`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - begun

        return call

    def time_items(self, name: str, items: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a generator so that the making of each item is timed as part `name`."""

        def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
            found = items(*args, **kwargs)
            following = self.time_calls(name, lambda: next(found, None))
            try:
                while (item := following()) is not None:
                    yield item
            finally:
                found.close()

        return call

    def time_steps(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the stylizer's step: it is timed, and sometimes one iteration of it alone."""
        timed = self.time_calls("optimise", work)

        def call(stylizer: Any, state: Any, frame: Any, motion: Any, observer: Any = None) -> Any:
            self.first_step = self.first_step or time.perf_counter()
            self.is_linked.append(motion is not None)
            made = timed(stylizer, state, frame, motion, observer)
            begun = time.perf_counter()
            if (
                self.time_alone
                and motion is not None
                and not motion.all_static
                and sum(self.is_linked) % FRAMES_BETWEEN_CHECKS == 1
            ):
                self.alone.append(iteration_alone(work, stylizer, state, frame, motion))
            self.check_seconds.append(time.perf_counter() - begun)
            return made

        return call

    def report(self, event: Any) -> None:
        """Take an event of the render."""
        import psutil

        if hasattr(event, "iterations"):
            self.frames.append(event)
            self.last_frame = time.perf_counter()
            self.resident.append(psutil.Process().memory_info().rss)


@contextmanager
def watch_render(watch: Watch) -> Iterator[None]:
    """Time the parts of the renders in this block."""
    from vidstyle.motion.static import StaticTracker
    from vidstyle.rendering import frame_linker, sources
    from vidstyle.storage.frame_store import FrameStore
    from vidstyle.stylize.optimise.stylizer import OptimisingStylizer

    with (
        patch.object(sources.read, "read", watch.time_items("decode", sources.read.read)),
        patch.object(
            frame_linker,
            "link_earlier_frames",
            watch.time_calls("flow and mask", frame_linker.link_earlier_frames),
        ),
        patch.object(
            StaticTracker, "track", watch.time_calls("flow and mask", StaticTracker.track)
        ),
        patch.object(FrameStore, "save", watch.time_calls("checkpoint", FrameStore.save)),
        patch.object(OptimisingStylizer, "step", watch.time_steps(OptimisingStylizer.step)),
    ):
        yield


def iteration_alone(step: Callable[..., Any], stylizer: Any, *of: Any) -> float:
    """Time one iteration of a frame, as the difference between 21 and 1 of them: what is done once
    a frame cancels out.
    """
    own = stylizer.settings
    seconds = []
    for count in (1, 21):
        pyramid = replace(own.pyramid, iterations=count, scales=1, adaptive=False)
        minimiser = replace(own.minimiser, stop_tolerance=0.0)
        stylizer.settings = replace(own, pyramid=pyramid, minimiser=minimiser)
        begun = time.perf_counter()
        step(stylizer, *of)
        seconds.append(time.perf_counter() - begun)
    stylizer.settings = own
    return (seconds[1] - seconds[0]) / 20


def measure_render(settings: dict[str, Any], frames: int, alone: bool) -> dict[str, Any]:
    """Render in this process, which has imported nothing yet, and return the figures.

    Args:
        settings: on top of the standard preset.
        frames: how many of the clip are rendered.
        alone: time an iteration alone as well.
    """
    from vidstyle.machine.allocator import keep_memory, share_cores

    share_cores()
    begun = time.perf_counter()
    import psutil
    import torch

    imported = time.perf_counter()
    base = psutil.Process().memory_info().rss
    from vidstyle import render
    from vidstyle.config.settings import build
    from vidstyle.config.toml import preset_values
    from vidstyle.video.probe import probe
    from vidstyle.video.scan import scan

    loaded = time.perf_counter()
    timeline = scan(probe(Path(settings["input"]))).timeline
    count = min(frames, len(timeline))
    end = Fraction(timeline.pts[count - 1] + 1) * timeline.time_base
    known = time.perf_counter()
    keep_memory()
    watch = Watch(alone=alone)
    with tempfile.TemporaryDirectory() as folder, watch_render(watch):
        output = Path(folder) / "out.mkv"
        config = build(
            preset_values("standard"), {"duration": float(end), **settings, "output": output}
        )
        result = render(config, watch.report)
        done = time.perf_counter()
    # The kernel counts in batches: the two differ by some pages.
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILO, *watch.resident)
    linked = [
        event for event, follows in zip(watch.frames, watch.is_linked, strict=True) if follows
    ]
    each = zip(watch.frames, watch.is_linked, watch.check_seconds, strict=True)
    taken = [event.seconds - check_seconds for event, follows, check_seconds in each if follows]
    wall = sum(taken)
    iterations = sum(e.iterations for e in linked)
    iteration = statistics.fmean(watch.alone) if watch.alone else None
    assert watch.first_step is not None
    return {
        "frames": result.frames,
        "linked": len(linked),
        "threads": torch.get_num_threads(),
        "import torch": imported - begun,
        "start-up": watch.first_step - known + (loaded - imported),
        "seconds per linked frame": wall / max(1, len(linked)),
        "iterations per linked frame": iterations / max(1, len(linked)),
        "iteration alone": iteration,
        "wall over iterations": wall / (iterations * iteration)
        if iteration and iterations
        else None,
        "frame over iteration": wall / len(linked) / iteration if iteration else None,
        **{name: seconds / result.frames for name, seconds in watch.seconds.items()},
        # From the last frame on: the first one has been waited for before its step.
        "encode": (done - watch.last_frame) / result.frames,
        "peak": peak / 1e9,
        "beyond torch": (peak - base) / 1e9,
        "first half": statistics.fmean(taken[: len(taken) // 2 + 1]) if taken else None,
        "second half": statistics.fmean(taken[len(taken) // 2 :]) if taken else None,
        "resident at frame 20": watch.resident[min(19, len(watch.resident) - 1)] / 1e9,
        "resident at the end": watch.resident[-1] / 1e9,
    }


def send_measurement(pipe: Any, settings: dict[str, Any], frames: int, alone: bool) -> None:
    """Run `measure_render` and send its figures through the pipe."""
    pipe.send(measure_render(settings, frames, alone))


def measure_in_process(
    settings: dict[str, Any], frames: int, *, alone: bool = True
) -> dict[str, Any]:
    """Run `measure_render` in a fresh process, as a render runs."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(
        target=send_measurement, args=(theirs, settings, frames, alone), daemon=True
    )
    process.start()
    theirs.close()
    try:
        found: dict[str, Any] = ours.recv()
    except EOFError:
        process.join()
        sys.exit(f"the render has ended with {process.exitcode}")
    process.join()
    return found


def parse_setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; numbers, true and false become what they are, anything else is text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--style", type=Path, default=SAMPLES / "mosaic.jpg")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument(
        "--set", nargs="+", type=parse_setting, default=[], metavar="NAME=VALUE", dest="settings"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    settings = {"input": args.clip, "style": args.style, "size": args.size, **dict(args.settings)}
    found = measure_in_process(settings, args.frames)
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"| {name} | {value:.3f} |" if isinstance(value, float) else f"| {name} | {value} |")


if __name__ == "__main__":
    main()
