"""Are the embedded features as good as VGG-19? The table that decides.

    python benchmarks/lite_vs_vgg19.py [--photos DIR] [--styles DIR] [--weights-dir DIR] [--lite
    FILE.safetensors] \
        [--cache DIR] [--out DIR] [--pairs N] [--size 512] [--iterations 200] [--polish 0]

Each photograph takes on each painting twice, matched once on VGG-19 and once on lite, in the same
way: from the photograph, Adam at a constant rate, no total variation, no early stop, one scale.
VGG-19 in fp32 judges all three:

s = mean over relu1_1 .. relu5_1 of |G - A|^2 / |A|^2; closure = (s_photo - s_lite) / (s_photo -
s_vgg19), which means something once VGG-19 has arrived (s_vgg19 small); content = |F - P|^2 / |P|^2
on relu4_2, and TV = the total variation, each of lite's result over that of VGG-19's.

With --polish the last so many of lite's iterations are done on VGG-19, at the same rate.

Quality does not depend on the machine's load; seconds do, and those of a result from the cache are
not known.

A folder of photographs or paintings stands for all in it. Where none is named, the eight pairs of
`PHOTOS` and `STYLES` are taken from the folder `shared` next to the checkout, and VGG-19's weights;
without it the weights are a render's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from vidstyle.errors import InputError, StyleError, VidstyleError, WeightsError
from vidstyle.features.extractor import CONTENT_LAYERS, STYLE_LAYERS, Network
from vidstyle.features.lite import TAPS, Lite
from vidstyle.frames import from_uint16, quantise, to_uint16
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import Precision, deterministic, resolve_device, resolve_precision
from vidstyle.rendering.models import load_network
from vidstyle.storage import atomic, png16
from vidstyle.storage.atomic import sha256
from vidstyle.stylize import losses
from vidstyle.stylize.objective import Objective
from vidstyle.stylize.optimise.minimise import minimise
from vidstyle.stylize.optimise.schedule import Schedule
from vidstyle.stylize.optimise.terms import ContentTerm
from vidstyle.stylize.resample import fit_style_image, resize
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets
from vidstyle.video.read import fit, read_image
from vidstyle.weights.int8 import unpack

SHARED = Path(__file__).resolve().parents[2] / "shared"
WEIGHTS = SHARED / "weights"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
PHOTOS = ("tubingen_neckarfront.jpg", "chicago.jpg", "lion.jpg", "kodim03.jpg")
STYLES = ("unseen_cubist.jpg", "unseen_mosaic.jpg")
STYLE_WEIGHT = 1.0
CONTENT_WEIGHT = 0.02
GAP = 8
SECONDS = ("s/it VGG-19", "s/it lite")
COLUMNS = ("s photo", "s VGG-19", "s lite", "closure", "content", "TV", *STYLE_LAYERS, *SECONDS)


def load_lite(path: Path | None, device: torch.device, precision: Precision) -> Network:
    """Load the embedded features, or the same network with the weights of `path`."""
    if path is None:
        return load_network("lite", device=device, precision=precision)
    module = Lite()
    try:
        with safe_open(path, "pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
        if card.get("architecture", {"taps": TAPS})["taps"] != TAPS:  # no tensor's shape tells
            raise ValueError("its maps are read from other convolutions")
        module.load_state_dict(unpack(load_file(path)))
        digest = sha256(path)
    except Exception as e:  # no such file, not safetensors, other tensors
        why = " ".join(str(e).split())[:200]
        raise WeightsError(
            f"cannot use {path} for lite", why, "give weights of this very architecture"
        ) from e
    return Network(module, digest, device, precision)


def resize_pair(photo: Tensor, painting: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Resize the photograph to a long side of `size`, and the style image to the same area, as a
    render does.
    """
    w, h = fit(photo.shape[2], photo.shape[1], size)
    return resize(photo, (h, w)), fit_style_image(painting, (h, w))


@torch.no_grad()
def compute_grams(extractor: Network, image: Tensor) -> dict[str, Tensor]:
    """Compute the Gram matrices of an image (3, h, w) at `STYLE_LAYERS`."""
    return {name: losses.gram(f) for name, f in extractor(image[None], STYLE_LAYERS).items()}


def stylise(
    extractor: Network,
    photo: Tensor,
    painting: Tensor,
    schedule: Schedule,
    start: Tensor | None = None,
) -> tuple[Tensor, float]:
    """Stylise the photograph, beginning with `start` (None: the photograph itself). Returns the
    result as a 16-bit file holds it, and the seconds per iteration.
    """
    with torch.no_grad():
        target = extractor(photo[None], CONTENT_LAYERS)
    settings = StyleSettings(STYLE_WEIGHT)
    style = StyleTargets([StyleImageTargets(extractor, painting[None], settings, None)])
    terms = (*style.terms(), ContentTerm(CONTENT_WEIGHT, target))
    begun = time.perf_counter()
    image, done = minimise(Objective(extractor, terms), photo if start is None else start, schedule)
    image = quantise(image)  # also waits for the device
    return image, (time.perf_counter() - begun) / done


