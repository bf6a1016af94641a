"""The seconds of one iteration: forward, backward and Adam's step for relu4_2 and five Gram
matrices.

    python benchmarks/iteration.py [--sizes 640x360 ...] [--weights-dir DIR] [--precision auto]
    [--device cpu]

plain = VGG-19 as everyone writes it: fp32, NCHW, zero padding, Gram by flattening (average pooling,
as ours). Each network is in a process of its own, ours set up as for a render, and they run in
turn; medians. On CUDA with deterministic kernels and without TF32, as a render does. Stop whatever
else computes: threads that wait for one another on shared cores distort the ratios, most of all at
small sizes.

VGG-19's weights, where none are named, are taken from the folder `shared` next to the checkout,
else as in a render.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor, nn

from vidstyle.errors import VidstyleError
from vidstyle.features import extractor as features
from vidstyle.features.extractor import CONTENT_LAYERS, STYLE_LAYERS
from vidstyle.features.lite import Lite
from vidstyle.features.normalise import normalise
from vidstyle.machine.allocator import keep_memory
from vidstyle.machine.device import deterministic, resolve_device, resolve_precision
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses
from vidstyle.weights import fetch

WEIGHTS = Path(__file__).resolve().parents[2] / "shared" / "weights"
NETWORKS = ("plain", "vgg19", "lite")
WARM_UP = 2
CPUINFO = Path("/proc/cpuinfo")
LAYER_NAMES = {
    1: "relu1_1",
    6: "relu2_1",
    11: "relu3_1",
    20: "relu4_1",
    22: "relu4_2",
    29: "relu5_1",
}
Extractor = Callable[[Tensor, Collection[str]], dict[str, Tensor]]
Gram = Callable[[Tensor], Tensor]


def plain_vgg19(state: dict[str, Tensor], device: torch.device) -> Extractor:
    """Build VGG-19 up to relu5_1 as a Sequential with torchvision's numbers."""
    net = nn.Sequential()
    for i in range(max(LAYER_NAMES) + 1):
        if (weight := state.get(f"features.{i}.weight")) is not None:
            net.append(nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1))
        else:
            net.append(nn.ReLU() if isinstance(net[-1], nn.Conv2d) else nn.AvgPool2d(2))
    net.load_state_dict({key: state[f"features.{key}"] for key in net.state_dict()})
    net.requires_grad_(False).to(device)

    def maps(image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        x = normalise(image)
        found = {}
        for i, layer in enumerate(net):
            x = layer(x)
            if LAYER_NAMES.get(i) in layers:
                found[LAYER_NAMES[i]] = x
        return found

    return maps


def naive_gram(features: Tensor) -> Tensor:
    """Compute F F^T / (h w) in the plainest way."""
    f = features[0].flatten(1)  # (1, c, h, w) -> (c, hw)
    return f @ f.T / f.shape[1]


def make_iteration(
    extractor: Extractor, gram: Gram, photo: Tensor, painting: Tensor
) -> Callable[[], None]:
    """Make one iteration of the optimiser, ready to be called repeatedly."""
    with torch.no_grad():
        style = {name: gram(f) for name, f in extractor(painting, STYLE_LAYERS).items()}
        content = extractor(photo, CONTENT_LAYERS)["relu4_2"]
    x = photo.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=0.03, betas=(0.9, 0.99))

    def step() -> None:
        x.grad = None
        maps = extractor(x, (*STYLE_LAYERS, *CONTENT_LAYERS))
        distance = torch.stack(
            [losses.style(gram(maps[name]), a) for name, a in style.items()]
        ).mean()
        (
            (distance + 0.02 * losses.content(maps["relu4_2"], content)) * x.shape[2] * x.shape[3]
        ).backward()  # type: ignore[no-untyped-call]
        adam.step()
        x.data.clamp_(0, 1)
        if x.is_cuda:
            torch.cuda.synchronize()
        elif x.is_mps:
            torch.mps.synchronize()

    return step


