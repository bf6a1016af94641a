"""The loss after so many evaluations, with the pyramid in which L-BFGS looks at an image and with
pixels alone.

    python -m benchmarks.basis PHOTO [PHOTO ...] --style PAINTING [PAINTING ...] [--size 320]

Each photograph is optimised from itself at one scale, as a first frame with `--first-scales 1`; and
as a first frame with all its scales, of which the loss at full size is shown. Both ways run in turn
in one process; the seconds are those of the whole frame.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

from torch import Tensor

from benchmarks.picture import fit
from vidstyle.config.settings import build
from vidstyle.errors import StyleError
from vidstyle.frames import Frame
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import ComputeDevice, resolve_device, resolve_precision
from vidstyle.rendering.engines import create_engine
from vidstyle.rendering.models import JobNetworks, Models
from vidstyle.stylize.engine import State, Stylizer
from vidstyle.stylize.optimise import lbfgs
from vidstyle.video.read import read_image

EVALUATIONS = (8, 16, 50, 100)
WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "pixels": lambda gradient: gradient,
    "pyramid": lbfgs.precondition,
}


class Losses:
    """Notes the loss of every evaluation at full size."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.values: list[float] = []

    def start(self, image: Tensor) -> None:
        """There is nothing to note."""

    def evaluate(self, image: Tensor, losses: Mapping[str, Tensor], features: str) -> None:
        """Note one evaluation."""
        if image.shape[1] == self.height:
            self.values.append(sum(float(value) for value in losses.values()))


def build_stylizer(photo: Path, style: Path, size: tuple[int, int], scales: int) -> Stylizer:
    """Build a stylizer of frames of `size` (h, w)."""
    wishes = {"first_iterations": EVALUATIONS[-1], "first_scales": scales, "detail": 0.0}
    config = build({"input": photo, "style": style, **wishes})
    target = resolve_device("auto")
    device = ComputeDevice(target, resolve_precision("auto", target))
    networks = JobNetworks(Models(), device, None)
    images = [read_image(style, StyleError)]
    return create_engine(config, device).build(networks, images, size[::-1], target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--style", nargs="+", required=True, type=Path)
    parser.add_argument("--size", type=int, default=320)
    args = parser.parse_args()
    keep_memory()
    columns = " | ".join(f"{count}" for count in EVALUATIONS)
    print(f"| pair | basis | {columns} | all scales | s |\n{'|---' * (len(EVALUATIONS) + 4)}|")
    for photo in args.photos:
        whole = read_image(photo, StyleError)
        scale = args.size / max(whole.shape[1:])
        height, width = (round(n * scale / 2) * 2 for n in whole.shape[1:])
        image = fit(whole, whole.new_empty(3, height, width))
        for style in args.style:
            one = build_stylizer(photo, style, (height, width), 1)
            many = build_stylizer(photo, style, (height, width), 6)
            for name, precondition in WAYS.items():
                with mock.patch.object(lbfgs, "precondition", precondition):
                    single = Losses(height)
                    one.step(State(), Frame(0, image), None, single)
                    finest = Losses(height)
                    begun = time.perf_counter()
                    many.step(State(), Frame(0, image), None, finest)
                    seconds = time.perf_counter() - begun
                reached = [min(single.values[:count]) for count in EVALUATIONS]
                figures = " | ".join(f"{value:.4f}" for value in reached)
                last = min(finest.values)
                pair = f"{photo.stem} x {style.stem}"
                print(f"| {pair} | {name} | {figures} | {last:.4f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
