"""The render loop: which frames, from what, how often, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.films import noise, texture, video
from tests.helpers.renders import Uninterrupted, run
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import DecodeError, DiskSpaceError, Interrupted, RenderError
from vidstyle.events import Event, FrameDone, Note, Started
from vidstyle.machine import disk
from vidstyle.motion import flow
from vidstyle.rendering import models, pipeline
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.storage import png16
from vidstyle.storage.atomic import sha256
from vidstyle.storage.record import state_folder
from vidstyle.stylize.optimise.stylizer import OptimisingStylizer
from vidstyle.video import ffmpeg, read
from vidstyle.video.probe import probe
from vidstyle.video.scan import scan

COUNT = 12
CUT = 6
"""Of the fixture `film`."""

Settings = Callable[..., RenderConfig]


def pictures(built: RenderConfig) -> list[NDArray[np.uint16]]:
    """The finished frames of a render with --keep-frames, in order."""
    assert built.output is not None
    return [
        png16.decode_frame(p) for p in sorted((state_folder(built.output) / "frames").iterdir())
    ]


def count(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[tuple[Any, ...]]:
    """The arguments of every call of `owner.name` from now on."""
    calls: list[tuple[Any, ...]] = []
    real = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


# What is done, and how often


def test_models_are_built_once_and_no_frame_is_stylised_or_linked_twice(
    settings: Settings, noisy_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractors = count(monkeypatch, models, "load_network")
    stylizers = count(monkeypatch, OptimisingStylizer, "__init__")
    steps = count(monkeypatch, OptimisingStylizer, "step")
    flows = count(monkeypatch, flow.DIS, "__call__")
    events: list[Event] = []
    result = pipeline.render(settings(input=noisy_film, rest="follow"), events.append)
    assert (len(extractors), len(stylizers)) == (1, 1)
    assert [e.frame for e in events if isinstance(e, FrameDone)] == list(range(COUNT))
    assert [frame.index for _, _, frame, *_ in steps] == list(range(COUNT))
    assert [t for t, (_, _, _, motion, *_) in enumerate(steps) if motion is None] == [0, CUT]
    assert len(flows) == 2 * (COUNT - 2)  # both directions, but not for frames that start afresh
    assert (result.frames, result.rendered) == (COUNT, COUNT)
    assert result.output.is_file()


def test_the_network_that_polishes_is_built_once_where_it_is_wanted_and_marks_the_frames(
    settings: Settings, small_vgg19: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractors = count(monkeypatch, models, "load_network")
    stylizers = count(monkeypatch, OptimisingStylizer, "__init__")
    for polish, expected in ((2, ["lite", "vgg19"]), (0, ["lite"])):
        more = {"polish": polish, "pooling": "max"} if polish else {}
        built = settings(**more, weights_dir=small_vgg19, keep_frames=True, overwrite=True)
        pipeline.render(built.model_copy(update={"restart": True}))
        assert [name for (name,) in extractors] == expected
        assert len(stylizers) == 1
        assert built.output is not None
        parts = json.loads((state_folder(built.output) / "render.json").read_text())["parts"]
        file = small_vgg19 / "vgg19_features.safetensors"
        assert parts["polish_weights"] == (sha256(file) if polish else None)
        extractors.clear()
        stylizers.clear()


@pytest.mark.parametrize(("rest", "linked"), [("follow", 6), ("hold", 0)])
def test_a_frame_that_is_lost_later_is_linked_as_before_and_no_other_is_made(
    settings: Settings,
    noisy_film: Path,
    monkeypatch: pytest.MonkeyPatch,
    rest: str,
    linked: int,
) -> None:
    """What is held depends on the whole shot so far; nothing of this film moves."""
    built = settings(input=noisy_film, keep_frames=True, rest=rest)
    pipeline.render(built)
    assert built.output is not None
    built.output.unlink()
    (state_folder(built.output) / "frames" / "000009.png").unlink()
    reads, flows = count(monkeypatch, read, "read"), count(monkeypatch, flow.DIS, "__call__")
    assert pipeline.render(built).rendered == 1
    assert [call[2:4] for call in reads] == [(CUT, 10)]
    assert len(flows) == linked


@pytest.mark.parametrize(("rest", "begin", "linked"), [("follow", 8, 6), ("hold", CUT, 0)])
def test_a_render_that_continues_links_only_what_is_missing_and_decodes_what_that_depends_on(
    settings: Settings,
    noisy_film: Path,
    monkeypatch: pytest.MonkeyPatch,
    rest: str,
    begin: int,
    linked: int,
) -> None:
    """What is static depends on the whole shot so far, and what was held is on the disk."""
    built = settings(input=noisy_film, rest=rest)
    with pytest.raises(Interrupted):
        run(built, 9)
    reads, flows = count(monkeypatch, read, "read"), count(monkeypatch, flow.DIS, "__call__")
    assert pipeline.render(built).rendered == COUNT - 9
    assert [call[2:4] for call in reads] == [(begin, COUNT)]
    assert len(flows) == linked


def test_after_a_cut_nothing_of_the_shot_before_is_left(settings: Settings, tmp_path: Path) -> None:
    rendered = []
    for name, first_shot in (("a", "testsrc2"), ("b", "smptebars")):
        graph = f"{first_shot}=s=48x32:r=10:d=0.6,format=gbrp[a];"
        graph += "mandelbrot=s=48x32:r=10,trim=end_frame=6,negate,"
        path = tmp_path / f"{name}.mkv"
        graph += "format=gbrp[b];[a][b]concat=n=2"
        ffmpeg.run(
            ["-y", "-filter_complex", graph, "-c:v", "ffv1", ffmpeg.local(path)],
            "cannot make a film",
        )
        built = settings(input=path, output=tmp_path / f"{name}.out.mkv", keep_frames=True)
        pipeline.render(built)
        rendered.append(pictures(built))
    for t, (a, b) in enumerate(zip(*rendered, strict=True)):
        assert np.array_equal(a, b) == (t >= CUT), f"frame {t}"


def test_a_frame_on_which_nothing_moves_is_the_one_before_it_without_an_iteration(
    uninterrupted: Uninterrupted, finished: RenderConfig
) -> None:
    events = uninterrupted.watch.events
    iterations = [e.iterations for e in events if isinstance(e, FrameDone)]
    made = pictures(finished)
    still = [t for t in range(1, COUNT) if iterations[t] == 0]
    assert still
    assert all(np.array_equal(made[t], made[t - 1]) for t in still)
    assert not {0, CUT} & set(still), "a shot begins afresh"
    moving = [t for t in range(1, CUT) if iterations[t]]
    assert all(not np.array_equal(made[t], made[t - 1]) for t in moving)


@pytest.mark.parametrize(
    ("iterations", "optimised"), [(6, [0, 1]), (3, [0, 1, 2]), (2, [0, 1, 2, 3])]
)
def test_what_came_into_view_is_painted_as_long_as_a_first_frame_and_then_left_alone(
    settings: Settings, tmp_path: Path, iterations: int, optimised: list[int]
) -> None:
    before = texture(1, (32, 48))
    after = before.clone()
    after[:, 4:28, 10:40] = texture(2, (24, 30))
    built = settings(
        input=video(tmp_path / "once.mkv", [before, *(after + noise(6, 0.001, size=(32, 48)))]),
        output=tmp_path / "out.mkv",
        first_iterations=6,
        first_scales=1,
        iterations=iterations,
        keep_frames=True,
    )
    events: list[Event] = []
    pipeline.render(built, events.append)
    made = pictures(built)
    assert [e.frame for e in events if isinstance(e, FrameDone) and e.iterations] == optimised
    changed = [t for t in range(1, 7) if not np.array_equal(made[t], made[t - 1])]
    assert changed == optimised[1:]
    assert built.output is not None
    for lost in range(1, 7):  # how long it has rested is found out again
        built.output.unlink()
        (state_folder(built.output) / "frames" / f"{lost:06d}.png").unlink()
        pipeline.render(built)
        assert all(np.array_equal(a, b) for a, b in zip(pictures(built), made, strict=True))


@pytest.mark.parametrize("changes", [{}, {"per_frame": True}, {"passes": 3}], ids=str)
def test_a_frame_that_repeats_the_one_before_is_a_copy_of_it_without_an_iteration(
    settings: Settings, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Also where its predecessor was not optimised to the end."""
    before = texture(1, (32, 48))
    after = before.clone()
    after[:, 4:28, 10:40] = texture(2, (24, 30))
    film = video(tmp_path / "once.mkv", [before, before, after, after, after, after.flip(1)])
    built = settings(
        input=film, output=tmp_path / "out.mkv", first_iterations=6, keep_frames=True, **changes
    )
    events: list[Event] = []
    pipeline.render(built, events.append)
    made = pictures(built)
    done = [e for e in events if isinstance(e, FrameDone)]
    assert len(done) == 6 * changes.get("passes", 1)
    iterations = {e.frame: e.iterations for e in done}  # of the last pass
    assert [t for t in range(6) if not iterations[t]] == [1, 3, 4]
    assert [t for t in range(1, 6) if np.array_equal(made[t], made[t - 1])] == [1, 3, 4]


