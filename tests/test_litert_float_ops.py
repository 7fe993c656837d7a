"""Float kernels and data movers against LiteRT's reference kernels (BUILTIN_REF), bit for bit.

Hundreds of random configurations for each operator. To be quick, a graph holds many operators of a kind,
each with an input of its own.
"""

import platform

import numpy as np
import pytest
from configurations import COUNT, MOVED, ODD, PER_GRAPH, anything, compare, integers, pick, reals, shape_of
from litert import assert_same_bits, run_litert

from ptq.build import Builder
from ptq.graph import Quantization, type_of
from ptq.interpreter import Interpreter
from ptq.kernels.activation import tanh_float

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]


@pytest.mark.parametrize("name", ["relu", "relu6", "relu_n1_to_1", "logistic"])
def test_activation(name):
    def configure(rng):
        x = reals(rng, shape_of(rng, rng.integers(1, 5), 9), odd=0.5)
        return [x], lambda b, t: getattr(b, name)(t)

    compare(configure)


def glibc():
    library, version = platform.libc_ver()
    return tuple(map(int, version.split("."))) if library == "glibc" else None


def test_tanh():
    def configure(rng):
        x = reals(rng, shape_of(rng, rng.integers(1, 5), 9), odd=0.5)
        return [x], lambda b, t: b.tanh(t)

    if glibc() is None or glibc() >= (2, 41):
        pytest.skip("LiteRT takes tanhf from this C library, which is another than the one of the kernel")
    compare(configure)


def test_tanh_is_near_the_real_tanh_whatever_the_c_library():
    x = np.random.default_rng(0).uniform(-10, 10, 200_000).astype(np.float32)
    real = np.tanh(x.astype(np.float64))
    assert np.all(np.abs(tanh_float(x) - real) <= 2.5 * np.spacing(np.abs(real).astype(np.float32)))


def test_softmax():
    def configure(rng):
        x = reals(rng, shape_of(rng, rng.integers(1, 5), 12), odd=0.15)
        beta = pick(rng, 1.0, 1.0, 0.5, 2.5, 1e-3, 0.1)
        return [x], lambda b, t: b.softmax(t, beta)

    compare(configure)


def test_softmax_of_long_rows():
    def configure(rng):
        return [rng.normal(0, 4, (2, 1001)).astype(np.float32)], lambda b, t: b.softmax(t)

    compare(configure, PER_GRAPH)


@pytest.mark.parametrize("name", ["average_pool2d", "max_pool2d"])
def test_pool(name):
    def configure(rng):
        batch, height, width, channels = shape_of(rng, 4, 9)
        padding = pick(rng, "SAME", "VALID")
        bounds = (12, 12) if padding == "SAME" else (height, width)
        size = tuple(int(rng.integers(1, bound + 1)) for bound in bounds)
        stride = tuple(int(n) for n in rng.integers(1, 5, 2))
        activation = pick(rng, *ACTIVATIONS)
        x = reals(rng, (min(batch, 3), height, width, channels))
        return [x], lambda b, t: getattr(b, name)(t, size, stride, padding, activation)

    compare(configure)


@pytest.mark.parametrize("name", ["average_pool2d", "max_pool2d"])
def test_pool_of_network_sizes(name):
    cases = [((1, 7, 7, 256), (7, 7), 1), ((2, 28, 28, 16), (2, 2), 2), ((1, 112, 112, 8), (3, 3), 2)]
    rng = np.random.default_rng(1)
    for shape, size, stride in cases:
        for padding in "SAME", "VALID":
            x = rng.normal(size=shape).astype(np.float32)
            b = Builder()
            graph = b.finish(getattr(b, name)(b.input("x", shape), size, stride, padding))
            assert_same_bits(Interpreter(graph=graph).run([x])[0], run_litert(graph, [x])[0])


def test_mean():
    def configure(rng):
        rank = int(rng.integers(1, 6))
        x = reals(rng, shape_of(rng, rank, 7))
        axes = rng.integers(-rank, rank, rng.integers(1, rank + 1)).tolist()
        keep_dims = bool(rng.integers(2))
        return [x], lambda b, t: b.mean(t, axes, keep_dims)

    compare(configure)


def test_mean_of_large_images():
    rng = np.random.default_rng(2)
    for shape, axes in [((2, 56, 56, 24), (1, 2)), ((1, 4000), (1,)), ((300, 3), (0,)), ((9, 9, 9), (0, 2))]:
        x = (rng.normal(size=shape) * 100).astype(np.float32)
        b = Builder()
        graph = b.finish(b.mean(b.input("x", shape), axes))
        assert_same_bits(Interpreter(graph=graph).run([x])[0], run_litert(graph, [x])[0])


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_elementwise(name, dtype):
    def configure(rng):
        rank = int(rng.integers(1, 7))
        shape = shape_of(rng, rank, 4)
        other = tuple(1 if rng.random() < 0.3 else size for size in shape)
        other = other[rng.integers(rank) if rng.random() < 0.5 else 0 :]
        a, b = (shape, other) if rng.random() < 0.5 else (other, shape)
        activation = pick(rng, *ACTIVATIONS)
        values = [anything(rng, a, dtype), anything(rng, b, dtype)]
        if dtype == np.int32 and rng.random() < 0.5:
            values = [value % 20 - 10 for value in values]
        return values, lambda builder, s, t: getattr(builder, name)(s, t, activation)

    compare(configure)


