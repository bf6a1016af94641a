"""The speed and the memory of whole commands: the fast engine next to the standard preset.

    python -m benchmarks.fast_speed CLIP --style PAINTING [--frames 60] [--size 640] [--learn 20]
        [--only NAME ...]

Learns the painting first. Then each command of `WAYS` renders the first frames of the clip in a
process of its own, one after the other: decoding, flow, painting, encoding, sound. `start` is the
time until the first frame was painted, beyond what importing torch takes. Stop whatever else
computes: threads that wait for one another on shared cores distort everything.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from vidstyle.video.probe import probe
from vidstyle.video.scan import scan

WAYS = {
    "standard": ["--preset", "standard"],
    "fast": ["--preset", "fast"],
    "fast, no flow": ["--preset", "fast", "--flow", "none"],
    "balanced": ["--preset", "balanced"],
}
"""The words of each command beyond files and sizes."""

SAMPLING_SECONDS = 0.1


@dataclass
class Run:
    """What a command took."""

    seconds: float
    first_frame: float
    peak: int


def run(words: list[str]) -> Run:
    """Run a command of vidstyle."""
    command = [sys.executable, "-m", "vidstyle", *words, "--progress", "lines"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        peaks = [0]
        watch = threading.Thread(target=watch_memory, args=(process.pid, peaks))
        watch.start()
        first = None
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("frame ") and first is None:
                first = time.perf_counter() - begun
        code = process.wait()
        seconds = time.perf_counter() - begun
        watch.join()
    if code or first is None:
        raise SystemExit(f"{' '.join(command)} failed")
    return Run(seconds, first, peaks[0])


def watch_memory(pid: int, peaks: list[int]) -> None:
    """Note down the most memory that a process has had, until it ends."""
    try:
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            peaks[0] = max(peaks[0], process.memory_info().rss)
            time.sleep(SAMPLING_SECONDS)
    except psutil.NoSuchProcess:
        pass


def time_import() -> tuple[float, int]:
    """Measure the seconds and the bytes that torch takes alone."""
    code = "import torch, psutil; print(psutil.Process().memory_info().rss)"
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, int(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--style", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--learn", type=float, default=20)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    timeline = scan(probe(args.clip)).timeline
    frames = min(args.frames, len(timeline))
    duration = float((timeline.pts[frames - 1] + 1) * timeline.time_base)
    imported, empty = time_import()
    print(f"{frames} frames; torch alone: {imported:.1f} s, {empty / 1e6:.0f} MB")
    print("| way | seconds | s a frame | of standard | start | MB beyond torch |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        learned = Path(folder) / "learned.style"
        words = ["learn", str(args.style), "--from", str(args.clip), "-o", str(learned)]
        words += ["--size", str(args.size), "--learn", str(args.learn), "-q"]
        subprocess.run([sys.executable, "-m", "vidstyle", *words], check=True)
        slowest = None
        for name in args.only:
            style = args.style if name == "standard" else learned
            output = Path(folder) / f"{name.replace(', ', '-').replace(' ', '-')}.mp4"
            common = [str(args.clip), "--style", str(style), "-o", str(output)]
            common += ["--size", str(args.size), "--duration", f"{duration:.6f}"]
            took = run([*common, *WAYS[name]])
            slowest = slowest or took.seconds
            print(
                f"| {name} | {took.seconds:.1f} | {took.seconds / frames:.3f} | "
                f"{slowest / took.seconds:.1f} | {took.first_frame - imported:.1f} | "
                f"{(took.peak - empty) / 1e6:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
