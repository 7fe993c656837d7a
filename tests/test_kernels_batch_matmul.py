"""BATCH_MATMUL against loops over Python numbers and literals."""

from dataclasses import replace

import numpy as np
import pytest
import scalar

import ptq
from ptq.errors import GraphError, QuantizationError, ShapeError, UnsupportedError
from ptq.graph import Quantization
from ptq.kernels.batch_matmul import RightMatrices, batch_matmul_float, batch_matmul_hybrid
from ptq.numerics import LITERT_REFERENCE, LITERT_REFERENCE_ORDERED, PORTABLE

F = np.float32

SHAPES = [
    ((3, 5), (5, 4)),
    ((2, 3, 5), (5, 4)),
    ((3, 5), (2, 5, 4)),
    ((2, 3, 5), (2, 5, 4)),
    ((2, 3, 3, 5), (2, 1, 5, 4)),
    ((1, 2, 1, 3, 5), (1, 1, 2, 5, 4)),
]


def turned(x, adjoint):
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)) if adjoint else x


def as_matrices(lhs, rhs):
    """(index, lhs matrix, rhs matrix) for each matrix of the output."""
    batch = np.broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2])
    lefts = np.broadcast_to(lhs, batch + lhs.shape[-2:])
    rights = np.broadcast_to(rhs, batch + rhs.shape[-2:])
    return [(index, lefts[index], rights[index]) for index in np.ndindex(batch)]


def hybrid_loops(row, weights, scale, symmetric, portable):
    """One row of the output; weights: [K, N]."""
    q, row_scale, zero_point = scalar.quantize_row(list(row), symmetric, portable)
    output = []
    for n, column in enumerate(weights.T):
        total = sum(int(w) * i for w, i in zip(column, q, strict=True))
        offset = F(F(sum(map(int, column))) * F(zero_point))
        accumulator = int(F(F(total) - offset))
        output.append(F(F(row_scale * scale[n if len(scale) > 1 else 0]) * F(accumulator)))
    return np.array(output, F)


@pytest.mark.parametrize(("lhs_shape", "rhs_shape"), SHAPES)
@pytest.mark.parametrize("numerics", [LITERT_REFERENCE, PORTABLE], ids=lambda n: n.name)
@pytest.mark.parametrize("asymmetric", [True, False])
@pytest.mark.parametrize("adjoint", [(False, False), (True, False), (False, True), (True, True)])
def test_hybrid_equals_the_loops(lhs_shape, rhs_shape, numerics, asymmetric, adjoint):
    rng = np.random.default_rng(len(lhs_shape))
    lhs = rng.normal(0.3, 1, lhs_shape).astype(F)
    rhs = rng.integers(-128, 128, rhs_shape).astype(np.int8)
    scale = rng.uniform(0.01, 0.1, 4 if asymmetric else 1).astype(F)
    # with adj_x a batch of two dimensions stays one, in which LiteRT mixes up the rows
    numerics = replace(numerics, upstream_defects="intended")
    result = batch_matmul_hybrid(
        turned(lhs, adjoint[0]), turned(rhs, adjoint[1]), scale, *adjoint, asymmetric, numerics
    )
    for index, left, right in as_matrices(lhs, rhs):
        for m, row in enumerate(left):
            expected = hybrid_loops(row, right, scale, not asymmetric, numerics.dynamic_range == "portable")
            np.testing.assert_array_equal(result[index][m], expected)


@pytest.mark.parametrize(("lhs_shape", "rhs_shape"), SHAPES)
@pytest.mark.parametrize("adjoint", [(False, False), (True, False), (False, True), (True, True)])
def test_float_adds_in_the_order_of_k(lhs_shape, rhs_shape, adjoint):
    rng = np.random.default_rng(len(rhs_shape))
    lhs, rhs = rng.normal(0, 1, lhs_shape).astype(F), rng.normal(0, 1, rhs_shape).astype(F)
    operands = turned(lhs, adjoint[0]), turned(rhs, adjoint[1])
    ordered = batch_matmul_float(*operands, *adjoint, LITERT_REFERENCE_ORDERED)
    quick = batch_matmul_float(*operands, *adjoint)
    assert ordered.shape == quick.shape == (lhs @ rhs).shape
    for index, left, right in as_matrices(lhs, rhs):
        for m, n in np.ndindex(3, 4):
            total = F(0)
            for k in range(5):
                total = F(total + F(left[m, k] * right[k, n]))
            assert ordered[index][m, n] == total
            bound = 5 * 2.0**-23 * np.sum(np.abs(left[m].astype(float) * right[:, n]))
            assert abs(float(quick[index][m, n]) - float(total)) <= bound


def test_large_sums_are_subtracted_as_floats():
    """K = 2091 and weights of 127, by hand: q = 127, zero point = -128, row sum = 265557.

    total = 127 * 265557 = 33725739 -> 33725740, a multiple of 4, as a float32;  offset = -33991296
    difference = 67717036 -> 67717040, a multiple of 8;  the exact 67717035 would become 67717032
    """
    rhs, one = np.full((2091, 1), 127, np.int8), np.ones(1, F)
    result = batch_matmul_hybrid(np.ones((1, 2091), F), rhs, one, False, False, True, PORTABLE)
    scale = F(1 / 255)
    assert result[0, 0] == F(67717040) * scale != F(67717032) * scale
    # in int16 lanes: 7 of the 8 lanes hold 2 * 130 + 1 weights, 33147 - 65536; the last has one too
    wrapped = 8 * (261 * 127 - 2**16) + 3 * 127
    assert RightMatrices.prepare(rhs, False, LITERT_REFERENCE).row_sums == wrapped
    result = batch_matmul_hybrid(np.ones((1, 2091), F), rhs, one, False, False, True)
    assert result[0, 0] == F(33725740 + 128 * wrapped) * scale


