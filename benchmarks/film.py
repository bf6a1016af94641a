"""Films as they are cut and lit, made from real clips and rendered: dissolves, fades, flashes,
changing light, bars, repeats, loops and keyframes, with the figures that tell whether they come out
right.

    python benchmarks/film.py FOLDER --style PAINTING [--cases dissolve,fade,...] [--sheets DIR]

FOLDER holds clips; each case names those that it is made from. Nothing here is timed but the cost
of a repeat, and that as a ratio within one run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.config.settings import build
from vidstyle.evaluation import metrics
from vidstyle.events import FrameDone
from vidstyle.features.extractor import Network
from vidstyle.frames import from_uint16
from vidstyle.motion.flow import DIS
from vidstyle.rendering.models import Models, load_network
from vidstyle.rendering.pipeline import render
from vidstyle.storage import png16
from vidstyle.storage.record import state_folder
from vidstyle.video import ffmpeg, read
from vidstyle.video.probe import probe

Film = NDArray[np.float32]
"""(n, 3, H, W) in [0, 1]."""

WINDOW = 64
"""Side in pixels of the windows whose content distance is compared."""

Rows = Iterable[dict[str, Any]]
"""A line of figures for each film."""

CLIP_FRAMES = {
    "bedroom_960x540.mp4": 92,
    "cups_1280x720_audio.mp4": 122,
    "wolf_512x512.mp4": 40,
    "nasa_320x180_two_video_streams_audio.mp4": 100,
    "carphone_176x144_sar128-117.mp4": 118,
}
"""The frames that may be taken of each clip."""

AFTER = 6
"""Frames after a transition at which nothing of the shot before may be left."""

PAIRS = (
    ("bedroom_960x540.mp4", "cups_1280x720_audio.mp4"),
    ("wolf_512x512.mp4", "bedroom_960x540.mp4"),
    ("cups_1280x720_audio.mp4", "nasa_320x180_two_video_streams_audio.mp4"),
    ("carphone_176x144_sar128-117.mp4", "wolf_512x512.mp4"),
)
"""The shots of the dissolves."""

LENGTHS = (6, 12, 24, 48)
"""Frames of the dissolves."""


@dataclass
class Bench:
    """What all cases share: where clips are, how films are rendered, and what measures them."""

    clips: Path
    style: Path
    size: tuple[int, int]
    work: Path
    settings: dict[str, Any]
    network: Network
    sheets: Path | None = None
    pairs: int = len(PAIRS)
    lengths: tuple[int, ...] = LENGTHS
    flow: DIS = field(default_factory=DIS)
    models: Models = field(default_factory=Models)

    def clip(self, name: str, count: int, first: int = 0) -> Film:
        """Read frames of a clip at the size of the films."""
        source = probe(self.clips / name)
        decoder = read.read(source, self.size, first, first + count)
        with contextlib.closing(decoder) as frames:
            return np.stack([frame.image.numpy() for frame in frames])

    def write(self, name: str, film: Film, crf: int | None = None) -> Path:
        """Write a film of 25 frames a second, lossless unless a `crf` is given."""
        path = self.work / f"{name}.mkv"
        raw = self.work / f"{name}.raw"
        pixels = (film.clip(0, 1) * 255).round().astype(np.uint8)
        raw.write_bytes(pixels.transpose(0, 2, 3, 1).tobytes())
        height, width = film.shape[2:]
        given = ["-f", "rawvideo", "-pixel_format", "rgb24", "-framerate", "25"]
        codec = ["ffv1"] if crf is None else ["libx264", "-crf", str(crf), "-pix_fmt", "yuv420p"]
        source = ["-video_size", f"{width}x{height}", "-i", ffmpeg.local(raw)]
        args = ["-y", *given, *source, "-c:v", *codec, ffmpeg.local(path)]
        ffmpeg.run(args, f"cannot write {name}")
        raw.unlink()
        return path

    def render(self, name: str, film: Film | Path, **settings: Any) -> Rendered:
        """Render a film, and return its finished frames."""
        path = film if isinstance(film, Path) else self.write(name, film)
        output = self.work / f"{name}.out.mkv"
        events: list[Any] = []
        given = {"input": path, "style": self.style, "output": output, "keep_frames": True}
        config = build(self.settings, {**given, "overwrite": True, "restart": True}, settings)
        render(config, events.append, models=self.models)
        folder = state_folder(output) / "frames"
        frames = [png16.decode_frame(file) for file in sorted(folder.glob("*.png"))]
        painted = [event for event in events if isinstance(event, FrameDone)]
        return Rendered(np.stack([from_uint16(one).numpy() for one in frames]), painted)

    def content(self, image: NDArray[Any], source: NDArray[Any]) -> float:
        """|F - P|^2 / |P|^2 at relu4_2."""
        f, p = self.maps(image), self.maps(source)
        return float((f - p).square().sum() / p.square().sum())

    def worst_content(self, image: NDArray[Any], source: NDArray[Any]) -> float:
        """The same in the window where it is largest."""
        f, p = self.maps(image), self.maps(source)
        side = max(1, WINDOW * f.shape[2] // image.shape[2])
        difference = (f - p).square().sum(0, keepdim=True)[None]
        size = p.square().sum(0, keepdim=True)[None]
        means = [F.avg_pool2d(x, side, stride=1) for x in (difference, size)]
        return float((means[0] / means[1]).max())

    def maps(self, image: NDArray[Any]) -> Tensor:
        """The content's feature maps (c, h, w)."""
        return self.network(torch.from_numpy(image).float()[None], ("relu4_2",))["relu4_2"][0]

    def error(self, source: Film, film: Film, t: int, s: int) -> float:
        """The warping error from frame s to frame t, along the flow of the source."""
        a, b = (torch.from_numpy(source[i]).float() for i in (t, s))
        flow = self.flow(a, b)
        mask = metrics.reliable_pixels(flow, self.flow(b, a))
        later, earlier = (torch.from_numpy(film[i]).float() for i in (t, s))
        return metrics.warping_error(later, earlier, flow, mask) or 0.0

    def sheet(self, name: str, source: Film, film: Film, indices: Sequence[int]) -> None:
        """Write source above, result below, and the change from the frame before, enlarged."""
        if self.sheets is None:
            return
        change = [0.5 + 3 * (film[i] - film[max(0, i - 1)]) for i in indices]
        rows = [[source[i] for i in indices], [film[i] for i in indices], change]
        image = np.concatenate([np.concatenate(row, 2) for row in rows], 1)
        pixels = (image.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)[:, :, ::-1]
        cv2.imwrite(str(self.sheets / f"{name}.png"), pixels)


