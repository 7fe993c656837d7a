"""Integer functions, QUANTIZE and resized images of TensorFlow Lite for Microcontrollers, bit for bit."""

import numpy as np
import pytest
from configurations import integers, pick, shape_of
from litert import assert_same_bits
from micro import run_micro
from test_litert_integer_movement import PAIRS, all_or_many, i32, quantization, ratio, zero_point
from test_litert_integer_softmax import beta_and_scale, every_value, rows, scales

import ptq
from ptq.build import Builder
from ptq.graph import type_of
from ptq.kernels.integer.convert import PAIRS as REQUANTIZED

pytestmark = pytest.mark.peers
pytest.importorskip("tflite_micro")

F = np.float32
PER_GRAPH = 10
MICRO_PAIRS = [(r, w) for r, w in PAIRS if "uint8" not in (r.name, w.name)] + [
    (np.dtype("int8"), np.dtype("uint8")), (np.dtype("uint8"), np.dtype("int8")),
]  # fmt: skip


def compare(configure, count=300):
    """`configure(rng)` gives an input, its quantization and what adds the operator to a builder."""
    rng = np.random.default_rng(0)
    for _ in range(0, count, PER_GRAPH):
        b, arrays, outputs = Builder(), [], []
        for i in range(PER_GRAPH):
            q, read, add = configure(rng)
            arrays.append(q)
            outputs.append(add(b, b.input(f"q{i}", q.shape, type_of(q.dtype), read)))
        graph = b.finish(*outputs)
        found = ptq.Interpreter(graph=graph, numerics=ptq.TFLITE_MICRO).run(arrays)
        expected = run_micro(graph, arrays)
        for position, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            tensor = graph.tensors[graph.inputs[position]]
            assert_same_bits(ours, theirs.reshape(ours.shape), tensor)


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_fixed_point_on_every_int8(kind):
    written = quantization(1 / 256, -128) if kind == "LOGISTIC" else quantization(1 / 128)

    def configure(rng):
        read = quantization(scales(rng, 2.0**-27, 200), zero_point(rng, np.int8))
        return every_value(np.int8), read, lambda b, t: b.op(kind, [t], quantization=written)

    compare(configure)


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_every_int16(kind):
    def configure(rng):
        scale = pick(rng, 2.0**-12, 2.0**-11, scales(rng, 2.0**-30, 2.6))
        return every_value(np.int16), quantization(scale), lambda b, t: b.op(
            kind, [t], quantization=quantization(2.0**-15)
        )

    compare(configure, 50)


def test_elu_on_every_int8():
    def configure(rng):
        read = quantization(scales(rng, 1e-4, 10), zero_point(rng, np.int8))
        written = quantization(scales(rng, 1e-4, 10), zero_point(rng, np.int8))
        return every_value(np.int8), read, lambda b, t: b.op("ELU", [t], quantization=written)

    compare(configure)


@pytest.mark.parametrize("kinds", [(np.int8, np.int8), (np.int8, np.int16), (np.int16, np.int16)])
def test_softmax(kinds):
    read, written = kinds
    output = quantization(2.0**-15) if read == np.int16 else quantization(
        2.0 ** -np.iinfo(written).bits, np.iinfo(written).min
    )

    def configure(rng):
        q = rows(rng, read)
        beta, scale = beta_and_scale(rng)
        if read == np.int16:
            scale = F(min(scale, 2.0**10 / beta))
        zero = 0 if read == np.int16 else zero_point(rng, read)
        return q, quantization(scale, zero), lambda b, t: b.op(
            "SOFTMAX", [t], {"beta": beta}, quantization=output, output_type=type_of(np.dtype(written))
        )

    compare(configure)


def test_log_softmax():
    def configure(rng):
        q = rows(rng, np.int8)
        read = quantization(scales(rng, 2.0**-25, 2.0**12), zero_point(rng, np.int8))
        return q, read, lambda b, t: b.op("LOG_SOFTMAX", [t], quantization=quantization(1 / 16, 127))

    compare(configure)


@pytest.mark.parametrize(("read", "written"), MICRO_PAIRS, ids=str)
def test_requantize(read, written):
    assert written.name in REQUANTIZED[read.name]

    def configure(rng):
        before, after = ratio(rng)
        zeros = [zero_point(rng, dtype) for dtype in (read, written)]
        if read == written == np.int16:
            zeros = [0, 0]
        return all_or_many(rng, read), quantization(before, zeros[0]), lambda b, t: b.op(
            "QUANTIZE", [t], quantization=quantization(after, zeros[1]), output_type=type_of(written)
        )

    compare(configure)


@pytest.mark.parametrize(("align_corners", "half_pixel_centers"), [(0, 0), (1, 0), (0, 1)])
def test_resize_bilinear(align_corners, half_pixel_centers):
    options = {"align_corners": bool(align_corners), "half_pixel_centers": bool(half_pixel_centers)}

    def configure(rng):
        q = integers(rng, shape_of(rng, 4, 6), np.int8)
        size = i32([rng.integers(1, np.sqrt(2048 * n)) for n in q.shape[1:3]])
        same = quantization(0.1, zero_point(rng, np.int8))
        return q, same, lambda b, t: b.op("RESIZE_BILINEAR", [t, size], options, quantization=same)

    compare(configure, 100)
