from __future__ import annotations

import pickle

import pytest

from vidstyle.video.seek import SeekIndex, build_seek_index

TIMES = (0, 3600, 7200, 10_800, 14_400, 18_000)
CHECKSUMS = tuple(range(6))


@pytest.mark.parametrize(
    ("key_times", "expected"),
    [
        ((), ()),
        ((0,), (0,)),
        ((14_400, 0, 7201), (0, 2, 4)),
        ((7199, 9000, -5), (2,)),
    ],
)
def test_key_frames_are_the_frames_at_the_times_of_the_packets(
    key_times: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert build_seek_index(TIMES, CHECKSUMS, key_times).key_frames == expected


@pytest.mark.parametrize(
    "times", [(), (0, 3600, 3600), (0, 3600, 3601), (0, 7200, 3600), (-3600, 0, 3600)]
)
def test_there_are_no_key_frames_where_times_do_not_tell_frames_apart(
    times: tuple[int, ...],
) -> None:
    index = build_seek_index(times, range(len(times)), times)
    assert index.key_frames == ()
    assert index.key_frame_before(2) == 0


def test_decoding_begins_at_the_last_key_frame_that_is_not_later() -> None:
    index = SeekIndex((0, 2, 4), TIMES, CHECKSUMS)
    assert [index.key_frame_before(frame) for frame in range(6)] == [0, 0, 2, 2, 4, 4]


@pytest.mark.parametrize("container", ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts"])
def test_the_time_to_seek_is_between_the_key_frame_and_the_next_one(container: str) -> None:
    times = tuple(3003 * n for n in range(100))
    index = SeekIndex((0, 20, 23, 60), times, tuple(range(100)))
    for key_frame, following in ((20, 23), (23, 60), (60, 100)):
        seconds = index.seek_microseconds(key_frame, container) / 1e6
        assert times[key_frame] / 90_000 <= seconds < 3003 * following / 90_000


def test_a_frame_is_known_by_its_time_and_its_pixels() -> None:
    index = SeekIndex((0,), TIMES, CHECKSUMS)
    assert index.is_frame(2, 7200, 2)
    assert index.is_frame(2, 7201, 2)
    assert not index.is_frame(2, 7205, 2)
    assert not index.is_frame(2, 7200, 3)
    assert TIMES[1] < index.pts_before(2) <= TIMES[2]


def test_an_index_can_be_pickled() -> None:
    index = SeekIndex((0, 2), TIMES, CHECKSUMS)
    assert pickle.loads(pickle.dumps(index)) == index
