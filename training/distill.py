"""Distil VGG-19 into the embedded features.

    python -m training.distill --images FOLDER --out NEW.safetensors --work FOLDER [--init
    OLD.safetensors]

Run from the top of the checkout; see training/README.md. Training goes in rounds. Each one takes
`--pool` images that the network itself is stylizing, with the style each is on its way to; asks the
teacher what it sees in them, and where its style and its content pull each; and trains on them
`--visits` times. After a round everything that is needed to go on lies in `--work`: the same
command continues, and ends with the same weights as if it had never stopped. `--rounds` may be
changed under way; the step size then falls along the new curve. The code may change, too: the card
then says from which round on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from training.attempts import Attempt, advance, make_attempt
from training.card import architecture, card_of, code, commit
from training.data import Images
from training.grams import gram, relative
from training.objective import GRADIENT, GRAM, LAYER_WEIGHTS, STYLE, gradient_error, objective
from training.student import LAYERS, Student, fit_heads, flat, grow, matrices, rotations
from training.teacher import HINTS, PULLED, Lesson, Teacher
from vidstyle.errors import VidstyleError
from vidstyle.features.extractor import CONTENT_LAYERS, STYLE_LAYERS
from vidstyle.machine.device import deterministic, resolve_device, resolve_precision
from vidstyle.storage.atomic import sha256
from vidstyle.weights.int8 import pack, unpack

SHALLOW = ("lite.stages.0", "lite.stages.1", "lite.expansions.0")
"""The layers at large sizes. Their many pixels find good weights soon; in a network that was
trained before these follow slowly.
"""
SHALLOW_RATE = 0.2
OTHERS_RATE = 0.15
"""The rate of heads and biases, which Adam trains."""
WARM_UP = 100
EARLY = 2
"""Rounds after which an image under way takes twice the iterations."""
MOMENT = 0.995
"""The decay of the running mean of the weights. The mean is kept: it is better than any single
step's weights.
"""
ALONE = {"relu3_1": 1, "relu4_1": 1, "relu5_1": 1, "relu4_2": 2}
"""Layers whose gradients are matched one by one too, and how often; in the sum of all, relu5_1's
drowns the others.
"""
OFFSET = 0.15
"""Share of its mean over pictures that relu4_2's map is shipped without. The mean counts in |P|^2
and tells nothing of a picture: without some of it a change of content weighs more, which the
network takes for smaller than VGG-19 does."""
DIRECTION_BATCHES = 24
"""Batches of four images, in which the teacher's directions and the first heads are found."""

LOOKED_AT = (*STYLE_LAYERS, *CONTENT_LAYERS)
SETTINGS = ("seed", "crop", "visits", "pool", "advance", "longest", "batch", "rate")
"""Arguments that the weights depend on, and that stay as they are under way."""