def test_per_frame_gives_what_each_frame_gives_alone(settings: Settings, noisy_film: Path) -> None:
    whole = settings(input=noisy_film, per_frame=True, keep_frames=True)
    pipeline.render(whole)
    linked = settings(
        input=noisy_film,
        output=whole.output.with_name("linked.mp4"),
        keep_frames=True,
        rest="follow",
    )
    pipeline.render(linked)
    baseline, with_link = pictures(whole), pictures(linked)
    for t in (0, 3, CUT):
        alone = settings(
            input=noisy_film,
            output=whole.output.with_name(f"{t}.mp4"),
            start=t / 10,
            duration=0.1,
            keep_frames=True,
            overwrite=True,
        )
        assert pipeline.render(alone).frames == 1
        np.testing.assert_array_equal(pictures(alone)[0], baseline[t])
    assert [t for t in range(COUNT) if np.array_equal(baseline[t], with_link[t])] == [0, CUT]


def test_start_and_duration_render_that_part_with_its_cut(settings: Settings) -> None:
    built = settings(start=0.4, duration=0.5, per_frame=False)
    job = prepare(inspect(built))
    assert job.part == FrameRange(4, 9)
    assert job.shots == (FrameRange(0, CUT - 4), FrameRange(CUT - 4, 5))
    assert job.rendered_timeline.pts == tuple(9000 * t for t in range(4, 9))
    assert job.trim == (Fraction(4, 10), Fraction(5, 10))
    assert pipeline.render(built).frames == 5
    source = probe(job.delivery.path)
    assert scan(source).timeline.duration == Fraction(5, 10)


