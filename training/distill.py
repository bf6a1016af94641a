"""Distil VGG-19 into the embedded features.

    python -m training.distill --images FOLDER --weights-dir FOLDER --out lite.safetensors --work FOLDER [--rounds 400]

Run from the top of the checkout; see training/README.md. Training goes in rounds. Each one shows the network `--pool`
fresh crops, and as many images under optimisation by the network itself together with the style each is pulled
towards, asks the teacher about all of them, and trains on them `--visits` times. After a round everything that is
needed to go on lies in `--work`: the same command continues, and ends with the same weights as if it had never
stopped.

The loss of an image x, mean over the batch, sums over layers (y: student's maps, t: teacher's on the principal
directions, G: Gram matrices; S: the style that x is pulled towards):

    |E (y - t)|^2 / |E t|^2                                              what is where (E: `Teacher.emphasis`)
    + GRAM |G(y) - G(t)|^2 / |G(t)|^2                                    what is there
    + STYLE |(G(y) - G(y_S)) - (G(t) - G(t_S))|^2 / |G(t_S)|^2           what is still missing: the style loss itself
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from training.data import Images
from training.policy import Attempt, advance, attempt, gram, relative
from training.student import LAYERS, Student, fit_heads, grow, turns
from training.teacher import HINTS, Teacher
from vidstyle.device import resolve_device, resolve_precision
from vidstyle.stylize.features import STYLE_LAYERS

GRAM, STYLE = 0.5, 2.0
LAYER_WEIGHTS = {"relu5_1": 2.0} | dict.fromkeys(HINTS, 0.3)
TRUNK = ("lite.stages.0", "lite.stages.1", "lite.expansions.0")
"""Where the pixels are many, the weights have long been found; they follow slowly."""
TRUNK_RATE = 0.2
WARM_UP = 100
MOMENT = 0.995
"""Of the running mean of the weights, which is what is kept: it is better than any single step's."""


