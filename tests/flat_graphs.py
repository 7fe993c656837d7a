"""Flat TensorFlow graphs written by hand, for the translator alone: no file, no TensorFlow."""

import numpy as np

from ptq.saved_model.nodes import FlatGraph, Node, Port


class Flat:
    """Collects nodes; each method returns the tensor's name, "node:0"."""

    def __init__(self):
        self.nodes, self.ports = [], []

    def input(self, name, shape, dtype=np.float32):
        self.nodes.append(Node(name, "Placeholder", (), {"dtype": np.dtype(dtype), "shape": shape}))
        self.ports.append(Port(name, f"{name}:0", np.dtype(dtype), shape))
        return f"{name}:0"

    def const(self, value, name=None):
        array = np.asarray(value)
        if array.dtype in (np.float64, np.int64):
            array = array.astype({"f": np.float32, "i": np.int32}[array.dtype.kind])
        return self.op("Const", [], name, value=array)

    def op(self, op, inputs, name=None, **attributes):
        label = name or f"{op.lower()}_{len(self.nodes)}"
        names = [i if isinstance(i, str) else self.const(i) for i in inputs]
        self.nodes.append(Node(label, op, tuple(names), attributes))
        return f"{label}:0"

    def finish(self, *outputs):
        ports = tuple(Port(f"output_{n}", name, np.dtype(np.float32), None) for n, name in enumerate(outputs))
        return FlatGraph(tuple(self.nodes), tuple(self.ports), ports, {}, "serving_default")


def conv(f, x, filter, name="conv", op="Conv2D", **attributes):
    """A convolution with TensorFlow's attributes; stride 1 and SAME unless given."""
    ones = (1, 1, 1, 1)
    defaults = {"strides": ones, "dilations": ones, "padding": b"SAME", "data_format": b"NHWC"}
    return f.op(op, [x, filter], name, **{**defaults, **attributes})