# What is refused


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """A film that promises 20 frames and ends in the middle of one."""
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=48x32:r=10:d=2"]
    ffmpeg.run(
        ["-y", *source, "-g", "1", "-movflags", "+faststart", ffmpeg.local(whole)],
        "cannot make the film",
    )
    data = whole.read_bytes()
    media = data.index(b"mdat")
    cut.write_bytes(data[: media + (len(data) - media) * 6 // 10])
    return cut


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_frames_that_are_no_numbers_are_not_made(settings: Settings, optimizer: str) -> None:
    built = settings(style_weight=1e308, optimizer=optimizer)
    with pytest.raises(RenderError, match="a weight is too large") as caught:
        pipeline.render(built)
    assert caught.value.exit_code == 1
    assert not built.output.exists()


def test_a_truncated_film_is_refused_with_what_is_missing_and_rendered_when_that_is_wanted(
    settings: Settings, truncated: Path
) -> None:
    built = settings(input=truncated, keep_frames=True)
    with pytest.raises(DecodeError, match="damaged") as caught:
        pipeline.render(built)
    missing = caught.value.missing
    assert caught.value.exit_code == 2
    assert 4 < missing < 16
    assert f"{missing} frames are missing, {20 - missing} are there" in caught.value.why
    assert "--allow-damaged" in caught.value.hint
    assert not list(built.output.parent.glob("out*"))
    events: list[Event] = []
    result = pipeline.render(built.model_copy(update={"allow_damaged": True}), events.append)
    assert result.frames == len(pictures(built)) == 20 - missing
    assert len(scan(probe(result.output)).timeline) == 20 - missing
    assert [
        e for e in events if isinstance(e, Note) and e.warning and f"{missing} frames" in e.text
    ]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_that_is_too_small_is_refused_with_figures_and_force_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = disk.needed_bytes((48, 32), COUNT, COUNT)
    assert COUNT * 48 * 32 * 5 < needed < COUNT * 48 * 32 * 8
    built = settings()

    def free(amount: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, amount))

    free(needed - 1)
    events: list[Event] = []
    with pytest.raises(DiskSpaceError, match=rf"needed for {COUNT} frames.*free in") as caught:
        pipeline.render(built, events.append)
    assert caught.value.exit_code == 2
    assert "--force" in caught.value.hint
    assert not [e for e in events if isinstance(e, Started)]
    assert not list(built.output.parent.iterdir())
    assert pipeline.render(built.model_copy(update={"force": True})).rendered == COUNT
    built.output.unlink()
    free(needed)
    assert pipeline.render(built).rendered == COUNT


def test_the_figures_of_a_small_disk_are_not_rounded_to_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, 5))
    with pytest.raises(DiskSpaceError) as caught:
        pipeline.render(settings())
    assert re.match(
        r"\d+\.\d\d kB are needed for 12 frames, 5 bytes are free in ", caught.value.why
    )
    assert not caught.value.why.startswith("0.")


