"""A trace shows every iteration of one frame, and changes nothing of it."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.decoding import frames_of
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted
from vidstyle.events import FrameDone, Note
from vidstyle.rendering import pipeline
from vidstyle.rendering import trace as tracing
from vidstyle.rendering.loss_plot import losses_png
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.space import disk_needed
from vidstyle.video import write
from vidstyle.video.probe import probe
from vidstyle.video.scan import scan

Command = Callable[..., Any]
Settings = Callable[..., RenderConfig]

FEW = ("--first-iterations", 6, "--iterations", 1, "--device", "cpu", "-q")
NAMES = {"out.trace.mp4", "out.trace.png", "out.trace.json"}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A still of 80x70 with fine detail."""
    folder = tmp_path / "in"
    folder.mkdir()
    y, x = np.mgrid[:70, :80]
    picture = np.stack(
        [127 + 120 * np.sin(x / a) * np.cos(y / b) for a, b in ((7, 5), (11, 3), (4, 9))], 2
    )
    cv2.imwrite(str(folder / "photo.png"), picture.astype(np.uint8))
    return folder / "photo.png"


def figures(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def parts(evaluations: list[dict[str, Any]]) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    for key, group in itertools.groupby(
        evaluations, lambda one: (tuple(one["scale"]), one["features"])
    ):
        yield key, list(group)


def away(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean difference of (H, W, 3) in lightness, which films of this size keep better than
    colours.
    """
    return float(np.abs(a.astype(float).mean(2) - b.astype(float).mean(2)).mean())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_the_film_goes_from_the_start_to_the_result(
    command: Command, photo: Path, painting: Path, tmp_path: Path
) -> None:
    whole = cv2.imread(str(photo))
    assert whole is not None
    cv2.imwrite(str(photo), whole[:69, :79])
    got = command(photo, "-s", painting, *FEW, "-o", tmp_path / "out.png", "--trace")
    assert (got.code, got.out, got.err) == (0, f"{tmp_path / 'out.png'}\n", "")
    assert names(tmp_path) == {"out.png", *NAMES}
    assert not (tmp_path / "out.png.vidstyle").exists()
    source = probe(tmp_path / "out.trace.mp4")
    assert (source.width, source.height) == (78, 68), "of 79x69"
    assert (source.matrix, source.color_range, source.transfer, source.primaries) == (
        "bt709",
        "tv",
        "bt709",
        "bt709",
    )
    assert [stream.kind for stream in source.streams] == ["video"]
    scanned = scan(source)
    assert (len(scanned.timeline), scanned.missing) == (1 + 6 + tracing.RESULT_FRAMES, 0)
    assert scanned.timeline.rate == Fraction(25)
    shown, start, result = (
        frames_of(tmp_path / "out.trace.mp4"),
        cv2.imread(str(photo)),
        cv2.imread(f"{got.out[:-1]}"),
    )
    assert start is not None
    assert result is not None
    assert away(shown[0], np.asarray(start[:68, :78], np.uint8)) < 6
    for frame in shown[7:]:
        assert away(frame, np.asarray(result[:68, :78], np.uint8)) < 6
    assert away(shown[0], shown[-1]) > 8


def test_the_figures_are_those_of_every_evaluation(
    command: Command, photo: Path, painting: Path, tmp_path: Path
) -> None:
    many = (
        "--first-iterations",
        12,
        "--first-scales",
        2,
        "--learning-rate",
        1,
    )  # whose first steps go too far
    assert (
        command(
            photo, "-s", painting, *FEW, *many, "-o", tmp_path / "out.png", "--size", 128, "--trace"
        ).code
        == 0
    )
    found = figures(tmp_path / "out.trace.json")
    assert [one["iteration"] for one in found] == list(range(1, 13))
    for one in found:
        assert one["losses"].keys() == {"style", "grain", "content", "total variation"}
        assert one["total"] == pytest.approx(sum(one["losses"].values()))
    assert [(key, len(part)) for key, part in parts(found)] == [
        (((73, 64), "lite"), 6),
        (((128, 112), "lite"), 6),
    ]
    for _, part in parts(found):
        totals = [one["total"] for one in part if one["taken"]]
        assert totals == sorted(totals, reverse=True)
        assert totals[-1] < totals[0]
        best = list(itertools.accumulate((one["total"] for one in part), min))
        assert [one["taken"] for one in part] == [
            one["total"] <= least for one, least in zip(part, best, strict=True)
        ]
    tried = [one["iteration"] for one in found if not one["taken"]]
    assert tried, "or nothing is repeated"
    shown = frames_of(tmp_path / "out.trace.mp4")
    for i in tried:
        assert away(shown[i], shown[i - 1]) < 1, "the film stays at the best picture"
    plot = cv2.imread(str(tmp_path / "out.trace.png"))
    assert plot is not None
    assert plot.shape[1] > 800


@pytest.mark.parametrize(
    "wishes",
    [
        "--optimizer adam",
        "--style-terms gram=0.5,mrf=0.5 --first-iterations 10 --size 64",
        "--keep-colors luminance",
        "--tile 64 --first-iterations 2 --first-scales 1",
        "--init noise --first-iterations 1",
    ],
)
def test_the_picture_is_the_same_with_and_without(
    command: Command, photo: Path, painting: Path, tmp_path: Path, wishes: str
) -> None:
    line = (photo, "-s", painting, *FEW, *wishes.split())
    assert command(*line, "-o", tmp_path / "out.png", "--trace").code == 0
    assert command(*line, "-o", tmp_path / "plain.png").code == 0
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
    found = figures(tmp_path / "out.trace.json")
    assert len(found) == int(([6, *re.findall(r"--first-iterations (\d+)", wishes)])[-1])
    if "mrf" in wishes:
        assert found[0]["losses"].keys() == {"gram", "mrf", "grain", "content", "total variation"}
    if "adam" in wishes:
        assert all(one["taken"] for one in found)
    if "luminance" in wishes:
        shown, start = frames_of(tmp_path / "out.trace.mp4"), cv2.imread(str(photo))
        for frame in shown:
            assert np.abs(frame[..., 2] - frame[..., 0].astype(float)).mean() > 20, "in colours"
        assert start is not None
        assert away(shown[0], np.asarray(start, np.uint8)) < 6


def test_polish_is_a_part_of_its_own(
    command: Command, photo: Path, painting: Path, tmp_path: Path, small_vgg19: Path
) -> None:
    line = (photo, "-s", painting, *FEW, "--polish", 2, "--weights-dir", small_vgg19, "--trace")
    assert command(*line, "-o", tmp_path / "out.png").code == 0
    found = [(key[1], len(part)) for key, part in parts(figures(tmp_path / "out.trace.json"))]
    assert found == [("lite", 4), ("vgg19", 2)]


@pytest.mark.parametrize(
    "wishes", ["--texture --size 48", "--texture --tileable --size 48", "--reconstruct relu2_1"]
)
def test_what_has_no_painting_has_a_trace(
    command: Command, photo: Path, tmp_path: Path, wishes: str
) -> None:
    assert command(photo, *wishes.split(), *FEW, "-o", tmp_path / "out.png", "--trace").code == 0
    [*_, last] = figures(tmp_path / "out.trace.json")
    matched = {"content"} if "reconstruct" in wishes else {"style", "grain"}
    assert last["losses"].keys() == {*matched, "total variation"}
    size = cv2.imread(str(tmp_path / "out.png")).shape[1::-1]  # type: ignore[union-attr]
    assert tuple(last["scale"]) == size


@pytest.mark.parametrize("wishes", ["", "--passes 2", "--start 0.4"])
def test_of_a_video_it_is_the_first_frame_that_starts_afresh(
    command: Command, film: Path, painting: Path, tmp_path: Path, wishes: str
) -> None:
    line = (
        film,
        "-s",
        painting,
        *FEW,
        "--duration",
        0.3,
        *wishes.split(),
        "-o",
        tmp_path / "out.mp4",
    )
    assert command(*line, "--trace").code == 0
    assert names(tmp_path) == {"out.mp4", *NAMES}
    assert len(figures(tmp_path / "out.trace.json")) == 6
    traced = frames_of(tmp_path / "out.trace.mp4")
    assert len(traced) == 1 + 6 + tracing.RESULT_FRAMES
    source = frames_of(film)[4 if "start" in wishes else 0]
    assert away(traced[0], source) < 8
    if "passes" not in wishes:
        assert away(traced[-1], frames_of(tmp_path / "out.mp4")[0]) < 8


def test_a_gif_has_a_film_for_a_trace(
    command: Command, film: Path, painting: Path, tmp_path: Path
) -> None:
    line = (film, "-s", painting, *FEW, "--duration", 0.2, "--trace")
    assert command(*line, "-o", tmp_path / "out.gif").code == 0
    assert names(tmp_path) == {"out.gif", *NAMES}


def test_an_existing_trace_is_replaced_only_when_asked(
    command: Command, photo: Path, painting: Path, tmp_path: Path
) -> None:
    line = (photo, "-s", painting, *FEW, "-o", tmp_path / "out.png", "--trace")
    for name in NAMES:
        (tmp_path / name).write_text("precious")
        got = command(*line)
        told = [f"vidstyle: {tmp_path / name} exists", "  why: it would be replaced"]
        assert (got.code, got.err.splitlines()) == (
            2,
            [*told, "  try: use -f to replace it, or another -o"],
        )
        assert names(tmp_path) == {name}
        (tmp_path / name).unlink()
    for name in NAMES:
        (tmp_path / name).write_text("not precious")
    assert command(*line, "-f").code == 0
    assert names(tmp_path) == {"out.png", *NAMES}
    assert b"not precious" not in {(tmp_path / name).read_bytes() for name in NAMES}


def test_the_input_is_never_replaced(
    command: Command, film: Path, painting: Path, tmp_path: Path
) -> None:
    shutil.copy(film, tmp_path / "out.trace.mp4")
    before = (tmp_path / "out.trace.mp4").read_bytes()
    got = command(
        tmp_path / "out.trace.mp4",
        "-s",
        painting,
        *FEW,
        "-o",
        tmp_path / "out.mp4",
        "--trace",
        "-f",
    )
    assert got.code == 2
    assert "it is the input itself" in got.err
    assert (tmp_path / "out.trace.mp4").read_bytes() == before


def test_a_preview_has_none(command: Command, photo: Path, painting: Path, tmp_path: Path) -> None:
    got = command(photo, "-s", painting, *FEW, "-o", tmp_path / "out.png", "--trace", "--preview")
    assert got.code == 2
    assert got.err.startswith("vidstyle: a preview has no trace\n")


def test_where_all_is_rendered_there_is_nothing_to_trace(
    command: Command, photo: Path, painting: Path, tmp_path: Path
) -> None:
    line = (photo, "-s", painting, *FEW, "-o", tmp_path / "out.png", "--keep-frames")
    assert command(*line).code == 0
    got = command(*line, "--trace")
    assert got.code == 0
    assert "warning: there is nothing to trace" in got.err
    assert "--restart" in got.err
    assert names(tmp_path) == {"out.png"}
    got = command(*line, "--trace", "--restart", "-f")
    assert (got.code, got.err) == (0, "")
    assert names(tmp_path) == {"out.png", *NAMES}
    assert not (tmp_path / "out.png.vidstyle" / "trace").exists()
    before = {name: (tmp_path / name).read_bytes() for name in NAMES}
    got = command(*line, "--trace")
    assert (got.code, got.err) == (0, ""), "the trace is there, and this render's own"
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == before


def interrupted(config: RenderConfig) -> None:
    """Two frames of a render."""
    done: list[int] = []

    def report(event: object) -> None:
        if isinstance(event, FrameDone):
            done.append(event.frame)

    with pytest.raises(Interrupted):
        pipeline.render(config, report, lambda: len(done) >= 2)


def test_an_interrupted_render_continues_with_its_trace_as_it_is(
    settings: Settings, tmp_path: Path
) -> None:
    config = settings(trace=True)
    interrupted(config)
    assert names(tmp_path) == NAMES
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in NAMES}
    notes: list[Note] = []
    pipeline.render(config, lambda event: notes.append(event) if isinstance(event, Note) else None)
    assert notes == []
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in NAMES} == before
    assert names(tmp_path) == {"out.mp4", *NAMES}


def test_a_render_that_is_started_over_is_traced_anew(settings: Settings, tmp_path: Path) -> None:
    interrupted(settings(trace=True))
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in NAMES}
    pipeline.render(settings(trace=True, restart=True, first_iterations=4))
    assert names(tmp_path) == {"out.mp4", *NAMES}
    assert all((tmp_path / name).stat().st_mtime_ns != time for name, time in before.items())


def test_a_render_that_continues_is_traced_where_it_starts_afresh(
    settings: Settings, tmp_path: Path
) -> None:
    interrupted(settings())
    notes: list[str] = []
    pipeline.render(
        settings(trace=True),
        lambda event: notes.append(event.text) if isinstance(event, Note) else None,
    )
    assert [text.partition(":")[0] for text in notes] == ["the trace of frame 6"]
    assert names(tmp_path) == {"out.mp4", *NAMES}


def test_what_a_killed_run_had_ready_is_handed_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: tracing.Trace, known: dict[str, Any]) -> None:
        if known:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(tracing.Trace, "hand_over", die)
        with pytest.raises(Killed):
            pipeline.render(settings(trace=True))
    assert names(tmp_path) == set()
    pipeline.render(settings(trace=True))
    assert names(tmp_path) == {"out.mp4", *NAMES}
    assert len(figures(tmp_path / "out.trace.json")) == 3


def test_an_interruption_leaves_no_half_of_a_trace(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise Interrupted("interrupted", "", "", 130)

    monkeypatch.setattr(tracing, "require_matplotlib", lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(tracing.Trace, "watch", interrupted)
        with pytest.raises(Interrupted):
            pipeline.render(settings(trace=True))
    assert not list(tmp_path.rglob("*.png"))
    with monkeypatch.context() as patch:
        patch.setattr(write, "encode_film", interrupted)
        with pytest.raises(Interrupted):
            pipeline.render(settings(trace=True))
    assert names(tmp_path) == set()
    assert (tmp_path / "out.mp4.vidstyle" / "frames" / "000000.png").exists(), (
        "the frame comes first"
    )


def test_without_matplotlib_there_is_no_plot(
    command: Command, photo: Path, painting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    got = command(photo, "-s", painting, *FEW, "-o", tmp_path / "out.png", "--trace")
    assert got.code == 0
    assert "warning: the trace will have no plot" in got.err
    assert "pip install 'vidstyle[plot]'" in got.err
    assert names(tmp_path) == {"out.png", "out.trace.mp4", "out.trace.json"}


def test_its_pictures_are_counted_among_what_the_disk_must_hold(settings: Settings) -> None:
    plain, traced = (prepare(inspect(settings(trace=on))) for on in (False, True))
    more = disk_needed(traced, 12) - disk_needed(plain, 12)
    assert more == pytest.approx(5 * 48 * 32 * 5.8, abs=2)
    assert disk_needed(traced, 0) == disk_needed(plain, 0)


def test_it_is_in_no_fingerprint() -> None:
    config = RenderConfig(input=Path("in.mp4"), style="a.jpg", trace=True)  # type: ignore[arg-type]
    assert "trace" not in config.picture_settings()


def test_what_is_not_finite_is_null() -> None:
    odd = tracing.Evaluation(1, (3, 2), "lite", {"style": float("nan"), "content": 1.0}, taken=True)
    [told] = json.loads(tracing.as_json([odd]))
    assert told["losses"] == {"style": None, "content": 1.0}
    assert told["total"] is None
    assert losses_png([odd]).startswith(b"\x89PNG")