@dataclass(frozen=True)
class Rendered:
    """The finished frames of a render, and the events of those that were painted."""

    frames: Film
    painted: list[FrameDone]


def mix(before: Film, after: Film, length: int) -> tuple[Film, NDArray[np.float64]]:
    """A dissolve of `length` frames from the end of one film to the beginning of the other."""
    shares = (np.arange(length) + 1) / (length + 1)
    weights = shares[:, None, None, None]
    mixed = (1 - weights) * before[-length:] + weights * after[:length]
    film = np.concatenate([before[:-length], mixed, after[length:]])
    return film.astype(np.float32), shares


def dissolves(bench: Bench) -> Rows:
    """Dissolves between pairs of clips: what is left of the first shot, and pops."""
    for one, other in PAIRS[: bench.pairs]:
        longest = max(bench.lengths)
        before = bench.clip(one, min(CLIP_FRAMES[one], 12 + longest))
        after = bench.clip(other, min(CLIP_FRAMES[other], longest + AFTER + 8))
        name = f"dissolve_{one.split('_')[0]}_{other.split('_')[0]}"
        # The frames of a shot do not depend on those after them.
        alone = bench.render(f"{name}_alone", after).frames
        for length in bench.lengths:
            if len(before) < 12 + length or len(after) < length + AFTER + 2:
                continue
            film, _ = mix(before[-12 - length :], after[: length + AFTER + 8], length)
            rendered = bench.render(f"{name}_{length}", film).frames
            end = 12 + length
            t = end + AFTER
            c = bench.content(rendered[t], film[t])
            worst = bench.worst_content(rendered[t], film[t])
            errors = [bench.error(film, rendered, i, i - 1) for i in range(1, len(film))]
            own = [bench.error(film, film, i, i - 1) for i in range(1, len(film))]
            ordinary = float(np.median([e for i, e in enumerate(errors, 1) if i < 12 or i > end]))
            calm = float(np.median([e for i, e in enumerate(own, 1) if i < 12 or i > end]))
            yield {
                "case": f"{name}_{length}",
                "c": c / bench.content(alone[t - 12], after[t - 12]),
                "worst window": worst / bench.worst_content(alone[t - 12], after[t - 12]),
                "first / median": errors[11] / ordinary,
                "last / median": errors[end - 1] / ordinary,
                "source first / median": own[11] / calm,
                "source last / median": own[end - 1] / calm,
            }
            shown = np.linspace(10, t, 8).round().astype(int).tolist()
            bench.sheet(f"{name}_{length}", film, rendered, shown)