# What comes out


def test_an_image_gives_an_image_beside_it(
    settings: Settings, samples: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3).astype(np.uint8))
    result = pipeline.render(settings(input=photo, output=None))
    assert result.output == tmp_path / "photo.stripes.png"
    assert result.frames == 1
    made = cv2.imread(str(result.output), cv2.IMREAD_UNCHANGED)
    assert (made.shape, made.dtype) == ((30, 40, 3), np.uint8)
    assert {p.name for p in tmp_path.iterdir()} == {"photo.png", "photo.stripes.png"}


def test_a_gif_gives_a_gif_with_its_times(settings: Settings, tmp_path: Path) -> None:
    moving = tmp_path / "moving.gif"
    source = ["-f", "lavfi", "-i", "testsrc2=s=48x32:r=20:d=0.3"]
    ffmpeg.run(["-y", *source, ffmpeg.local(moving)], "cannot make the GIF")
    result = pipeline.render(settings(input=moving, output=None))
    assert result.output == tmp_path / "moving.stripes.gif"
    assert result.output.read_bytes().startswith(b"GIF89a")
    given, got = scan(probe(moving)).timeline, scan(probe(result.output)).timeline
    assert got.pts == given.pts
    assert len(got) == result.frames == 6


# A long one

LONG_RENDER = """
import json, os, sys
from pathlib import Path
from vidstyle.config.settings import build
from vidstyle.events import FrameDone
from vidstyle.rendering import models, pipeline

loads, resident = 0, []
real = models.load_network

def load(*args, **kwargs):
    global loads
    loads += 1
    return real(*args, **kwargs)

def report(event):
    if isinstance(event, FrameDone):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * os.sysconf("SC_PAGE_SIZE"))

models.load_network = load
pipeline.render(build(json.loads(sys.argv[1])), report)
print(json.dumps({"loads": loads, "resident": resident}))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="reads the resident memory from /proc"
)
def test_a_long_render_builds_the_extractor_once_and_its_memory_does_not_grow(
    painting: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=144x96:r=25:d=8"]
    ffmpeg.run(["-y", *source, ffmpeg.local(film)], "cannot make the film")
    # A frame of this size is 0.17 MB: one float copy kept of each would add 30 MB, well over 2 % of
    # the whole.
    quick = {"first_iterations": 2, "iterations": 1, "device": "cpu"}
    built = {
        "input": str(film),
        "style": str(painting),
        "output": str(tmp_path / "out.mp4"),
        **quick,
    }
    made = subprocess.run(
        [sys.executable, "-c", LONG_RENDER, json.dumps(built)],
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(made.stdout)
    assert seen["loads"] == 1
    assert len(seen["resident"]) == 200
    # Medians: from one frame to the next it varies by as much, up and down.
    early, late = (np.median(seen["resident"][part]) for part in (slice(10, 30), slice(180, 200)))
    assert late <= 1.02 * early
