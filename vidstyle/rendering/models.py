"""The networks of renders: fetched, and loaded once for all renders of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vidstyle.events import Download, Report, silent
from vidstyle.features.extractor import Network, build_network
from vidstyle.features.figures import FigureFinder
from vidstyle.machine.device import ComputeDevice, Precision
from vidstyle.motion.flow import DIS, RAFT, Flow, NoFlow
from vidstyle.rendering.sources import read_style_images
from vidstyle.weights.fetch import fetch_weights, load_weights
from vidstyle.weights.locate import locate_weights
from vidstyle.weights.registry import REGISTRY

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.rendering.job import Job
    from vidstyle.stylize.detail import FigureSearch
    from vidstyle.stylize.engine import Engine, Stylizer

FLOWS = ("dis", "raft-small", "raft-large", "none")


class Models:
    """Loads the networks that renders ask for, and keeps them for the next render."""

    def __init__(self, report: Report = silent) -> None:
        self.report = report
        self.networks: dict[tuple[object, ...], Network] = {}
        self.flows: dict[tuple[object, ...], Flow] = {}
        self.finders: dict[tuple[object, ...], FigureFinder] = {}

    def fetch(self, names: Iterable[str], weights_dir: Path | None) -> dict[str, str]:
        """Have weight files at hand, downloading what is missing: {name: sha256 of the file}.

        None of them is loaded. Raises WeightsError.
        """
        return {
            name: fetch_weights(
                name, weights_dir, progress=report_download(name, self.report)
            ).digest
            for name in names
        }

    def network(
        self, name: str, pooling: str, device: ComputeDevice, weights_dir: Path | None
    ) -> Network:
        """The feature network called `name`, on a device. Raises WeightsError."""
        key = (name, pooling, device, weights_dir)
        if key not in self.networks:
            self.networks[key] = load_network(
                name,
                pooling=pooling,
                device=device.device,
                precision=device.precision,
                weights_dir=weights_dir,
            )
        return self.networks[key]

    def flow(self, name: str, device: torch.device, weights_dir: Path | None) -> Flow:
        """The flow estimator called `name`, on a device. Raises WeightsError."""
        key = (name, device, weights_dir)
        if key not in self.flows:
            self.flows[key] = load_flow(name, device, weights_dir)
        return self.flows[key]

    def figures(self, device: torch.device, weights_dir: Path | None) -> FigureFinder:
        """The finder of figures, on a device. Raises WeightsError."""
        key = (device, weights_dir)
        if key not in self.finders:
            trunk, _ = load_weights("lite", weights_dir)
            self.finders[key] = FigureFinder(trunk, *load_weights("figures", weights_dir), device)
        return self.finders[key]

    def for_job(self, job: Job) -> JobNetworks:
        """The networks on the device, and from the folder, of one render."""
        return JobNetworks(self, job.device, job.config.weights_dir)


@dataclass(frozen=True)
class JobNetworks:
    """Gives an engine its networks (`stylize.engine.NetworkSource`)."""

    models: Models
    device: ComputeDevice
    weights_dir: Path | None

    def network(self, name: str, pooling: str = "average") -> Network:
        """The feature network called `name`, loaded once. Raises WeightsError."""
        return self.models.network(name, pooling, self.device, self.weights_dir)

    def weights(self, name: str) -> dict[str, Tensor]:
        """The tensors of the weight file of `name`. Raises WeightsError."""
        state, _ = load_weights(name, self.weights_dir)
        return state


@dataclass(frozen=True)
class RenderTools:
    """The models of one render, in place."""

    stylizer: Stylizer
    flow: Flow
    figures: FigureSearch | None = None
    """None where no detail map is asked for."""


def build_tools(job: Job, engine: Engine, models: Models) -> RenderTools:
    """Load the networks and build the stylizer of a render, from its engine with all that it has
    learned.
    """
    stylizer = engine.build(
        models.for_job(job),
        read_style_images(job),
        job.paint_size,
        job.device.device,
        tile=job.memory.tile,
        style_masks=job.label_maps.style_masks if job.label_maps else None,
    )
    config = job.config
    device = job.device.device
    flow = models.flow(job.flow_name, device, config.weights_dir)
    figures = models.figures(device, config.weights_dir) if job.uses_detail else None
    return RenderTools(stylizer, flow, figures)


def weight_files(job: Job) -> tuple[str, ...]:
    """Names of the weight files that a render reads."""
    names = dict.fromkeys((*job.engine.networks, *job.finder_weights, job.flow_name))
    return tuple(name for name in names if name in REGISTRY)  # DIS has none


def missing_weights(job: Job) -> list[str]:
    """Names of the weight files of a render that are not on this machine yet."""
    folder = job.config.weights_dir
    return [name for name in weight_files(job) if not locate_weights(name, folder)]


def report_download(name: str, report: Report) -> Callable[[int, int], None]:
    """A progress callback that reports the download of the weights of `name`."""
    return lambda done, total: report(Download(name, done, total))


def load_network(
    name: str,
    *,
    pooling: str = "average",
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    weights_dir: Path | None = None,
) -> Network:
    """Load the feature network called `name` (lite, vgg19).

    Raises WeightsError when its weights cannot be had.
    """
    state, digest = load_weights(name, weights_dir)
    return build_network(name, state, digest, pooling=pooling, device=device, precision=precision)


def load_flow(
    name: str, device: torch.device | str = "cpu", weights_dir: Path | None = None
) -> Flow:
    """Load the flow estimator called `name`, one of `FLOWS`.

    Raises WeightsError when its weights cannot be had.
    """
    if name not in FLOWS:
        raise ValueError(f"no optical flow called {name!r}: {', '.join(FLOWS)}")
    if name == "dis":
        return DIS()
    if name == "none":
        return NoFlow()
    state, digest = load_weights(name, weights_dir)
    return RAFT(name, state, digest, torch.device(device))
