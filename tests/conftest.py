"""Fixtures that every test may use, and a check that none leaves anything behind."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess

# One thread for each process, before OpenMP and OpenBLAS are loaded: the cores go to xdist's
# workers, pictures this small are no slower, and the processes that tests start inherit it, so that
# they sum in the same order. It holds without workers (-n 0) as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import psutil
import pytest
import torch

from tests.helpers.films import noise, texture, video
from tests.helpers.renders import Uninterrupted, quick_settings, run_through
from vidstyle.cli.main import main
from vidstyle.cli.signals import Signals
from vidstyle.config.settings import RenderConfig
from vidstyle.video import ffmpeg
from vidstyle.weights import registry

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


WORKER_MEMORY = 2**31
"""Bytes that a worker of pytest-xdist may take."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` means: one for each core, and no more than fit into the
    memory.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, psutil.virtual_memory().total // WORKER_MEMORY))


def pytest_configure() -> None:
    # The real networks, offline, where they are to be had.
    if (SHARED / "torch_home").is_dir():
        os.environ.setdefault("TORCH_HOME", str(SHARED / "torch_home"))


@pytest.fixture(scope="session", autouse=True)
def cache_of_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache that is empty at first, and is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips, paintings, weights and ground truth."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (real clips, paintings, weights, ground truth)")
    return SHARED


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "sample_videos"


@pytest.fixture(scope="session")
def painting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small painting: coloured stripes, 48x40."""
    path = tmp_path_factory.mktemp("painting") / "stripes.png"
    y, x = np.mgrid[:40, :48]
    waves = [np.sin(x / a + y / b) for a, b in ((3, 9), (8, -4), (-5, 3))]
    cv2.imwrite(str(path), ((np.stack(waves, 2) + 1) * 127).astype(np.uint8))
    return path


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 frames of 48x32 at 10 a second; frame 6 starts a second shot."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    first = "testsrc2=s=48x32:r=10:d=0.6[a]"
    second = "mandelbrot=s=48x32:r=10,trim=end_frame=6,negate[b]"
    shots = f"{first};{second};[a][b]concat=n=2"
    ffmpeg.run(
        ["-y", "-filter_complex", shots, "-crf", "10", ffmpeg.local(path)], "cannot make the film"
    )
    return path


@pytest.fixture(scope="session")
def noisy_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as `film`, but nothing moves, and noise makes every frame unlike the one before."""
    light = texture(1, (32, 48)).sqrt()
    dark = texture(2, (32, 48)) / 3
    pictures = torch.stack([light] * 6 + [dark] * 6)
    frames = pictures + noise(12, 0.002, size=(32, 48))
    return video(tmp_path_factory.mktemp("film") / "noisy.mkv", [*frames.clamp(0, 1)])


@pytest.fixture
def settings(tmp_path: Path, film: Path, painting: Path) -> Callable[..., RenderConfig]:
    """Makes the settings of a render of `film` that takes about a second; its output is `tmp_path /
    "out.mp4"`.
    """

    def make(**changes: Any) -> RenderConfig:
        return quick_settings(film, painting, tmp_path / "out.mp4", **changes)

    return make


@pytest.fixture(scope="session")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, film: Path, painting: Path
) -> Uninterrupted:
    """The render of `settings(keep_frames=True)` in one go; one for all tests of a process, which
    leave it as it is.
    """
    output = tmp_path_factory.mktemp("uninterrupted") / "out.mp4"
    return run_through(quick_settings(film, painting, output, keep_frames=True))


@pytest.fixture
def finished(uninterrupted: Uninterrupted, settings: Callable[..., RenderConfig]) -> RenderConfig:
    """Settings of a render that has ended with `--keep-frames`: a copy of `uninterrupted`, with its
    times.
    """
    built = settings(keep_frames=True)
    assert built.output is not None
    uninterrupted.copy_to(built.output.parent)
    return built


@pytest.fixture
def small_vgg19(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights of a VGG-19 of a tenth of the channels, random ones that neither fade
    nor explode.
    """
    import torch
    from safetensors.torch import save_file

    monkeypatch.setattr(registry, "VGG19_STAGES", ((6, 2), (12, 2), (25, 4), (51, 4), (51, 2)))
    generator = torch.Generator().manual_seed(0)
    state = {
        key: torch.randn(shape, generator=generator) * (2 / (9 * shape[1])) ** 0.5
        if len(shape) == 4
        else torch.zeros(shape)
        for key, shape in registry.vgg19_shapes().items()
    }
    folder = tmp_path_factory.mktemp("weights")
    save_file(state, folder / registry.REGISTRY["vgg19"].filename)
    return folder


class Outcome(NamedTuple):
    """Exit code, stdout and stderr of one command."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Runs `vidstyle` with these arguments in this process."""

    def run(*args: object) -> Outcome:
        capsys.readouterr()
        try:
            main([str(word) for word in args], signals=Signals())
            code = 0
        except SystemExit as e:
            code = int(e.code or 0)
        return Outcome(code, *capsys.readouterr())

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def children() -> set[str]:
    """Names of this process's children; empty on systems without /proc."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if rest.split()[1] == str(os.getpid()):
            found.add(name)
    return found


@pytest.fixture(autouse=True)
def leaves_nothing_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test that logged an error, or left an ffmpeg child or a temporary file behind."""
    yield
    assert not [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not {name for name in children() if "ffmpeg" in name}
    assert not [p for p in tmp_path.rglob("*") if ".tmp" in p.name and p.is_file()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB, which is less than the frames need; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.name != "posix" or os.geteuid():
        pytest.skip("needs root, to mount a small file system")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"cannot mount a small file system here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