def luminance(film: Film) -> NDArray[np.float64]:
    """The mean luminance of each frame."""
    weights = np.array([0.2126, 0.7152, 0.0722])[None, :, None, None]
    return np.asarray((film * weights).sum(1).mean((1, 2)))


def fades(bench: Bench) -> Rows:
    """Fades from black and to white: brightness, black, and what they leave behind."""
    for name in ("bedroom_960x540.mp4", "cups_1280x720_audio.mp4"):
        for colour in (0.0, 1.0):
            clip = bench.clip(name, 40)
            lit = bench.render(f"lit_{name[:4]}", clip).frames
            rising = np.concatenate([[0, 0, 0], (np.arange(12) + 1) / 13, np.ones(25)])
            for way, gains in (("in", rising), ("out", rising[::-1])):
                g = gains[:, None, None, None]
                film = (g * clip + (1 - g) * colour).astype(np.float32)
                case = f"fade_{way}_{'black' if colour == 0 else 'white'}_{name[:4]}"
                rendered = bench.render(case, film).frames
                full = gains == 1
                sides = [luminance(x if colour == 0 else 1 - x) for x in (film, rendered)]
                relative = [side / side[full].mean() for side in sides]
                t = 15 + AFTER if way == "in" else 24 - AFTER
                yield (
                    {
                        "case": case,
                        "luminance off by": float(np.abs(relative[1] - relative[0]).max()),
                        "flat off by": float(np.abs(rendered[gains == 0] - colour).max()) * 255,
                        "c": bench.content(rendered[t], clip[t]) / bench.content(lit[t], clip[t]),
                    }
                )
                bench.sheet(case, film, rendered, [0, 3, 6, 10, 14, 15, 20, 26, 33, 39])


def flashes(bench: Bench) -> Rows:
    """One and three overexposed frames: the picture before and after."""
    for name in ("bedroom_960x540.mp4", "cups_1280x720_audio.mp4"):
        clip = bench.clip(name, 24)
        plain = bench.render(f"plain_{name[:4]}", clip).frames
        for length in (1, 3):
            film = clip.copy()
            film[10 : 10 + length] = (1.8 * film[10 : 10 + length] + 0.3).clip(0, 1)
            case = f"flash_{length}_{name[:4]}"
            rendered = bench.render(case, film).frames
            after = 10 + length
            with_flash = bench.error(film, rendered, after, 9)
            without = bench.error(clip, plain, after, 9)
            yield ({"case": case, "error": with_flash / without})
            bench.sheet(case, film, rendered, [8, 9, 10, 11, 12, 13, 14, 18])


