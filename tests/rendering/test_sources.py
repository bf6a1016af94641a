"""Source frames are counted from the first one that is rendered, wherever in the file that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers.renders import run_through
from vidstyle.config.settings import RenderConfig
from vidstyle.errors import StyleError
from vidstyle.motion.flow import DIS
from vidstyle.rendering.job import Job
from vidstyle.rendering.layer_files import LayerFiles
from vidstyle.rendering.layers import FrameRange, Layer
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.schedule import LayerWork, Pass, Work, schedule_pass
from vidstyle.rendering.sources import decode_images, read_style_images
from vidstyle.storage.checkpoint import Checkpoint
from vidstyle.video.probe import probe
from vidstyle.video.read import read, read_image

COUNT = 12
CUT = 6
"""Of the fixture `film`."""

Settings = Callable[..., RenderConfig]
CPU = torch.device("cpu")


def prepared(config: RenderConfig) -> Job:
    return prepare(inspect(config))


@pytest.mark.parametrize("begin", [0, 2, CUT, CUT + 3])
def test_index_0_is_the_first_frame_of_the_render(settings: Settings, begin: int) -> None:
    job = prepared(settings(start=begin / 10))
    whole = [frame.image for frame in read(job.source, job.size)]
    assert job.frame_count == COUNT - begin
    for first, stop in ((0, 1), (1, 3), (0, job.frame_count)):
        found = dict(decode_images(job, first, stop))
        assert list(found) == list(range(first, stop))
        for index, image in found.items():
            assert torch.equal(image, whole[begin + index])


def schedule_forward(job: Job, layer: Layer, wanted: set[int]) -> list[Work]:
    """The work of these frames of a layer of which nothing is there yet."""
    store = Checkpoint(job.delivery.path, {}, job.size, job.frame_count)
    files = LayerFiles(job, layer, store)
    one = Pass(1, 1, tuple(sorted(wanted)), files.target(1))
    work = LayerWork(layer, files, (one,))
    works = list(schedule_pass(job, work, one, DIS(), CPU, lambda: None))
    files.delete_working_files()
    return works


@pytest.mark.parametrize("changes", [{}, {"rest": "follow"}, {"long_term": 4}, {"per_frame": True}])
def test_wanted_frames_have_the_links_that_they_have_among_all_frames(
    settings: Settings, noisy_film: Path, changes: dict[str, object]
) -> None:
    job = prepared(settings(input=noisy_film, **changes))
    for layer in job.layers:
        frames = layer.frames
        every = schedule_forward(job, layer, set(frames.indices))
        assert [one.frame.index for one in every] == list(frames.indices)
        linked = [one.motion is not None for one in every]
        assert linked == [not job.config.per_frame and i > frames.first for i in frames.indices]
        for wanted in ({frames.stop - 1}, {frames.first + 1, frames.stop - 2}):
            some = schedule_forward(job, layer, wanted)
            assert [one.frame.index for one in some] == sorted(wanted)
            for one in some:
                there = every[one.frame.index - frames.first]
                assert torch.equal(one.frame.image, there.frame.image)
                if one.motion is None or there.motion is None:
                    assert one.motion is there.motion
                    continue
                assert torch.equal(one.motion.flow_t_to_prev, there.motion.flow_t_to_prev)
                assert torch.equal(one.motion.mask, there.motion.mask)
                assert one.motion.farther.keys() == there.motion.farther.keys()


def test_a_shot_of_one_frame_has_no_link(settings: Settings) -> None:
    job = prepared(settings(duration=0.1))
    assert job.shots == (FrameRange(0, 1),)
    [work] = schedule_forward(job, job.layers[0], {0})
    assert (work.frame.index, work.motion) == (0, None)


@pytest.fixture
def bordered(tmp_path: Path) -> tuple[Path, Path]:
    """A painting of 160x120 within a white border of 12 pixels, and what is left of it."""
    y, x = np.mgrid[:120, :160]
    waves = [np.sin(x / a + y / b) for a, b in ((3, 9), (8, -4), (-5, 3))]
    image = (np.stack(waves, 2) * 100 + 120).astype(np.uint8)
    whole = cv2.copyMakeBorder(image, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(255,) * 3)
    paths = tmp_path / "bordered.png", tmp_path / "inside.png"
    cv2.imwrite(str(paths[0]), whole)
    cv2.imwrite(str(paths[1]), whole[13:-13, 13:-13])
    return paths


def test_the_rim_of_a_painting_is_no_part_of_its_style(
    settings: Settings, bordered: tuple[Path, Path], painting: Path
) -> None:
    whole, inside = bordered
    request = inspect(settings(style=[painting, whole]))
    notes = [note.text for note in request.notes]
    sides = "13 px left, 13 px right, 13 px top, 13 px bottom"
    assert notes == [f"bordered.png: its rim is left out ({sides}); --style-crop off keeps it"]
    small, cut = read_style_images(prepare(request))
    assert torch.equal(cut, read_image(inside, StyleError))
    assert torch.equal(small, read_image(painting, StyleError))
    kept = inspect(settings(style=whole, style_crop="off"))
    assert not kept.notes
    assert torch.equal(read_style_images(prepare(kept))[0], read_image(whole, StyleError))


def test_a_render_paints_as_if_the_painting_had_no_rim(
    settings: Settings, bordered: tuple[Path, Path], tmp_path: Path
) -> None:
    def pixels(name: str, style: Path, crop: str) -> NDArray[np.float32]:
        output = tmp_path / name / "out.mkv"
        output.parent.mkdir()
        changes = {"codec": "ffv1", "duration": 0.2, "keep_frames": True}
        run_through(settings(style=style, style_crop=crop, output=output, **changes))
        return np.stack([frame.image.numpy() for frame in read(probe(output), (48, 32))])

    whole, inside = bordered
    cut = pixels("cut", whole, "auto")
    assert np.array_equal(cut, pixels("inside", inside, "off"))
    assert not np.array_equal(cut, pixels("kept", whole, "off"))