def test_tiny_negative_products_become_positive_zeros():
    rhs = np.array([[-1]], np.int8)
    result = batch_matmul_hybrid(np.full((1, 1), 1e-40, F), rhs, F([1e-30]), numerics=PORTABLE)
    assert result.tobytes() == F([[0.0]]).tobytes()


def test_sums_that_leave_int32_are_refused():
    with pytest.raises(QuantizationError, match="int32"):
        batch_matmul_hybrid(np.ones((1, 140_000), F), np.full((140_000, 1), 127, np.int8), np.ones(1, F))


def test_prepared_matrices_give_the_same():
    rng = np.random.default_rng(3)
    lhs, rhs = rng.normal(0, 1, (2, 3, 7)).astype(F), rng.integers(-127, 128, (2, 7, 4)).astype(np.int8)
    prepared = RightMatrices.prepare(rhs, False, LITERT_REFERENCE)
    direct = batch_matmul_hybrid(lhs, rhs, F([0.5]), asymmetric_quantize_inputs=True)
    again = batch_matmul_hybrid(lhs, rhs, F([0.5]), False, False, True, LITERT_REFERENCE, prepared)
    assert direct.tobytes() == again.tobytes()


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (4, 5)), ((2, 2, 3), (3, 3, 4)), ((2, 3), (1, 1, 1, 1, 3, 4))],
)
def test_shapes_that_do_not_fit_are_named(lhs, rhs):
    with pytest.raises(ShapeError, match="BATCH_MATMUL: lhs"):
        batch_matmul_float(np.ones(lhs, F), np.ones(rhs, F))
    with pytest.raises(ShapeError, match="BATCH_MATMUL: lhs"):
        batch_matmul_hybrid(np.ones(lhs, F), np.ones(rhs, np.int8), np.ones(1, F))


@pytest.mark.parametrize("empty", [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((0, 2, 3), (1, 3, 4))])
def test_empty_operands_give_zeros(empty):
    lhs, rhs = np.ones(empty[0], F), np.ones(empty[1], np.int8)
    expected = (lhs @ rhs).astype(F)
    for result in (
        batch_matmul_hybrid(lhs, rhs, np.ones(1, F), asymmetric_quantize_inputs=True),
        batch_matmul_float(lhs, rhs.astype(F), numerics=LITERT_REFERENCE_ORDERED),
    ):
        np.testing.assert_array_equal(result, expected)


def run(lhs, rhs, quantization, **options):
    b = ptq.Builder()
    x = b.input("x", lhs.shape)
    y = b.op("BATCH_MATMUL", [x, b.constant(rhs, "w", quantization)], options, 4)
    return ptq.Interpreter(graph=b.finish(y)).run([lhs])[0]


def quantization(*scales, axis=0):
    return Quantization(np.array(scales, F), np.zeros(len(scales), np.int64), axis)


def test_several_batch_dimensions_are_refused_where_litert_mixes_up_the_rows():
    lhs, rhs = np.ones((2, 3, 4, 5), F), np.ones((5, 6), np.int8)
    with pytest.raises(UnsupportedError, match=r"several batch dimensions in lhs.*batch \(2, 3\) found"):
        run(lhs, rhs, quantization(0.1))
    assert run(lhs, rhs[None], quantization(0.1)).shape == (2, 3, 4, 6)  # merged into the rows
    two = np.ones((2, 3, 5, 6), np.int8)
    assert run(lhs[0, 0], two, quantization(0.1)).shape == (2, 3, 4, 6)
    with pytest.raises(UnsupportedError, match=r"several batch dimensions in rhs.*batch \(2, 3\) found"):
        run(lhs[0, 0], two, quantization(0.1), asymmetric_quantize_inputs=True)
    first = np.ones((2, 1, 1, 5, 6), np.int8)
    with pytest.raises(UnsupportedError, match=r"batch \(2, 1, 1\).*='intended'\)$"):
        run(lhs[0, 0], first, quantization(0.1), asymmetric_quantize_inputs=True)


def test_scales_along_the_inner_dimension_are_refused():
    lhs, rhs = np.ones((2, 3), F), np.ones((3, 3), np.int8)
    assert run(lhs, rhs, quantization(1, 2, 3, axis=1))[0].tolist() == [3, 6, 9]
    assert run(lhs, rhs, quantization(1, 2, 3, axis=0), adj_y=True)[0].tolist() == [3, 6, 9]
    for axis, adj_y in ((0, False), (1, True)):
        with pytest.raises(UnsupportedError, match=f"scales along dimension {axis}, expected"):
            run(lhs, rhs, quantization(1, 2, 3, axis=axis), adj_y=adj_y)
    with pytest.raises(GraphError, match="no scale"):
        run(lhs, rhs, None)
    with pytest.raises(ShapeError, match="2 scales"):
        batch_matmul_hybrid(lhs, rhs, np.ones(2, F))
