"""The networks that a render needs: which they are, fetched, and loaded once for all renders of a
process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vidstyle.config.weighted_names import REFINEMENT_NETWORK
from vidstyle.events import Download, Report, silent
from vidstyle.features.extractor import Network, build_network
from vidstyle.machine.device import Precision, resolve_precision
from vidstyle.motion.flow import DIS, RAFT, Flow
from vidstyle.weights import fetch, registry

if TYPE_CHECKING:
    from vidstyle.config.settings import RenderConfig


class Models:
    """Loads what renders ask for, and keeps it for the next one."""

    def __init__(self, report: Report = silent) -> None:
        self.report = report
        self.networks: dict[tuple[object, ...], Network] = {}
        self.flows: dict[tuple[object, ...], Flow] = {}

    def fetch(self, config: RenderConfig) -> None:
        """Have all weight files at hand before the first of them is loaded."""
        for name in weight_files(config):
            fetch.fetch(name, config.weights_dir, progress=downloading(name, self.report))

    def network(self, name: str, config: RenderConfig, device: torch.device) -> Network:
        precision = resolve_precision(config.precision, device)
        key = name, config.pooling, device, precision, config.weights_dir
        if key not in self.networks:
            self.networks[key] = load_network(
                name,
                pooling=config.pooling,
                device=device,
                precision=precision,
                weights_dir=config.weights_dir,
            )
        return self.networks[key]

    def flow(self, config: RenderConfig, device: torch.device) -> Flow:
        key = flow_name(config), device, config.weights_dir
        if key not in self.flows:
            self.flows[key] = load_flow(*key)
        return self.flows[key]


def weight_files(config: RenderConfig) -> tuple[str, ...]:
    """Names of the weight files that a render reads."""
    networks = (
        config.features,
        *((REFINEMENT_NETWORK,) if config.polish else ()),
        flow_name(config),
    )
    return tuple(name for name in networks if name in registry.REGISTRY)  # DIS has none


def flow_name(config: RenderConfig) -> str:
    """The estimator that a render loads. Without links between frames none is asked: DIS costs
    nothing.
    """
    return "dis" if config.per_frame else config.flow


def downloading(name: str, report: Report) -> Callable[[int, int], None]:
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
    state, digest = fetch.load(name, weights_dir)
    return build_network(name, state, digest, pooling=pooling, device=device, precision=precision)


def load_flow(
    name: str, device: torch.device | str = "cpu", weights_dir: Path | None = None
) -> Flow:
    """Load the flow estimator called `name` (dis, raft-small, raft-large).

    Raises WeightsError when its weights cannot be had.
    """
    if name == "dis":
        return DIS()
    if name not in ("raft-small", "raft-large"):
        raise ValueError(f"no optical flow called {name!r}: dis, raft-small, raft-large")
    state, digest = fetch.load(name, weights_dir)
    return RAFT(name, state, digest, torch.device(device))
