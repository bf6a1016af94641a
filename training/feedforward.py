"""Train the body of the fast engine, and the reader that finds gains and offsets for any painting.

    python -m training.feedforward --photos FOLDER ... --paintings FOLDER --work FOLDER --out
    NEW.safetensors [--rounds N] [--processes N]

Run from the top of the checkout; see training/README.md. Training goes in rounds of `ROUND` steps.
Films made from the photographs are painted frame by frame, each in the style of a random part of a
random painting; the loss is the optimiser's own objective on lite, temporal term included. After
a round everything needed to go on lies in `--work`: the same command continues, and ends with the
same weights as if it had never stopped. Processes paint different films and average their
gradients: on a CPU a step's operations are too small to be divided among cores.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import start_processes

from training.pictures import Pictures
from vidstyle.features.extractor import STYLE_LAYERS, build_network
from vidstyle.features.figures import FigureFinder
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import deterministic, resolve_device, resolve_precision
from vidstyle.stylize.feedforward.conditioning import StyleReader
from vidstyle.stylize.feedforward.network import STRIDE, StyleNetwork
from vidstyle.stylize.feedforward.objective import NetworkObjective, Sample
from vidstyle.stylize.feedforward.synthetic_motion import SyntheticFilm, warp_bicubic
from vidstyle.stylize.optimise.settings import LossSettings
from vidstyle.stylize.style.settings import StyleSettings
from vidstyle.stylize.style.targets import StyleImageTargets, StyleTargets
from vidstyle.weights.fetch import load_weights
from vidstyle.weights.int8 import pack, unpack

ROUND = 250
"""Steps of a round."""
STYLE_POOL = 48
"""Styles in use at once; one is replaced every `STYLE_INTERVAL` steps."""
STYLE_INTERVAL = 2
CODE_STYLES = 200
"""Styles whose codes tell the mean and the deviation of all."""
LAST_SHARE = 0.75
"""The share of films that end with a frame: first frames teach most of what a style looks like."""
LARGEST_LOSS = 3.0
MEETING_TIMEOUT = timedelta(hours=2)
"""How long a process waits for another."""
RATE = 1.5e-3
READER_RATE = 0.5
WARM_UP = 100
MOMENT = 0.999
LOSSES = LossSettings(
    content_weight=0.06,
    content_layers={"relu4_2": 1.0},
    total_variation_weight=0.3,
    temporal_weight=100.0,
    detail_weight=0.12,
)


@dataclass
class Chain:
    """A film on its way, and its style."""

    film: SyntheticFilm
    style: StyleTargets
    grams: dict[str, Tensor]
    painted: Tensor | None = None


class Run:
    """All that changes while training, and its checkpoint.

    Args:
        process: the number of this process, from 0 on; they differ in what they draw alone.
    """

    def __init__(self, args: argparse.Namespace, process: int = 0) -> None:
        self.args = args
        self.process = process
        self.device = resolve_device(args.device)
        self.precision = resolve_precision("auto", self.device)
        lite, digest = load_weights("lite", None)
        head, head_digest = load_weights("figures", None)
        self.extractor = build_network(
            "lite", lite, digest, device=self.device, precision=self.precision
        )
        args.work.mkdir(parents=True, exist_ok=True)
        finder = FigureFinder(lite, head, head_digest, self.device)
        if process:
            # The first one makes what they all read.
            dist.barrier()
        self.pictures = Pictures(
            args.photos, args.paintings, finder, args.work / "photos.pt", args.seed
        )
        if args.processes > 1 and not process:
            dist.barrier()
        torch.manual_seed(args.seed)
        self.network = StyleNetwork().to(self.device, memory_format=torch.channels_last)
        self.reader = StyleReader().to(self.device)
        self.objective = NetworkObjective(self.extractor, LOSSES, 1.0, LARGEST_LOSS)
        groups = [
            {"params": list(self.network.parameters()), "scale": 1.0},
            {"params": list(self.reader.parameters()), "scale": READER_RATE},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=RATE, betas=(0.9, 0.99))
        self.round = 0
        self.checkpoint = args.work / "checkpoint.pt"
        if self.checkpoint.exists():
            self.restore()
        else:
            if args.init:
                self.begin_with(args.init)
            else:
                self.scale_code()
            self.mean = {name: x.clone() for name, x in self.state().items()}

    def state(self) -> dict[str, Tensor]:
        """The weights of both networks, as they are."""
        return {
            **{f"network.{name}": x for name, x in self.network.state_dict().items()},
            **{f"reader.{name}": x for name, x in self.reader.state_dict().items()},
        }

    def begin_with(self, path: Path) -> None:
        """Begin with the weights of an earlier training."""
        state = unpack(load_file(path))
        for module, prefix in ((self.network, "network."), (self.reader, "reader.")):
            own = {
                name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)
            }
            module.load_state_dict(own)

    @torch.no_grad()
    def scale_code(self) -> None:
        """Bring the code of styles to a mean of 0 and a deviation of 1."""
        rng = random.Random(self.args.seed)
        styles = [self.draw_style(rng)[1] for _ in range(CODE_STYLES)]
        grams = {name: torch.cat([one[name] for one in styles]) for name in STYLE_LAYERS}
        energies = [g.diagonal(dim1=1, dim2=2).mean() for g in grams.values()]
        self.reader.scales.copy_(torch.stack(energies))
        code = self.reader.code(grams)
        self.reader.mean.copy_(code.mean(0))
        self.reader.deviation.copy_(code.std(0) + 1e-3)

    @torch.no_grad()
    def draw_style(self, rng: random.Random) -> tuple[StyleTargets, dict[str, Tensor]]:
        """Draw a style: its targets, and its Gram matrices (1, c, c)."""
        image = self.pictures.painting(rng).to(self.device)
        own = StyleImageTargets(self.extractor, image[None], StyleSettings(), None)
        return StyleTargets([own]), {k: g[None] for k, g in own.targets["gram"].items()}

    def restore(self) -> None:
        """Go on from the checkpoint."""
        saved: dict[str, Any] = torch.load(self.checkpoint, map_location=self.device)
        self.network.load_state_dict(saved["network"])
        self.reader.load_state_dict(saved["reader"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.mean = saved["mean"]
        self.round = saved["round"]

    def save(self) -> None:
        """Write the checkpoint, and the weights as they are."""
        saved = {
            "network": self.network.state_dict(),
            "reader": self.reader.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mean": self.mean,
            "round": self.round,
        }
        partial = self.checkpoint.with_suffix(".part")
        torch.save(saved, partial)
        partial.rename(self.checkpoint)
        save_file(pack(self.mean), self.args.out)

    def new_chain(self, rng: random.Random, styles: list[Any]) -> Chain:
        """Begin a film in one of the styles."""
        pictures = (self.pictures.photo(rng), self.pictures.photo(rng))
        style, grams = rng.choice(styles)
        size = self.args.size if self.round < self.args.rounds * 0.6 else self.args.last_size
        return Chain(SyntheticFilm(pictures, size, rng), style, grams)

    def train_round(self) -> None:
        """Train for one round, and write the checkpoint."""
        begun = time.perf_counter()
        number = self.round * self.args.processes + self.process
        rng = random.Random(self.args.seed * 1_000_003 + number)
        styles = [self.draw_style(rng) for _ in range(STYLE_POOL)]
        chains = [self.new_chain(rng, styles) for _ in range(self.args.batch)]
        sums: dict[str, list[float]] = defaultdict(list)
        for step in range(ROUND):
            done = self.round * ROUND + step
            rate = RATE * min(1, (done + 1) / WARM_UP)
            rate *= 0.5 + 0.5 * math.cos(math.pi * done / (self.args.rounds * ROUND))
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            if step % STYLE_INTERVAL == 0:
                styles[rng.randrange(STYLE_POOL)] = self.draw_style(rng)
            for name, values in self.step(chains, done).items():
                sums[name] += values
            chains = [
                self.new_chain(rng, styles) if rng.random() < LAST_SHARE else chain
                for chain in chains
            ]
        self.round += 1
        if self.process:
            return
        self.save()
        shown = " ".join(f"{name} {sum(v) / len(v):.4f}" for name, v in sums.items())
        seconds = time.perf_counter() - begun
        print(f"round {self.round}: {shown} ({seconds:.0f} s)", flush=True)

    def step(self, chains: list[Chain], done: int) -> dict[str, list[float]]:
        """Paint one frame of every film, and learn from it."""
        samples = []
        for chain in chains:
            made = chain.film.next()
            image, detail = made.image[:3].to(self.device), made.image[3:].to(self.device)
            mask = made.mask.to(self.device)
            if chain.painted is None:
                warped = torch.full_like(image, 0.5)
            else:
                warped = warp_bicubic(chain.painted, made.flow.to(self.device))
            samples.append(Sample(image, detail, warped, mask, chain.style))
        grams = {k: torch.cat([chain.grams[k] for chain in chains]) for k in STYLE_LAYERS}
        half = torch.bfloat16
        with torch.autocast(self.device.type, half, enabled=self.precision == "bf16"):
            images = self.network(
                torch.stack([s.frame for s in samples]),
                torch.stack([s.warped for s in samples]),
                torch.stack([s.mask for s in samples]),
                self.reader(grams).float(),
            )
        loss, shown = self.objective(images, samples)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.args.processes > 1:
            average_gradients((self.network, self.reader))
        for module in (self.network, self.reader):
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self.optimizer.step()
        share = 1 - min(MOMENT, (done + 1) / (done + 20))
        with torch.no_grad():
            for name, x in self.state().items():
                self.mean[name].lerp_(x, share)
        values: dict[str, list[float]] = defaultdict(list)
        for chain, image, terms in zip(chains, images.detach(), shown, strict=True):
            chain.painted = image
            for name, value in terms.items():
                values[name].append(value)
        return values


def average_gradients(modules: Iterable[nn.Module]) -> None:
    """Average the gradients of all processes."""
    own = [p.grad for module in modules for p in module.parameters() if p.grad is not None]
    flat = torch.cat([grad.flatten() for grad in own])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for grad, mean in zip(own, flat.split([grad.numel() for grad in own]), strict=True):
        grad.copy_(mean.view_as(grad))


def train(process: int, args: argparse.Namespace) -> None:
    """Train in one of the processes, round after round."""
    keep_memory()
    if args.processes > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // args.processes))
        dist.init_process_group(
            "gloo",
            init_method=(args.work / "meeting").absolute().as_uri(),
            rank=process,
            world_size=args.processes,
            timeout=MEETING_TIMEOUT,
        )
    run = Run(args, process)
    with deterministic(run.device):
        while run.round < args.rounds:
            run.train_round()


def main() -> int:
    """Train, in one process or several."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="begin with these weights, of the same network")
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4, help="films of a process")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--last-size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.size % STRIDE or args.last_size % STRIDE:
        parser.error(f"--size and --last-size must be multiples of {STRIDE}")
    if args.processes == 1:
        train(0, args)
        return 0
    args.work.mkdir(parents=True, exist_ok=True)
    (args.work / "meeting").unlink(missing_ok=True)
    # Forked, for torch has no threads yet.
    start_processes(train, (args,), args.processes, start_method="fork")
    return 0


if __name__ == "__main__":
    sys.exit(main())
