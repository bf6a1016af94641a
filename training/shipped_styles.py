"""Learn the paintings whose styles come with the package.

    python -m training.shipped_styles --paintings FOLDER --photos FOLDER [--seconds 300] [NAME ...]

Run from the top of the checkout. FOLDER holds the paintings of `PAINTINGS`, as JPEG; each is
learned on `PHOTOS` of the photographs, all of them in the same order, and written to
`vidstyle/assets/styles/`. Learn them again whenever `painter.safetensors` changes.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from training.data import SUFFIXES
from vidstyle.config.settings import build
from vidstyle.config.shipped_styles import SHIPPED_STYLES_FOLDER
from vidstyle.config.toml import preset_values
from vidstyle.errors import StyleError
from vidstyle.events import never_stop, silent
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import choose_device
from vidstyle.rendering.engines import feedforward_settings
from vidstyle.rendering.learning import Classroom, Lesson, learn_style
from vidstyle.rendering.models import Models
from vidstyle.rendering.style_files import STYLE_SUFFIX, save_style
from vidstyle.stylize.resample import resize
from vidstyle.stylize.style.rim import find_rim
from vidstyle.video.read import read_image

PHOTOS = 24
PHOTO_SIZE = (360, 640)
"""(h, w)."""


@dataclass(frozen=True)
class Painting:
    """A painting in the public domain."""

    file: str
    title: str
    artist: str
    year: str


PAINTINGS = {
    "composition-vii": Painting(
        "kandinsky_composition_vii", "Composition VII", "Wassily Kandinsky", "1913"
    ),
    "great-wave": Painting(
        "hokusai_great_wave", "The Great Wave off Kanagawa", "Katsushika Hokusai", "1831"
    ),
    "scream": Painting("munch_the_scream", "The Scream", "Edvard Munch", "1893"),
    "starry-night": Painting(
        "vangogh_starry_night", "The Starry Night", "Vincent van Gogh", "1889"
    ),
    "water-lilies": Painting("monet_water_lilies", "Water Lilies", "Claude Monet", "1906"),
    "wreck": Painting(
        "turner_shipwreck_of_the_minotaur", "The Shipwreck", "J. M. W. Turner", "1810"
    ),
}


def read_photos(folder: Path) -> list[Tensor]:
    """Read some of the photographs, each (3, h, w) of `PHOTO_SIZE`: the middle of each."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    chosen = random.Random(0).sample(files, min(PHOTOS, len(files)))
    return [fill(read_image(path, StyleError)) for path in chosen]


def fill(image: Tensor) -> Tensor:
    """Scale an image (3, H, W) to cover `PHOTO_SIZE`, and cut out its middle."""
    height, width = PHOTO_SIZE
    scale = max(height / image.shape[1], width / image.shape[2])
    scaled = resize(image, tuple(max(1, round(n * scale)) for n in image.shape[1:]))
    top, left = (scaled.shape[1] - height) // 2, (scaled.shape[2] - width) // 2
    return scaled[:, top : top + height, left : left + width].clamp(0, 1)


def main() -> int:
    """Learn them, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="none: all")
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    args = parser.parse_args()
    keep_memory()
    photos = read_photos(args.photos)
    SHIPPED_STYLES_FOLDER.mkdir(exist_ok=True)
    for name in args.names or PAINTINGS:
        painting = PAINTINGS[name]
        path = args.paintings / f"{painting.file}.jpg"
        files = {"input": path, "style": [path], "learn": args.seconds}
        config = build(preset_values("fast"), files)
        device = choose_device(config.device, config.precision)
        room = Classroom(Models(silent), device, None, silent, never_stop)
        image = read_image(path, StyleError)
        image = find_rim(image).crop(image).contiguous()
        learned = learn_style(Lesson(image, photos, feedforward_settings(config)), room)
        card = {
            **learned.card,
            "name": name,
            "title": painting.title,
            "artist": painting.artist,
            "year": painting.year,
        }
        file = SHIPPED_STYLES_FOLDER / f"{name}{STYLE_SUFFIX}"
        save_style(file, replace(learned, painting=image, card=card))
        print(f"{file}: {card['steps']} steps, {file.stat().st_size / 1e3:.0f} kB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
