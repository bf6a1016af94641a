"""Films whose figures are known: lossless videos and folders of frames, and a flow that is exact
for shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.evaluation.edit_list import Transition
from vidstyle.evaluation.scorecard import Curve, ScoreCard, Scores
from vidstyle.frames import to_uint16
from vidstyle.motion.bars import Bars
from vidstyle.storage.checkpoint import Checkpoint
from vidstyle.video import ffmpeg

SIZE = (48, 64)
"""(h, w) of most films here."""


def texture(seed: int, size: tuple[int, int] = SIZE, cell: int = 4) -> Tensor:
    """(3, h, w) in [0.1, 0.9]: smooth spots of about `cell` pixels."""
    h, w = size
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, h // cell + 2, w // cell + 2, generator=generator)
    return 0.1 + 0.8 * F.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=True)[
        0
    ].clamp(0, 1)


def noise(count: int, sigma: float, seed: int = 0, size: tuple[int, int] = SIZE) -> Tensor:
    """(count, 3, h, w) of independent Gaussian noise."""
    return sigma * torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def shifted(
    picture: Tensor, count: int, step: tuple[int, int], size: tuple[int, int] = SIZE
) -> list[Tensor]:
    """A camera that moves over a picture by `step` (x, y) whole pixels a frame."""
    h, w = size
    return [
        picture[:, t * step[1] : t * step[1] + h, t * step[0] : t * step[0] + w].clone()
        for t in range(count)
    ]


def square_moves(
    count: int, step: int = 4, size: tuple[int, int] = SIZE, side: int = 16
) -> list[Tensor]:
    """A textured square that crosses a still background."""
    back, front = texture(1, size), texture(2, (side, side), cell=3)
    frames = []
    for t in range(count):
        frame = back.clone()
        frame[:, 16 : 16 + side, 8 + t * step : 8 + side + t * step] = front
        frames.append(frame)
    return frames


def video(path: Path, frames: Sequence[Tensor]) -> Path:
    """A lossless film of 16-bit RGB at 10 frames a second."""
    raw = path.with_suffix(".raw")
    # (H, W, RGB) -> the planes green, blue, red
    raw.write_bytes(
        b"".join(to_uint16(frame)[:, :, [1, 2, 0]].transpose(2, 0, 1).tobytes() for frame in frames)
    )
    _, h, w = frames[0].shape
    given = [
        "-f",
        "rawvideo",
        "-pixel_format",
        "gbrp16le",
        "-video_size",
        f"{w}x{h}",
        "-framerate",
        "10",
    ]
    ffmpeg.run(
        ["-y", *given, "-i", ffmpeg.local(raw), "-c:v", "ffv1", ffmpeg.local(path)],
        "cannot make the film",
    )
    raw.unlink()
    return path


def folder(
    output: Path, frames: Sequence[Tensor], start: int = 0, source: str | None = None
) -> Path:
    """What `--keep-frames` leaves of a render of these frames to `output`; `source` is the sha256
    of its input.
    """
    _, h, w = frames[0].shape
    parts = {
        "first_frame": start,
        "frame_count": len(frames),
        **({"input": source} if source else {}),
    }
    store = Checkpoint(output, parts, (w, h), len(frames))
    store.begin({}, restart=False)
    for i, frame in enumerate(frames):
        store.final.save(i, frame)
    return store.folder


class Shift:
    """The exact flow of films that move as a whole, by one of a few steps."""

    digest = ""

    def __init__(self, steps: Sequence[tuple[int, int]]) -> None:
        self.steps = {(sign * x, sign * y) for x, y in steps for sign in (-1, 1)} | {(0, 0)}

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        _, h, w = a.shape

        def difference(step: tuple[int, int]) -> float:
            x, y = step
            here = a[:, max(0, -y) : h - max(0, y), max(0, -x) : w - max(0, x)]
            there = b[:, max(0, y) : h - max(0, -y), max(0, x) : w - max(0, -x)]
            return float((here - there).abs().mean())

        x, y = min(sorted(self.steps), key=difference)
        return torch.stack([torch.full((h, w), float(x)), torch.full((h, w), float(y))])


MEASURES = [field.name for field in fields(Scores)]


def scores(**known: Curve) -> Scores:
    """Curves of 14 frames: ones, where nothing else is known."""
    return Scores(**{name: known.get(name, (1.0,) * 14) for name in MEASURES})


def card(**changes: Any) -> ScoreCard:
    """The card of a result that flickers a fifth as much as its baseline."""
    size = {"frames": 14, "width": 64, "height": 48}
    made = ScoreCard(
        result=scores(
            warping_error_short=(None, *(0.002,) * 13),
            content_near=(None, *(2.0,) * 3, *(None,) * 10),
        ),
        source=scores(style=(None,) * 14, content=(None,) * 14, content_near=(None,) * 14),
        baseline=scores(
            warping_error_short=(None, *(0.01,) * 13),
            content_near=(None, *(4.0,) * 3, *(None,) * 10),
        ),
        pixels={"warping_error_short": (None, *(0.75,) * 13), "content_near": (None,) * 14},
        shots=(0, 5),
        transitions=(Transition("fade", 2, 7), Transition("flash", 10, 11)),
        bars=Bars(top=6, bottom=6),
        inputs={
            "result": {"path": "out.mp4", **size},
            "source": {"path": "in.mp4", **size, "first": 3},
        },
        setup={"flow": "dis", "features": "lite", "precision": "fp32"},
        constants={"near_px": 12.0},
        versions={"vidstyle": "0"},
        metrics_version=2,
    )
    return replace(made, **changes)
