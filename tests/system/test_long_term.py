"""Long-term consistency: what reappears comes back as it was, and nothing is lost or held too long
on the way.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.films import square_moves, video
from tests.helpers.renders import Uninterrupted, Watch, frames_of, quick_settings, run, run_through
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import Interrupted
from vidstyle.frames import from_uint16
from vidstyle.rendering import models, pipeline
from vidstyle.storage import png16
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.record import state_folder
from vidstyle.stylize.optimise import stylizer as stylizers
from vidstyle.stylize.optimise.stylizer import OptimisingStylizer as Stylizer
from vidstyle.video import read

COUNT, CUT = 12, 6

LINKED: dict[str, Any] = {"long_term": 4, "rest": "follow", "keep_frames": True}
"""Settings of a render whose frames are linked to up to three others."""

Settings = Callable[..., RenderConfig]


def pictures(built: RenderConfig) -> list[Tensor]:
    """The finished frames of a render with --keep-frames, in order."""
    assert built.output is not None
    return [
        from_uint16(png16.decode_frame(p))
        for p in sorted((state_folder(built.output) / "frames").iterdir())
    ]


class Oracle:
    """The true flow of `square_moves(count, 16)`: the square goes 16 pixels to the right with every
    frame.
    """

    digest = ""

    def __init__(self, frames: list[Tensor]) -> None:
        self.frames = frames

    def index_of(self, image: Tensor) -> int:
        """Return which of the frames is closest to the image."""
        return min(
            range(len(self.frames)), key=lambda t: float((self.frames[t] - image).abs().mean())
        )

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        before = self.index_of(a)
        after = self.index_of(b)
        flow = torch.zeros(2, *a.shape[1:])
        flow[0, 16:32, 8 + 16 * before : 24 + 16 * before] = 16.0 * (after - before)
        return flow


@pytest.mark.parametrize("long_term", [0, 1, 2, 8])
def test_what_one_frame_hides_comes_back_from_the_frame_before_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_term: int
) -> None:
    frames = square_moves(3, step=16)
    film = video(tmp_path / "film.mkv", frames)
    monkeypatch.setattr(models, "load_flow", lambda *args: Oracle(frames))

    def negative(
        objective: object, start: Tensor, schedule: object, pace: object
    ) -> tuple[Tensor, int]:
        """No optimisation; a first frame is the negative of the source, for none of the others to
        be taken for it.
        """
        begun.append(start)
        return (start if len(begun) > 1 else 1 - start), 1

    begun: list[Tensor] = []
    monkeypatch.setattr(stylizers, "minimise", negative)
    built = settings(input=film, output=tmp_path / "out.mkv", long_term=long_term, keep_frames=True)
    pipeline.render(built)
    made = pictures(built)
    hidden = (slice(None), slice(19, 29), slice(27, 37))  # by the square in frame 1, well inside
    close = (made[2][hidden] - made[0][hidden]).abs().max() < 1e-4
    assert bool(close) == (long_term >= 2)
    still = (slice(None), slice(38, 46), slice(4, 60))
    assert (made[2][still] - made[0][still]).abs().max() < 1e-4


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, noisy_film: Path, painting: Path
) -> Uninterrupted:
    """The render of `noisy_film` with `**LINKED` in one go."""
    output = tmp_path_factory.mktemp("whole") / "out.mp4"
    return run_through(quick_settings(noisy_film, painting, output, **LINKED))


@pytest.mark.parametrize("done", [1, 2, 4, CUT - 1, CUT, CUT + 1, COUNT - 1])
def test_an_interrupted_render_continues_to_the_same_bytes(
    settings: Settings, whole: Uninterrupted, noisy_film: Path, done: int
) -> None:
    built = settings(input=noisy_film, **LINKED)
    with pytest.raises(Interrupted):
        run(built, limit=done)
    assert run(built).frames == list(range(done, COUNT))
    assert frames_of(built.output) == whole.frames
    assert built.output.read_bytes() == whole.film


@pytest.mark.parametrize(
    ("torn", "loaded"),
    [
        ([5], [4, 3, 1]),
        ([3, 5], [2, 1, 4]),  # frame 3 is at hand when 5 needs it, on the disk it may not be yet
        ([2, 3, 4], [1, 0]),
        ([0], []),
        ([CUT, CUT + 3], [CUT + 2, CUT + 1]),
    ],
)
def test_torn_frames_are_rendered_again_alone_from_those_that_they_were_made_from(
    settings: Settings,
    whole: Uninterrupted,
    noisy_film: Path,
    torn: list[int],
    loaded: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = settings(input=noisy_film, **LINKED)
    whole.copy_to(built.output.parent)
    built.output.unlink()
    for i in torn:
        (state_folder(built.output) / "frames" / f"{i:06d}.png").write_bytes(b"torn")
    loads: list[int] = []
    real = FrameStore.load
    monkeypatch.setattr(
        FrameStore, "load", lambda self, index: loads.append(index) or real(self, index)
    )
    assert run(built).frames == torn
    assert loads == loaded
    assert frames_of(built.output) == whole.frames
    assert built.output.read_bytes() == whole.film


@pytest.mark.parametrize("long_term", [0, 1, 2, 4])
def test_no_more_frames_are_held_than_the_links_reach_back(
    settings: Settings, noisy_film: Path, long_term: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Tensor]] = []
    decoded: list[weakref.ref[Tensor]] = []
    real_step, real_read = Stylizer.step, read.read
    most = [0, 0]

    def step(self: Stylizer, *args: object) -> object:
        for i, held in enumerate((made, decoded)):
            most[i] = max(most[i], sum(ref() is not None for ref in held))
        result = real_step(self, *args)  # type: ignore[arg-type]
        made.append(weakref.ref(result.image))
        return result

    def reading(*args: object) -> object:
        for frame in real_read(*args):  # type: ignore[arg-type]
            decoded.append(weakref.ref(frame.image))
            yield frame

    monkeypatch.setattr(Stylizer, "step", step)
    monkeypatch.setattr(read, "read", reading)
    run(settings(input=noisy_film, long_term=long_term, per_frame=False))
    reach = max(1, long_term)
    assert len(made) == len(decoded) == COUNT
    assert most[0] <= reach + 3  # two that wait for the disk, and one on its way
    assert (
        most[1] <= reach + 5
    )  # two that wait for the optimiser, and three in the hands of someone


def test_a_render_that_continues_decodes_only_the_source_frames_that_the_links_reach(
    settings: Settings, noisy_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = settings(input=noisy_film, long_term=2, rest="follow")
    asked: list[tuple[object, ...]] = []
    real = read.read
    monkeypatch.setattr(read, "read", lambda *args: asked.append(args[2:4]) or real(*args))
    done = 0
    for more, expected in (
        (1, [(0, CUT)]),
        (3, [(0, CUT)]),
        (1, [(2, CUT)]),
        (2, [(3, CUT), (CUT, COUNT)]),
        (1, [(CUT, COUNT)]),
        (1, [(CUT, COUNT)]),
        (1, [(CUT + 1, COUNT)]),
    ):
        asked.clear()
        with pytest.raises(Interrupted):
            run(built, more)
        assert asked == expected, f"after {done} frames"
        done += more


def test_a_frame_that_is_lost_later_needs_the_source_of_its_shot_so_far(
    settings: Settings, noisy_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For what was held depends on all of it, and is gone."""
    built = settings(input=noisy_film, long_term=2, keep_frames=True, rest="follow")
    run(built)
    built.output.unlink()
    asked: list[tuple[object, ...]] = []
    real = read.read
    monkeypatch.setattr(read, "read", lambda *args: asked.append(args[2:4]) or real(*args))
    for torn, expected in (
        (4, (0, 5)),
        (1, (0, 2)),
        (CUT, (CUT, CUT + 1)),
        (CUT + 1, (CUT, CUT + 2)),
    ):
        (state_folder(built.output) / "frames" / f"{torn:06d}.png").unlink()
        asked.clear()
        assert run(built).frames == [torn]
        assert asked == [expected]
        built.output.unlink()


@pytest.mark.parametrize("long_term", [0, 2])
def test_smooth_l1_gives_other_frames_and_is_part_of_what_the_render_is(
    settings: Settings, long_term: int
) -> None:
    built = settings(long_term=long_term, iterations=12, keep_frames=True, duration=0.3)
    run(built)
    plain = pictures(built)
    other = built.model_copy(
        update={"temporal_norm": "smooth-l1", "restart": True, "overwrite": True}
    )
    watch: Watch = run(other)
    assert watch.frames == [0, 1, 2]
    assert [torch.equal(a, b) for a, b in zip(pictures(other), plain, strict=True)] == [
        True,
        False,
        False,
    ]
