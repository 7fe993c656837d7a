"""SOFTMAX, LOG_SOFTMAX and the functions that are tables, on integers: against LiteRT, bit for bit."""

import subprocess
import sys

import numpy as np
import pytest
from configurations import compare, integers, pick, shape_of
from litert import assert_same_bits, run_litert

import ptq.format
from ptq.build import Builder
from ptq.graph import Quantization, type_of
from ptq.interpreter import Interpreter

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

F = np.float32
COUNT = 400


def quantization(scale, zero_point=0):
    return Quantization(np.array([scale], F), np.array([zero_point], np.int64))


def zero_point(rng, dtype):
    """Anywhere, and at both ends."""
    limits = np.iinfo(dtype)
    return int(pick(rng, limits.min, limits.max, 0, rng.integers(limits.min, limits.max, endpoint=True)))


def rows(rng, dtype, longest=80):
    """Rows of all kinds: anything, nearly equal ones, and two that stand out."""
    shape = (*shape_of(rng, rng.integers(0, 4), 3), int(rng.integers(1, longest)))
    q = integers(rng, shape, dtype)
    kind = rng.integers(3)
    if kind == 1:
        q = np.clip(q // 64, 0, 4).astype(dtype)
    elif kind == 2:
        q[...] = np.iinfo(dtype).min
        q[..., 0], q[..., -1] = np.iinfo(dtype).max, np.iinfo(dtype).max - 1
    return q


def beta_and_scale(rng):
    """A product of beta and scale from the least that SOFTMAX takes to far beyond all that differs."""
    product = np.exp(rng.uniform(np.log(2.0**-26), np.log(2.0**12)))
    beta = float(pick(rng, 1.0, 1.0, np.exp(rng.uniform(-6, 6))))
    return beta, F(product / beta * 1.001)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_softmax_on_8_bits(dtype):
    def configure(rng):
        q = rows(rng, dtype)
        beta, scale = beta_and_scale(rng)
        output = pick(rng, dtype, dtype, np.int16)
        bits = np.iinfo(output).bits
        written = quantization(2.0**-bits, np.iinfo(output).min)
        read = quantization(scale, zero_point(rng, dtype))

        def add(b, t):
            return b.op(
                "SOFTMAX", [t], {"beta": beta}, quantization=written, output_type=type_of(np.dtype(output))
            )

        return [(q, read)], add

    compare(configure, COUNT)


def test_softmax_on_int16():
    def configure(rng):
        q = rows(rng, np.int16, longest=300)
        beta, scale = beta_and_scale(rng)
        scale = F(min(scale, 2.0**10 / beta))
        return [(q, quantization(scale))], lambda b, t: b.op(
            "SOFTMAX", [t], {"beta": beta}, quantization=quantization(2.0**-15)
        )

    compare(configure, COUNT)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_log_softmax(dtype):
    written = quantization(1 / 16, np.iinfo(dtype).max)

    def configure(rng):
        q = rows(rng, dtype)
        scale = F(np.exp(rng.uniform(np.log(2.0**-26), np.log(2.0**12))) * 1.001)
        read = quantization(scale, zero_point(rng, dtype))
        return [(q, read)], lambda b, t: b.op("LOG_SOFTMAX", [t], quantization=written)

    compare(configure, COUNT)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("beta", [0.02, 1.0])
def test_every_distance_at_many_scales(dtype, beta):
    """All 256 values in pairs with the largest one: every entry of the table of exponentials."""
    q = np.stack([np.arange(256, dtype=np.uint8).view(dtype), np.full(256, np.iinfo(dtype).max, dtype)], 1)
    b, outputs = Builder(), []
    for scale in np.exp(np.linspace(-14, 8, 60)):
        t = b.input("q", q.shape, type_of(q.dtype), quantization(scale, 3))
        written = quantization(1 / 256, np.iinfo(dtype).min)
        outputs.append(b.op("SOFTMAX", [t], {"beta": beta}, quantization=written))
    graph = b.finish(*outputs)
    arrays = [q] * len(outputs)
    for ours, theirs in zip(Interpreter(graph=graph).run(arrays), run_litert(graph, arrays), strict=True):
        assert_same_bits(ours, theirs)


def every_value(dtype):
    return np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1).astype(dtype)


def compare_on_every_value(kind, cases):
    """One operator on all values of its type, for each (read, written) pair of quantizations."""
    b, outputs, arrays = Builder(), [], []
    for i, (dtype, read, written) in enumerate(cases):
        q = every_value(dtype)
        t = b.input(f"q{i}", q.shape, type_of(q.dtype), read)
        outputs.append(b.op(kind, [t], quantization=written))
        arrays.append(q)
    graph = b.finish(*outputs)
    results = zip(Interpreter(graph=graph).run(arrays), run_litert(graph, arrays), cases, strict=True)
    for ours, theirs, case in results:
        assert_same_bits(ours, theirs, case)


def scales(rng, low, high):
    return F(np.exp(rng.uniform(np.log(low), np.log(high))))


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH", "EXP"])
def test_tables_on_every_value_of_8_bits(kind):
    rng = np.random.default_rng(1)
    cases = []
    for _ in range(400):
        dtype = np.int8 if kind == "EXP" else pick(rng, np.int8, np.uint8)
        read = quantization(scales(rng, 1e-6, 1e4), zero_point(rng, dtype))
        written = 1 / 256 if kind == "LOGISTIC" else scales(rng, 1e-5, 1e3)
        cases.append((dtype, read, quantization(written, zero_point(rng, dtype))))
    compare_on_every_value(kind, cases)


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH", "EXP"])
def test_every_value_of_int16(kind):
    rng = np.random.default_rng(2)
    exact = [2.0**-12, 2.0**-11, 2.0**-13, 2.0**-12 * 1.0006, 2.0**-11 * 0.9994]
    several = [scales(rng, 2.0**-30, 5.3) for _ in range(55)]
    if kind == "EXP":
        cases = [(quantization(s), quantization(scales(rng, 1e-5, 1e3))) for s in several]
    else:
        cases = [(quantization(F(s)), quantization(2.0**-15)) for s in exact + several]
    compare_on_every_value(kind, [(np.int16, *case) for case in cases])


RUN = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
interpreter = Interpreter(sys.argv[1], experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
interpreter.allocate_tensors()
interpreter.set_tensor(0, np.zeros(interpreter.get_input_details()[0]["shape"], np.int8))
interpreter.invoke()
"""


@pytest.mark.parametrize(("elements", "survives"), [(511, True), (512, False)])
def test_rows_that_end_the_process(tmp_path, elements, survives):
    """See the defect SOFTMAX_ABORTS."""
    b = Builder()
    t = b.input("q", (1, elements), "INT8", quantization(0.1))
    graph = b.finish(b.op("SOFTMAX", [t], {"beta": 1.0}, quantization=quantization(1 / 256, -128)))
    path = tmp_path / "row.tflite"
    path.write_bytes(ptq.format.dumps(graph))
    outcome = subprocess.run([sys.executable, "-c", RUN, str(path)], capture_output=True)
    assert (outcome.returncode == 0) == survives
