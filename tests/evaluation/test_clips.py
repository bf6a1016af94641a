"""A clip is opened from whatever holds frames, and refused where it is not whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.films import SIZE, folder, texture, video
from vidstyle.errors import InputError
from vidstyle.evaluation import clips
from vidstyle.frames import quantise
from vidstyle.storage import png16
from vidstyle.storage.atomic import sha256


def test_a_file_and_a_folder_hold_the_same_frames(tmp_path: Path) -> None:
    frames = [texture(seed) for seed in range(4)]
    lossless = clips.open_clip(video(tmp_path / "in.mkv", frames))
    kept = clips.open_clip(folder(tmp_path / "out.mp4", frames, start=3, source="ab"))
    assert (lossless.first, lossless.source_digest) == (None, None)
    assert (kept.first, kept.source_digest) == (3, "ab")
    for clip in (lossless, kept):
        assert (clip.count, clip.size) == (4, SIZE[::-1])
        assert len(list(clip.read(2))) == 2
        for got, frame in zip(clip.read(4), frames, strict=True):
            torch.testing.assert_close(got, quantise(frame), rtol=0, atol=2e-5)


def test_the_facts_of_a_clip_are_plain_and_tell_it_from_others(tmp_path: Path) -> None:
    path = video(tmp_path / "in.mkv", [texture(0)] * 2)
    facts = {"path": str(path), "frames": 2, "width": SIZE[1], "height": SIZE[0]}
    assert clips.open_clip(path).describe() == {**facts, "sha256": sha256(path)}
    kept = clips.open_clip(folder(tmp_path / "out.mp4", [texture(0)]))
    assert kept.describe().keys() == {"path", "frames", "width", "height", "fingerprint"}


@pytest.mark.parametrize("harm", ["lost", "torn", "another's"])
def test_a_folder_that_is_not_whole_is_refused(harm: str, tmp_path: Path) -> None:
    kept = folder(tmp_path / "out.mp4", [texture(0), texture(1)])
    frame = kept / "frames" / "000001.png"
    if harm == "lost":
        frame.unlink()
    elif harm == "torn":
        frame.write_bytes(frame.read_bytes()[:100])
    else:
        other = folder(tmp_path / "other.mp4", [texture(0), texture(1)], start=1)
        frame.write_bytes((other / "frames" / "000001.png").read_bytes())
    with pytest.raises(InputError, match="is not complete") as e:
        clips.open_clip(kept)
    assert e.value.why == "frame 1 of 2 is missing or damaged"


def relabel(kept: Path, index: int, suffix: str) -> None:
    """Give a kept frame the label of the render with something after it."""
    frame = kept / "frames" / f"{index:06d}.png"
    label = png16.label_of(frame).split(" ")[0] + suffix
    frame.write_bytes(png16.encode_frame(png16.decode_frame(frame), label, index))


@pytest.mark.parametrize("suffix", ["-0123456789abcdef"])
def test_frames_that_were_put_together_belong_to_the_render(suffix: str, tmp_path: Path) -> None:
    kept = folder(tmp_path / "out.mp4", [texture(0), texture(1)])
    relabel(kept, 1, suffix)
    [_, second] = clips.open_clip(kept).read(2)
    torch.testing.assert_close(second, quantise(texture(1)), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "suffix", ["-0123", "-0123456789ABCDEF", "-0123456789abcdef0", "-loop-loop", "0", "-"]
)
def test_frames_with_another_label_are_refused(suffix: str, tmp_path: Path) -> None:
    kept = folder(tmp_path / "out.mp4", [texture(0), texture(1)])
    relabel(kept, 1, suffix)
    with pytest.raises(InputError, match="is not complete"):
        clips.open_clip(kept)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        clips.open_clip(tmp_path)


@pytest.mark.parametrize("length", [0, 20, 30])
def test_a_png_without_a_whole_header_has_no_size(length: int, tmp_path: Path) -> None:
    kept = folder(tmp_path / "out.mp4", [texture(0)])
    whole = kept / "frames" / "000000.png"
    assert clips.read_png_size(whole) == SIZE[::-1]
    part = tmp_path / "part.png"
    part.write_bytes(whole.read_bytes()[:length])
    assert clips.read_png_size(part) == (0, 0)
    assert clips.read_png_size(tmp_path / "none.png") == (0, 0)