class Run:
    """All that changes while training, and its checkpoint."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = resolve_device(args.device)
        self.precision = resolve_precision(args.precision, self.device)
        self.images = Images(args.images, args.crop)
        self.teacher = Teacher(args.weights_dir, self.device, self.precision)
        torch.manual_seed(args.seed)
        self.student, self.mean = (Student().to(self.device, memory_format=torch.channels_last) for _ in range(2))
        self.mean.requires_grad_(False)
        slow = [p for n, p in self.student.named_parameters() if n.startswith(TRUNK)]
        fast = [p for n, p in self.student.named_parameters() if not n.startswith(TRUNK)]
        self.optimizer = torch.optim.AdamW(
            [{"params": fast, "scale": 1.0}, {"params": slow, "scale": TRUNK_RATE}],
            betas=(0.9, 0.98),
            weight_decay=1e-4,
        )
        self.round, self.steps, self.seconds = 0, 0, 0.0
        self.pool: list[Attempt] = []
        self.checkpoint = args.work / "checkpoint.pt"
        if self.checkpoint.exists():
            self.restore()
        else:
            self.begin()

    def begin(self) -> None:
        rng = random.Random(self.args.seed)
        batches = [torch.stack([self.images.any(rng) for _ in range(4)]).to(self.device) for _ in range(24)]
        self.teacher.find_directions(batches)
        samples = [(batch, self.teacher.targets(batch)) for batch in batches]
        left = grow(self.student.lite, load_file(self.args.init)) | set(HINTS) if self.args.init else set(LAYERS)
        for name, rotation in turns(self.student, samples, set(LAYERS) - left).items():
            self.teacher.turn(name, rotation)
        fit_heads(self.student, samples, left)
        self.mean.load_state_dict(self.student.state_dict())

    def restore(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.mean.load_state_dict(state["mean"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.teacher.basis, self.teacher.emphasis = state["basis"], state["emphasis"]
        self.round, self.steps, self.seconds = state["round"], state["steps"], state["seconds"]
        self.pool = [
            Attempt(**{k: v.cpu() if isinstance(v, Tensor) else v for k, v in a.items()}) for a in state["pool"]
        ]

    def save(self) -> None:
        state = {
            "student": self.student.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "basis": self.teacher.basis,
            "emphasis": self.teacher.emphasis,
            "round": self.round,
            "steps": self.steps,
            "seconds": self.seconds,
            "pool": [a.state() for a in self.pool],
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def network(self, image: Tensor) -> dict[str, Tensor]:
        """The mean network, as it is used: in its fast precision."""
        return self.apply(self.mean, image)

    def apply(self, student: Student, image: Tensor) -> dict[str, Tensor]:
        image = image.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return student(image)

    def ask(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        batches = [torch.stack(images[i : i + 4]).to(self.device) for i in range(0, len(images), 4)]
        return [target for batch in batches for target in self.teacher.targets(batch)]

    def play(self) -> dict[str, float]:
        """One round; returns the mean losses of its steps."""
        args = self.args
        rng = random.Random(args.seed * 1_000_003 + self.round + 1)
        self.pool = [a for a in self.pool if a.done < a.end]
        while len(self.pool) < args.pool:
            self.pool.append(attempt(self.images, rng, args.longest))
        advance(self.pool, self.network, args.advance, self.device)
        fresh = [self.images.any(rng) for _ in range(args.pool)]
        for a in self.pool:
            if a.targets is None:  # each alone: the last bits may depend on an image's neighbours in a batch
                a.targets = self.ask([a.style])[0]
        led, seen = self.ask([a.image for a in self.pool]), self.ask(fresh)
        totals: dict[str, float] = {}
        count = 0
        for _ in range(args.visits):
            order, other = (rng.sample(range(args.pool), args.pool) for _ in range(2))
            for i in range(0, args.pool, args.batch):
                some, others = order[i : i + args.batch], other[i : i + args.batch]
                batch = [self.pool[j].image for j in some] + [self.pool[j].style for j in some]
                targets = [led[j] for j in some] + [self.pool[j].targets or {} for j in some]
                batch += [fresh[j] for j in others]
                targets += [seen[j] for j in others]
                for name, value in self.step(batch, targets, len(some)).items():
                    totals[name] = totals.get(name, 0.0) + value
                count += 1
        self.round += 1
        return {name: total / count for name, total in totals.items()}

    def step(self, images: list[Tensor], targets: list[dict[str, Tensor]], pairs: int) -> dict[str, float]:
        """One step of the optimiser. Images [0, pairs) are pulled towards images [pairs, 2 pairs)."""
        progress = self.steps / (self.args.rounds * self.args.visits * math.ceil(self.args.pool / self.args.batch))
        rate = (
            self.args.rate * min(1, (self.steps + 1) / WARM_UP) * (0.02 + 0.98 * (1 + math.cos(math.pi * progress)) / 2)
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        maps = self.apply(self.student, torch.stack(images))
        loss = torch.zeros((), device=self.device)
        values: dict[str, Tensor] = {}
        for name in maps:
            y, t = maps[name].float(), torch.stack([target[name] for target in targets]).to(self.device).float()
            layer = relative(*(torch.einsum("bchw,dc->bdhw", f, self.teacher.emphasis[name]) for f in (y, t))).mean()
            values[name] = layer.detach()
            if name in STYLE_LAYERS:
                g, a = gram(y), gram(t)
                missing = (g[:pairs] - g[pairs : 2 * pairs]) - (a[:pairs] - a[pairs : 2 * pairs])
                style = (missing.flatten(1).square().sum(1) / a[pairs : 2 * pairs].flatten(1).square().sum(1)).mean()
                layer = layer + GRAM * relative(g, a).clamp_max(2).mean() + STYLE * style
                values[f"{name} style"] = style.detach()
            loss = loss + LAYER_WEIGHTS.get(name, 1.0) * layer
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        moment = min(MOMENT, self.steps / (self.steps + 10))
        with torch.no_grad():
            for m, p in zip(self.mean.parameters(), self.student.parameters(), strict=True):
                m.lerp_(p, 1 - moment)
        return {name: float(value) for name, value in values.items()}

    def export(self, path: Path, scores: dict[str, float]) -> None:
        """The weights in fp16, with what one should know of them."""
        tensors = {k: v.half().contiguous().cpu() for k, v in self.mean.lite.state_dict().items()}
        card = {
            "network": "lite, see vidstyle/stylize/features/lite.py",
            "teacher": "VGG-19 (Simonyan & Zisserman 2014, CC BY 4.0), average pooling, replicate padding",
            "data": self.args.data,
            "training": f"training/distill.py, {self.steps} steps, {self.seconds / 60:.0f} minutes",
            "scores": " ".join(f"{name} {value:.4f}" for name, value in scores.items()),
            "licence": "MIT; the teacher's weights are CC BY 4.0, see NOTICE",
        }
        # One metadata key: several come out in random order, and the file's digest should not.
        part = path.with_suffix(".part")
        part.write_bytes(save(tensors, {"card": json.dumps(card)}))
        part.replace(path)

    def scores(self) -> dict[str, float]:
        """On held-out pictures: the style distance that is left, in VGG-19's eyes and by layer, when the network has
        stylized three photographs; before it, the photographs' own."""
        pairs = random.Random(0).sample(self.images.held_out_pairs, min(4, len(self.images.held_out_pairs)))
        contents, styles = ([self.images.centre(pair[i]) for pair in pairs] for i in (0, 1))
        zero = torch.zeros_like(contents[0])
        pool = [
            Attempt(c, s, c.clone(), zero, zero, end=0, rate=0.04, content_weight=0.02, tv_weight=0)
            for c, s in zip(contents, styles, strict=True)
        ]
        advance(pool, self.network, self.args.score_iterations, self.device)
        with torch.no_grad():
            stack = [torch.stack(x).to(self.device) for x in (styles, contents, [a.image for a in pool])]
            target, before, after = (
                {k: gram(f) for k, f in self.teacher.maps(x).items() if k in STYLE_LAYERS} for x in stack
            )
        distances = {name: relative(after[name], target[name]).mean() for name in STYLE_LAYERS}
        photo = torch.stack([relative(before[name], target[name]).mean() for name in STYLE_LAYERS]).mean()
        mean = torch.stack(list(distances.values())).mean()
        return {"photo": float(photo), "stylized": float(mean)} | {k: float(v) for k, v in distances.items()}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="photographs, and paintings named style*")
    parser.add_argument("--weights-dir", type=Path, help="where VGG-19's weights lie; default: as for a render")
    parser.add_argument("--out", type=Path, required=True, help="the weights, written at every score")
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--init", type=Path, help="weights of a `Lite` that is not wider or deeper, to grow from")
    parser.add_argument("--data", default="photographs and paintings", help="what the images are, for the file's card")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--visits", type=int, default=2, help="times a round's images are trained on")
    parser.add_argument("--pool", type=int, default=24, help="images under optimisation, and fresh crops, in a round")
    parser.add_argument("--advance", type=int, default=4, help="iterations of those in a round")
    parser.add_argument("--longest", type=int, default=80, help="iterations after which one is given up, at most")
    parser.add_argument("--batch", type=int, default=2, help="of each kind in a step: led images, styles, fresh crops")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--score-every", type=int, default=20, help="rounds")
    parser.add_argument("--score-iterations", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    args.work.mkdir(parents=True, exist_ok=True)
    run = Run(args)
    while run.round < args.rounds:
        begun = time.perf_counter()
        if run.round == 0:
            print("before", *(f"{k} {v:.4f}" for k, v in run.scores().items()), flush=True)
        losses = run.play()
        run.seconds += time.perf_counter() - begun
        print(
            f"{run.round}/{args.rounds} {run.seconds:.0f} s", *(f"{k} {v:.3f}" for k, v in losses.items()), flush=True
        )
        run.save()
        if run.round % args.score_every == 0 or run.round == args.rounds:
            scores = run.scores()
            print(f"{run.round}/{args.rounds} held out:", *(f"{k} {v:.4f}" for k, v in scores.items()), flush=True)
            run.export(args.out, scores)


if __name__ == "__main__":
    main()