def time_call(step: Callable[[], None]) -> float:
    """Time the second of two calls, in seconds."""
    # The first one drives the other networks' maps out of the caches: no other network runs in a
    # render.
    step()
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def take_medians(timers: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """Call the timers in turn, and return the median of the figures of each."""
    taken = [[timer() for timer in timers] for _ in range(WARM_UP + repeats)]
    return [statistics.median(seconds) for seconds in zip(*taken[WARM_UP:], strict=True)]


def load_pair(name: str, args: argparse.Namespace) -> tuple[Extractor, Gram]:
    """Load a network, and the function for its Gram matrices."""
    device = resolve_device(args.device)
    if name == "plain":
        return plain_vgg19(fetch.load_weights("vgg19", args.weights_dir)[0], device), naive_gram
    precision = resolve_precision(args.precision, device)
    if name == "lite" and args.untrained:
        return features.Network(Lite(), "", device, precision), losses.gram
    return load_network(
        name, device=device, precision=precision, weights_dir=args.weights_dir
    ), losses.gram


def run_worker(pipe: Connection, name: str, args: argparse.Namespace) -> None:
    """Serve in the process of one network: prepare for each size (h, w) that the pipe brings, and
    time one iteration for each None.
    """
    device = resolve_device(args.device)
    if name != "plain":
        keep_memory()  # as a render does
    with deterministic(device):
        try:
            extractor, gram = load_pair(name, args)
        except VidstyleError as e:
            sys.exit(f"{e.what}: {e.why}\n{e.hint}")
        step: Callable[[], None] | None = None
        while True:
            try:
                size: tuple[int, int] | None = pipe.recv()
            except EOFError:
                return
            if size:
                pictures = torch.rand(
                    (2, 1, 3, *size), generator=torch.Generator().manual_seed(0)
                ).to(device)
                step = make_iteration(extractor, gram, *pictures)
            elif step:
                pipe.send(time_call(step))


class Worker:
    """A process of `run_worker`. Both methods end the program when the process has ended."""

    def __init__(self, name: str, args: argparse.Namespace) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(
            target=run_worker, args=(theirs, name, args), name=name, daemon=True
        )
        self.process.start()
        theirs.close()

    def prepare(self, size: tuple[int, int]) -> None:
        """Prepare an iteration on images of (h, w)."""
        with self.expect_alive():
            self.pipe.send(size)

    def time(self) -> float:
        """Time an iteration, in seconds."""
        with self.expect_alive():
            self.pipe.send(None)
            return float(self.pipe.recv())

    @contextmanager
    def expect_alive(self) -> Iterator[None]:
        """End the program where the process ends within this block."""
        try:
            yield
        except (EOFError, OSError):
            self.process.join()
            sys.exit(f"the process of {self.process.name} has ended with {self.process.exitcode}")


def describe_processor(device: torch.device) -> str:
    """Name the processor and its fast instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = CPUINFO.read_text() if CPUINFO.is_file() else ""
    said = {
        key.strip(): value.strip()
        for key, _, value in (row.partition(":") for row in info.splitlines())
    }
    fast = [
        x
        for x in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
        if x in said.get("flags", "").split()
    ]
    name = said.get("model name") or platform.machine()
    return f"{name}, model {said.get('model', '?')}, {' '.join(fast)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["640x360"], help="WIDTHxHEIGHT")
    parser.add_argument("--weights-dir", type=Path, default=WEIGHTS if WEIGHTS.is_dir() else None)
    parser.add_argument(
        "--precision", choices=("auto", "bf16", "fp16", "fp32"), default="auto", help="of ours"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--untrained", action="store_true", help="lite with random weights: its speed is the same"
    )
    args = parser.parse_args()
    device = resolve_device(args.device)
    precision = resolve_precision(args.precision, device)
    print(
        f"{describe_processor(device)}; {torch.get_num_threads()} threads; "
        f"torch {torch.__version__}; ours in {precision}\n"
    )
    print(
        "| size | plain, s | vgg19, s | lite, s | plain / vgg19 | plain / lite | vgg19 / lite |\n"
        f"|{'---|' * 7}"
    )
    workers = [Worker(name, args) for name in NETWORKS]
    for size in args.sizes:
        width, height = map(int, size.split("x"))
        for worker in workers:
            worker.prepare((height, width))
        a, b, c = take_medians([worker.time for worker in workers], args.repeats)
        print(
            f"| {size} | {a:.4f} | {b:.4f} | {c:.4f} | {a / b:.1f} | {a / c:.1f} | {b / c:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