def stylise_by_vgg19(
    vgg: Network, photo: Tensor, painting: Tensor, schedule: Schedule, key: str, cache: Path | None
) -> tuple[Tensor, float]:
    """Run `stylise` on VGG-19, and keep the result in `cache` under a digest of everything that
    determines it; nan seconds where it was there.
    """
    weights = f"{STYLE_WEIGHT} {CONTENT_WEIGHT}"
    settings = f"{key} {schedule} {weights} {vgg.digest} {vgg.precision} {vgg.device.type}"
    digest = hashlib.sha256(settings.encode()).hexdigest()
    path = cache / f"{digest[:32]}.png" if cache else None
    if path and png16.is_sound(path, digest, 0, (photo.shape[2], photo.shape[1])):
        return from_uint16(png16.decode_frame(path)).to(photo.device), math.nan
    image, seconds = stylise(vgg, photo, painting, schedule)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_atomically(path, png16.encode_frame(to_uint16(image), digest, 0))
    return image, seconds


@torch.no_grad()
def measure_pair(
    judge: Network, photo: Tensor, painting: Tensor, by_vgg: Tensor, by_lite: Tensor
) -> list[float]:
    """Compute `COLUMNS` without `SECONDS`; nan where VGG-19 changed nothing to compare with."""
    style = compute_grams(judge, painting)
    content = judge(photo[None], CONTENT_LAYERS)["relu4_2"]

    def layers(image: Tensor) -> list[float]:
        found = compute_grams(judge, image)
        return [float(losses.style(found[name], style[name])) for name in STYLE_LAYERS]

    def moved(image: Tensor) -> float:
        return float(losses.content(judge(image[None], CONTENT_LAYERS)["relu4_2"], content))

    each = layers(by_lite)
    s_photo, s_vgg, s_lite = (sum(x) / len(x) for x in (layers(photo), layers(by_vgg), each))
    tv_lite, tv_vgg = (float(losses.total_variation(x[None])) for x in (by_lite, by_vgg))
    closure = ratio(s_photo - s_lite, s_photo - s_vgg)
    return [
        s_photo,
        s_vgg,
        s_lite,
        closure,
        ratio(moved(by_lite), moved(by_vgg)),
        ratio(tv_lite, tv_vgg),
        *each,
    ]


def ratio(a: float, b: float) -> float:
    """Divide a by b; nan where b is 0."""
    return a / b if b else math.nan


