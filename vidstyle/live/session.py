"""A live session's painter, from a style file or a painting."""

from __future__ import annotations

from pathlib import Path

from vidstyle.config.settings import build
from vidstyle.events import never_stop, silent
from vidstyle.features.extractor import PRECISION_DTYPES
from vidstyle.live.player import LivePainter
from vidstyle.machine.device import choose_device
from vidstyle.rendering.engines import feedforward_settings
from vidstyle.rendering.learned_files import PRACTICE_SIZE
from vidstyle.rendering.learning import Classroom, Lesson, learn_style
from vidstyle.rendering.models import Models
from vidstyle.rendering.sources import read_painting
from vidstyle.rendering.style_files import is_style_file, load_style
from vidstyle.stylize.feedforward.engine import PAINTER, build_networks


def build_painter(path: Path, size: int, device_name: str, weights_dir: Path | None) -> LivePainter:
    """Build the painter of a style; a painting is read, and not learned.

    Raises StyleError where it cannot be read, and WeightsError.
    """
    given = {"input": path, "style": path, "engine": "fast", "learn": 0, "device": device_name}
    config = build(given)
    # A style that comes with the package is named without a path.
    [path] = config.style_files
    device = choose_device(config.device, "auto")
    room = Classroom(Models(), device, weights_dir, silent, never_stop)
    base, _ = build_networks(room.networks.weights(PAINTER), device.device)
    if is_style_file(path):
        style = load_style(path).style
    else:
        painting = read_painting(path)
        scale = size / PRACTICE_SIZE[1]
        shape = [round(n * scale) for n in PRACTICE_SIZE]
        pictures = [painting.new_zeros(3, *shape)]
        lesson = Lesson(painting, pictures, feedforward_settings(config))
        style = learn_style(lesson, room).style
    return LivePainter(base, style, PRECISION_DTYPES[device.precision])
