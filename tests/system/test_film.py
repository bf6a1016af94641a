"""Films with transitions, bars, keyframes and loops: whatever happens on the way, the frames come
out the same, and nothing is painted that need not be.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.edited_films import (
    SIZE,
    Asked,
    EditedFilm,
    barred,
    dissolving,
    fading,
    flashing,
    interrupt_film,
    looping,
    painted,
    pan,
    prepare_film,
    render_film,
    save_picture,
)
from tests.helpers.films import texture
from tests.helpers.renders import Watch, frames_of
from vidstyle.errors import LockedError
from vidstyle.events import FrameDone
from vidstyle.frames import from_uint16, quantise
from vidstyle.motion.edit import Edit, Fade
from vidstyle.rendering import pipeline
from vidstyle.rendering.job import Job
from vidstyle.rendering.sources import decode_images
from vidstyle.storage import png16
from vidstyle.storage.record import state_folder

DISSOLVE = dissolving()
STILL = EditedFilm(pan(1, 8), Edit((0,)))
TWICE = Fade(0, 10, tuple(gain for gain in (0.0, 0.0, 0.1, 0.4, 0.7) for _ in range(2)), (0, 0, 0))

FILMS = {
    "dissolve": DISSOLVE,
    "fade-in": fading(comes_in=True),
    "fade-out": fading(comes_in=False),
    "flash": flashing(),
    "bars": barred(STILL),
    "bars and dissolve": barred(DISSOLVE),
    "loop": looping(),
    "loop that ends as it begins": replace(
        looping(), frames=[*looping().frames, looping().frames[0]]
    ),
    "loop in two shots": replace(DISSOLVE, is_loop=True),
    "loop with a keyframe": replace(looping(), pictures={3: texture(5, SIZE)}),
    "keyframe": painted(4),
    "keyframes": painted(2, 7),
    "keyframes between bars": replace(barred(painted(2, 7)), pictures=painted(2, 7).pictures),
    "opacity": STILL.with_settings(opacity=["0.3@0.1", "1@0.5"]),
    "long links and dissolve": DISSOLVE.with_settings(long_term=2),
    "long links and fade-in": fading(comes_in=True).with_settings(long_term=2),
    "passes and dissolve": DISSOLVE.with_settings(passes=2),
    "tiles and dissolve": DISSOLVE.with_settings(tile=32),
    "each frame alone and dissolve": DISSOLVE.with_settings(per_frame=True),
    "every frame twice, fade-in": EditedFilm(
        [image for one in fading(comes_in=True).frames for image in (one, one)],
        Edit((0,), fades=(TWICE,)),
    ),
}


@dataclass(frozen=True)
class Whole:
    """A render in one go, with `keep_frames`.

    Args:
        asks: how often it asked whether to stop.
    """

    film: EditedFilm
    job: Job
    watch: Watch
    asks: int
    frames: dict[str, bytes]

    @property
    def state(self) -> Path:
        return state_folder(self.job.delivery.path)

    def restore(self, kept: Path) -> None:
        shutil.rmtree(self.state)
        shutil.copytree(kept, self.state)


def picture(job: Job, index: int) -> Tensor:
    """A finished frame (3, H, W)."""
    path = state_folder(job.delivery.path) / "frames" / f"{index:06d}.png"
    return from_uint16(png16.decode_frame(path))


def pictures(job: Job) -> list[Tensor]:
    return [picture(job, index) for index in range(job.frame_count)]


@pytest.fixture(scope="module", params=FILMS)
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, painting: Path
) -> Iterator[Whole]:
    film = FILMS[request.param]
    folder = tmp_path_factory.mktemp("film")
    job = prepare_film(film, folder, painting)
    asked = Asked()
    watch = render_film(job, asked)
    made = Whole(film, job, watch, asked.count, frames_of(job.delivery.path))
    shutil.copytree(made.state, folder / "kept")
    yield made
    shutil.rmtree(folder)


@pytest.fixture
def untouched(whole: Whole) -> Whole:
    """The finished render as it was left."""
    whole.restore(whole.state.parent / "kept")
    return whole


# Killed and continued

PLACES = 3
"""At which each render is interrupted."""


@pytest.mark.parametrize("place", range(PLACES))
def test_an_interrupted_render_continues_to_the_same_bytes(whole: Whole, place: int) -> None:
    shutil.rmtree(whole.state)
    asks = round(place * (whole.asks - 1) / (PLACES - 1))
    begun = interrupt_film(whole.job, asks)
    assert not whole.state.exists() or frames_of(whole.job.delivery.path) != whole.frames
    rest = render_film(whole.job)
    assert frames_of(whole.job.delivery.path) == whole.frames
    assert len(begun.frames) + len(rest.frames) == len(whole.watch.frames)


@pytest.mark.parametrize("is_paint_kept", [True, False])
def test_damaged_frames_are_made_again_to_the_same_bytes(
    untouched: Whole, is_paint_kept: bool
) -> None:
    count = untouched.job.frame_count
    for index in sorted(
        {0, count // 3, count // 2, count - 2, count - 1, *untouched.film.pictures}
    ):
        if not is_paint_kept:
            for path in untouched.state.glob("paint.*"):
                shutil.rmtree(path)
        path = untouched.state / "frames" / f"{index:06d}.png"
        path.write_bytes(path.read_bytes()[:-20])
        done = render_film(untouched.job).frames
        assert frames_of(untouched.job.delivery.path) == untouched.frames
        if is_paint_kept:
            assert set(done) <= {index}


def test_a_finished_render_paints_nothing_again(untouched: Whole) -> None:
    assert render_film(untouched.job).frames == []
    assert frames_of(untouched.job.delivery.path) == untouched.frames


def test_without_its_paint_a_finished_render_paints_nothing_again(untouched: Whole) -> None:
    """A render without --keep-frames may be stopped while it is encoded."""
    for path in untouched.state.glob("paint.*"):
        shutil.rmtree(path)
    assert render_film(untouched.job).frames == []
    assert frames_of(untouched.job.delivery.path) == untouched.frames


# What is put together from the same paint


@pytest.mark.parametrize(
    "film",
    ["dissolve", "fade-in", "flash", "loop", "keyframes", "keyframes between bars"],
)
def test_opacity_and_titles_change_without_painting(
    film: str, tmp_path: Path, painting: Path
) -> None:
    job = prepare_film(FILMS[film], tmp_path, painting)
    render_film(job)
    covered = pictures(job)
    for changes in ({"opacity": 0.5}, {"opacity": ["0@0.3", "1@0.5"]}, {"keep_titles": True}):
        changed = prepare_film(FILMS[film], tmp_path, painting, **changes)
        assert render_film(changed).frames == []
    half = prepare_film(FILMS[film], tmp_path, painting, opacity=0.5)
    assert render_film(half).frames == []
    sources = dict(decode_images(half, 0, half.frame_count))
    for index, image in enumerate(pictures(half)):
        expected = (covered[index] + sources[index]) / 2
        # Bars are the video's, also next to a picture that has others.
        difference = half.bars.crop((image - expected).abs())
        assert float(difference.max()) < 1e-4
    assert render_film(job).frames == []
    assert all(torch.equal(a, b) for a, b in zip(pictures(job), covered, strict=True))


def test_an_output_that_is_put_together_in_another_way_is_encoded_again(
    tmp_path: Path, painting: Path
) -> None:
    job = prepare_film(STILL, tmp_path, painting)
    pipeline.render_job(job)
    covered = job.delivery.path.read_bytes()
    half = prepare_film(STILL, tmp_path, painting, opacity=0.5, overwrite=True)
    assert pipeline.render_job(half).rendered == 0
    assert half.delivery.path.read_bytes() != covered
    assert pipeline.render_job(replace(job, config=job.config)).rendered == 0
    assert job.delivery.path.read_bytes() == covered


# What stays as it is


@pytest.mark.parametrize("film", ["fade-in", "fade-out", "every frame twice, fade-in"])
def test_where_a_film_is_black_the_result_is(film: str, tmp_path: Path, painting: Path) -> None:
    job = prepare_film(FILMS[film], tmp_path, painting)
    render_film(job)
    [fade] = job.edit.fades
    for index, gain in zip(range(fade.first, fade.stop), fade.gains, strict=True):
        assert float(picture(job, index).max()) <= gain + 1e-4
        assert (float(picture(job, index).max()) == 0) == (gain == 0)


@pytest.mark.parametrize("film", ["bars", "bars and dissolve"])
def test_bars_are_those_of_the_source_to_the_bit(film: str, tmp_path: Path, painting: Path) -> None:
    job = prepare_film(FILMS[film], tmp_path, painting)
    render_film(job)
    for index, source in decode_images(job, 0, job.frame_count):
        made = picture(job, index)
        assert torch.equal(made[:, :5], quantise(source[:, :5]))
        assert torch.equal(made[:, -5:], quantise(source[:, -5:]))
        assert float((made - source).abs().mean()) > 1e-3


@pytest.mark.parametrize(
    "film", ["keyframe", "keyframes", "keyframes between bars", "loop with a keyframe"]
)
@pytest.mark.parametrize("changes", [{}, {"long_term": 2}], ids=str)
def test_the_frame_that_the_user_has_painted_is_as_given_to_the_bit(
    film: str, changes: dict[str, object], tmp_path: Path, painting: Path
) -> None:
    job = prepare_film(FILMS[film], tmp_path, painting, **changes)
    render_film(job)
    for index, given in FILMS[film].pictures.items():
        assert torch.equal(picture(job, index), quantise(given))


# What a keyframe costs


def test_another_picture_paints_only_the_frames_of_its_layer_again(
    tmp_path: Path, painting: Path
) -> None:
    film = painted(2, 7)
    render_film(prepare_film(film, tmp_path, painting))
    retouched = replace(film, pictures={**film.pictures, 7: texture(5, SIZE)})
    job = prepare_film(retouched, tmp_path, painting)
    first, second = job.layers
    assert (second.anchor, second.frames.stop) == (7, job.frame_count)
    done = render_film(job).frames
    assert sorted(done) == list(second.frames.indices)
    made = pictures(job)
    job.delivery.path.unlink(missing_ok=True)
    shutil.rmtree(state_folder(job.delivery.path))
    render_film(job)
    assert all(torch.equal(a, b) for a, b in zip(pictures(job), made, strict=True))
    assert first.frames.first == 0


def test_a_keyframe_that_is_taken_away_paints_only_what_it_was_there_for(
    tmp_path: Path, painting: Path
) -> None:
    film = painted(2, 7)
    render_film(prepare_film(film, tmp_path, painting))
    job = prepare_film(replace(film, pictures={2: film.pictures[2]}), tmp_path, painting)
    assert render_film(job).frames == [7, 8, 9]


def test_the_end_of_a_loop_follows_its_keyframe(tmp_path: Path, painting: Path) -> None:
    render_film(prepare_film(FILMS["loop with a keyframe"], tmp_path, painting))
    retouched = replace(looping(), pictures={3: texture(6, SIZE)})
    job = prepare_film(retouched, tmp_path, painting)
    render_film(job)
    made = pictures(job)
    shutil.rmtree(state_folder(job.delivery.path))
    render_film(job)
    assert all(torch.equal(a, b) for a, b in zip(pictures(job), made, strict=True))


# Repeats


def test_a_repeat_is_a_copy_without_an_iteration_backward_as_well(
    tmp_path: Path, painting: Path
) -> None:
    """Before and after the fade is undone, and put on again."""
    job = prepare_film(FILMS["every frame twice, fade-in"], tmp_path, painting)
    watch = render_film(job)
    iterations = {e.frame: e.iterations for e in watch.events if isinstance(e, FrameDone)}
    repeats = [*range(0, 10, 2), *range(11, 20, 2)]
    assert all(iterations[index] == 0 for index in repeats)
    assert all(iterations[index] for index in (10, 7, 9, 12, 18))
    made = pictures(job)
    assert all(torch.equal(made[i], made[i + 1]) for i in range(0, 20, 2))


@pytest.mark.parametrize("name", ["loop", "fade-in", "dissolve"])
def test_labels_that_move_go_with_the_film(name: str, tmp_path: Path, painting: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    for index in range(len(FILMS[name].frames)):
        label = torch.zeros(3, *SIZE)
        label[:, :, : 20 + index] = 1
        save_picture(labels / f"{index:04d}.png", label)
    half = torch.zeros(3, 40, 48)
    half[:, :, :24] = 1
    regions = (labels, save_picture(tmp_path / "half.png", half))
    job = prepare_film(FILMS[name].with_settings(regions=regions), tmp_path, painting)
    asked = Asked()
    render_film(job, asked)
    frames = frames_of(job.delivery.path)
    assert len(frames) == job.frame_count
    shutil.rmtree(state_folder(job.delivery.path))
    interrupt_film(job, asked.count // 2)
    render_film(job)
    assert frames_of(job.delivery.path) == frames


def test_a_single_frame_of_a_dissolve_can_be_rendered(tmp_path: Path, painting: Path) -> None:
    job = prepare_film(DISSOLVE, tmp_path, painting, start=0.6, duration=0.1)
    assert job.frame_count == 1
    assert render_film(job).frames == [0]
    assert len(frames_of(job.delivery.path)) == 1


def test_a_keyframe_that_moves_within_its_shot_is_followed(tmp_path: Path, painting: Path) -> None:
    given = texture(5, SIZE)
    film = replace(STILL, pictures={2: given})
    render_film(prepare_film(film, tmp_path, painting, keep_frames=True))
    moved = prepare_film(replace(STILL, pictures={6: given}), tmp_path, painting, keep_frames=True)
    render_film(moved)
    assert torch.equal(picture(moved, 6), quantise(given))
    assert not torch.equal(picture(moved, 2), quantise(given))


def test_letters_over_black_stay(tmp_path: Path, painting: Path) -> None:
    film = fading(comes_in=True)
    frames = [frame.clone() for frame in film.frames]
    for frame in frames[:4]:
        frame[:, 20:26, 10:30] = 1.0
    job = prepare_film(replace(film, frames=frames), tmp_path, painting, keep_frames=True)
    render_film(job)
    for index in range(4):
        letters = picture(job, index)[:, 20:26, 10:30]
        assert float(letters.min()) > 0.98
    assert float(picture(job, 0)[:, :15].max()) == 0.0


def test_layers_that_others_render_lose_no_paint(tmp_path: Path, painting: Path) -> None:
    job = prepare_film(DISSOLVE, tmp_path, painting, keep_frames=False)
    for layer in job.layers:
        pipeline.render_layers(job, [layer])
        assert list(state_folder(job.delivery.path).glob("paint.*/*.png"))
    watch = render_film(job)
    assert not [event for event in watch.events if isinstance(event, FrameDone)]


def test_a_loop_waits_for_its_first_frame(tmp_path: Path, painting: Path) -> None:
    job = prepare_film(looping(), tmp_path, painting)
    with pytest.raises(LockedError) as e:
        pipeline.render_layers(job, [job.layers[-1]])
    assert "first frame" in e.value.why