def lights(bench: Bench) -> Rows:
    """Light that changes slowly, or is switched: the picture follows, and does not pop."""
    clip = bench.clip("bedroom_960x540.mp4", 64)
    plain = bench.render("plain_light", clip).frames
    slow = np.concatenate([np.ones(6), np.linspace(1, 0.3, 48), np.full(10, 0.3)])
    red = np.stack([np.ones(64), 0.5 + slow / 2, slow], 1)
    switched = np.where(np.arange(64) < 24, 1, 0.55)
    cases = {"slow": slow[:, None], "sunset": red, "switch": switched[:, None]}
    for case, gains in cases.items():
        film = (gains[:, :, None, None] * clip).astype(np.float32)
        rendered = bench.render(f"light_{case}", film).frames
        errors = [bench.error(film, rendered, i, i - 1) for i in range(1, 64)]
        row: dict[str, Any] = {"case": case, "largest / median": max(errors) / np.median(errors)}
        for t in (30, 63):
            fresh = bench.render(f"fresh_{case}_{t}", film[t : t + 1]).frames[0]
            row[f"c at {t}"] = bench.content(rendered[t], film[t]) / bench.content(fresh, film[t])
            lit = bench.render(f"fresh_plain_{t}", clip[t : t + 1]).frames[0]
            row[f"c at {t} without"] = bench.content(plain[t], clip[t]) / bench.content(
                lit, clip[t]
            )
        yield row
        bench.sheet(f"light_{case}", film, rendered, [5, 15, 23, 24, 25, 30, 45, 63])


def visits(bench: Bench) -> Rows:
    """A camera that goes back and forth over the same ground ten times."""
    width, height = bench.size
    source = probe(bench.clips / "bedroom_960x540.mp4")
    with contextlib.closing(read.read(source, None, 0, 1)) as frames:
        ground = next(frames).image.numpy().transpose(1, 2, 0)
    noise = np.random.default_rng(0)
    pictures = []
    for t in range(600):
        x = (1 - np.cos(2 * np.pi * t / 60)) / 2
        move = np.array([[1, 0, -300 * x], [0, 1, -60 * x]], np.float32)
        seen = cv2.warpAffine(ground, move, (600, 400))
        small = cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA)
        pictures.append(small + noise.normal(0, 2 / 255, small.shape))
    film = np.stack(pictures).transpose(0, 3, 1, 2).clip(0, 1).astype(np.float32)
    rendered = bench.render("visits", film).frames
    for phase in (15, 30, 45):
        figures = []
        for t in (phase, 540 + phase):
            image = torch.from_numpy(rendered[t]).float()
            figures.append(
                {
                    "colour": float(image.mean()),
                    "contrast": float(image.std()),
                    "gradient": metrics.gradient_energy(image),
                    "c": bench.content(rendered[t], film[t]),
                }
            )
        yield ({"case": f"visits_{phase}", **{k: figures[1][k] / v for k, v in figures[0].items()}})
    bench.sheet("visits", film, rendered, [15, 30, 45, 285, 315, 555, 570, 585])


def bars(bench: Bench) -> Rows:
    """Letterbox bars: untouched, and the inside as the cropped clip."""
    clip = bench.clip("bedroom_960x540.mp4", 20)
    edge = bench.size[1] // 8 // 2 * 2
    film = clip.copy()
    film[:, :, :edge] = 0
    film[:, :, -edge:] = 0
    rendered = bench.render("bars", film).frames
    inside = np.ascontiguousarray(clip[:, :, edge:-edge])
    cropped = bench.render("bars_cropped", inside).frames
    own = [np.ascontiguousarray(x[:, edge:-edge]) for x in rendered]
    c = [
        np.mean([bench.content(a, b) for a, b in zip(x, inside, strict=True)])
        for x in (own, cropped)
    ]
    pixels = (film * 255).round() / 255
    touched = max(
        np.abs(rendered[:, :, part] - pixels[:, :, part]).max()
        for part in (slice(edge), slice(-edge, None))
    )
    bench.sheet("bars", film, rendered, [0, 5, 10, 15, 19])
    return [{"case": "bars", "touched by": float(touched), "c": float(c[0] / c[1])}]


