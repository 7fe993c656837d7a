"""Damaged graphs: whatever nodes say, the translator answers with a graph or an error of ptq, and soon."""

import random
from dataclasses import replace

import numpy as np
import pytest
from flat_graphs import Flat, conv

import ptq
from ptq.errors import GraphError, PtqError, UnsupportedError
from ptq.saved_model.translate import translate

MUTATIONS = 400


def network():
    """A little of everything: layers, batch norm, a dilated convolution, shapes, slices, pools, patterns."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(0, 1, shape).astype(np.float32)

    f = Flat()
    x = f.op("Mul", [f.input("image", (-1, 8, 8, 3)), np.float32(1 / 255)])
    x = conv(f, f.op("Pad", [x, np.int32([[0, 0], [0, 1], [0, 1], [0, 0]])]), normal(3, 3, 3, 4), "conv_0")
    x = f.op("FusedBatchNormV3", [x, *np.abs(normal(4, 4))], epsilon=1e-3, is_training=False)
    x = conv(f, f.op("Relu6", [x]), normal(3, 3, 4, 2), "conv_1", "DepthwiseConv2dNative", padding=b"VALID")
    blocks, amounts, crops = np.int32([2, 2]), np.int32([[2, 3], [2, 3]]), np.int32([[0, 1], [0, 1]])
    x = conv(f, f.op("SpaceToBatchND", [x, blocks, amounts]), normal(3, 3, 8, 8), "conv_2", padding=b"VALID")
    x = f.op("BatchToSpaceND", [x, blocks, crops])
    window = {"ksize": (1, 2, 2, 1), "strides": (1, 2, 2, 1), "padding": b"SAME"}
    x = f.op("MaxPool", [f.op("BiasAdd", [x, normal(8)])], **window)
    x = f.op("ConcatV2", [*(f.op("Split", [np.int32(3), x], "split", num_split=2), "split:1"), np.int32(-1)])
    gate = f.op("Relu6", [f.op("AddV2", [x, np.float32(3)])])
    x = f.op("Mul", [f.op("Mul", [x, gate]), np.float32(1 / 6)])
    sizes = f.op("Shape", [x], out_type=np.dtype(np.int32))
    batch = f.op("StridedSlice", [sizes, np.int32([0]), np.int32([1]), np.int32([1])], shrink_axis_mask=1)
    x = f.op("Reshape", [x, f.op("Pack", [batch, np.int32(-1)], axis=0)])
    x = f.op("Squeeze", [f.op("ExpandDims", [x, np.int32(1)])], squeeze_dims=(1,))
    x = f.op("MatMul", [x, normal(128, 5)])
    return f.finish(f.op("Softmax", [x]), f.op("ArgMax", [x, np.int32(1)], output_type=np.dtype(np.int64)))


def altered_value(draw, value):
    if not isinstance(value, np.ndarray):
        return draw.choice([None, -1, 2**40, (), (1, 2), b"x", 1.5, np.dtype(object)])
    one = np.ones((), value.dtype)
    return draw.choice([
        np.zeros(0, value.dtype), value.reshape(-1), value[..., None], value.astype(np.float64),
        value.astype(np.int32), np.full_like(value, -1), np.full_like(value, 2**30), one,
    ])  # fmt: skip


def altered_node(draw, nodes, position):
    node, kind = nodes[position], draw.randrange(5)
    if kind == 0 and node.inputs and position:
        other = f"{draw.choice(nodes[:position]).name}:{draw.randrange(2)}"
        place = draw.randrange(len(node.inputs))
        return replace(node, inputs=(*node.inputs[:place], other, *node.inputs[place + 1 :]))
    if kind == 1 and node.inputs:
        return replace(node, inputs=node.inputs[:-1])
    if kind == 2 or not node.attributes:
        return replace(node, op=draw.choice(nodes).op)
    name = draw.choice(sorted(node.attributes))
    attributes = {**node.attributes, name: altered_value(draw, node.attributes[name])}
    if kind == 3:
        del attributes[name]
    return replace(node, attributes=attributes)


def test_altered_nodes_are_translated_or_refused():
    flat, outcomes = network(), set()
    ptq.dumps(translate(flat))
    for seed in range(MUTATIONS):
        draw, nodes = random.Random(seed), list(flat.nodes)
        for _ in range(draw.randint(1, 3)):
            position = draw.randrange(len(nodes))
            nodes[position] = altered_node(draw, nodes, position)
        try:
            ptq.dumps(translate(replace(flat, nodes=tuple(nodes))))
            outcomes.add("translated")
        except PtqError as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"translated", "UnsupportedError", "GraphError", "ShapeError"}


def test_a_tensor_that_no_node_writes():
    f = Flat()
    x = f.op("Relu", [f.input("x", (1, 2))])
    f.op("Neg", ["x:5"], "lost")
    with pytest.raises(GraphError, match="'output_1' follows from a tensor that no node writes"):
        translate(f.finish(x, "lost:0"))


def test_a_few_bytes_do_not_become_gigabytes():
    f = Flat()
    huge = f.op("Fill", [np.int32([30_000, 30_000]), np.float32(1)])
    graph = translate(f.finish(f.op("AddV2", [f.input("x", (1,)), huge])))
    assert sum(t.data.nbytes for t in graph.tensors if t.data is not None) < 100


def test_many_unknown_operations_are_counted_and_ten_are_named():
    f = Flat()
    x = f.input("x", (1, 2))
    outputs = [f.op("Mystery", [x], f"place_{n}") for n in range(25)]
    with pytest.raises(UnsupportedError, match=r"(?s)^25 operations.*and 15 more\nsupported are"):
        translate(f.finish(*outputs))