class Run:
    """All that changes while training, and its checkpoint."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = resolve_device(args.device)
        self.precision = resolve_precision(args.precision, self.device)
        self.images = Images(args.images, args.crop)
        self.teacher = Teacher(args.weights_dir, self.device, self.precision)
        torch.manual_seed(args.seed)
        self.student, self.mean = (Student().to(self.device) for _ in range(2))
        for network in (self.student, self.mean):
            network.to(memory_format=torch.channels_last)
        self.mean.requires_grad_(False)
        self.matrices = matrices(self.student)
        self.optimizers = self.make_optimizers()
        self.round = 0
        self.steps = 0
        self.pool: list[Attempt] = []
        self.history: list[dict[str, Any]] = []
        self.checkpoint = args.work / "checkpoint.pt"
        if self.checkpoint.exists():
            self.restore()
        else:
            self.begin()
        now = {"round": self.round, "commit": commit(), "code": code()}
        if not self.history or self.history[-1]["code"] != now["code"]:
            self.history.append(now)

    def make_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Muon (Jordan et al. 2024), which moves all directions of a matrix alike, for the trunk's
        convolutions; Adam for the rest.
        """
        quick: list[torch.Tensor] = []
        slow: list[torch.Tensor] = []
        for name, _, matrix in self.matrices:
            (slow if self.args.init and name.startswith(SHALLOW) else quick).append(matrix)
        taken = {id(parameter) for _, parameter, _ in self.matrices}
        others = [p for p in self.student.parameters() if p.requires_grad and id(p) not in taken]
        groups = [
            {"params": x, "scale": scale} for x, scale in ((quick, 1.0), (slow, SHALLOW_RATE)) if x
        ]
        return (
            torch.optim.Muon(groups, weight_decay=0.0),
            torch.optim.AdamW(
                [{"params": others, "scale": OTHERS_RATE}], betas=(0.9, 0.98), weight_decay=1e-4
            ),
        )

    def settings(self) -> dict[str, Any]:
        names = [path.name for path in (*self.images.photos, *self.images.paintings)]
        return {name: getattr(self.args, name) for name in SETTINGS} | {
            "images": hashlib.sha256(" ".join(names).encode()).hexdigest()[:16],
            "init": sha256(self.args.init) if self.args.init else "",
            "teacher": self.teacher.network.digest,
            "device": self.device.type,
            "precision": self.precision,
            "architecture": architecture(),
            "loss": [GRAM, STYLE, GRADIENT, *LAYER_WEIGHTS.values()],
        }

    def begin(self) -> None:
        rng = random.Random(self.args.seed)
        batches = [
            torch.stack([self.images.any(rng) for _ in range(4)]).to(self.device)
            for _ in range(DIRECTION_BATCHES)
        ]
        self.teacher.find_directions(batches)
        samples = [
            (batch, [lesson.targets for lesson in self.teacher.lessons(batch)]) for batch in batches
        ]
        left = set(LAYERS)
        if self.args.init:
            taps = card_of(self.args.init).get("architecture", architecture())["taps"]
            left = grow(self.student.lite, unpack(load_file(self.args.init)), taps) | set(HINTS)
            if "relu4_2" not in left:
                self.restore_mean(card_of(self.args.init).get("offset", 0.0))
        for name, rotation in rotations(self.student, samples, set(LAYERS) - left).items():
            self.teacher.turn(name, rotation)
        fit_heads(self.student, samples, left)
        self.mean.load_state_dict(self.student.state_dict())

    @torch.no_grad()
    def restore_mean(self, offset: float) -> None:
        """Give relu4_2's map the share of its mean back that the file of `--init` was written
        without.
        """
        self.mean.load_state_dict(self.student.state_dict())
        self.student.lite.heads["relu4_2"].bias += offset / (1 - offset) * self.content_mean()  # type: ignore[operator]

    def restore(self) -> None:
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        now = self.settings()
        before = state["settings"]
        names = [name for name in before | now if now.get(name) != before.get(name)]
        if changed := [f"{name}: {before.get(name)} -> {now.get(name)}" for name in names]:
            raise SystemExit(
                f"{self.checkpoint} is of another training ({'; '.join(changed)}); "
                "give another --work"
            )
        self.student.load_state_dict(state["student"])
        self.mean.load_state_dict(state["mean"])
        for optimizer, was in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(was)
        self.teacher.basis, self.teacher.emphasis = (
            {name: matrix.to(self.device) for name, matrix in state[key].items()}
            for key in ("basis", "emphasis")
        )
        self.round = state["round"]
        self.steps = state["steps"]
        self.history = state["history"]
        self.pool = [Attempt(**fields) for fields in state["pool"]]

    def save(self) -> None:
        state = {
            "settings": self.settings(),
            "student": self.student.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "basis": self.teacher.basis,
            "emphasis": self.teacher.emphasis,
            "round": self.round,
            "steps": self.steps,
            "history": self.history,
            "pool": [a.state() for a in self.pool],
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def network(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the maps of images (b, 3, h, w) with the mean of the weights."""
        with self.fast():
            maps: dict[str, torch.Tensor] = self.mean.lite(
                image.contiguous(memory_format=torch.channels_last), LOOKED_AT
            )
        return maps

    def fast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def lessons(self, images: list[torch.Tensor]) -> list[Lesson]:
        """For each image what the network is to say."""
        found: list[Lesson] = []
        for i in range(0, len(images), 4):
            found += self.teacher.lessons(torch.stack(images[i : i + 4]).to(self.device))
        return found

    def pulled(self, pool: list[Attempt], rng: random.Random) -> list[Lesson]:
        """For each image under way also in which direction its style and its content pull it: all
        layers together, as in `advance`, or one time in two one of `ALONE`.
        """
        found: list[Lesson] = []
        for i in range(0, len(pool), 4):
            some = pool[i : i + 4]
            weights = torch.zeros(len(some), len(PULLED))
            for row, a in zip(weights, some, strict=True):
                if rng.random() < 0.5:
                    row[:] = torch.tensor(
                        [1.0] * len(STYLE_LAYERS) + [len(STYLE_LAYERS) * a.content_weight]
                    )
                else:  # an image that is still its own content is not pulled by it
                    moved = not torch.equal(a.image, a.content)
                    shares = [
                        n if moved or name in STYLE_LAYERS else 0 for name, n in ALONE.items()
                    ]
                    row[PULLED.index(rng.choices(list(ALONE), shares)[0])] = 1
            images = torch.stack([a.image for a in some]).to(self.device)
            styles = [a.lesson.targets for a in some if a.lesson]
            contents = torch.stack([a.content_target for a in some if a.content_target is not None])
            assert len(styles) == len(contents) == len(some)
            found += self.teacher.pulled(images, styles, contents, weights.to(self.device))
        return found

    def train_round(self) -> dict[str, float]:
        """One round; returns the mean of its steps' losses."""
        args = self.args
        rng = random.Random(args.seed * 1_000_003 + self.round + 1)
        self.pool = [a for a in self.pool if a.done < a.end]
        early = [a for a in self.pool if a.done < EARLY * args.advance]
        late = [a for a in self.pool if a.done >= EARLY * args.advance]
        advance(early, self.network, args.advance, self.device)
        advance(
            late, self.network, 2 * args.advance, self.device
        )  # the last of the way is long, with little new in it
        while len(self.pool) < args.pool:
            self.pool.append(make_attempt(self.images, rng, args.longest))
        for a in self.pool:
            if (
                a.lesson is None
            ):  # each alone: the last bits may depend on an image's neighbours in a batch
                a.lesson = self.lessons([a.style])[0]
                a.content_target = self.teacher.content_target(a.content.to(self.device))
        styles = [a.lesson for a in self.pool if a.lesson]
        under_way = self.pulled(self.pool, rng)
        totals: dict[str, float] = {}
        count = 0
        for _ in range(args.visits):
            order = rng.sample(range(args.pool), args.pool)
            for i in range(0, args.pool, args.batch):
                some = order[i : i + args.batch]
                for name, value in self.step(
                    [under_way[j] for j in some], [styles[j] for j in some]
                ).items():
                    totals[name] = totals.get(name, 0.0) + value
                count += 1
        self.round += 1
        return {name: total / count for name, total in totals.items()}

    def step(self, under_way: list[Lesson], styles: list[Lesson]) -> dict[str, float]:
        """One step of the optimiser; see `objective`."""
        progress = self.steps / (
            self.args.rounds * self.args.visits * math.ceil(self.args.pool / self.args.batch)
        )
        fall = 0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, progress))) / 2
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = (
                self.args.rate * min(1.0, (self.steps + 1) / WARM_UP) * fall * group["scale"]
            )
        x, s = (
            torch.stack([lesson.image for lesson in lessons]).contiguous(
                memory_format=torch.channels_last
            )
            for lessons in (under_way, styles)
        )
        with self.fast():
            maps = self.student(x.requires_grad_())
            of_styles = self.student(s)
        both = {name: torch.cat([f, of_styles[name]]) for name, f in maps.items()}
        targets = [lesson.targets for lesson in (*under_way, *styles)]
        loss, parts = objective(both, targets, self.teacher.emphasis, len(under_way))
        with self.fast():
            surrogate, parts["gradient"] = gradient_error(self.student, x, maps, under_way)
        loss = loss + GRADIENT * surrogate
        self.student.zero_grad()
        loss.backward(inputs=list(self.student.parameters()))  # type: ignore[no-untyped-call]  # and not the images
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0, error_if_nonfinite=True)
        for _, parameter, matrix in self.matrices:
            assert parameter.grad is not None
            matrix.grad = flat(parameter.grad)
        for optimizer in self.optimizers:
            optimizer.step()
        self.steps += 1
        moment = min(MOMENT, self.steps / (self.steps + 10))
        with torch.no_grad():
            for m, p in zip(self.mean.parameters(), self.student.parameters(), strict=True):
                m.lerp_(p, 1 - moment)
        return {name: float(value) for name, value in parts.items()}

    def scores(self) -> dict[str, float]:
        """On held-out pictures, in VGG-19's eyes: the style distance of photographs that the
        network has stylized, in all and by layer; of the photographs themselves; and how far their
        content has moved. Before the weights are rounded and relu4_2 is moved.
        """
        pairs = random.Random(0).sample(self.images.held_out, min(4, len(self.images.held_out)))
        contents, styles = ([self.images.centre(pair[i]) for pair in pairs] for i in (0, 1))
        zero = torch.zeros_like(contents[0])
        pool = [
            Attempt(
                c, s, c.clone(), zero, zero, end=0, rate=0.04, content_weight=0.02, tv_weight=0.0
            )
            for c, s in zip(contents, styles, strict=True)
        ]
        advance(pool, self.network, self.args.score_iterations, self.device)
        with torch.no_grad():
            stacks = [
                torch.stack(x).to(self.device) for x in (styles, contents, [a.image for a in pool])
            ]
            maps = [self.teacher.maps(x, LOOKED_AT) for x in stacks]
        target, before, after = ({name: gram(x[name]) for name in STYLE_LAYERS} for x in maps)
        photo, layers = (
            {name: float(relative(x[name], target[name]).mean()) for name in STYLE_LAYERS}
            for x in (before, after)
        )
        mean = {
            key: sum(x.values()) / len(x) for key, x in (("photo", photo), ("stylized", layers))
        }
        return (
            mean
            | layers
            | {"content": float(relative(maps[2]["relu4_2"], maps[1]["relu4_2"]).mean())}
        )

    @torch.no_grad()
    def content_mean(self) -> torch.Tensor:
        """The mean of relu4_2's map over pictures, (rank,)."""
        rng = random.Random(self.args.seed)
        batches = [
            torch.stack([self.images.content(rng) for _ in range(4)]).to(self.device)
            for _ in range(12)
        ]
        return torch.stack(
            [self.network(x)["relu4_2"].float().mean((0, 2, 3)) for x in batches]
        ).mean(0)

    def export(self, path: Path, scores: dict[str, float]) -> None:
        """The weights in 8 bits, relu4_2's map moved by `OFFSET`, with what one should know of
        them.
        """
        state = self.mean.lite.state_dict()
        bias = "heads.relu4_2.bias"
        state[bias] = state[bias] - OFFSET * self.content_mean()
        tensors = {k: v.contiguous().cpu() for k, v in pack(state).items()}
        card = {
            "network": "lite, see vidstyle/features/lite.py",
            "architecture": architecture(),
            "teacher": "VGG-19 (Simonyan & Zisserman 2014, CC BY 4.0), average pooling, "
            "replicate padding",
            "data": self.args.data,
            "commit": self.history[-1]["commit"],
            "history": self.history,
            "steps": self.steps,
            "settings": {name: getattr(self.args, name) for name in ("rounds", *SETTINGS)},
            "offset": OFFSET,
            "began from": card_of(self.args.init) if self.args.init else None,
            "scores": {name: round(value, 4) for name, value in scores.items()},
            "licence": "MIT; the teacher's weights are CC BY 4.0, see NOTICE",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        # One metadata key: several come out in random order, and the file's digest should not.
        part.write_bytes(save(tensors, {"card": json.dumps(card)}))
        part.replace(path)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="photographs, and paintings named style*"
    )
    parser.add_argument(
        "--weights-dir", type=Path, help="where VGG-19's weights lie; default: as for a render"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="the weights, written at every score"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument(
        "--init", type=Path, help="weights of a `Lite` that is not wider or deeper, to grow from"
    )
    parser.add_argument(
        "--data",
        default="photographs and paintings",
        help="what the images are, for the file's card",
    )
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument(
        "--visits", type=int, default=2, help="times a round's images are trained on"
    )
    parser.add_argument("--pool", type=int, default=64, help="images under way in a round")
    parser.add_argument(
        "--advance", type=int, default=8, help="iterations of those in a round, at first"
    )
    parser.add_argument("--longest", type=int, default=64, help="how many at most, in whole rounds")
    parser.add_argument(
        "--batch", type=int, default=4, help="images under way in a step, and as many styles"
    )
    parser.add_argument("--crop", type=int, default=256, help="pixels; a multiple of 16")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--score-every", type=int, default=20, help="rounds")
    parser.add_argument("--score-iterations", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda")
    )
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    args = parser.parse_args(argv)
    if args.crop % 16:
        parser.error("--crop is no multiple of 16")
    if args.init and args.out.resolve() == args.init.resolve():
        parser.error(
            "--out would replace the file of --init, from which the same command must be able to "
            "go on"
        )
    if not hasattr(torch.optim, "Muon"):
        parser.error(
            f"torch {torch.__version__} has no torch.optim.Muon; training needs torch 2.9 or newer"
        )
    return args


def train(args: argparse.Namespace) -> None:
    args.work.mkdir(parents=True, exist_ok=True)
    run = Run(args)
    begun = time.perf_counter()
    while True:
        if run.round % args.score_every == 0 or run.round >= args.rounds:
            scores = run.scores()
            print(
                f"{run.round}/{args.rounds} held out:",
                *(f"{k} {v:.4f}" for k, v in scores.items()),
                flush=True,
            )
            if run.round:
                run.export(args.out, scores)
        if run.round >= args.rounds:
            break
        parts = run.train_round()
        run.save()
        seconds = time.perf_counter() - begun
        print(
            f"{run.round}/{args.rounds} {seconds:.0f} s",
            *(f"{k} {v:.3f}" for k, v in parts.items()),
            flush=True,
        )


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    try:
        with deterministic(torch.device(args.device)):
            train(args)
    except VidstyleError as e:
        sys.exit(f"{e.what}: {e.why}\n{e.hint}")
    except OSError as e:
        sys.exit(f"{e}\ncheck --images, --init, --out and --work")  # safetensors sets no filename


if __name__ == "__main__":
    main()
