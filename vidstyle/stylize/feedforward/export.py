"""The folded network as an ONNX model, for phones and browsers: plain operators of opset 17.

It needs the package `onnx` (`pip install 'vidstyle[onnx]'`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vidstyle.stylize.feedforward.network import (
    BLOCKS,
    BLOCKS_BEFORE_CONTEXT,
    CONTEXT_DILATIONS,
    FRAME_CHANNELS,
    MARGIN,
)
from vidstyle.stylize.feedforward.painter import FoldedNetwork

if TYPE_CHECKING:
    from torch import Tensor

OPSET = 17
IR_VERSION = 8
"""The format of files that runtimes with this opset read."""


class Graph:
    """An ONNX graph that is built node after node."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """Add a constant, and return its name."""
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        from onnx import helper

        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def pad(self, x: str, pixels: int) -> str:
        """Continue a map on each side by its outermost pixels."""
        amounts = np.array([0, 0, pixels, pixels, 0, 0, pixels, pixels], np.int64)
        return self.add("Pad", x, self.constant(amounts), mode="edge")

    def convolve(
        self, x: str, layer: tuple[Tensor, Tensor], stride: int = 1, dilation: int = 1
    ) -> str:
        """Pad and convolve a map."""
        weight, bias = (x.detach().float().cpu().contiguous().numpy() for x in layer)
        padded = self.pad(x, dilation * (weight.shape[2] // 2))
        names = (self.constant(weight), self.constant(bias))
        return self.add("Conv", padded, *names, strides=[stride] * 2, dilations=[dilation] * 2)

    def add_block(self, x: str, layers: Iterator[tuple[Tensor, Tensor]], dilation: int = 1) -> str:
        """Add to a map what a residual block of the next two layers makes of it."""
        y = self.add("Relu", self.convolve(x, next(layers), dilation=dilation))
        return self.add("Add", x, self.convolve(y, next(layers), dilation=dilation))

    def enlarge(self, x: str) -> str:
        """Make a map twice as large."""
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        how = {"coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", x, "", scales, mode="linear", **how)

    def cut(self, x: str, first: int, stop: int, axes: tuple[int, ...]) -> str:
        """Cut the same range out of some axes."""
        values = ([first] * len(axes), [stop] * len(axes), axes)
        return self.add("Slice", x, *(self.constant(np.array(v, np.int64)) for v in values))


def export_onnx(folded: FoldedNetwork) -> bytes:
    """Return the ONNX model of a network without a previous image: input `frame` (1, 3, h, w) in
    [0, 1], output `image`, the same, for any h and w that are multiples of 8.

    Raises ImportError where the package onnx is missing.
    """
    from onnx import TensorProto, checker, helper

    assert not folded.has_previous, "a model paints each frame by itself"
    graph = Graph()
    layers = iter(folded.layers)
    x = graph.add("Sub", "frame", graph.constant(np.float32(0.5)))
    x = graph.pad(x, MARGIN)
    x = graph.add("Relu", graph.convolve(x, next(layers), 2))
    x = graph.add("Relu", graph.convolve(x, next(layers), 2))
    for i in range(BLOCKS):
        if i == BLOCKS_BEFORE_CONTEXT:
            y = graph.add("Relu", graph.convolve(x, next(layers), 2))
            for dilation in CONTEXT_DILATIONS:
                y = graph.add_block(y, layers, dilation)
            x = graph.add("Add", x, graph.enlarge(graph.convolve(y, next(layers))))
        x = graph.add_block(x, layers)
    x = graph.add("Relu", graph.convolve(graph.enlarge(x), next(layers)))
    x = graph.add("Relu", graph.convolve(x, next(layers)))
    x = graph.convolve(graph.enlarge(x), folded.paint)
    x = graph.add("Sigmoid", graph.cut(x, 0, FRAME_CHANNELS, (1,)))
    last = graph.cut(x, MARGIN, -MARGIN, (2, 3))
    nodes = [*graph.nodes, helper.make_node("Identity", [last], ["image"])]
    shape: list[str | int | None] = [1, FRAME_CHANNELS, "height", "width"]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("frame", "image")
    ]
    made = helper.make_graph(nodes, "vidstyle", ends[:1], ends[1:], graph.constants)
    made.doc_string = "height and width must be multiples of 8"
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
