"""The disk space of a render is estimated from its frames, and refused in figures of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from vidstyle.errors import DiskSpaceError
from vidstyle.machine import disk


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize("passes", [1, 2, 3, 15])
@pytest.mark.parametrize(
    ("frames", "longest_shot", "most_in_passes"), [(0, 0, 0), (1, 1, 3), (12, 12, 36), (12, 5, 22)]
)
def test_several_passes_keep_three_files_of_each_frame_of_one_shot(
    frames: int, longest_shot: int, most_in_passes: int, passes: int
) -> None:
    most = disk.max_checkpoints(frames, passes, longest_shot)
    assert most == (most_in_passes if passes > 1 else frames)


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1", "ffv1", "prores", "png"])
def test_the_need_grows_with_every_pixel_frame_and_checkpoint(codec: str) -> None:
    plain = disk.needed_bytes((64, 48), 12, 12, codec)
    assert 0 < plain < 10 * 64 * 48 * 12
    assert disk.needed_bytes((128, 48), 12, 12, codec) == pytest.approx(2 * plain, abs=1)
    assert disk.needed_bytes((64, 48), 12, 6, codec) < plain
    assert disk.needed_bytes((64, 48), 13, 12, codec) > plain
    assert disk.needed_bytes((64, 48), 0, 0, codec) == 0


def test_a_lossless_codec_takes_the_most() -> None:
    needs = {
        codec: disk.needed_bytes((64, 48), 12, 0, codec) for codec in ("h264", "prores", "ffv1")
    }
    assert needs["h264"] < needs["prores"] < needs["ffv1"]
    assert disk.needed_bytes((64, 48), 12, 0) == needs["h264"]


@pytest.mark.parametrize(
    ("needed", "free", "figures"),
    [
        (1000, 999, "1.00 kB are needed for 7 frames, 999 bytes are free in "),
        (2_500_000, 0, "2.50 MB are needed for 7 frames, 0 bytes are free in "),
        (10**12, 5 * 10**9, "1.00 TB are needed for 7 frames, 5.00 GB are free in "),
        (1000, 1000, ""),
        (0, 0, ""),
    ],
)
def test_a_disk_that_is_too_small_is_refused_with_both_figures(
    needed: int, free: int, figures: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**13, 0, free))
    assert disk.free_bytes(tmp_path) == free
    if not figures:
        disk.refuse_small_disk(needed, 7, tmp_path)
        return
    with pytest.raises(DiskSpaceError) as caught:
        disk.refuse_small_disk(needed, 7, tmp_path)
    assert caught.value.why == f"{figures}{tmp_path}"
    assert "--force" in caught.value.hint
