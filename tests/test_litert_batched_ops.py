"""BATCH_MATMUL and TRANSPOSE_CONV against LiteRT's reference kernels, random configuration by configuration.

Everything must be equal bit for bit: hybrid outputs as they are, float outputs with ordered sums. With BLAS,
a float sum of K products is within the bound that the kernels' docstrings state, rounded up by K + 2 for K.
"""

from dataclasses import replace

import numpy as np
import pytest
from litert import assert_same_bits, litert_interpreter, run_litert

import ptq
from ptq.errors import UnsupportedError
from ptq.graph import Graph, Operator, Quantization, Tensor, type_of
from ptq.kernels.batch_matmul import batch_matmul_float
from ptq.kernels.transpose_conv import transpose_conv_float
from ptq.operators import default_options

pytestmark = pytest.mark.peers

CONFIGURATIONS = 1000
ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]
REPRODUCING = replace(ptq.LITERT_REFERENCE, upstream_defects="reproduce")


def fed(shape, kind="FLOAT32"):
    return Tensor("x", tuple(int(n) for n in shape), kind)


def constant(data, scale=None, axis=0):
    quantization = None
    if scale is not None:
        quantization = Quantization(scale, np.zeros(scale.size, np.int64), axis)
    return Tensor("constant", data.shape, type_of(data.dtype), data, quantization)


def graph_of(kind, operands, version, **options):
    """One operator; the operands without data are the graph's inputs."""
    graph = Graph()
    for operand in operands:
        index = graph.add_tensor(operand)
        graph.inputs += [index] if operand.data is None else []
    table, defaults = default_options(kind)
    graph.outputs = [graph.add_tensor(Tensor("y", (1,)))]
    inputs = list(range(len(operands)))
    graph.operators = [Operator(kind, inputs, graph.outputs[:], {**defaults, **options}, table, version)]
    return graph


def check(graph, inputs, numerics=ptq.LITERT_REFERENCE):
    ours = ptq.Interpreter(graph=graph, numerics=numerics).run(inputs)[0]
    assert_same_bits(ours, run_litert(graph, inputs)[0], graph)


def activations(rng, shape):
    """Activations with ties, one-signed rows, zero rows and extreme ranges."""
    x = rng.normal(0, 1, shape).astype(np.float32)
    kind = rng.integers(6)
    if kind == 0:
        x = np.maximum(x, 0)
    elif kind == 1:  # halves of a step of 1: with the range of 127 or 255 everything is a tie
        x = (rng.integers(-254, 255, shape) / 2).astype(np.float32)
        x[..., 0] = 127
    elif kind == 2:
        x = -np.abs(x)
    elif kind == 3:
        x[rng.random(shape[:-1]) < 0.5] = 0
    elif kind == 4:
        x *= np.exp(rng.uniform(-20, 20, (*shape[:-1], 1))).astype(np.float32)
    return x * np.float32(2.0) ** np.float32(rng.integers(-20, 20))


def batches(rng, several):
    """Two batch shapes that broadcast; of at most one dimension > 1 each unless `several`."""
    rank = int(rng.integers(2 if several else 0, 4))
    full = rng.integers(1, 4, rank)
    left, right = (np.where(rng.random(rank) < 0.3, 1, full) for _ in range(2))
    if not several:
        left, right = (_only_one(rng, batch) for batch in (left, right))
        if rank == 3:
            right[0] = 1
    shorter = int(rng.integers(0, rank + 1)) if rng.integers(2) else 0
    if rng.integers(2):
        return tuple(left.tolist()), tuple(right[shorter:].tolist())
    return tuple(left[shorter:].tolist()), tuple(right.tolist())


def _only_one(rng, batch):
    keep = rng.integers(max(batch.size, 1))
    return np.where(np.arange(batch.size) == keep, batch, 1)


def matmul_shapes(rng, several, adj_x, adj_y):
    left, right = batches(rng, several)
    rows, inner, columns = (int(n) for n in (rng.integers(1, 6), rng.integers(1, 90), rng.integers(1, 9)))
    lhs = (*left, inner, rows) if adj_x else (*left, rows, inner)
    return lhs, (*right, columns, inner) if adj_y else (*right, inner, columns)


def hybrid_matmul(rng, asymmetric, several=False):
    """A random product of a float lhs and a constant int8 rhs, with one scale or one for each column."""
    adj_x, adj_y = (bool(n) for n in rng.integers(0, 2, 2))
    lhs, rhs = matmul_shapes(rng, several, adj_x, adj_y)
    weights = rng.integers(-128, 128, rhs).astype(np.int8)
    axis = len(rhs) - 1 - adj_y
    scale = np.exp(rng.uniform(-9, 3, rhs[axis] if rng.integers(2) else 1)).astype(np.float32)
    options = {"adj_x": adj_x, "adj_y": adj_y, "asymmetric_quantize_inputs": asymmetric}
    operands = [fed(lhs), constant(weights, scale, axis)]
    return graph_of("BATCH_MATMUL", operands, 4, **options), activations(rng, lhs)


