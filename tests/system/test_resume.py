"""A render that was interrupted, damaged or repeated ends exactly as one that ran through."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.renders import Uninterrupted, Watch, frames_of, run
from vidstyle.config.settings import RenderConfig
from vidstyle.config.style_images import StyleImage
from vidstyle.errors import DiskFullError, Interrupted, OutputError, SettingsChangedError
from vidstyle.events import Note
from vidstyle.rendering import pipeline
from vidstyle.storage.atomic import sha256
from vidstyle.storage.checkpoint import refuse_changed_settings
from vidstyle.storage.record import read_record, state_folder
from vidstyle.video import ffmpeg
from vidstyle.weights.registry import REGISTRY

COUNT = 12
CUT = 6

Settings = Callable[..., RenderConfig]


def test_the_frames_are_kept_in_order(uninterrupted: Uninterrupted) -> None:
    assert list(uninterrupted.frames) == [f"{i:06d}.png" for i in range(COUNT)]
    assert uninterrupted.watch.frames == list(range(COUNT))


@pytest.mark.parametrize("done", [1, CUT - 1, CUT, COUNT - 1])
def test_an_interrupted_render_continues_to_the_same_bytes(
    settings: Settings, uninterrupted: Uninterrupted, done: int
) -> None:
    built = settings(keep_frames=True)
    with pytest.raises(Interrupted, match=f"{done} of {COUNT} frames are done and kept") as caught:
        run(built, limit=done)
    assert caught.value.exit_code == 130
    assert not built.output.exists()
    assert frames_of(built.output) == dict(list(uninterrupted.frames.items())[:done])
    assert run(built).frames == list(range(done, COUNT))
    assert frames_of(built.output) == uninterrupted.frames
    assert built.output.read_bytes() == uninterrupted.film


@pytest.mark.parametrize(
    "steered",
    [
        {"keep_colors": "luminance"},
        {"keep_colors": "match"},
        {
            "style_terms": "gram=0.5,swd=0.2,mrf=0.3",
            "mrf_bidirectional": True,
            "mrf_coherence": 0.05,
        },
        {"style_terms": "w2,histogram", "init": "style", "style_scale": 1.5},
        {"photorealism": 100.0, "regions": True},
        {"keep_colors": "luminance", "passes": 2},
        {"style": ("@0s", "@1s"), "style_terms": "gram,w2,mrf"},
        {"style": ("@0.2s", "@0.5s"), "passes": 2},
    ],
    ids=str,
)
def test_a_steered_render_continues_to_the_same_bytes(
    settings: Settings,
    film: Path,
    painting: Path,
    samples: Path,
    tmp_path: Path,
    steered: dict[str, Any],
) -> None:
    """The film itself is its labels, where there are regions: they change from frame to frame."""
    if times := steered.get("style"):
        styles = [
            f"{path}{time}"
            for path, time in zip((painting, samples / "mosaic.jpg"), times, strict=True)
        ]
        steered = {**steered, "style": styles}
    if steered.get("regions"):
        labels = tmp_path / "labels.png"
        ffmpeg.run(
            ["-y", "-i", ffmpeg.local(film), "-frames:v", "1", ffmpeg.local(labels)],
            "cannot take a frame",
        )
        steered = {**steered, "regions": (film, labels)}
    whole, parts = (
        settings(**steered, keep_frames=True, output=tmp_path / f"{name}.mp4")
        for name in ("a", "b")
    )
    run(whole)
    with pytest.raises(Interrupted):
        run(parts, limit=CUT + 2)
    run(parts)
    assert frames_of(parts.output) == frames_of(whole.output)
    assert parts.output.read_bytes() == whole.output.read_bytes()


def test_a_render_interrupted_after_every_few_frames_ends_in_the_same_bytes(
    settings: Settings, uninterrupted: Uninterrupted
) -> None:
    built = settings(keep_frames=True)
    for _ in range(2):
        with pytest.raises(Interrupted):
            run(built, limit=4)
    run(built)
    assert frames_of(built.output) == uninterrupted.frames
    assert built.output.read_bytes() == uninterrupted.film


def test_a_polished_render_continues_to_the_same_bytes_and_refuses_to_leave_the_polish_out(
    settings: Settings, small_vgg19: Path, tmp_path: Path
) -> None:
    whole = settings(polish=2, iterations=3, weights_dir=small_vgg19, keep_frames=True)
    run(whole)
    built = whole.model_copy(update={"output": tmp_path / "again.mp4"})
    for limit in (4, 3):
        with pytest.raises(Interrupted):
            run(built, limit=limit)
    with pytest.raises(SettingsChangedError) as caught:
        run(built.model_copy(update={"polish": 0}))
    # It is refused before weights are looked for; they are a part of the fingerprint all the same.
    assert caught.value.differences == {"polish": (2, 0)}
    parts = read_record(state_folder(built.output))["parts"]
    assert parts["polish_weights"] == sha256(small_vgg19 / REGISTRY["vgg19"].filename)
    changed = {**parts, "polish": 0, "polish_weights": None}
    with pytest.raises(SettingsChangedError) as caught:
        refuse_changed_settings(built.output, changed)
    assert caught.value.differences.keys() == {"polish", "polish_weights"}
    assert run(built).frames == list(range(7, COUNT))
    assert frames_of(built.output) == frames_of(whole.output)
    assert built.output.read_bytes() == whole.output.read_bytes()


def test_a_render_interrupted_while_encoding_only_encodes_again(
    settings: Settings, uninterrupted: Uninterrupted
) -> None:
    built = settings(keep_frames=True)
    with pytest.raises(Interrupted, match="while encoding"):
        run(built, limit=COUNT)
    assert [p.name for p in built.output.parent.iterdir()] == ["out.mp4.vidstyle"]
    again = run(built)
    assert again.frames == []
    assert built.output.read_bytes() == uninterrupted.film


def test_the_same_command_twice_gives_the_same_bytes(
    settings: Settings, uninterrupted: Uninterrupted
) -> None:
    built = settings()
    run(built)
    assert built.output.read_bytes() == uninterrupted.film
    assert [p.name for p in built.output.parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("torn", [[0], [CUT], [2, 3, 9, COUNT - 1]])
def test_torn_frames_are_rendered_again_alone(
    finished: RenderConfig, uninterrupted: Uninterrupted, torn: list[int]
) -> None:
    assert finished.output is not None
    finished.output.unlink()
    paths = [state_folder(finished.output) / "frames" / f"{i:06d}.png" for i in range(COUNT)]
    before = [p.stat().st_mtime_ns for p in paths]
    for i in torn:
        paths[i].write_bytes(paths[i].read_bytes()[:-30])
    watch = run(finished)
    assert watch.frames == torn
    assert frames_of(finished.output) == uninterrupted.frames
    assert finished.output.read_bytes() == uninterrupted.film
    assert [i for i in range(COUNT) if paths[i].stat().st_mtime_ns != before[i]] == torn


def test_a_finished_render_with_kept_frames_has_nothing_to_do(finished: RenderConfig) -> None:
    assert finished.output is not None
    before = finished.output.stat()
    result = pipeline.render(finished, watch := Watch())
    assert not watch.frames
    assert not watch.encoded
    assert (result.frames, result.rendered, result.seconds_per_frame) == (COUNT, 0, None)
    assert finished.output.stat() == before


def test_only_encoder_settings_changed_means_encoding_again_and_nothing_else(
    finished: RenderConfig, uninterrupted: Uninterrupted
) -> None:
    assert finished.output is not None
    coarser = finished.model_copy(update={"crf": 40})
    watch = run(coarser)
    assert not watch.frames
    assert watch.encoded
    assert len(finished.output.read_bytes()) < len(uninterrupted.film)
    assert frames_of(finished.output) == uninterrupted.frames
    run(finished)
    assert finished.output.read_bytes() == uninterrupted.film


def test_a_lost_output_is_encoded_again_from_kept_frames(
    finished: RenderConfig, uninterrupted: Uninterrupted
) -> None:
    assert finished.output is not None
    finished.output.unlink()
    assert not run(finished).frames
    assert finished.output.read_bytes() == uninterrupted.film


def test_a_later_run_without_keep_frames_tidies_up(
    finished: RenderConfig, uninterrupted: Uninterrupted
) -> None:
    assert finished.output is not None
    run(finished.model_copy(update={"keep_frames": False}))
    assert [p.name for p in finished.output.parent.iterdir()] == ["out.mp4"]
    assert finished.output.read_bytes() == uninterrupted.film


def test_a_render_killed_between_the_rename_and_the_end_is_finished_and_not_refused(
    finished: RenderConfig, uninterrupted: Uninterrupted
) -> None:
    assert finished.output is not None
    shutil.rmtree(state_folder(finished.output) / "frames")  # tidying up had begun
    watch = run(finished.model_copy(update={"keep_frames": False}))
    assert not watch.events or all(isinstance(e, Note) for e in watch.events)
    assert [p.name for p in finished.output.parent.iterdir()] == ["out.mp4"]
    assert finished.output.read_bytes() == uninterrupted.film


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"iterations": 2}, "iterations"),
        ({"duration": 0.5}, "duration"),
        ({"size": 40}, "size"),
    ],
)
def test_changed_picture_settings_are_refused_and_the_frames_stay(
    finished: RenderConfig, uninterrupted: Uninterrupted, changes: dict[str, object], name: str
) -> None:
    assert finished.output is not None
    with pytest.raises(SettingsChangedError) as caught:
        run(finished.model_copy(update=changes))
    assert set(caught.value.differences) == {name}
    assert caught.value.exit_code == 2
    assert frames_of(finished.output) == uninterrupted.frames
    assert finished.output.read_bytes() == uninterrupted.film


def test_a_changed_input_or_painting_is_refused_by_name(
    finished: RenderConfig, film: Path, painting: Path, tmp_path: Path
) -> None:
    other_film = tmp_path / "other.mp4"
    other_film.write_bytes(
        film.read_bytes() + b"\0\0\0\x08free"
    )  # the same film, not the same file
    other_painting = tmp_path / "other.png"
    other_painting.write_bytes(painting.read_bytes() + b"\0")
    with pytest.raises(SettingsChangedError) as caught:
        run(
            finished.model_copy(
                update={"input": other_film, "style": (StyleImage(other_painting),)}
            )
        )
    assert set(caught.value.differences) == {"input", "style"}


def test_a_file_that_was_only_renamed_is_no_change(
    finished: RenderConfig, painting: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.png"
    moved.write_bytes(painting.read_bytes())
    assert not run(finished.model_copy(update={"style": (StyleImage(moved),)})).frames


def test_restart_renders_everything_again(finished: RenderConfig) -> None:
    other = finished.model_copy(update={"restart": True, "iterations": 2})
    before = list((state_folder(finished.output) / "frames").iterdir())
    with pytest.raises(OutputError, match="exists"):  # --restart throws frames away, not films
        run(other)
    assert list((state_folder(finished.output) / "frames").iterdir()) == before
    watch = run(other.model_copy(update={"overwrite": True}))
    assert watch.frames == list(range(COUNT))


def test_a_foreign_output_is_refused_before_anything_is_rendered_and_replaced_with_overwrite(
    settings: Settings, uninterrupted: Uninterrupted
) -> None:
    built = settings()
    built.output.write_bytes(b"the user's own film")
    watch = Watch()
    with pytest.raises(OutputError, match=r"out\.mp4 exists") as caught:
        pipeline.render(built, watch)
    assert caught.value.exit_code == 2
    assert not watch.events
    assert [p.name for p in built.output.parent.iterdir()] == ["out.mp4"]
    assert built.output.read_bytes() == b"the user's own film"
    run(built.model_copy(update={"overwrite": True}))
    assert built.output.read_bytes() == uninterrupted.film


def test_a_disk_that_really_runs_full_keeps_the_frames_and_the_render_continues(
    settings: Settings, uninterrupted: Uninterrupted, small_disk: Path
) -> None:
    built = settings(output=small_disk / "out.mp4", force=True, keep_frames=True)
    with pytest.raises(DiskFullError, match="disk is full"):
        run(built)
    kept = frames_of(
        built.output
    )  # a smaller frame may still have found room after the one that did not
    assert 0 < len(kept) < COUNT
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    assert run(built).frames == [i for i in range(COUNT) if f"{i:06}.png" not in kept]
    assert frames_of(built.output) == uninterrupted.frames
    assert built.output.read_bytes() == uninterrupted.film
