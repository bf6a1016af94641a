"""What the length of a film costs: time to the first frame, memory, disk and time a frame, and how
long a render that was killed takes to go on.

    python -m benchmarks.scale --folder FOLDER [--frames 100 1000 10000 100000] [--size 64x36]
        [--shot 0] [--seconds 40] [--style scream]

Makes films of so many frames, one shot each, or one in every `--shot` frames, and renders each in a
process of its own with the fast engine: until it is done, or for so many seconds. It is killed then
(and after half of the frames of a short one), and the same command goes on. Times are whole ones,
from the command on; `import` is what importing torch takes of them. Memory is the most that the
process and its children have at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from vidstyle.storage.record import state_folder
from vidstyle.video import ffmpeg

SAMPLING_SECONDS = 0.1

COLUMNS = (
    "frames",
    "first, s",
    "s a frame",
    "MB",
    "bytes a frame",
    "most files in a folder",
    "goes on, s",
)


@dataclass
class Run:
    """What a command did.

    Args:
        first: seconds until its first frame was painted.
        done: frames that it painted.
        seconds: from its first frame to its last.
        peak: bytes of memory.
        code: its exit code; negative where it was killed.
    """

    first: float = 0.0
    done: int = 0
    seconds: float = 0.0
    peak: int = 0
    code: int = 0
    times: list[float] = field(default_factory=list)


def make_film(path: Path, frames: int, size: str, shot: int) -> Path:
    """Make a film whose pictures move, where it is not there yet."""
    if path.exists():
        return path
    picture = f"testsrc2=s={size}:r=25"
    if shot:
        # Another colour in every shot.
        picture += f",hue=h=floor(n/{shot})*100:b=mod(floor(n/{shot})*3\\,7)-3"
    given = ["-f", "lavfi", "-i", picture, "-frames:v", str(frames)]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    ffmpeg.run(["-y", *given, *codec, ffmpeg.local(path)], "cannot make the film")
    return path


def run(words: list[str], seconds: float, stop_after: int) -> Run:
    """Run a command of vidstyle until it is done, or has painted for so long, or so many frames;
    then it is killed.
    """
    command = [sys.executable, "-m", "vidstyle", *words, "--progress", "json"]
    begun = time.perf_counter()
    seen = Run()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        watch = threading.Thread(target=watch_memory, args=(process.pid, seen))
        watch.start()
        assert process.stderr is not None
        for line in process.stderr:
            if '"FrameDone"' not in line:
                continue
            seen.times.append(time.perf_counter() - begun)
            if seen.times[-1] - seen.times[0] > seconds or len(seen.times) == stop_after:
                process.send_signal(signal.SIGKILL)
                break
        process.stderr.read()
        seen.code = process.wait()
        watch.join()
    seen.done = len(seen.times)
    seen.first = seen.times[0] if seen.times else time.perf_counter() - begun
    seen.seconds = seen.times[-1] - seen.times[0] if seen.times else 0.0
    return seen


def watch_memory(pid: int, seen: Run) -> None:
    """Note down the most memory that a process and its children have."""
    try:
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            family = [process, *process.children(recursive=True)]
            seen.peak = max(seen.peak, sum(one.memory_info().rss for one in family))
            time.sleep(SAMPLING_SECONDS)
    except psutil.Error:
        return


def disk_of(folder: Path) -> tuple[int, int]:
    """Return the bytes in a folder, and the number of files in the fullest folder of it."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    counts = [
        sum(1 for _ in path.iterdir()) for path in (folder, *folder.rglob("*")) if path.is_dir()
    ]
    return sum(sizes), max(counts, default=0)


def import_seconds() -> float:
    """Time importing torch in a process of its own."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - begun


def measure(args: argparse.Namespace, frames: int) -> list[str]:
    """Measure films of one length; return the cells of its row."""
    film = make_film(
        args.folder / f"{frames}-{args.shot}-{args.size}.mp4", frames, args.size, args.shot
    )
    output = args.folder / f"out-{frames}-{args.shot}.mp4"
    shutil.rmtree(state_folder(output), ignore_errors=True)
    output.unlink(missing_ok=True)
    words = [str(film), "--style", args.style, "--preset", "fast", "-o", str(output)]
    words += ["--force"]
    shutil.rmtree(args.folder / "cache", ignore_errors=True)
    first = run(words, args.seconds, frames // 2)
    size, files = disk_of(state_folder(output))
    again = run(words, 5.0, frames)
    if again.code == 0:
        output.unlink()
    shutil.rmtree(state_folder(output), ignore_errors=True)
    return [
        str(frames),
        f"{first.first:.1f}",
        f"{first.seconds / max(1, first.done - 1):.4f}",
        f"{first.peak / 1e6:.0f}",
        f"{size / max(1, first.done):.0f} ({first.done})",
        str(files),
        f"{again.first:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--size", default="64x36")
    parser.add_argument("--shot", type=int, default=0, help="frames of a shot; 0: one shot")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--style", default="scream")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(args.folder / "cache")
    print(json.dumps({"import torch": round(import_seconds(), 2)}), flush=True)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for frames in args.frames:
        print(f"| {' | '.join(measure(args, frames))} |", flush=True)


if __name__ == "__main__":
    main()
