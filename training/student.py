"""The network that is trained: `Lite`, with the heads of the hints on its trunk, and how it begins
from another's weights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.teacher import HINTS
from vidstyle.errors import WeightsError
from vidstyle.features.lite import DEPTHS, RANKS, TAPS, WIDTHS, Lite, tap_position
from vidstyle.features.normalise import normalisation_constants, normalise
from vidstyle.features.padding import replicate_pad

LAYERS = (*RANKS, *HINTS)


class Student(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lite = Lite()
        assert all(tap_position(name)[1] == DEPTHS[tap_position(name)[0]] - 1 for name in HINTS), (
            "the trunk yields no such map"
        )
        self.hints = nn.ModuleDict(
            {
                name: nn.Conv2d(WIDTHS[tap_position(name)[0]], rank, 1)
                for name, rank in HINTS.items()
            }
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(b, 3, h, w) -> {layer: (b, rank, h', w')}"""
        return {name: self.head(name)(f) for name, f in self.before_heads(image)}

    def before_heads(self, image: Tensor) -> Iterator[tuple[str, Tensor]]:
        """(layer, the map (b, width, h', w') that its head reads)"""
        for at, f in self.lite.trunk(image):
            yield from ((name, f) for name in LAYERS if tap_position(name) == at)

    def changes(self, image: Tensor, change: Tensor) -> dict[str, Tensor]:
        """Compute the change of the maps of `RANKS`, to first order, when the images (b, 3, h, w)
        change by `change`: the Jacobian times that. Rectifiers pass what they pass at `image`.
        """
        found: dict[str, Tensor] = {}
        x = normalise(image)
        u = change / normalisation_constants(change.dtype, change.device)[1]
        for i, stage in enumerate(self.lite.stages):
            assert isinstance(stage, nn.ModuleList)
            if i > 1:
                x, u = step(self.lite.expansions[i - 2], x, u)
            if i:
                x = F.avg_pool2d(x, 2)
                u = F.avg_pool2d(u, 2)
            for j, convolution in enumerate(stage):
                x, u = step(convolution, replicate_pad(x), replicate_pad(u))
                for name in RANKS:
                    if tap_position(name) == (i, j):
                        found[name] = F.conv2d(u, self.head(name).weight)
        return found

    def head(self, name: str) -> nn.Conv2d:
        head = (self.hints if name in HINTS else self.lite.heads)[name]
        assert isinstance(head, nn.Conv2d)
        return head


def matrices(student: Student) -> list[tuple[str, nn.Parameter, Tensor]]:
    """The name, the parameter (o, i, k, k) and a view (o, k k i) of it for each trained convolution
    of the trunk.
    """
    found = []
    for name, p in student.named_parameters():
        if p.requires_grad and p.ndim == 4 and name.startswith(("lite.stages", "lite.expansions")):
            matrix = flat(p.detach())
            assert matrix.data_ptr() == p.data_ptr(), (
                "a copy, because the network is not channels_last"
            )
            found.append((name, p, matrix))
    return found


def flat(weight: Tensor) -> Tensor:
    """(o, i, k, k) -> (o, k k i), a view where the memory is channels_last"""
    return weight.permute(0, 2, 3, 1).flatten(1)


def step(convolution: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """x and its change u after a convolution and its rectifier; only the change has gradients."""
    assert isinstance(convolution, nn.Conv2d)
    u = F.conv2d(
        u, convolution.weight
    )  # first: older autocasts keep the first copy of a weight, graph or not
    with torch.no_grad():
        x = F.relu(convolution(x), inplace=True)
    return x, torch.ops.aten.threshold_backward(u, x, 0)  # u where x > 0, in one pass


@torch.no_grad()
def grow(lite: Lite, old: Mapping[str, Tensor], taps: Mapping[str, int]) -> set[str]:
    """Begin from the weights of a narrower or shallower `Lite`, as the function that it was
    (Net2Net, Chen et al. 2016): its channels lead, new channels are read by none of the old ones, a
    new convolution is the identity.

    Args:
        taps: the old network's `TAPS`.

    Returns the layers whose heads are still without weights, because their rank or place is another
    one. Raises `WeightsError` where the old network has more than this one.
    """
    left = {name for name in RANKS if taps.get(name) != TAPS.get(name)}
    modules = {
        name: module for name, module in lite.named_modules() if isinstance(module, nn.Conv2d)
    }
    if more := {key.rpartition(".")[0] for key in old} - set(modules):
        raise too_large(f"it has {', '.join(sorted(more))}")
    for name, module in modules.items():
        weight = module.weight
        bias = module.bias
        assert bias is not None
        known = old.get(f"{name}.weight")
        if name.startswith("heads.") and (known is None or len(known) != len(weight)):
            left.add(name.split(".")[1])
        elif known is None:
            n = min(weight.shape[:2])
            weight[:n] = 0
            nn.init.dirac_(weight[:n, :n])
            bias[:n] = 0
        else:
            o, i = known.shape[:2]
            if o > len(weight) or i > weight.shape[1]:
                raise too_large(f"its {name} is wider")
            weight[:o] = 0
            weight[:o, :i] = known
            bias[:o] = old[f"{name}.bias"]
    return left


def too_large(why: str) -> WeightsError:
    return WeightsError(
        "cannot grow from this network",
        why,
        "give --init weights of one that is not wider or deeper",
    )


Sample = tuple[Tensor, list[dict[str, Tensor]]]
"""A batch (b, 3, h, w) and the teacher's targets for each of its images."""


@torch.no_grad()
def fit_heads(student: Student, samples: Iterable[Sample], layers: Collection[str]) -> None:
    """Fit the heads of `layers` by least squares to the maps of the trunk as it is now."""
    normal: dict[str, tuple[Tensor, Tensor]] = {}
    for batch, targets in samples:
        for name, x in student.before_heads(batch):
            if name in layers:
                t = columns(torch.stack([target[name] for target in targets]))
                f = columns(x)
                f = torch.cat([f, torch.ones_like(f[:1])])  # for the bias
                a, b = normal.get(name, (0, 0))
                normal[name] = a + f @ f.T, b + f @ t.T
    for name, (a, b) in normal.items():
        ridge = 1e-5 * a.diagonal().mean() * torch.eye(len(a)).to(a)
        solution = torch.linalg.solve(a + ridge, b).T.float()  # (rank, c + 1)
        head = student.head(name)
        head.weight.copy_(solution[:, :-1, None, None])
        assert head.bias is not None
        head.bias.copy_(solution[:, -1])


@torch.no_grad()
def rotations(
    student: Student, samples: Iterable[Sample], layers: Collection[str]
) -> dict[str, Tensor]:
    """For each layer the rotation (rank, rank) that brings the teacher's targets closest to what
    the heads say already (orthogonal Procrustes, Schoenemann 1966). Principal directions are as
    good in any basis of their space, and no two machines choose the same.
    """
    products: dict[str, Tensor] = {}
    for batch, targets in samples:
        for name, y in student(batch).items():
            if name in layers:
                t = torch.stack([target[name] for target in targets])
                products[name] = products.get(name, 0) + columns(t) @ columns(y).T
    found = {}
    for name, product in products.items():
        u, _, vh = torch.linalg.svd(product)
        found[name] = (u @ vh).float()
    return found


def columns(maps: Tensor) -> Tensor:
    """(b, c, h, w) -> (c, bhw) in double precision"""
    return maps.permute(1, 0, 2, 3).flatten(1).double()
