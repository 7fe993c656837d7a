"""Integer kernels without weights against LiteRT's reference kernels (BUILTIN_REF), bit for bit."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import quantized_operators as q
from litert import run_litert

from ptq.numerics import LITERT_REFERENCE

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

COUNT = 300
REPRODUCE = replace(LITERT_REFERENCE, upstream_defects="reproduce")
I8, U8, I16 = np.int8, np.uint8, np.int16
BYTES = [I8, U8]
ALL = [I8, U8, I16]
COMPARISONS = ["EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"]


def check(operation, numerics=LITERT_REFERENCE, count=COUNT):
    q.compare(operation, count, run_litert, numerics)


# --- two operands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("kind", ["ADD", "SUB"])
def test_addition(kind, dtype):
    check(q.addition(kind, dtype))


@pytest.mark.parametrize("kind", ["ADD", "SUB"])
def test_addition_on_int16(kind):
    check(q.addition(kind, I16, power_of_two=False))


def test_addition_on_int16_with_powers_of_two():
    check(q.power_of_two_addition("ADD", broadcast=False))
    check(q.power_of_two_addition("SUB", broadcast=True))


def test_subtraction_with_an_output_scale_that_is_too_fine():
    check(q.addition("SUB", I8, finest=-26), REPRODUCE)


@pytest.mark.parametrize(("dtype", "finest"), [(I8, -18.9), (U8, -18.9), (I16, -13.9)])
def test_subtraction_of_one_shape_with_an_output_scale_that_is_too_fine(dtype, finest):
    """Vector code has whole groups of four elements, other code the rest."""

    def draw(rng):
        a = q.a_scale(rng)
        b, shape = q.near(rng, a, -2, 2), (int(rng.integers(1, 40)),)
        step = max(a, b) * 2.0 ** np.ceil(finest - 0.9)
        output = q.but(q.near(rng, max(a, b), finest - 9, finest - 0.3), step)
        inputs = [(q.values(rng, shape, dtype), q.a_quantization(rng, dtype, s)) for s in (a, b)]
        return q.Operation("SUB", inputs, q.a_quantization(rng, dtype, output), {"pot_scale_int16": False})

    check(draw, REPRODUCE)


@pytest.mark.parametrize("dtype", ALL)
def test_multiplication(dtype):
    check(q.multiplication(dtype))


@pytest.mark.parametrize("dtype", ALL)
def test_division(dtype):
    check(q.division(dtype), REPRODUCE)


def test_squared_difference():
    check(q.squared_difference(I8))


@pytest.mark.parametrize("dtype", ALL)
def test_extremes(dtype):
    check(q.extreme("MAXIMUM", dtype))
    check(q.extreme("MINIMUM", dtype))


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("kind", COMPARISONS)
def test_comparisons(kind, dtype):
    check(q.comparison(kind, dtype))


@pytest.mark.parametrize("kind", COMPARISONS)
def test_comparisons_on_int16(kind):
    check(q.comparison(kind, I16, shared=True))
    check(q.comparison(kind, I16), REPRODUCE)


@pytest.mark.parametrize("kind", COMPARISONS)
def test_comparisons_of_large_scales(kind):
    check(q.comparison(kind, I8, largest=1e3), REPRODUCE)


@pytest.mark.parametrize("dtype", ALL)
def test_prelu(dtype):
    check(q.prelu(dtype))


# --- one operand ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "dtypes"),
    [("RELU", ALL), ("RELU6", ALL), ("RELU_N1_TO_1", BYTES), ("ABS", [I8, I16])],
)
def test_unary(kind, dtypes):
    for dtype in dtypes:
        check(q.unary(kind, dtype))


@pytest.mark.parametrize("dtype", ALL)
def test_leaky_relu(dtype):
    check(q.unary("LEAKY_RELU", dtype, options=q.alpha))


@pytest.mark.parametrize("dtype", BYTES)
def test_hard_swish(dtype):
    check(q.unary("HARD_SWISH", dtype, low=-6.9, high=14))


def test_rsqrt():
    check(q.rsqrt)


@pytest.mark.parametrize("dtype", BYTES)
def test_l2_normalization(dtype):
    check(q.l2_normalization(dtype))


# --- windows and axes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_pools(kind, dtype):
    check(q.pool(kind, dtype))


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("kind", ["MEAN", "REDUCE_MAX", "REDUCE_MIN"])
def test_reductions(kind, dtype):
    check(q.reduction(kind, dtype))


def test_sum():
    check(q.reduction("SUM", U8))
    check(q.reduction("SUM", I8), REPRODUCE)


# --- defects --------------------------------------------------------------------------------------------

PROGRAM = """
import numpy as np
import quantized_operators as q
from litert import run_litert
from ptq.build import Builder

x, y = np.ones(3, np.{dtype}), np.ones({size}, np.{dtype})
a, b, output = (q.quantization(scale) for scale in {scales})
of_bool = "BOOL" if "{kind}" == "LESS" else None
operation, builder = q.Operation("{kind}", [(x, a), (y, b)], output, output_type=of_bool), Builder()
run_litert(builder.finish(operation.add(builder, 0)), [x, y])
"""


@pytest.mark.parametrize(
    ("kind", "dtype", "scales", "size", "aborts"),
    [
        ("ADD", "int8", (1, 1, 2.0**-19), 3, True), ("ADD", "int8", (1, 1, 2.0**-18), 3, False),
        ("SUB", "int8", (1, 1, 2.0**-19), 3, True), ("LESS", "int8", (1, 1, 1), 3, True),
        ("ADD", "int16", (1, 1, 1), 1, True),
    ],
)  # fmt: skip
def test_where_the_runtime_ends_the_process(kind, dtype, scales, size, aborts):
    program = PROGRAM.format(kind=kind, dtype=dtype, scales=scales, size=size)
    path = [str(Path(__file__).parent), *filter(None, sys.path)]
    code = f"import sys; sys.path[:0] = {path}\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == (-6 if aborts else 0), done.stderr  # 6: SIGABRT
