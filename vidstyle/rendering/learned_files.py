"""Style files that users ask for: a painting that is learned for films to come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from vidstyle.errors import OutputError
from vidstyle.events import never_stop, silent
from vidstyle.machine.device import choose_device
from vidstyle.motion.bars import Bars
from vidstyle.rendering.engines import check_engine_settings, feedforward_settings
from vidstyle.rendering.film import decode_single_frame, find_film_bars
from vidstyle.rendering.layers import FrameRange
from vidstyle.rendering.learning import Classroom, Lesson, choose_cheap_samples, learn_style
from vidstyle.rendering.models import Models
from vidstyle.rendering.sources import find_style_rims, read_painting
from vidstyle.rendering.style_files import STYLE_SUFFIX, save_style
from vidstyle.rendering.survey import survey_film
from vidstyle.storage.atomic import write_atomically
from vidstyle.storage.record import output_exists_error
from vidstyle.stylize.feedforward.engine import PAINTER, build_networks
from vidstyle.stylize.feedforward.export import export_onnx
from vidstyle.stylize.feedforward.painter import (
    FoldedNetwork,
    adapt_network,
)
from vidstyle.stylize.feedforward.practice import make_picture
from vidstyle.stylize.feedforward.statistics import collect_statistics
from vidstyle.video import read
from vidstyle.video.probe import probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from vidstyle.config.settings import RenderConfig
    from vidstyle.events import Report, Stop
    from vidstyle.stylize.feedforward.painter import NetworkStyle

PRACTICE_PICTURES = 16

PRACTICE_SIZE = (360, 640)
"""(h, w) of pictures that stand for a film."""


def make_pictures(long_side: int | None = None) -> list[Tensor]:
    """Make pictures (3, h, w) to learn on where there is no film.

    Args:
        long_side: in pixels; None: that of `PRACTICE_SIZE`.
    """
    height, width = PRACTICE_SIZE
    fitted = read.fit(width, height, long_side)
    return [make_picture(fitted[::-1], seed) for seed in range(PRACTICE_PICTURES)]


@dataclass(frozen=True)
class LearnedFile:
    """A style file that was written.

    Args:
        size: (width, height) of the pictures that it was learned on.
        card: the style's card.
    """

    path: Path
    size: tuple[int, int]
    card: Mapping[str, Any]

    def text(self) -> str:
        """A line for the user."""
        width, height = self.size
        megabytes = self.path.stat().st_size / 1e6
        if "steps" not in self.card:
            return f"read off the painting for {width}x{height}, {megabytes:.1f} MB"
        before, now = self.card["loss_before"], self.card["loss"]
        return (
            f"learned in {self.card['steps']} steps at {width}x{height}: "
            f"the style's loss went from {before:.3f} to {now:.3f}; {megabytes:.1f} MB"
        )


def learn_painting(
    config: RenderConfig,
    film: Path | None,
    output: Path,
    report: Report = silent,
    stop: Stop = never_stop,
    models: Models | None = None,
    *,
    onnx: Path | None = None,
) -> LearnedFile:
    """Learn the painting of `config.style` and write its style file.

    Args:
        film: what it will be used on; None: pictures that are made here stand for it.
        onnx: where the network goes as an ONNX model, too (it needs the package onnx).

    Raises the errors of `vidstyle.errors`; steps that were taken are kept.
    """
    if output.suffix.lower() != STYLE_SUFFIX:
        why = "its end says what it is"
        raise OutputError(f"{output} is no name of a style", why, "-o munch.style")
    for file in (output, onnx):
        if file is not None and file.exists() and not config.overwrite:
            raise output_exists_error(file)
    check_engine_settings(config)
    room = Classroom(
        models or Models(report),
        choose_device(config.device, config.precision),
        config.weights_dir,
        report,
        stop,
    )
    [path] = config.style_files
    [rim] = find_style_rims(config)
    painting = rim.crop(read_painting(path)).contiguous()
    pictures = film_pictures(config, film) if film else make_pictures(config.size)
    learned = learn_style(Lesson(painting, pictures, feedforward_settings(config)), room)
    card = {**learned.card, "name": path.stem, "from": film.name if film else None}
    save_style(output, replace(learned, painting=painting, card=card))
    if onnx is not None:
        write_atomically(onnx, export_style(learned.style, pictures, room))
    height, width = pictures[0].shape[1:]
    return LearnedFile(output, (width, height), card)


def export_style(style: NetworkStyle, pictures: Sequence[Tensor], room: Classroom) -> bytes:
    """Return the network of a style as an ONNX model, its statistics those of these pictures."""
    device = room.device.device
    base, _ = build_networks(room.networks.weights(PAINTER), device)
    network = adapt_network(base, style)
    frames = [picture.to(device) for picture in pictures]
    first = collect_statistics(network, style.numbers, frames, torch.float32).first
    return export_onnx(
        FoldedNetwork(network, style.numbers, first, torch.float32, has_previous=False)
    )


def film_pictures(config: RenderConfig, film: Path) -> list[Tensor]:
    """Decode frames spread over a film, at the size of a render of it, without its bars."""
    source = probe(film)
    size = read.fit(source.width, source.height, config.size)
    seen = survey_film(source, is_cached=not config.no_cache)
    scanned = seen.scanned
    part = FrameRange(0, max(1, len(scanned.timeline)))
    bars = Bars()
    if config.bars == "keep" and source.kind != "image" and seen.may_have_bars:
        bars = find_film_bars(source, size, scanned, part)
    return [
        bars.crop(decode_single_frame(source, size, scanned.seek_index, at))
        for at in choose_cheap_samples(part, size, scanned.seek_index)
    ]
