"""Source frames are counted from the first one that is rendered, wherever in the file that is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from vidstyle.config.settings import RenderConfig
from vidstyle.motion.flow import DIS
from vidstyle.rendering.job import FrameRange, Job
from vidstyle.rendering.prepare import inspect, prepare
from vidstyle.rendering.sources import decode_images, linked_frames
from vidstyle.video.read import read

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


@pytest.mark.parametrize("changes", [{}, {"rest": "follow"}, {"long_term": 4}, {"per_frame": True}])
def test_wanted_frames_have_the_links_that_they_have_among_all_frames(
    settings: Settings, changes: dict[str, object]
) -> None:
    job = prepared(settings(**changes))
    flow = DIS()
    for shot in job.shots:
        every = list(linked_frames(job, shot, set(shot.indices), flow, CPU))
        assert [frame.index for frame, _ in every] == list(shot.indices)
        linked = [motion is not None for _, motion in every]
        assert linked == [not job.config.per_frame and i > shot.first for i in shot.indices]
        for wanted in ({shot.stop - 1}, {shot.first + 1, shot.stop - 2}):
            some = list(linked_frames(job, shot, wanted, flow, CPU))
            assert [frame.index for frame, _ in some] == sorted(wanted)
            for frame, motion in some:
                frame_there, motion_there = every[frame.index - shot.first]
                assert torch.equal(frame.image, frame_there.image)
                if motion is None or motion_there is None:
                    assert motion is motion_there
                    continue
                assert torch.equal(motion.flow_t_to_prev, motion_there.flow_t_to_prev)
                assert torch.equal(motion.mask, motion_there.mask)
                assert motion.farther.keys() == motion_there.farther.keys()


def test_a_shot_of_one_frame_has_no_link(settings: Settings) -> None:
    job = prepared(settings(duration=0.1))
    assert job.shots == (FrameRange(0, 1),)
    [(frame, motion)] = linked_frames(job, job.shots[0], {0}, DIS(), CPU)
    assert (frame.index, motion) == (0, None)