def test_reshape_and_squeeze():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 5), 4), pick(rng, *MOVED))
        if rng.random() < 0.5:
            ones = [axis for axis, size in enumerate(x.shape) if size == 1]
            chosen = rng.choice(ones, rng.integers(len(ones) + 1), replace=False) if ones else []
            axes = [int(axis) - x.ndim if rng.random() < 0.5 else int(axis) for axis in chosen]
            return [x], lambda b, t: b.squeeze(t, axes)
        order = rng.permutation(x.shape)
        shape = [int(n) for n in order]
        shape[rng.integers(x.ndim)] = -1
        return [x], lambda b, t: b.reshape(t, shape)

    compare(configure, 2 * COUNT)


def test_transpose():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 6), 5), pick(rng, *MOVED))
        order = rng.permutation(x.ndim)
        return [x], lambda b, t: b.transpose(t, order)

    compare(configure)


def test_pad():
    def configure(rng):
        dtype = pick(rng, np.float32, np.int8, np.int16, np.int32, np.int64)
        x = anything(rng, shape_of(rng, rng.integers(1, 6), 4), dtype)
        amounts = rng.integers(0, 4, (x.ndim, 2))
        quantization = None
        if dtype == np.int8:
            quantization = Quantization(np.array([0.5], np.float32), rng.integers(-128, 128, 1))
        return [(x, quantization)], lambda b, t: b.pad(t, amounts)

    compare(configure)


def test_padv2():
    def configure(rng):
        dtype = pick(rng, np.float32, np.int32)
        x = anything(rng, shape_of(rng, rng.integers(1, 5), 4), dtype)
        amounts = rng.integers(0, 3, (x.ndim, 2)).astype(np.int32)
        value = anything(rng, (1,), dtype)
        return [x], lambda b, t: b.op("PADV2", [t, amounts, value])

    compare(configure)


def test_concatenation():
    def configure(rng):
        shape, dtype = shape_of(rng, rng.integers(1, 5), 4), pick(rng, *MOVED)
        axis = int(rng.integers(-len(shape), len(shape)))
        values = []
        for _ in range(rng.integers(1, 5)):
            changed = list(shape)
            changed[axis] = int(rng.integers(1, 5))
            values.append(anything(rng, tuple(changed), dtype))
        return values, lambda b, *tensors: b.concatenation(tensors, axis)

    compare(configure)


def ties(rng, shape, scale):
    """Multiples of half a scale, so that every second quotient lies between two integers."""
    return (rng.integers(-600, 600, shape) * np.float64(scale) / 2).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_quantize(dtype):
    limits = np.iinfo(dtype)

    def configure(rng):
        shape = shape_of(rng, rng.integers(1, 5), 8)
        scale = float(np.float32(pick(rng, 0.25, 2.0**-20, 1e-3, 0.37, 1e4, 1e-30)))
        zero_point = int(rng.integers(limits.min, limits.max + 1))
        x = ties(rng, shape, scale) if rng.random() < 0.5 else reals(rng, shape, odd=0.5)
        return [x], lambda b, t: b.quantize(t, scale, zero_point, type_of(dtype))

    compare(configure)


def per_channel(rng, shape, dtype, symmetric):
    axis = int(rng.integers(len(shape)))
    limits = np.iinfo(dtype)
    scale = np.exp(rng.uniform(-20, 5, shape[axis])).astype(np.float32)
    zero_point = rng.integers(limits.min, limits.max + 1, shape[axis])
    return Quantization(scale, zero_point * 0 if symmetric else zero_point, axis)


def test_quantize_per_channel():
    def configure(rng):
        shape = shape_of(rng, rng.integers(1, 5), 6, smallest=2)
        dtype = pick(rng, np.int8, np.uint8, np.int16)
        quantization = per_channel(rng, shape, dtype, symmetric=False)
        x, kind = reals(rng, shape), type_of(dtype)
        return [x], lambda b, t: b.op("QUANTIZE", [t], output_type=kind, quantization=quantization)

    compare(configure)


def test_dequantize():
    def configure(rng):
        shape = shape_of(rng, rng.integers(1, 5), 8)
        dtype = pick(rng, np.int8, np.uint8, np.int16, np.float16)
        if dtype == np.float16:
            halves = integers(rng, shape, np.uint16).view(np.float16)
            return [halves], lambda b, t: b.dequantize(t)
        limits = np.iinfo(dtype)
        scale = np.exp(rng.uniform(-90, 80, 1)).astype(np.float32)
        zero_point = rng.integers(limits.min, limits.max + 1, 1) * (dtype != np.int16)
        return [(integers(rng, shape, dtype), Quantization(scale, zero_point))], lambda b, t: b.dequantize(t)

    compare(configure)


def test_dequantize_per_channel():
    def configure(rng):
        shape, dtype = shape_of(rng, rng.integers(1, 5), 6, smallest=2), pick(rng, np.int8, np.uint8)
        quantization = per_channel(rng, shape, dtype, symmetric=False)
        return [(integers(rng, shape, dtype), quantization)], lambda b, t: b.dequantize(t)

    compare(configure)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_fused_into_hybrid_dense(activation):
    # an input of zeros lets the bias through unchanged, so that the activation alone is seen
    bias = np.concatenate([ODD, np.linspace(-8, 8, 33, dtype=np.float32)])
    if activation not in ("RELU", "RELU6"):
        bias += np.float32(0)  # the sum of products 0 and a bias of -0 is another matter
    b = Builder()
    ones = Quantization(np.ones(1, np.float32), np.zeros(1, np.int64))
    weights = b.constant(np.ones((bias.size, 8), np.int8), quantization=ones)
    inputs = [b.input("x", (1, 8)), weights, bias]
    options = {"fused_activation_function": activation}
    graph = b.finish(b.op("FULLY_CONNECTED", inputs, options, version=3))
    x = np.zeros((1, 8), np.float32)
    assert_same_bits(Interpreter(graph=graph).run([x])[0], run_litert(graph, [x])[0])
