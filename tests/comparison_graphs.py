"""Quantized 1x1 convolutions, small enough to work out by hand: y = round(x w m) with m = s_x s_w / s_y."""

import numpy as np

from ptq.graph import Graph, Operator, Quantization, Tensor
from ptq.operators import default_options

EVERY = np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16, 1)
"""All the values of an int8."""


def scales(scale, zero_point=0, axis=0):
    values = np.atleast_1d(np.asarray(scale, np.float32))
    return Quantization(values, np.full(values.size, zero_point, np.int64), axis)


def add_conv(graph, source, name, weights, w_scale, y_scale, y_zero=0, bias=None, activation="NONE"):
    """Append a 1x1 convolution of int8; `weights` are the integers of each output, [outputs, inputs]."""
    weights = np.asarray(weights, np.int8)
    outputs, inputs = weights.shape
    x = graph.tensors[source]
    filters = weights.reshape(outputs, 1, 1, inputs)
    sums = scales(x.quantization.scale[0] * np.broadcast_to(np.float32(w_scale), outputs))
    integers = np.zeros(outputs, np.int32) if bias is None else np.asarray(bias, np.int32)
    indices = [
        graph.add_tensor(Tensor(f"{name}/filter", filters.shape, "INT8", filters, scales(w_scale))),
        graph.add_tensor(Tensor(f"{name}/bias", (outputs,), "INT32", integers, sums)),
        graph.add_tensor(
            Tensor(name, (*x.shape[:-1], outputs), "INT8", quantization=scales(y_scale, y_zero))
        ),
    ]
    table, options = default_options("CONV_2D")
    options |= {"stride_w": 1, "stride_h": 1, "padding": "VALID", "fused_activation_function": activation}
    graph.operators.append(Operator("CONV_2D", [source, *indices[:2]], [indices[2]], options, table))
    return indices[2]


def model(x_scale=1.0, shape=(1, 16, 16, 1), x_zero=0):
    """A graph with an int8 input and nothing else."""
    graph = Graph(name="main")
    graph.inputs = [graph.add_tensor(Tensor("x", shape, "INT8", quantization=scales(x_scale, x_zero)))]
    return graph


def conv(weights, w_scale, y_scale, x_scale=1.0, **more):
    """One convolution of an int8 input of 16 x 16 pixels."""
    channels = np.asarray(weights).shape[1]
    graph = model(x_scale, (1, 16, 16, channels))
    graph.outputs = [add_conv(graph, 0, "y", weights, w_scale, y_scale, **more)]
    graph.validate()
    return graph
