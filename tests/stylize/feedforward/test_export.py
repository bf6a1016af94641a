"""The ONNX model of the network."""

from __future__ import annotations

import pytest
import torch

from tests.stylize.feedforward.test_painter import make_network, make_numbers, picture
from vidstyle.stylize.feedforward.export import OPSET, export_onnx
from vidstyle.stylize.feedforward.painter import FoldedNetwork
from vidstyle.stylize.feedforward.statistics import collect_statistics

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def test_another_runtime_paints_the_same_at_any_size() -> None:
    network, numbers = make_network(), make_numbers()
    first = collect_statistics(network, numbers, [picture(9, (40, 56))], torch.float32).first
    folded = FoldedNetwork(network, numbers, first, torch.float32, has_previous=False)
    data = export_onnx(folded)
    model = onnx.load_from_string(data)
    assert [entry.version for entry in model.opset_import] == [OPSET]
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for size in ((64, 80), (40, 104)):
        frame = picture(1, size)[None]
        [got] = session.run(None, {"frame": frame.numpy()})
        assert torch.allclose(torch.from_numpy(got), folded(frame, None, None), atol=1e-5)
