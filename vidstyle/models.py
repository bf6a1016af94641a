"""The networks that a render needs: which they are, fetched, and loaded once for all renders of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidstyle import weights
from vidstyle.device import resolve_precision
from vidstyle.motion import flow as flow_estimators
from vidstyle.progress import Download, Report, silent
from vidstyle.shares import POLISHER
from vidstyle.stylize import features

if TYPE_CHECKING:
    import torch

    from vidstyle.config import RenderConfig


class Models:
    """Loads what renders ask for, and keeps it for the next one."""

    def __init__(self, report: Report = silent) -> None:
        self.report = report
        self.networks: dict[tuple[object, ...], features.Network] = {}
        self.flows: dict[tuple[object, ...], flow_estimators.Flow] = {}

    def fetch(self, config: RenderConfig) -> None:
        """Have all weight files at hand before the first of them is loaded."""
        for name in weight_files(config):
            weights.fetch(name, config.weights_dir, progress=downloading(name, self.report))

    def network(self, name: str, config: RenderConfig, device: torch.device) -> features.Network:
        precision = resolve_precision(config.precision, device)
        key = name, config.pooling, device, precision, config.weights_dir
        if key not in self.networks:
            self.networks[key] = features.load(
                name, pooling=config.pooling, device=device, precision=precision, weights_dir=config.weights_dir
            )
        return self.networks[key]

    def flow(self, config: RenderConfig, device: torch.device) -> flow_estimators.Flow:
        key = flow_name(config), device, config.weights_dir
        if key not in self.flows:
            self.flows[key] = flow_estimators.load(*key)
        return self.flows[key]


def weight_files(config: RenderConfig) -> tuple[str, ...]:
    """Names of the weight files that a render reads."""
    networks = (config.features, *((POLISHER,) if config.polish else ()), flow_name(config))
    return tuple(name for name in networks if name in weights.REGISTRY)  # DIS has none


def flow_name(config: RenderConfig) -> str:
    """The estimator that a render loads. Without links between frames none is asked: DIS costs nothing."""
    return "dis" if config.per_frame else config.flow


def downloading(name: str, report: Report) -> Callable[[int, int], None]:
    return lambda done, total: report(Download(name, done, total))