@pytest.mark.parametrize("asymmetric", [True, False])
def test_hybrid_batch_matmul_is_bit_equal(asymmetric):
    rng = np.random.default_rng(31)
    for _ in range(CONFIGURATIONS):
        graph, x = hybrid_matmul(rng, asymmetric)
        check(graph, [x])


@pytest.mark.parametrize("asymmetric", [True, False])
def test_rows_that_litert_mixes_up_are_refused_or_reproduced(asymmetric):
    rng = np.random.default_rng(32)
    refused = reproduced = 0
    for _ in range(CONFIGURATIONS):
        graph, x = hybrid_matmul(rng, asymmetric, several=True)
        try:
            check(graph, [x])
        except UnsupportedError as error:
            assert "several batch dimensions" in str(error)
            refused += 1
            try:
                check(graph, [x], REPRODUCING)
                reproduced += 1
            except UnsupportedError as second:
                assert "'reproduce'" not in str(second)  # sums that LiteRT never computed
    assert refused > 50
    assert reproduced > 50


def test_what_litert_computes_for_two_batch_dimensions_is_not_the_product():
    rng = np.random.default_rng(33)
    lhs, rhs = rng.normal(0, 1, (2, 2, 3, 8)).astype(np.float32), rng.integers(-127, 128, (8, 4))
    lhs[1] *= 100
    operands = [fed(lhs.shape), constant(rhs.astype(np.int8), np.ones(1, np.float32))]
    graph = graph_of("BATCH_MATMUL", operands, 1)
    exact = lhs.astype(np.float64) @ rhs
    theirs = run_litert(graph, [lhs])[0]
    ours = ptq.Interpreter(graph=graph, numerics=ptq.PORTABLE).run([lhs])[0]
    bound = np.abs(lhs).max(axis=-1, keepdims=True) / 127 * np.abs(rhs).sum(axis=0)  # twice the rounding
    assert np.all(np.abs(ours - exact) <= bound)
    assert not np.all(np.abs(theirs - exact) <= bound)


@pytest.mark.parametrize("adj_y", [True, False])
@pytest.mark.parametrize("asymmetric", [True, False])
def test_long_one_signed_sums_round_and_wrap_as_the_reference_does(adj_y, asymmetric):
    """Beyond 2^24 the way through float rounds (K > 1032); beyond K = 2064 the row sums wrap."""
    rng = np.random.default_rng(34)
    for inner in (1040, 2064, 2072, 4160, 5003, 9997, 20011):
        rhs = rng.integers(60, 128, (3, inner)).astype(np.int8)
        x = rng.normal(0.3, 1, (4, inner)).astype(np.float32)
        x[1], x[2] = np.abs(x[1]), -np.abs(x[2])
        operand = constant(rhs if adj_y else np.ascontiguousarray(rhs.T), np.float32([0.25]))
        options = {"adj_y": adj_y, "asymmetric_quantize_inputs": asymmetric}
        check(graph_of("BATCH_MATMUL", [fed(x.shape), operand], 4, **options), [x])


def test_a_computed_int8_rhs_is_bit_equal_or_refused():
    """Quantized asymmetrically, LiteRT takes the row sums of the first rhs for every other one."""
    rng = np.random.default_rng(35)
    x = rng.normal(0.5, 1, (2, 3, 20)).astype(np.float32)
    for asymmetric in (False, True):
        operands = [fed(x.shape), fed((2, 20, 5), "INT8")]
        operands[1].quantization = Quantization(np.float32([0.1]), np.zeros(1, np.int64))
        graph = graph_of("BATCH_MATMUL", operands, 4, asymmetric_quantize_inputs=asymmetric)
        theirs = litert_interpreter(graph)
        ours = ptq.Interpreter(graph=graph, numerics=replace(REPRODUCING, upstream_defects="intended"))
        equal = []
        for _ in range(3):
            rhs = rng.integers(-127, 128, (2, 20, 5)).astype(np.int8)
            for details, value in zip(theirs.get_input_details(), (x, rhs), strict=True):
                theirs.set_tensor(details["index"], value)
            theirs.invoke()
            found = theirs.get_tensor(theirs.get_output_details()[0]["index"])
            equal.append(found.tobytes() == ours.run([x, rhs])[0].tobytes())
        assert equal == [True, not asymmetric, not asymmetric]
        if asymmetric:
            with pytest.raises(UnsupportedError, match="first rhs"):
                ptq.Interpreter(graph=graph).run([x, rhs])


def float_matmul(rng):
    adj_x, adj_y = (bool(n) for n in rng.integers(0, 2, 2))
    lhs, rhs = (activations(rng, shape) for shape in matmul_shapes(rng, True, adj_x, adj_y))
    operands = [fed(lhs.shape), fed(rhs.shape)]
    inputs = [lhs, rhs]
    position = rng.integers(3)
    if position < 2:
        operands[position] = constant(inputs.pop(position))
    return graph_of("BATCH_MATMUL", operands, 1, adj_x=adj_x, adj_y=adj_y), inputs, lhs, rhs