def repeats(bench: Bench) -> Rows:
    """A cartoon on twos: every frame twice."""
    film = np.repeat(bench.clip("bedroom_960x540.mp4", 12), 2, axis=0)
    rendered = bench.render("repeats", film)
    equal = all(np.array_equal(rendered.frames[i], rendered.frames[i + 1]) for i in range(0, 24, 2))
    seconds = {event.frame: event.seconds for event in rendered.painted}
    share = np.mean([seconds[i] for i in range(3, 24, 2)]) / np.mean(
        [seconds[i] for i in range(2, 24, 2)]
    )
    return [{"case": "repeats", "equal": equal, "time": float(share)}]


def loops(bench: Bench) -> Rows:
    """A clip forth and back, closed: the seam."""
    clip = bench.clip("bedroom_960x540.mp4", 24)
    film = np.concatenate([clip, clip[-2:0:-1]])
    for case, loop in (("loop", True), ("loop_open", False)):
        rendered = bench.render(case, film, loop=loop).frames
        errors = [bench.error(film, rendered, i, i - 1) for i in range(1, len(film))]
        seam = bench.error(film, rendered, 0, len(film) - 1)
        yield ({"case": case, "seam / median": seam / float(np.median(errors))})
        bench.sheet(case, film, rendered, [-3, -2, -1, 0, 1, 2])


def keyframes(bench: Bench) -> Rows:
    """Two frames that the user has painted: given, and met without a jump."""
    clip = bench.clip("bedroom_960x540.mp4", 48)
    first = bench.render("keys_0", clip).frames
    given = []
    for t in (12, 36):
        picture = (first[t] * 0.8 + 0.2 * first[t].mean()).clip(0, 1)
        picture[:, 20:60, 30:110] = picture[::-1, 20:60, 30:110]
        path = bench.work / f"key_{t}.png"
        pixels = (picture * 255).round().astype(np.uint8)
        cv2.imwrite(str(path), pixels.transpose(1, 2, 0)[:, :, ::-1])
        given.append((t, path, pixels))
    names = [f"{t}={path}" for t, path, _ in given]
    rendered = bench.render("keys", clip, keyframes=names).frames
    errors = [bench.error(clip, rendered, i, i - 1) for i in range(1, 48)]
    near = [errors[i] for t, _, _ in given for i in (t - 1, t)]
    exact = all(np.array_equal((rendered[t] * 255).round(), pixels) for t, _, pixels in given)
    bench.sheet("keys", clip, rendered, [0, 6, 11, 12, 13, 18, 24, 30, 35, 36, 37, 47])
    return [
        {
            "case": "keyframes",
            "as given": exact,
            "near / median": max(near) / float(np.median(errors)),
        }
    ]


CASES: dict[str, Callable[[Bench], Rows]] = {
    "dissolve": dissolves,
    "fade": fades,
    "flash": flashes,
    "light": lights,
    "visits": visits,
    "bars": bars,
    "repeats": repeats,
    "loop": loops,
    "keyframes": keyframes,
}


def main() -> None:
    """Render the cases that are asked for, and print a line of figures for each film."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--style", type=Path, required=True)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (one.split("=", 1) for one in args.set)}
    name = "vgg19" if args.weights_dir else "lite"
    network = load_network(name, weights_dir=args.weights_dir)
    if args.sheets:
        args.sheets.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        size = (args.width, args.width * 9 // 16 // 2 * 2)
        work = Path(folder)
        lengths = tuple(args.lengths)
        shared = (args.sheets, args.pairs, lengths)
        bench = Bench(args.clips, args.style, size, work, settings, network, *shared)
        for case in args.cases.split(","):
            for row in CASES[case](bench):
                figures = (
                    f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
                )
                print("  ".join(figures), flush=True)


if __name__ == "__main__":
    main()