def format_row(name: str, row: Sequence[float]) -> str:
    """Write a row of the table in Markdown."""
    cells = [
        "–" if math.isnan(x) else f"{x:.1%}" if column == "closure" else f"{x:.4f}"
        for column, x in zip(COLUMNS, row, strict=True)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def summarise(rows: Sequence[Sequence[float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Compute the mean and the worst of each column. Unknown seconds are left out; any other nan
    stays one, and then no criterion holds.
    """
    mean = {}
    worst = {}
    for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True):
        values = [x for x in column if not (name in SECONDS and math.isnan(x))] or [math.nan]
        mean[name] = sum(values) / len(values)
        worst[name] = min(values) if name == "closure" else max(values)
        if math.isnan(mean[name]):  # min and max may not see it
            worst[name] = math.nan
    worst["s photo"] = math.nan  # no result, so none is worst
    return mean, worst


def judge_criteria(mean: dict[str, float], worst: dict[str, float]) -> str:
    """Say of each criterion whether it holds."""
    criteria = (
        (f"closure mean {mean['closure']:.1%} >= 95 %", mean["closure"] >= 0.95),
        (f"closure worst {worst['closure']:.1%} >= 90 %", worst["closure"] >= 0.90),
        (f"content worst {worst['content']:.3f} <= 1.15", worst["content"] <= 1.15),
        (f"TV worst {worst['TV']:.3f} <= 1.15", worst["TV"] <= 1.15),
        (f"s VGG-19 worst {worst['s VGG-19']:.4f} <= 0.02", worst["s VGG-19"] <= 0.02),
    )
    return "; ".join(f"{what}: {'yes' if ok else 'NO'}" for what, ok in criteria)


def side_by_side(images: Sequence[Tensor], height: int) -> Tensor:
    """Join images (3, h, w) from left to right, with white gaps: (3, height, W) on the CPU."""
    cells = [
        F.pad(resize(x, (height, round(x.shape[2] * height / x.shape[1]))), (0, GAP), value=1.0)
        for x in images
    ]
    return torch.cat(cells, 2)[:, :, :-GAP].cpu()


def stack_rows(rows: Sequence[Tensor]) -> Tensor:
    """Stack rows (3, h, w) above one another, with white gaps."""
    width = max(row.shape[2] for row in rows)
    return torch.cat([F.pad(row, (0, width - row.shape[2], 0, GAP), value=1.0) for row in rows], 1)[
        :, :-GAP
    ]


def save_png(path: Path, image: Tensor) -> None:
    """Save an image (3, H, W) in [0, 1] as an 8-bit PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = (image * 255).round().byte().permute(1, 2, 0).numpy()  # (3, H, W) -> (H, W, 3)
    path.write_bytes(cv2.imencode(".png", array[:, :, ::-1])[1].tobytes())


def list_pictures(paths: Sequence[Path]) -> list[Path]:
    """List the files, and all pictures of folders."""
    found: list[Path] = []
    for path in paths:
        found += (
            sorted(x for x in path.iterdir() if x.suffix.lower() in SUFFIXES)
            if path.is_dir()
            else [path]
        )
    return found


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, files in (("photos", PHOTOS), ("styles", STYLES)):
        there = [SHARED / name / file for file in files] if (SHARED / name).is_dir() else None
        parser.add_argument(
            f"--{name}", nargs="+", type=Path, default=there, help="a folder, or files"
        )
    parser.add_argument("--weights-dir", type=Path, default=WEIGHTS if WEIGHTS.is_dir() else None)
    parser.add_argument("--lite", type=Path, help="weights to measure instead of the embedded ones")
    parser.add_argument(
        "--cache",
        type=Path,
        help="keeps VGG-19's results; empty it when the optimiser's code changes",
    )
    parser.add_argument(
        "--out", type=Path, help="photograph | painting | by VGG-19 | by lite, and a contact sheet"
    )
    parser.add_argument("--pairs", type=int, help="only the first so many")
    parser.add_argument("--size", type=int, default=512, help="long side of the photograph")
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument(
        "--polish", type=int, default=0, help="of lite's iterations, the last so many on VGG-19"
    )
    choices = ("auto", "bf16", "fp16", "fp32")
    parser.add_argument(
        "--precision", choices=choices, default="auto", help="of both optimisations"
    )
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(words)
    if not (args.photos and args.styles):
        parser.exit(
            2,
            f"give --photos and --styles a folder or files each, for {SHARED} does not have them\n",
        )
    if not 0 <= args.polish < args.iterations:
        parser.error("--polish needs less than --iterations, and no less than 0")
    return args


def compare_networks(args: argparse.Namespace) -> None:
    """Stylise every pair by both networks, and print the table."""
    styles = list_pictures(args.styles)
    files = [(p, s) for p in list_pictures(args.photos) for s in styles][: args.pairs]
    pictures = [
        (read_image(p, InputError), read_image(s, StyleError)) for p, s in files
    ]  # all, before hours of work
    device = resolve_device(args.device)
    precision = resolve_precision(args.precision, device)
    lite = load_lite(args.lite, device, precision)
    judge = load_network("vgg19", device=device, weights_dir=args.weights_dir)
    vgg = load_network("vgg19", device=device, precision=precision, weights_dir=args.weights_dir)
    schedule = Schedule(args.iterations, final_rate=1.0)
    millions = sum(p.numel() for p in lite.module.parameters()) / 1e6
    print(
        f"lite {lite.digest[:12]}, {millions:.2f} M parameters; "
        f"VGG-19 {vgg.digest[:12]}; features in {precision}"
    )
    print(
        f"on {device.type}, torch {torch.__version__}; "
        f"{args.size} px, {args.iterations} iterations\n"
    )
    print(f"| pair | {' | '.join(COLUMNS)} |\n|---{'|---:' * len(COLUMNS)}|", flush=True)
    rows = []
    strips = []
    for (photo_file, style_file), originals in zip(files, pictures, strict=True):
        photo, painting = (x.to(device) for x in resize_pair(*originals, args.size))
        key = f"{sha256(photo_file)} {sha256(style_file)} {args.size}"
        by_vgg, slow = stylise_by_vgg19(vgg, photo, painting, schedule, key, args.cache)
        by_lite, fast = stylise(
            lite, photo, painting, replace(schedule, iterations=args.iterations - args.polish)
        )
        if args.polish:
            by_lite, _ = stylise(
                vgg, photo, painting, replace(schedule, iterations=args.polish), by_lite
            )
        rows.append([*measure_pair(judge, photo, painting, by_vgg, by_lite), slow, fast])
        print(format_row(f"{photo_file.stem} x {style_file.stem}", rows[-1]), flush=True)
        if args.out:
            images = (photo, painting, by_vgg, by_lite)
            save_png(
                args.out / f"{photo_file.stem}_{style_file.stem}.png",
                side_by_side(images, photo.shape[1]),
            )
            strips.append(side_by_side(images, args.size // 2))
    if strips:
        save_png(args.out / "contact_sheet.png", stack_rows(strips))
    mean, worst = summarise(rows)
    print(format_row("mean", list(mean.values())))
    print(format_row("worst", list(worst.values())))
    print(f"\n{judge_criteria(mean, worst)}")


def main() -> None:
    args = parse_arguments()
    keep_memory()  # as a render does
    try:
        with deterministic(resolve_device(args.device)):
            compare_networks(args)
    except VidstyleError as e:
        print(f"{e.what}: {e.why}\n{e.hint}", file=sys.stderr)
        sys.exit(e.exit_code)


if __name__ == "__main__":
    main()