def test_float_batch_matmul_is_bit_equal_with_ordered_sums_and_within_the_bound_without():
    rng = np.random.default_rng(36)
    for _ in range(CONFIGURATIONS):
        graph, inputs, lhs, rhs = float_matmul(rng)
        check(graph, inputs, ptq.LITERT_REFERENCE_ORDERED)
        options = graph.operators[0].options
        adj_x, adj_y = options["adj_x"], options["adj_y"]
        ours = ptq.Interpreter(graph=graph).run(inputs)[0].astype(np.float64)
        magnitude = batch_matmul_float(np.abs(lhs), np.abs(rhs), adj_x, adj_y).astype(np.float64)
        inner = lhs.shape[-2 if adj_x else -1]
        assert np.all(np.abs(ours - run_litert(graph, inputs)[0]) <= (inner + 2) * 2.0**-23 * magnitude)


# --- TRANSPOSE_CONV ---------------------------------------------------------------------------------


def transpose_conv(rng, scales):
    """A random TRANSPOSE_CONV. scales: None: float weights; "one" or "each": int8 weights."""
    padding = str(rng.choice(["SAME", "VALID"]))
    kernel, stride, size = rng.integers(1, 6, 2), rng.integers(1, 4, 2), rng.integers(1, 6, 2)
    channels, outputs, images = (int(n) for n in (rng.integers(1, 8), rng.integers(1, 6), rng.integers(1, 3)))
    least = (size - 1) * stride + (1 if padding == "SAME" else kernel)
    out = least + rng.integers(0, stride)  # every size that the convolution leads back from
    shape = (outputs, *kernel, channels)
    if scales is None:
        weights = constant(rng.normal(0, 1, shape).astype(np.float32))
    else:
        scale = np.exp(rng.uniform(-9, 3, outputs if scales == "each" else 1)).astype(np.float32)
        weights = constant(rng.integers(-128, 128, shape).astype(np.int8), scale)
    x, output_shape = activations(rng, (images, *size, channels)), np.array([images, *out, outputs], np.int32)
    computed_size = not rng.integers(4)
    operands = [fed((4,), "INT32") if computed_size else constant(output_shape), weights, fed(x.shape)]
    operands += [constant(rng.normal(0, 1, outputs).astype(np.float32))] if rng.integers(3) else []
    options = {"padding": padding, "stride_h": int(stride[0]), "stride_w": int(stride[1])}
    options["fused_activation_function"] = str(rng.choice(ACTIVATIONS))
    graph = graph_of("TRANSPOSE_CONV", operands, 4, **options)
    return graph, [output_shape, x] if computed_size else [x], output_shape


@pytest.mark.parametrize("scales", ["one", "each"])
def test_hybrid_transpose_conv_is_bit_equal(scales):
    rng = np.random.default_rng(37)
    for _ in range(CONFIGURATIONS):
        graph, inputs, _ = transpose_conv(rng, scales)
        check(graph, inputs)


def test_float_transpose_conv_is_bit_equal_with_ordered_sums_and_within_the_bound_without():
    rng = np.random.default_rng(38)
    for _ in range(CONFIGURATIONS):
        graph, inputs, output_shape = transpose_conv(rng, None)
        check(graph, inputs, ptq.LITERT_REFERENCE_ORDERED)
        ours = ptq.Interpreter(graph=graph).run(inputs)[0].astype(np.float64)
        options, weights = graph.operators[0].options, graph.tensors[1].data
        bias = np.abs(graph.tensors[3].data) if len(graph.operators[0].inputs) > 3 else None
        stride = options["stride_h"], options["stride_w"]
        magnitude = transpose_conv_float(
            output_shape, np.abs(weights), np.abs(inputs[-1]), bias, stride, options["padding"]
        )
        bound = (weights[0].size + 2) * 2.0**-23 * magnitude.astype(np.float64)
        assert np.all(np.abs(ours - run_litert(graph, inputs)[0]) <= bound)


def test_scales_along_another_dimension_are_refused_where_litert_would_read_beyond_them():
    rng = np.random.default_rng(39)
    x = rng.normal(0, 1, (1, 2, 2, 3)).astype(np.float32)
    weights = rng.integers(-127, 128, (4, 2, 2, 3)).astype(np.int8)
    for outputs in (4, 2):
        operands = [
            constant(np.array([1, 4, 4, outputs], np.int32)),
            constant(weights[:outputs], np.float32([0.1]), axis=1),
            fed(x.shape),
        ]
        graph = graph_of("TRANSPOSE_CONV", operands, 2, stride_h=2, stride_w=2)
        if outputs == 2:  # as many as the dimension is long
            check(graph, [x])
        else:
            with pytest.raises(UnsupportedError, match="4 outputs and one scale"):
                ptq.Interpreter(graph=graph).run([x])
