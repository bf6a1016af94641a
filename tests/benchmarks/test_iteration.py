"""What the timings of an iteration compare does the same work."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch

from benchmarks.iteration import (
    LAYER_NAMES,
    Worker,
    make_iteration,
    naive_gram,
    plain_vgg19,
    take_medians,
    time_call,
)
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses
from vidstyle.weights import fetch

EDGE = {"relu1_1": 1, "relu2_1": 2, "relu3_1": 3, "relu4_1": 4, "relu4_2": 5, "relu5_1": 5}
"""How far in from the edge of each layer the padding is felt: a cell further with every
convolution, and half as far, rounded up, after every pooling.
"""


def test_the_plain_network_is_vgg19_but_for_the_padding(small_vgg19: Path) -> None:
    plain = plain_vgg19(fetch.load_weights("vgg19", small_vgg19)[0], torch.device("cpu"))
    ours = load_network("vgg19", weights_dir=small_vgg19)
    image = torch.rand(1, 3, 192, 208, generator=torch.Generator().manual_seed(0))
    theirs, expected = (network(image, tuple(EDGE)) for network in (plain, ours))
    assert theirs.keys() == EDGE.keys() == set(LAYER_NAMES.values())
    for name, edge in EDGE.items():
        inside = (..., slice(edge, -edge), slice(edge, -edge))
        assert theirs[name][inside].numel() > 0
        torch.testing.assert_close(
            theirs[name][inside], expected[name][inside], rtol=1e-4, atol=1e-4
        )
        assert not torch.allclose(theirs[name], expected[name], rtol=1e-2), (
            "at the edge they differ"
        )
        torch.testing.assert_close(
            naive_gram(expected[name]), losses.gram(expected[name]).squeeze()
        )


def test_an_iteration_starts_at_the_photograph_and_is_timed_again_and_again(
    small_vgg19: Path,
) -> None:
    extractor = load_network("vgg19", weights_dir=small_vgg19)
    photo, painting = torch.rand(2, 1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    before, calls = photo.clone(), [0, 0]
    step = make_iteration(extractor, losses.gram, photo, painting)

    def count(which: int) -> None:
        calls[which] += 1
        step()

    seconds = take_medians(
        [lambda: time_call(lambda: count(0)), lambda: time_call(lambda: count(1))], repeats=3
    )
    assert torch.equal(photo, before)
    assert calls == [10, 10]  # two to warm up, and each call timed after one that is not
    assert min(seconds) > 0


def test_a_network_is_timed_in_a_process_whose_end_is_not_silent() -> None:
    worker = Worker(
        "lite", Namespace(untrained=True, device="cpu", precision="fp32", weights_dir=None)
    )
    for size in ((32, 48), (48, 32)):
        worker.prepare(size)
        assert worker.time() > 0
    worker.process.kill()
    with pytest.raises(SystemExit, match="process of lite has ended with -9"):
        worker.time()
